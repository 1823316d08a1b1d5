//go:build e2e

package e2e

import (
	"strings"
	"testing"
	"time"
)

// A server that is deleted with deletionPolicy Retain, with the cascade that deletes most,
// and created again, goes on with its clients and logins.
func TestARetainedServerComesBack(t *testing.T) {
	c := connect(t, two)
	kubectl(t, "patch", "mcpserver", "weather", "-n", "two", "--type=merge", "-p", `{"spec":{"deletionPolicy":"Retain"}}`)
	kubectl(t, "wait", "mcpserver/weather", "-n", "two", "--timeout=30s", "--for=jsonpath={.status.deletionPolicy}=Retain")
	kubectl(t, "delete", "mcpserver", "weather", "-n", "two", "--cascade=foreground", "--timeout=120s")
	must(t, cluster.DeployServer(t.Context(), two))
	must(t, cluster.WaitReady(t.Context(), two))
	// Its token is still good, and so is what renews it.
	must(t, call(t.Context(), c))
	must(t, c.Refresh(t.Context()))
	must(t, call(t.Context(), c))
}

func TestADeletedServerLeavesNothing(t *testing.T) {
	kinds := "deployments,replicasets,pods,services,secrets,configmaps,serviceaccounts,roles,rolebindings,poddisruptionbudgets"
	ours := func() string {
		return kubectl(t, "get", kinds, "-n", "two", "-l", "app.kubernetes.io/instance=weather", "-o", "name")
	}
	if found := strings.Fields(ours()); len(found) < 15 {
		t.Fatalf("a server has only the objects %v", found)
	}
	kubectl(t, "delete", "mcpserver", "weather", "-n", "two", "--timeout=60s")
	left := ""
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("left are %v", strings.Fields(left))
		}
	})
	// After the API server was away, the garbage collector takes its time to know
	// all kinds of objects again.
	within(t, 4*time.Minute, "everything is gone", func() bool { left = ours(); return left == "" })
	// What was the user's is still there.
	kubectl(t, "get", "-n", "two", "deployment/weather", "service/weather", "secret/weather-oidc", "configmap/login-ca")
	must(t, cluster.DeployServer(t.Context(), two))
	must(t, cluster.WaitReady(t.Context(), two))
}
