package gateway

import (
	"errors"
	"fmt"
	"time"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/apiserver"
	"vestibule.dev/vestibule/gateway/internal/store"
	"vestibule.dev/vestibule/gateway/internal/store/kubernetes"
	"vestibule.dev/vestibule/gateway/internal/store/memory"
)

// freshFor is how long the local copy is good after a sign of life from the
// store: bookmarks come once a minute, and one may be late.
const freshFor = 90 * time.Second

// openStore returns the configured store.
func openStore(cfg *config.Config, o Options) (store.Store, error) {
	if cfg.Store.Type == config.StoreEtcd || cfg.MigrateFrom != nil {
		// To go on without them would be to lose them.
		return nil, errors.New("store: this gateway can neither keep records in an etcd nor copy them from another store yet")
	}
	if cfg.Store.Type == config.StoreMemory {
		file := ""
		if cfg.Store.Memory != nil {
			file = cfg.Store.Memory.File
		}
		return memory.Open(memory.Options{File: file, Now: o.Now})
	}
	rest, err := apiserver.Connect(o.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	k := cfg.Store.Kubernetes
	return kubernetes.New(kubernetes.Options{
		REST: rest, Namespace: k.Namespace, Name: k.Name, Kind: k.Kind,
		ClientShards: k.ClientShards, GrantShards: k.GrantShards, Replicas: k.Replicas,
		WrapTransport: o.WrapTransport, Now: o.Now, Log: o.Log,
	})
}
