//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"vestibule.dev/vestibule/hack/conformance/judge"
	"vestibule.dev/vestibule/hack/node"
)

const everything = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: everything, namespace: %[1]s}
spec:
  replicas: 3
  selector: {matchLabels: {app: everything}}
  template:
    metadata: {labels: {app: everything}}
    spec:
      automountServiceAccountToken: false
      securityContext: {runAsNonRoot: true, runAsUser: 65532, seccompProfile: {type: RuntimeDefault}}
      containers:
      - name: everything
        image: %[2]s
        args: [-stateless=false, -http, ":8080"]
        imagePullPolicy: IfNotPresent
        ports: [{name: http, containerPort: 8080}]
        readinessProbe: {tcpSocket: {port: http}, periodSeconds: 2}
        securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
`

// The server that the Go SDK is itself tested with takes the place of the weather
// server, in three pods that keep sessions: the conformance suite and the MCP Inspector
// find the same while the gateways are replaced as they did before.
func TestTheSuiteSeesNothingOfTheGatewaysGoing(t *testing.T) {
	image, err := cluster.LoadPackage(t.Context(), "github.com/modelcontextprotocol/go-sdk/conformance/everything-server")
	must(t, err)
	must(t, cluster.Apply(t.Context(), fmt.Sprintf(everything, one.Namespace, image)))
	kubectl(t, "rollout", "status", "-n", one.Namespace, "deployment/everything", "--timeout=120s")
	serve := func(app, tool string) {
		t.Helper()
		kubectl(t, "patch", "service", "weather", "-n", one.Namespace, "--type=merge", "-p", `{"spec":{"selector":{"app":"`+app+`"}}}`)
		c := connect(t, one)
		eventually(t, "the gateways have the pods of "+app, func() bool {
			if err := c.Begin(t.Context()); err != nil {
				return false
			}
			tools, err := c.Session.ListTools(t.Context(), nil)
			return err == nil && slices.ContainsFunc(tools.Tools, func(o *mcp.Tool) bool { return o.Name == tool })
		})
	}
	defer func() {
		serve("weather", "get_forecast")
		kubectl(t, "delete", "-n", one.Namespace, "deployment/everything", "--wait=false")
		becomes(t, one, "Ready", "True", "")
	}()
	serve("everything", "test_simple_text")
	c := connect(t, one)
	suite := judge.Suite("stable")
	endpoint := judge.WithToken(t, one.PublicURL(), c.Token.AccessToken)
	before := suite.Server(t, endpoint, "--suite", "all")
	if n := judge.Passed(before); n < 44 {
		t.Errorf("before the gateways go, %d checks pass, not 44", n)
	}
	kubectl(t, "rollout", "restart", "-n", one.Namespace, "deployment/weather-gateway")
	for rolled, n := false, 1; !rolled; n++ {
		status := kubectl(t, "rollout", "status", "-n", one.Namespace, "deployment/weather-gateway", "--watch=false")
		rolled = strings.Contains(status, "successfully rolled out") && len(gatewayPods(t, one)) == 2
		if table := judge.Differences(before, suite.Server(t, endpoint, "--suite", "all")); table != "" {
			t.Errorf("while the gateways go, round %d finds:\n%s", n, table)
		}
		inspect(t, c.Token.AccessToken)
	}
}

// inspect lists the tools with the MCP Inspector's command.
func inspect(t *testing.T, token string) {
	t.Helper()
	cmd := node.Command(t, "clients/commands", "node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js", "--cli", "--server-url", one.Endpoint(),
		"--transport", "http", "--protocol-era", "legacy", "--format", "json", "--header", "Authorization: Bearer "+token, "--method", "tools/list")
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "MCP_INSPECTOR_SECRET_STORE=memory")
	out, err := cmd.Output()
	if err != nil || !bytes.Contains(out, []byte("test_simple_text")) {
		t.Errorf("the inspector says %v: %s", err, out)
	}
}
