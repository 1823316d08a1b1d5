//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"vestibule.dev/vestibule/hack/mcpclient"
	"vestibule.dev/vestibule/hack/realcluster"
)

// A server's records move to an etcd of three members, which loses one, and back, all
// under load. Nobody is signed out, and while no records are moved nobody waits long.
func TestTheStoreIsChanged(t *testing.T) {
	etcd := &realcluster.Etcd{Namespace: "data"}
	must(t, cluster.DeployEtcd(t.Context(), etcd))
	must(t, cluster.Admit(t.Context(), two.Namespace, etcd))
	endpoints, err := json.Marshal(etcd.Endpoints())
	must(t, err)
	member := fmt.Sprintf(`{"endpoints":%s,"caBundleRef":{"name":"etcd-ca","key":"ca.crt"},"tlsSecretRef":{"name":"etcd-client"}}`, endpoints)

	before := []*mcpclient.Client{connect(t, two), connect(t, two), connect(t, two)}
	l := work(t, two, 4, true)
	l.patience.Store(120) // while records are moved, no gateway answers
	setStore(t, `{"type":"Etcd","migrateFrom":"Kubernetes","etcd":`+member+`}`, "Migrated")
	signedIn(t, before)
	l.lap(t, "moving to etcd")
	l.patience.Store(20)

	// Gateways start, too, where two of three members are.
	must(t, cluster.KillEtcdLeader(t.Context(), etcd))
	setStore(t, `{"migrateFrom":null,"kubernetes":null}`, "Migrated")
	kubectl(t, "delete", "secrets", "-n", two.Namespace, "-l", shardLabels)
	becomes(t, two, "OAuthKVBound", "True", "Bound")
	becomes(t, two, "Ready", "True", "")
	before = append(before, connect(t, two))
	signedIn(t, before)
	l.lap(t, "losing a member, and rolling")

	l.patience.Store(120)
	setStore(t, `{"type":"Kubernetes","migrateFrom":"Etcd","kubernetes":{"minShards":16}}`, "Migrated")
	signedIn(t, before)
	l.lap(t, "moving back")
	l.patience.Store(20)
	setStore(t, `{"migrateFrom":null,"etcd":null}`, "Bound")
	l.end(t)
	signedIn(t, before)
	becomes(t, two, "Ready", "True", "")
	kubectl(t, "delete", "namespace", etcd.Namespace, "--wait=false")
}

// shardLabels are on what holds the records of a server.
const shardLabels = "mcp.vestibule.dev/server=weather,app.kubernetes.io/component=store"

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

// signedIn insists that the clients' tokens are good, can be renewed, and that the
// clients are known.
func signedIn(t *testing.T, clients []*mcpclient.Client) {
	t.Helper()
	for i, c := range clients {
		again := func(what string, send func(context.Context) error) {
			eventually(t, what, func() bool {
				err := send(t.Context())
				if err != nil && final(err) {
					t.Fatalf("client %d is signed out: %v", i, err)
				}
				return err == nil
			})
		}
		again("a token is good", func(ctx context.Context) error { return call(ctx, c) })
		again("tokens can be renewed", c.Refresh)
	}
	if err := clients[0].Authorize(t.Context()); err != nil {
		t.Errorf("somebody logs in with the registration of before: %v", err)
	}
}
