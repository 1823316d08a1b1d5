//go:build integration

package gateway_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"vestibule.dev/vestibule/gateway"
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
	t.Parallel()
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

// A gateway whose records move to another store stops. One that is told to serve from
// there again stays up, serves nobody, and reports why.
func TestRecordsThatMovedAwayAreNotServed(t *testing.T) {
	t.Parallel()
	before, timing := inEtcd(t).config, gateway.Timing{Finish: soon}
	stay := gatewaytest.Setup{Configure: func(c *config.Config) { c.Store = before }}
	old := serve(t, stay, timing)
	old.waitReady(t, http.StatusOK)
	move := gatewaytest.Setup{Configure: func(c *config.Config) { c.MigrateFrom = &before }}
	serve(t, move, timing).waitReady(t, http.StatusOK)
	const moved = "the records were moved from this store to another"
	select {
	case err := <-old.ended:
		if err == nil || !strings.Contains(err.Error(), moved) {
			t.Errorf("the old gateway ends with %v", err)
		}
	case <-time.After(soon):
		t.Fatal("the old gateway goes on")
	}

	again := serve(t, stay, timing)
	check := gateway.StoreCheck(t, again.Config, again.Keys, gateway.Options{Log: again.Log()})
	var reason, message string
	for deadline := time.Now().Add(soon); reason != config.ReasonStoreIncomplete; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("what is reported is %s: %s", reason, message)
		}
		reason, message = check(t.Context())
	}
	if !strings.HasPrefix(message, moved) {
		t.Errorf("what is reported is %s", message)
	}
	if ready, alive := again.probe(t, "/readyz"), again.probe(t, "/healthz"); ready != http.StatusServiceUnavailable || alive != http.StatusOK {
		t.Errorf("/readyz is %d and /healthz %d", ready, alive)
	}
	again.stop()
	again.end(t)
}
