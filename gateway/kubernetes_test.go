package gateway_test

import (
	"context"
	"fmt"
	"io"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/apiserver"
	"vestibule.dev/vestibule/gateway/internal/store"
	"vestibule.dev/vestibule/gateway/internal/store/kubernetes"
	"vestibule.dev/vestibule/hack/testenv"
)

// inKubernetes starts an API server, and makes what the controller makes for a
// gateway: its shards, and a service account that may touch nothing else.
func inKubernetes(t *testing.T) backing {
	t.Helper()
	env, err := testenv.Start(testenv.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := env.Stop(); err != nil {
			t.Error(err)
		}
	})
	unlimited := rest.CopyConfig(env.Config)
	unlimited.QPS = -1
	c, err := client.New(unlimited, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	k := &config.KubernetesStore{
		Kind: "Secret", Namespace: "default", Name: "weather-gateway",
		ClientShards: 16, GrantShards: 256, Replicas: 2,
	}
	create := func(o client.Object) {
		t.Helper()
		if err := c.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	var names []string
	for part, count := range map[string]int{"clients": k.ClientShards, "grants": k.GrantShards} {
		for n := range count {
			name := fmt.Sprintf("%s-%s-%d", k.Name, part, n)
			shard := &corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Namespace: k.Namespace, Name: name},
				Data:       map[string][]byte{"_shard": {1}},
			}
			create(shard)
			// Or every key of every record would be listed there too.
			strip := client.RawPatch(types.JSONPatchType, []byte(`[{"op":"replace","path":"/metadata/managedFields","value":[{}]}]`))
			if err := c.Patch(t.Context(), shard, strip); err != nil {
				t.Fatal(err)
			}
			names = append(names, name)
		}
	}
	meta := metav1.ObjectMeta{Namespace: k.Namespace, Name: k.Name}
	create(&corev1.ServiceAccount{ObjectMeta: meta})
	create(&rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{{
		APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get", "watch", "patch"}, ResourceNames: names,
	}}})
	create(&rbacv1.RoleBinding{
		ObjectMeta: meta,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: k.Name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: k.Namespace, Name: k.Name}},
	})
	account, err := env.ServiceAccount(t.Context(), k.Namespace, k.Name)
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig, err := env.WriteKubeconfig(account)
	if err != nil {
		t.Fatal(err)
	}
	return backing{
		config: config.Store{Type: config.StoreKubernetes, Kubernetes: k}, kubeconfig: kubeconfig,
		open: func(t *testing.T) store.Store {
			t.Helper()
			rest, err := apiserver.Connect(kubeconfig)
			if err != nil {
				t.Fatal(err)
			}
			s, err := kubernetes.New(kubernetes.Options{
				REST: rest, Namespace: k.Namespace, Name: k.Name, Kind: k.Kind,
				ClientShards: k.ClientShards, GrantShards: k.GrantShards, Replicas: 1,
			})
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
		dump: func(t *testing.T, w io.Writer) (records int) {
			var all corev1.SecretList
			if err := c.List(context.Background(), &all, client.InNamespace(k.Namespace)); err != nil {
				t.Error(err)
			}
			for _, shard := range all.Items {
				for key, value := range shard.Data {
					fmt.Fprintf(w, "%s/%s: %s\n", shard.Name, key, value)
					records++
				}
			}
			return records
		},
	}
}
