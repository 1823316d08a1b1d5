package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/hack/testenv"
)

// backing is a store that a gateway can use.
type backing struct {
	store      config.Store
	kubeconfig string
	// env is the API server that is behind it, if one is.
	env  *testenv.Env
	stop func() error
}

func inMemory() backing {
	return backing{store: config.Store{Type: config.StoreMemory}, stop: func() error { return nil }}
}

const clientShards = 16

// inShards starts an API server, and makes what the controller makes for a gateway.
func inShards(ctx context.Context, grants int) (b backing, err error) {
	env, err := testenv.Start(testenv.Options{})
	if err != nil {
		return b, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, env.Stop())
		}
	}()
	// As the controller adds them: what a shard holds stays below 32 KiB on the mean.
	shards := 16
	for shards < 256 && grants > 20*shards {
		shards *= 2
	}
	unlimited := rest.CopyConfig(env.Config)
	unlimited.QPS = -1
	c, err := client.New(unlimited, client.Options{})
	if err != nil {
		return b, err
	}
	const namespace, name = "default", "bench-gateway"
	var names []string
	for part, count := range map[string]int{"clients": clientShards, "grants": shards} {
		for n := range count {
			shard := &corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("%s-%s-%d", name, part, n)},
				Data:       map[string][]byte{"_shard": {1}},
			}
			strip := client.RawPatch(types.JSONPatchType, []byte(`[{"op":"replace","path":"/metadata/managedFields","value":[{}]}]`))
			if err := errors.Join(c.Create(ctx, shard), c.Patch(ctx, shard, strip)); err != nil {
				return b, err
			}
			names = append(names, shard.Name)
		}
	}
	meta := metav1.ObjectMeta{Namespace: namespace, Name: name}
	for _, o := range []client.Object{
		&corev1.ServiceAccount{ObjectMeta: meta},
		&rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{{
			APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get", "watch", "patch"}, ResourceNames: names,
		}}},
		&rbacv1.RoleBinding{
			ObjectMeta: meta,
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: name}},
		},
	} {
		if err := c.Create(ctx, o); err != nil {
			return b, err
		}
	}
	account, err := env.ServiceAccount(ctx, namespace, name)
	if err != nil {
		return b, err
	}
	kubeconfig, err := env.WriteKubeconfig(account)
	if err != nil {
		return b, err
	}
	return backing{env: env, kubeconfig: kubeconfig, stop: env.Stop, store: config.Store{
		Type: config.StoreKubernetes, Kubernetes: &config.KubernetesStore{
			Kind: "Secret", Namespace: namespace, Name: name, ClientShards: clientShards, GrantShards: shards, Replicas: 1,
		},
	}}, nil
}

// inEtcd starts an etcd of one member.
func inEtcd(ctx context.Context) (backing, error) {
	assets, err := testenv.Assets()
	if err != nil {
		return backing{}, err
	}
	directory, err := os.MkdirTemp("", "vestibule-bench-etcd-")
	if err != nil {
		return backing{}, err
	}
	clients, peers, err := freeAddresses()
	if err != nil {
		return backing{}, err
	}
	url, peer := "http://"+clients, "http://"+peers
	cmd := exec.CommandContext(ctx, filepath.Join(assets, "etcd"), "--name", "bench", "--data-dir", directory, "--log-level", "error",
		"--listen-client-urls", url, "--advertise-client-urls", url, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
		"--initial-cluster", "bench="+peer)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return backing{}, err
	}
	stop := func() error {
		_ = cmd.Process.Kill() // its data goes too
		_ = cmd.Wait()
		return os.RemoveAll(directory)
	}
	if err := ready(ctx, url+"/health"); err != nil {
		return backing{}, errors.Join(fmt.Errorf("etcd: %w", err), stop())
	}
	return backing{stop: stop, store: config.Store{
		Type: config.StoreEtcd, Etcd: &config.EtcdStore{Endpoints: []string{url}, Prefix: "/vestibule/bench"},
	}}, nil
}
