//go:build integration

package migration

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/internal/store"
	"vestibule.dev/vestibule/gateway/internal/store/etcd"
	"vestibule.dev/vestibule/gateway/internal/store/memory"
	"vestibule.dev/vestibule/hack/testenv"
	"vestibule.dev/vestibule/hack/testlog"
)

var cluster *testenv.Etcd

func TestMain(m *testing.M) {
	code, err := runAll(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func runAll(m *testing.M) (code int, err error) {
	cluster, err = testenv.StartEtcd(testenv.EtcdOptions{})
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, cluster.Stop()) }()
	return m.Run(), nil
}

// quick makes tests wait less. The lease is long for what is alive, be the machine busy.
var quick = timing{
	lease: 2400 * time.Millisecond, margin: 600 * time.Millisecond, poll: 5 * time.Millisecond, call: 200 * time.Millisecond,
	again: 10 * time.Millisecond, patience: 500 * time.Millisecond,
}

var prefixes atomic.Int64

func newPrefix() string { return fmt.Sprintf("/vestibule/move-%d", prefixes.Add(1)) }

func inEtcd(t *testing.T, prefix string) store.Store {
	t.Helper()
	s, err := etcd.New(etcd.Options{Endpoints: cluster.Endpoints(), Prefix: prefix})
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

func inMemory(t *testing.T, file string, maxBytes int) store.Store {
	t.Helper()
	s, err := memory.Open(memory.Options{File: file, MaxBytes: maxBytes})
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var values atomic.Int64

// newValue returns a value that no other is like, and that expires then.
func newValue(in time.Duration) []byte {
	return fmt.Appendf(store.AppendHeader(nil, time.Now().Add(in)), "value %d", values.Add(1))
}

// fill creates records, a few of them expired, and returns those that are not.
func fill(t *testing.T, s store.Store, n int) map[key][]byte {
	t.Helper()
	live := map[key][]byte{}
	for i := range n {
		k := key{store.Kinds[i%2], store.NewID(uint16(i % 16))}
		value := newValue(time.Hour)
		switch i % 10 {
		case 7:
			value = newValue(-time.Hour)
		case 8:
			value = []byte{99, byte(i)} // of a later version, which says nothing of expiry
			fallthrough
		default:
			live[k] = value
		}
		must(t, s.CompareAndSwap(t.Context(), k.kind, k.id, nil, value))
	}
	return live
}

// replica is a gateway's store, and what its observer knows.
type replica struct {
	*Store
	log   testlog.Buffer
	ended chan error
	stop  context.CancelFunc

	mu   sync.Mutex
	told map[key][]byte
}

// start runs a replica until the test ends.
func start(t *testing.T, from, to store.Store) *replica {
	t.Helper()
	return startTimed(t, quick, from, to)
}

func startTimed(t *testing.T, timing timing, from, to store.Store) *replica {
	t.Helper()
	r := &replica{ended: make(chan error, 1), told: map[key][]byte{}}
	r.Store = New(Options{From: from, To: to, Log: slog.New(slog.NewTextHandler(&r.log, nil)), timing: timing})
	if _, err := r.Get(t.Context(), store.Grant, store.NewID(0)); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("before the records are there, a read comes to %v", err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	r.stop = stop
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.ended <- r.Run(ctx, r.observe)
	}()
	t.Cleanup(func() {
		stop()
		<-ended
	})
	return r
}

func (r *replica) observe(kind store.Kind, id store.ID, value []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told[key{kind, id}] = value
	if value == nil {
		delete(r.told, key{kind, id})
	}
}

func (r *replica) synced(t *testing.T) {
	t.Helper()
	select {
	case <-r.Synced():
	case err := <-r.ended:
		t.Fatalf("the replica has ended: %v", err)
	case <-time.After(20 * time.Second):
		t.Fatalf("the replica is not synced: %s", &r.log)
	}
}

// end stops the replica.
func (r *replica) end(t *testing.T) {
	t.Helper()
	r.stop()
	if err := <-r.ended; err != nil {
		t.Errorf("a replica that is stopped ends with %v", err)
	}
}

// refuses says whether the replica serves nobody, and why.
func (r *replica) refuses(t *testing.T, why store.Incomplete) {
	t.Helper()
	var err error
	var said store.Incomplete
	eventually(t, func() bool {
		_, err = r.Get(t.Context(), store.Grant, store.NewID(0))
		return errors.As(err, &said)
	}, func() string { return fmt.Sprintf("a read comes to %v, want %q", err, why) })
	if !strings.HasPrefix(string(said), string(why)) || !errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrFull) {
		t.Errorf("a read comes to %v, want %q", err, why)
	}
	err = r.CompareAndSwap(t.Context(), store.Grant, store.NewID(0), nil, newValue(time.Hour))
	if _, e := r.NewID(store.Grant); !errors.As(e, &said) || !errors.As(err, &said) {
		t.Errorf("an id comes to %v and a write to %v", e, err)
	}
	time.Sleep(3 * quick.again) // It stays so.
	select {
	case <-r.Synced():
		t.Error("the replica is synced")
	default:
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.told) > 0 || !r.Heard(store.Grant, store.NewID(0)).IsZero() {
		t.Errorf("the observer was told of %d records", len(r.told))
	}
	if !strings.Contains(r.log.String(), string(why)) {
		t.Errorf("the log does not say %q: %s", why, &r.log)
	}
}

// mark marks a store.
func mark(t *testing.T, s store.Store, state uint8, move []byte) {
	t.Helper()
	old, err := get(t.Context(), s, markerKey)
	must(t, err)
	must(t, s.CompareAndSwap(t.Context(), markerKind, markerID, old, newMarker(state, move)))
}

func markOf(t *testing.T, s store.Store) marker {
	t.Helper()
	value, err := get(t.Context(), s, markerKey)
	must(t, err)
	m, err := readMarker(value)
	must(t, err)
	return m
}

// has says whether store and observer have these records, and no others.
func (r *replica) has(t *testing.T, want map[key][]byte) {
	t.Helper()
	r.synced(t)
	for k, value := range want {
		if got, err := r.Get(t.Context(), k.kind, k.id); string(got) != string(value) {
			t.Fatalf("a record is %q, %v, want %q", got, err, value)
		}
	}
	var told string
	eventually(t, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		told = fmt.Sprintf("%d records, want %d", len(r.told), len(want))
		for k, value := range want {
			if string(r.told[k]) != string(value) {
				return false
			}
		}
		return len(r.told) == len(want)
	}, func() string { return "the observer knows " + told })
}

func eventually(t *testing.T, holds func() bool, otherwise func() string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(otherwise())
		}
	}
}

// meddled is a store of which a test meddles with writes.
type meddled struct {
	store.Store
	swap func(ctx context.Context, k key, write func(context.Context) error) error
}

func (m meddled) CompareAndSwap(ctx context.Context, kind store.Kind, id store.ID, old, new []byte) error {
	return m.swap(ctx, key{kind, id}, func(ctx context.Context) error {
		return m.Store.CompareAndSwap(ctx, kind, id, old, new)
	})
}
