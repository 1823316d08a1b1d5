//go:build integration

package etcd

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"vestibule.dev/vestibule/gateway/internal/store/conformance"
	"vestibule.dev/vestibule/hack/testenv"
)

// shared is an etcd of one member, in which each test has a prefix of its own.
var shared *testenv.Etcd

func TestMain(m *testing.M) { os.Exit(conformance.Main(m, run, serveReplica)) }

func run(m *testing.M) (code int, err error) {
	shared, err = testenv.StartEtcd(testenv.EtcdOptions{})
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, shared.Stop()) }()
	return m.Run(), nil
}

var prefixes atomic.Int64

func newPrefix() string { return fmt.Sprintf("/vestibule/test-%d", prefixes.Add(1)) }

// startEtcd runs an etcd that ends with the test.
func startEtcd(t *testing.T, o testenv.EtcdOptions) *testenv.Etcd {
	t.Helper()
	e, err := testenv.StartEtcd(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { must(t, e.Stop()) })
	return e
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// admin is a client of etcd's own.
func admin(t *testing.T, endpoints ...string) *clientv3.Client {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: endpoints, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() }) // it only read and wrote
	return c
}

// options are those of a replica whose way to the shared etcd is l, which may be nil.
func options(prefix string, l *link) Options {
	o := Options{Endpoints: shared.Endpoints(), Prefix: prefix, SweepEvery: 50 * time.Millisecond}
	if l != nil {
		o.DialOptions = l.options()
	}
	return o
}

// open connects a replica.
func open(t *testing.T, o Options) *Store {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	s.beatEvery = 100 * time.Millisecond
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}
