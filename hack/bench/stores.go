package main

import (
	"context"
	"errors"
	"fmt"

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

// startStore makes a store of a type, for so many grants.
func startStore(ctx context.Context, name string, grants int) (backing, error) {
	switch name {
	case "Memory":
		return inMemory(), nil
	case "Etcd":
		return inEtcd()
	case "Kubernetes":
		return inShards(ctx, grants)
	}
	return backing{}, fmt.Errorf("there is no store %q", name)
}

func inMemory() backing {
	return backing{store: config.Store{Type: config.StoreMemory}, stop: func() error { return nil }}
}

// inEtcd starts an etcd of one member, on this machine's disk.
func inEtcd() (backing, error) {
	cluster, err := testenv.StartEtcd(testenv.EtcdOptions{})
	if err != nil {
		return backing{}, err
	}
	return backing{stop: cluster.Stop, store: config.Store{
		Type: config.StoreEtcd, Etcd: &config.EtcdStore{Endpoints: cluster.Endpoints(), Prefix: "/vestibule/bench"},
	}}, nil
}

const clientShards = 16

// inShards starts an API server, and makes what the controller makes for a gateway.
func inShards(ctx context.Context, grants int) (backing, error) {
	env, err := testenv.Start(testenv.Options{})
	if err != nil {
		return backing{}, err
	}
	// As the controller adds them: what a shard holds stays below 32 KiB on the mean.
	shards := 16
	for shards < 256 && grants > 20*shards {
		shards *= 2
	}
	const name = "bench-gateway"
	kubeconfig, err := env.Shards(ctx, name, clientShards, shards)
	if err != nil {
		return backing{}, errors.Join(err, env.Stop())
	}
	return backing{env: env, kubeconfig: kubeconfig, stop: env.Stop, store: config.Store{
		Type: config.StoreKubernetes, Kubernetes: &config.KubernetesStore{
			Kind: "Secret", Namespace: "default", Name: name, ClientShards: clientShards, GrantShards: shards, Replicas: 1,
		},
	}}, nil
}
