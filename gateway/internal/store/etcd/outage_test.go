//go:build integration

package etcd

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/internal/store"
	"vestibule.dev/vestibule/gateway/internal/store/conformance"
	"vestibule.dev/vestibule/hack/testenv"
)

// of returns a replica of the cluster that runs until the test ends.
func of(t *testing.T, e *testenv.Etcd, o *conformance.Told) *Store {
	t.Helper()
	s := open(t, Options{Endpoints: e.Endpoints(), Prefix: newPrefix()})
	conformance.Start(t, s, o.Observe)
	return s
}

// While etcd says nothing, callers wait no longer than they want to. Afterwards
// everything goes on.
func TestAnOutageEndsWithTheCallersPatience(t *testing.T) {
	e, o := startEtcd(t, testenv.EtcdOptions{}), &conformance.Told{}
	s := of(t, e, o)
	id, old := conformance.CreateRecord(t, s)
	for _, outage := range []struct {
		name       string
		begin, end func(int) error
	}{{"frozen", e.Freeze, e.Thaw}, {"killed", e.Kill, e.Restart}} {
		t.Run(outage.name, func(t *testing.T) {
			must(t, outage.begin(0))
			heard := s.Heard(store.Grant, id)
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			began := time.Now()
			if err := s.CompareAndSwap(ctx, store.Grant, id, old, conformance.NewValue("next")); !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("CompareAndSwap: %v, want that the store is unavailable", err)
			}
			if _, err := s.Get(ctx, store.Grant, id); !errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrNotFound) {
				t.Errorf("Get: %v, want that the store is unavailable", err)
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("the answers took %v", took)
			}
			must(t, outage.end(0))
			// What was tried may have taken place or not; the next one does.
			old = conformance.NewValue("after")
			conformance.Eventually(t, "a write takes place", func() bool {
				now, err := s.Get(t.Context(), store.Grant, id)
				must(t, err)
				err = s.CompareAndSwap(t.Context(), store.Grant, id, now, old)
				if !errors.Is(err, store.ErrConflict) {
					must(t, err)
				}
				return err == nil
			})
			if !o.Knows(id, old) {
				t.Error("the observer does not know our own write")
			}
			conformance.Eventually(t, "the copy is up to date", func() bool { return s.Heard(store.Grant, id).After(heard.Add(time.Second / 2)) })
		})
	}
}

// Of three members one may be away, whichever it is, and however.
func TestOneOfThreeMembersIsAway(t *testing.T) {
	t.Parallel() // It waits for timeouts, mostly.
	e, o := startEtcd(t, testenv.EtcdOptions{Members: 3}), &conformance.Told{}
	s := of(t, e, o)
	id, value := conformance.CreateRecord(t, s)
	for n := range 3 {
		for _, outage := range []struct {
			name       string
			begin, end func(int) error
		}{{"frozen", e.Freeze, e.Thaw}, {"killed", e.Kill, e.Restart}} {
			must(t, outage.begin(n))
			away := time.Now()
			for range 4 {
				began, next := time.Now(), conformance.NewValue("next")
				if err := s.CompareAndSwap(t.Context(), store.Grant, id, value, next); err != nil {
					t.Fatalf("member %d is %s: CompareAndSwap: %v", n, outage.name, err)
				}
				value = next
				if got, err := s.Get(t.Context(), store.Grant, id); !same(got, value) {
					t.Fatalf("member %d is %s: the record is %q, %v, want %q", n, outage.name, got, err, value)
				}
				if took := time.Since(began); took > callTimeout {
					t.Errorf("member %d is %s: a write and a read took %v", n, outage.name, took)
				}
			}
			conformance.Eventually(t, "the copy is up to date", func() bool { return s.Heard(store.Grant, id).After(away) })
			must(t, outage.end(n))
			must(t, e.Healthy(n))
		}
	}
}

// A cluster that is restored from a backup is back in time: it counts the same
// revisions again, and what was written since is gone.
func TestARestoredBackup(t *testing.T) {
	for name, notice := range map[string]func(*testing.T, *Store){
		"noticed by the watch": func(*testing.T, *Store) {},
		"noticed by a write": func(_ *testing.T, s *Store) {
			s.beatEvery, s.silence = time.Hour, time.Hour
		},
	} {
		t.Run(name, func(t *testing.T) {
			e, o := startEtcd(t, testenv.EtcdOptions{}), &conformance.Told{}
			s := open(t, Options{Endpoints: e.Endpoints(), Prefix: newPrefix()})
			notice(t, s)
			conformance.Start(t, s, o.Observe)
			changed, first := conformance.CreateRecord(t, s)
			deleted, last := conformance.CreateRecord(t, s)

			backup := t.TempDir()
			must(t, e.Kill(0))
			must(t, os.CopyFS(backup, os.DirFS(e.DataDir(0))))
			must(t, e.Restart(0))
			second := conformance.NewValue("second")
			must(t, s.CompareAndSwap(t.Context(), store.Grant, changed, first, second))
			must(t, s.CompareAndSwap(t.Context(), store.Grant, deleted, last, nil))
			created, _ := conformance.CreateRecord(t, s)
			for range 20 {
				conformance.CreateRecord(t, s)
			}

			must(t, e.Kill(0))
			must(t, os.RemoveAll(e.DataDir(0)))
			must(t, os.CopyFS(e.DataDir(0), os.DirFS(backup)))
			must(t, e.Restart(0))
			third := conformance.NewValue("third")
			if name == "noticed by a write" {
				must(t, s.CompareAndSwap(t.Context(), store.Grant, changed, first, third))
				if !o.Knows(changed, third) {
					t.Error("the observer does not know our own write")
				}
			} else {
				third = first
			}
			conformance.Eventually(t, "the observer knows what is there", func() bool {
				return o.Knows(changed, third) && o.Knows(deleted, last) && o.Knows(created, nil)
			})
			if got, want := s.copy.bytes(store.Grant), len(third)+len(last); got != want {
				t.Errorf("the copy counts %d bytes, want %d", got, want)
			}
			id, value := conformance.CreateRecord(t, s)
			if !o.Knows(id, value) {
				t.Error("the observer does not know a write after the restore")
			}
		})
	}
}

// Out of space, etcd still deletes.
func TestAFullCluster(t *testing.T) {
	e, o := startEtcd(t, testenv.EtcdOptions{Args: []string{"--quota-backend-bytes", "4194304"}}), &conformance.Told{}
	s := of(t, e, o)
	id, value := conformance.CreateRecord(t, s)
	large := append(conformance.NewValue("large"), make([]byte, 512<<10)...)
	for n := 0; ; n++ {
		large[len(large)-1] = byte(n)
		err := s.CompareAndSwap(t.Context(), store.Grant, store.NewID(0), nil, large)
		if errors.Is(err, store.ErrFull) {
			break
		}
		if must(t, err); n > 200 {
			t.Fatal("etcd takes more than it has room for")
		}
	}
	if err := s.CompareAndSwap(t.Context(), store.Grant, id, value, conformance.NewValue("next")); !errors.Is(err, store.ErrFull) {
		t.Errorf("a change: %v, want that the store is full", err)
	}
	if got, err := s.Get(t.Context(), store.Grant, id); !same(got, value) {
		t.Errorf("the record is %q, %v, want %q", got, err, value)
	}
	must(t, s.CompareAndSwap(t.Context(), store.Grant, id, value, nil))
}
