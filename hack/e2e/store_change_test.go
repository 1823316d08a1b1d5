//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"vestibule.dev/vestibule/hack/mcpclient"
	"vestibule.dev/vestibule/hack/realcluster"
)

// A server's records move to an etcd of three members, which loses one under load,
// and back. Nobody is signed out.
func TestTheStoreIsChanged(t *testing.T) {
	etcd := &realcluster.Etcd{Namespace: "data"}
	must(t, cluster.DeployEtcd(t.Context(), etcd))
	must(t, cluster.Admit(t.Context(), two.Namespace, etcd))
	endpoints, err := json.Marshal(etcd.Endpoints())
	must(t, err)
	member := fmt.Sprintf(`{"endpoints":%s,"caBundleRef":{"name":"etcd-ca","key":"ca.crt"},"tlsSecretRef":{"name":"etcd-client"}}`, endpoints)

	var before []*mcpclient.Client
	for range 5 {
		before = append(before, connect(t, two))
	}
	setStore(t, `{"type":"Etcd","migrateFrom":"Kubernetes","etcd":`+member+`}`, "Migrated")
	signedIn(t, before)
	setStore(t, `{"migrateFrom":null,"kubernetes":null}`, "Migrated")
	kubectl(t, "delete", "secrets", "-n", two.Namespace, "-l", "app.kubernetes.io/instance=weather,app.kubernetes.io/component=store")
	becomes(t, two, "OAuthKVBound", "True", "Bound")
	becomes(t, two, "Ready", "True", "")

	l := work(t, two, 4, true)
	kubectl(t, "delete", "pod", "-n", etcd.Namespace, "etcd-1", "--force", "--grace-period=0")
	time.Sleep(20 * time.Second) // the clients work on with two of three members
	l.end(t)
	signedIn(t, before)
	before = append(before, connect(t, two))

	setStore(t, `{"type":"Kubernetes","migrateFrom":"Etcd","kubernetes":{"minShards":16}}`, "Migrated")
	signedIn(t, before)
	setStore(t, `{"migrateFrom":null,"etcd":null}`, "Bound")
	signedIn(t, before)
	becomes(t, two, "Ready", "True", "")
	kubectl(t, "delete", "namespace", etcd.Namespace)
}

// setStore changes bindings.oauthKV, and waits for the reason for which it is bound.
func setStore(t *testing.T, patch, reason string) {
	t.Helper()
	kubectl(t, "patch", "mcpserver", "weather", "-n", two.Namespace, "--type=merge", "-p", `{"spec":{"bindings":{"oauthKV":`+patch+`}}}`)
	eventually(t, "the gateways have the new store", func() bool {
		generation := kubectl(t, "get", "mcpserver", "weather", "-n", two.Namespace, "-o", "jsonpath={.metadata.generation}={.status.observedGeneration}")
		var now, observed int
		_, err := fmt.Sscanf(generation, "%d=%d", &now, &observed)
		return err == nil && now == observed
	})
	kubectl(t, "rollout", "status", "-n", two.Namespace, "deployment/weather-gateway", "--timeout=120s")
	becomes(t, two, "OAuthKVBound", "True", reason)
}

// signedIn insists that the clients' tokens are good, and can be renewed.
func signedIn(t *testing.T, clients []*mcpclient.Client) {
	t.Helper()
	for i, c := range clients {
		eventually(t, "the server is reachable", func() bool {
			status, err := c.Status(t.Context())
			if err == nil && status == 401 {
				t.Fatalf("client %d is signed out", i)
			}
			return err == nil && status == 200
		})
		if err := c.Refresh(t.Context()); err != nil {
			t.Errorf("client %d cannot refresh: %v", i, err)
		}
	}
}
