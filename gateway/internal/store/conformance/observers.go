package conformance

import (
	"bytes"
	"context"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/internal/store"
)

func observerIsAhead(t *testing.T, f Fixture) {
	// The other replica makes no difference, but to the time it takes.
	r, _ := pair(t, f)
	for range 10 {
		id := r.newID(store.Grant)
		var old []byte
		for _, next := range [][]byte{newValue(1), newValue(2), nil} {
			r.swap(store.Grant, id, old, next)
			if got := r.latest(store.Grant, id); !bytes.Equal(got, next) {
				t.Fatalf("the write is answered, and the observer knows value %d, want %d", number(got), number(next))
			}
			old = next
		}
		if n := len(r.history(store.Grant, id)); n != 3 {
			t.Fatalf("the observer was called %d times for 3 writes", n)
		}
	}
}

func observerNeverGoesBack(t *testing.T, f Fixture) {
	a, b := pair(t, f)
	const writers, each = 24, 5
	ids := make([]store.ID, 3)
	for i := range ids {
		ids[i], _ = a.create(store.Grant)
	}
	sides := [...]*replica{a, b}
	for _, err := range race(writers, func(i int) error {
		for range each {
			r := sides[i%2]
			if err := increment(t.Context(), r, r, ids[i%len(ids)]); err != nil {
				return err
			}
		}
		return nil
	}) {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range sides {
		for _, id := range ids {
			want := uint64(writers * each / len(ids))
			Eventually(t, "the observer knows the last value", func() bool { return number(r.latest(store.Grant, id)) == want })
			history := r.history(store.Grant, id)
			for i := range history[1:] {
				if number(history[i+1]) <= number(history[i]) {
					t.Fatalf("after value %d the observer was told value %d", number(history[i]), number(history[i+1]))
				}
			}
		}
	}
}

func otherObserverSees(t *testing.T, f Fixture) {
	a, b := pair(t, f)
	for _, kind := range store.Kinds {
		id, value := a.create(kind)
		Eventually(t, "the other observer sees the creation", func() bool { return bytes.Equal(b.latest(kind, id), value) })
		next := newValue(1)
		a.swap(kind, id, value, next)
		Eventually(t, "the other observer sees the change", func() bool { return bytes.Equal(b.latest(kind, id), next) })
		a.swap(kind, id, next, nil)
		Eventually(t, "the other observer sees the deletion", func() bool { return b.latest(kind, id) == nil })
		if n := len(b.history(kind, id)); n != 3 {
			t.Errorf("the other observer was called %d times for 3 writes", n)
		}
	}
}

func syncedMeansAll(t *testing.T, f Fixture) {
	writer := f.Open(t)
	want := map[store.ID][]byte{}
	for i := range 20 {
		id, err := writer.NewID(store.Grant)
		if err != nil {
			t.Fatalf("NewID: %v", err)
		}
		want[id] = numbered(i)
		if err := writer.CompareAndSwap(t.Context(), store.Grant, id, nil, want[id]); err != nil {
			t.Fatalf("CompareAndSwap: %v", err)
		}
	}
	s := writer
	if !f.Single {
		s = f.Open(t)
	}
	select {
	case <-s.Synced():
		t.Fatal("Synced is closed before Run")
	default:
	}
	r := f.run(t, s)
	for id, value := range want {
		if !bytes.Equal(r.latest(store.Grant, id), value) {
			t.Errorf("Synced is closed, and the observer was not told of value %d", number(value))
		}
	}
}

func heardAdvances(t *testing.T, f Fixture) {
	before := time.Now().Add(-time.Minute)
	a, b := pair(t, f)
	id, value := a.create(store.Grant)
	heard := b.Heard(store.Grant, id)
	if heard.Before(before) {
		t.Fatalf("once synced, the store was last heard %v, want just now", heard)
	}
	next := newValue(1)
	a.swap(store.Grant, id, value, next)
	Eventually(t, "Heard is later than before the change", func() bool { return b.Heard(store.Grant, id).After(heard) })
}

func runOnce(t *testing.T, f Fixture) {
	r := f.start(t)
	ended := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { ended <- r.Run(ctx, func(store.Kind, store.ID, []byte) {}) }()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("Run succeeds a second time")
		}
	case <-time.After(patience):
		t.Fatal("Run runs a second time")
	}
	id, value := r.create(store.Grant)
	if got := r.latest(store.Grant, id); !bytes.Equal(got, value) {
		t.Error("the first observer is not told of writes any more")
	}
}

func runEnds(t *testing.T, f Fixture) {
	s := f.Open(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, func(store.Kind, store.ID, []byte) {}) }()
	<-s.Synced()
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("Run, canceled: %v, want nil", err)
		}
	case <-time.After(patience):
		t.Fatal("Run goes on after its context has ended")
	}
}
