//go:build e2e

package e2e

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A release takes over what kustomize has installed, and is removed. The CRD, the
// MCPServers and the gateways stay.
func TestARelease(t *testing.T) {
	const controller = "deployment/vestibule-controller"
	images := strings.Split(kubectl(t, "get", controller, "-n", "vestibule-system", "-o",
		`jsonpath={.spec.template.spec.containers[0].image}|{.spec.template.spec.containers[0].env[?(@.name=="GATEWAY_IMAGE")].value}`), "|")
	if len(images) != 2 {
		t.Fatalf("the controller's images are %v", images)
	}
	kubectl(t, "delete", "mcpserver", "weather", "-n", two.Namespace, "--ignore-not-found", "--timeout=60s")
	kubectl(t, "delete", controller, "-n", "vestibule-system")
	within(t, 4*time.Minute, "everything of the MCPServer is gone", func() bool {
		return kubectl(t, "get", "all", "-n", two.Namespace, "-l", "app.kubernetes.io/instance=weather", "-o", "name") == ""
	})

	dir := t.TempDir()
	helm(t, "package", "config/chart", "-d", dir, "--version", "1.2.3", "--app-version", "v1.2.3")
	helm(t, "install", "vestibule", filepath.Join(dir, "vestibule-1.2.3.tgz"), "-n", "vestibule-system", "--take-ownership", "--force-conflicts",
		"--set", "images.controller="+images[0]+",images.gateway="+images[1], "--wait", "--timeout", "2m")
	must(t, cluster.DeployServer(t.Context(), two))
	must(t, cluster.WaitReady(t.Context(), two))
	c := connect(t, two)
	must(t, c.Forecast(t.Context()))

	helm(t, "uninstall", "vestibule", "-n", "vestibule-system", "--wait", "--timeout", "2m")
	if left := kubectl(t, "get", controller, "-n", "vestibule-system", "--ignore-not-found", "-o", "name"); left != "" {
		t.Errorf("%s is still there", left)
	}
	kubectl(t, "get", "crd", "mcpservers.mcp.vestibule.dev")
	kubectl(t, "get", "mcpserver", "weather", "-n", two.Namespace)
	must(t, c.Refresh(t.Context()))
	must(t, c.Forecast(t.Context()))

	must(t, cluster.Deploy(t.Context()))
	kubectl(t, "patch", "mcpserver", "weather", "-n", two.Namespace, "--type=merge", "-p", `{"spec":{"gateway":{"replicas":3}}}`)
	eventually(t, "the controller acts again", func() bool {
		return kubectl(t, "get", "deployment", "weather-gateway", "-n", two.Namespace, "-o", "jsonpath={.spec.replicas}") == "3"
	})
	kubectl(t, "patch", "mcpserver", "weather", "-n", two.Namespace, "--type=merge", "-p", `{"spec":{"gateway":{"replicas":2}}}`)
	becomes(t, two, "Ready", "True", "")
}

func helm(t *testing.T, args ...string) {
	t.Helper()
	out, err := cluster.Helm(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(out)
}
