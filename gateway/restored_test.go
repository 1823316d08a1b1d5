//go:build integration

package gateway_test

import (
	"net/http"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vestibule.dev/vestibule/gateway"
	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/apiserver"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
	"vestibule.dev/vestibule/gateway/internal/store/kubernetes"
)

// Objects of a store that were created anew elsewhere, out of a backup, are as good as
// they were, for a gateway with the same keys that is told to what the records are sealed.
// A client that has registered before goes on.
func TestARestoredStoreGoesOn(t *testing.T) {
	t.Parallel()
	env, admin := apiServer(t)
	create := func(o client.Object) {
		t.Helper()
		if err := admin.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	for kind, shard := range map[string]func(metav1.ObjectMeta, map[string][]byte) client.Object{
		"Secret": func(m metav1.ObjectMeta, data map[string][]byte) client.Object {
			return &corev1.Secret{ObjectMeta: m, Data: data}
		},
		"ConfigMap": func(m metav1.ObjectMeta, data map[string][]byte) client.Object {
			return &corev1.ConfigMap{ObjectMeta: m, BinaryData: data}
		},
	} {
		t.Run(kind, func(t *testing.T) {
			namespace := func() string {
				ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "restored-"}}
				create(ns)
				return ns.Name
			}
			in := func(namespace string) func(*gateway.Options) {
				return func(o *gateway.Options) {
					rest, err := apiserver.Connect(env.Kubeconfig())
					if err != nil {
						t.Fatal(err)
					}
					o.Store, err = kubernetes.New(kubernetes.Options{
						REST: rest, Namespace: namespace, Name: "weather-gateway", Kind: kind, ClientShards: 1, GrantShards: 1, Replicas: 1,
					})
					if err != nil {
						t.Fatal(err)
					}
				}
			}
			names := []string{"weather-gateway-clients-0", "weather-gateway-grants-0"}
			before, after := namespace(), namespace()
			for _, name := range names {
				create(shard(metav1.ObjectMeta{Namespace: before, Name: name}, map[string][]byte{"_shard": {1}}))
			}
			var first *gatewaytest.Server
			var known *gatewaytest.Client
			var tokens gatewaytest.Tokens
			t.Run("before", func(t *testing.T) {
				first = gatewaytest.New(t, gatewaytest.Setup{Options: in(before)})
				known = first.Register(t, nil)
				tokens = known.Redeem(t, known.Login(t))
			})
			for _, name := range names {
				var err error
				var data map[string][]byte
				switch o := shard(metav1.ObjectMeta{Namespace: before, Name: name}, nil).(type) {
				case *corev1.Secret:
					err = admin.Get(t.Context(), client.ObjectKeyFromObject(o), o)
					data = o.Data
				case *corev1.ConfigMap:
					err = admin.Get(t.Context(), client.ObjectKeyFromObject(o), o)
					data = o.BinaryData
				}
				if err != nil || len(data) != 2 {
					t.Fatalf("%s has %d keys: %v", name, len(data), err)
				}
				create(shard(metav1.ObjectMeta{Namespace: after, Name: name}, data))
			}
			for uid, good := range map[string]bool{"another-uid": false, first.Config.ServerUID: true} {
				gw := gatewaytest.New(t, gatewaytest.Setup{Keys: first.Keys, Options: in(after), Configure: func(c *config.Config) {
					c.ServerUID, c.PublicURL, c.Upstreams[0].OIDC.IssuerURL = uid, first.URL, first.IdP.URL
				}})
				client := gw.Known(known.ID, "", known.Management)
				if !good {
					if a := client.Token(t, gatewaytest.RefreshParams(tokens.Refresh)); a.Status == http.StatusOK {
						t.Error("records are not sealed to anything")
					}
					continue
				}
				if a := client.Call(t, tokens.Access); a.Status != http.StatusOK {
					t.Errorf("the token from before gets %d: %s", a.Status, a.Body)
				}
				next := client.Refresh(t, tokens.Refresh)
				if a := client.Call(t, next.Access); a.Status != http.StatusOK {
					t.Errorf("the token after it gets %d: %s", a.Status, a.Body)
				}
			}
		})
	}
}
