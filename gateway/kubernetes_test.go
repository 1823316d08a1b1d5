//go:build integration

package gateway_test

import (
	"context"
	"fmt"
	"io"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/apiserver"
	"vestibule.dev/vestibule/gateway/internal/store"
	"vestibule.dev/vestibule/gateway/internal/store/kubernetes"
	"vestibule.dev/vestibule/hack/testenv"
)

// apiServer starts one that ends with the test, and returns who may do everything there.
func apiServer(t *testing.T) (*testenv.Env, client.Client) {
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
	c, err := client.New(env.Config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return env, c
}

// inKubernetes starts an API server, and makes what the controller makes for a
// gateway: its shards, and a service account that may touch nothing else.
func inKubernetes(t *testing.T) backing {
	t.Helper()
	env, c := apiServer(t)
	k := &config.KubernetesStore{
		Kind: "Secret", Namespace: "default", Name: "weather-gateway",
		ClientShards: 16, GrantShards: 256, Replicas: 2,
	}
	kubeconfig, err := env.Shards(t.Context(), k.Name, k.ClientShards, k.GrantShards)
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
