//go:build e2e

package e2e

import (
	"strings"
	"testing"
	"time"
)

// TestZDeletedServerLeavesNothing comes last: afterwards there is one server less.
func TestZDeletedServerLeavesNothing(t *testing.T) {
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
}
