//go:build e2e

package e2e

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"
	"time"
)

// What a namespace had is restored as tools do that keep neither owners nor status, into
// one that is new: clients stay registered, and users logged in.
func TestANamespaceIsRestored(t *testing.T) {
	c := connect(t, two)
	var list struct {
		Items []map[string]any `json:"items"`
	}
	const kinds = "secrets,configmaps,services,serviceaccounts,roles,rolebindings,deployments,poddisruptionbudgets"
	must(t, json.Unmarshal([]byte(kubectl(t, "get", kinds, "-n", two.Namespace, "-l", "app.kubernetes.io/managed-by=vestibule", "-o", "json")), &list))
	if len(list.Items) < 15 {
		t.Fatalf("a server has only %d objects", len(list.Items))
	}
	for _, o := range list.Items {
		delete(o, "status")
		metadata := o["metadata"].(map[string]any)
		for _, member := range []string{"ownerReferences", "uid", "resourceVersion", "creationTimestamp", "generation", "managedFields"} {
			delete(metadata, member)
		}
		if o["kind"] == "Service" {
			delete(o["spec"].(map[string]any), "clusterIP")
			delete(o["spec"].(map[string]any), "clusterIPs")
		}
	}
	backup, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "List", "items": list.Items})
	must(t, err)

	kubectl(t, "delete", "namespace", two.Namespace, "--timeout=120s")
	kubectl(t, "create", "namespace", two.Namespace)
	if _, err := cluster.Kubectl(t.Context(), string(backup), "create", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	must(t, cluster.DeployServer(t.Context(), two)) // which has another UID
	must(t, cluster.WaitReady(t.Context(), two))
	becomes(t, two, "Accepted", "True", "Accepted")
	must(t, call(t.Context(), c))
	must(t, c.Refresh(t.Context()))
	must(t, call(t.Context(), c))
	must(t, c.Authorize(t.Context())) // with the registration of before
}

// A route is renamed, and gets another scope, while no new pod may start: those that run
// ask for the scope all the same.
func TestARouteIsRenamedWhileNothingCanRoll(t *testing.T) {
	c := connect(t, two)
	pods := gatewayPods(t, two)
	must(t, call(t.Context(), c))
	kubectl(t, "create", "quota", "full", "-n", two.Namespace, "--hard=pods=0")
	defer kubectl(t, "delete", "quota", "full", "-n", two.Namespace, "--ignore-not-found")
	kubectl(t, "patch", "mcpserver", "weather", "-n", two.Namespace, "--type=merge", "-p",
		`{"spec":{"routes":[{"name":"renamed","path":"/mcp","requiredScopes":["weather:write"]}]}}`)
	within(t, time.Minute, "every gateway asks for the new scope", func() bool {
		for range 10 { // whichever of them answers
			if status, err := c.Status(t.Context()); err != nil || status != http.StatusForbidden {
				return false
			}
		}
		return true
	})
	becomes(t, two, "GatewayAvailable", "False", "QuotaExceeded")
	if status, err := c.Status(t.Context()); err != nil || status != http.StatusForbidden {
		t.Errorf("without the scope the answer is %d, %v", status, err)
	}
	kubectl(t, "patch", "mcpserver", "weather", "-n", two.Namespace, "--type=merge", "-p",
		`{"spec":{"routes":[{"name":"mcp","path":"/mcp","requiredScopes":["weather:read"]}]}}`)
	kubectl(t, "delete", "quota", "full", "-n", two.Namespace)
	becomes(t, two, "Ready", "True", "")
	if now := gatewayPods(t, two); !slices.Equal(now, pods) {
		t.Errorf("the gateways are %v, and were %v", now, pods)
	}
	must(t, call(t.Context(), c))
}
