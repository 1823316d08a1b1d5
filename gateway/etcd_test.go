package gateway_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
	"vestibule.dev/vestibule/gateway/internal/store"
	"vestibule.dev/vestibule/gateway/internal/store/etcd"
	"vestibule.dev/vestibule/hack/testenv"
)

// inEtcd starts an etcd.
func inEtcd(t *testing.T) backing {
	t.Helper()
	cluster, err := testenv.StartEtcd(testenv.EtcdOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Stop(); err != nil {
			t.Error(err)
		}
	})
	e := &config.EtcdStore{Endpoints: cluster.Endpoints(), Prefix: "/vestibule/default/weather"}
	return backing{
		config: config.Store{Type: config.StoreEtcd, Etcd: e},
		open: func(t *testing.T) store.Store {
			t.Helper()
			s, err := etcd.New(etcd.Options{Endpoints: e.Endpoints, Prefix: e.Prefix})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
			return s
		},
		dump: func(t *testing.T, w io.Writer) int {
			c, err := clientv3.New(clientv3.Config{Endpoints: e.Endpoints, Logger: zap.NewNop()})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			all, err := c.Get(context.Background(), "", clientv3.WithPrefix())
			if err != nil {
				t.Fatal(err)
			}
			for _, kv := range all.Kvs {
				fmt.Fprintf(w, "%s: %s\n", kv.Key, kv.Value)
			}
			return len(all.Kvs)
		},
	}
}

// Who has a token before the store is changed has it after.
func TestNobodyIsSignedOutByAMove(t *testing.T) {
	to, l := inEtcd(t), gatewaytest.Listen(t)
	s := gatewaytest.Describe(t, "http://"+l.Addr().String(), gatewaytest.Setup{})
	var client *gatewaytest.Client
	var first, second gatewaytest.Tokens
	t.Run("before", func(t *testing.T) {
		startReplica(t, s, l, "")
		client = s.Register(t, nil)
		first = client.Redeem(t, client.Login(t))
		second = client.Refresh(t, first.Refresh)
	})
	from := s.Config.Store
	s.Config.Store, s.Config.MigrateFrom = to.config, &from
	for _, when := range []string{"after", "after a restart"} {
		t.Run(when, func(t *testing.T) {
			s.Addrs = nil
			startReplica(t, s, gatewaytest.Listen(t), "")
			if a := client.Call(t, second.Access); a.Status != http.StatusOK {
				t.Errorf("the access token gets %d: %s", a.Status, a.Body)
			}
			second = client.Refresh(t, second.Refresh)
			client.Redeem(t, client.Login(t))
		})
	}
	if n := to.dump(t, s.Secrets); n != 5 {
		t.Errorf("the store holds %d records, want a client, three grants and a marker", n)
	}
}
