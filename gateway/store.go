package gateway

import (
	"fmt"
	"time"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/apiserver"
	"vestibule.dev/vestibule/gateway/internal/store"
	"vestibule.dev/vestibule/gateway/internal/store/etcd"
	"vestibule.dev/vestibule/gateway/internal/store/kubernetes"
	"vestibule.dev/vestibule/gateway/internal/store/memory"
	"vestibule.dev/vestibule/gateway/internal/store/migration"
)

// freshFor is how long the local copy is good after a sign of life from the
// store. A Kubernetes API server gives one each minute, and it may be late; an etcd
// is asked for one every three seconds.
func freshFor(t config.StoreType) time.Duration {
	if t == config.StoreEtcd {
		return 10 * time.Second
	}
	return 90 * time.Second
}

// openStores returns the store to serve from, to which the records of the one before
// are moved when it runs.
func openStores(cfg *config.Config, o Options) (*migration.Store, error) {
	m := migration.Options{To: o.Store, Now: o.Now, Log: o.Log}
	var err error
	if m.To == nil {
		if m.To, err = openStore(&cfg.Store, o); err != nil {
			return nil, err
		}
	}
	if cfg.MigrateFrom != nil {
		if m.From, err = openStore(cfg.MigrateFrom, o); err != nil {
			return nil, fmt.Errorf("migrateFrom: %w", err)
		}
	}
	return migration.New(m), nil
}

// openStore returns a store that is configured.
func openStore(s *config.Store, o Options) (store.Store, error) {
	switch s.Type {
	case config.StoreMemory:
		file := ""
		if s.Memory != nil {
			file = s.Memory.File
		}
		return memory.Open(memory.Options{File: file, Now: o.Now})
	case config.StoreEtcd:
		e := s.Etcd
		return etcd.New(etcd.Options{
			Endpoints: e.Endpoints, Prefix: e.Prefix, CAFile: e.CABundleFile, CertFile: e.CertFile, KeyFile: e.KeyFile,
			UserFile: e.UserFile, PasswordFile: e.PasswordFile,
			DialOptions: o.DialOptions, Now: o.Now, Log: o.Log,
		})
	}
	rest, err := apiserver.Connect(o.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	k := s.Kubernetes
	return kubernetes.New(kubernetes.Options{
		REST: rest, Namespace: k.Namespace, Name: k.Name, Kind: k.Kind,
		ClientShards: k.ClientShards, GrantShards: k.GrantShards, Replicas: k.Replicas,
		WrapTransport: o.WrapTransport, Now: o.Now, Log: o.Log,
	})
}
