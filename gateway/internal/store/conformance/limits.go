package conformance

import (
	"errors"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/internal/store"
)

func farOff() time.Time { return time.Now().Add(time.Hour) }
func past() time.Time   { return time.Now().Add(-time.Hour) }

func expiredAreSwept(t *testing.T, f Fixture) {
	a, b := pair(t, f)
	live, liveValue := a.create(store.Grant)
	// These say nothing of expiry that this version could read.
	later, short := a.newID(store.Grant), a.newID(store.Grant)
	laterValue, shortValue := expiring(past(), 1, 0), []byte{1, 0, 0}
	laterValue[0]++
	a.swap(store.Grant, later, nil, laterValue)
	a.swap(store.Grant, short, nil, shortValue)

	for _, kind := range store.Kinds {
		// When the last is gone there was a sweep after each of the others came.
		for range 3 {
			id := a.newID(kind)
			a.swap(kind, id, nil, expiring(past(), 1, 0))
			for _, r := range []*replica{a, b} {
				Eventually(t, "the expired record is gone, and the observer knows", func() bool {
					_, err := r.Get(t.Context(), kind, id)
					return errors.Is(err, store.ErrNotFound) && r.latest(kind, id) == nil
				})
			}
		}
	}
	a.has(store.Grant, live, liveValue)
	a.has(store.Grant, later, laterValue)
	a.has(store.Grant, short, shortValue)
}

func renewedIsSpared(t *testing.T, f Fixture) {
	a, b := pair(t, f)
	renewed := 0
	for range 8 {
		id, old, next := a.newID(store.Grant), expiring(past(), 1, 0), newValue(2)
		a.swap(store.Grant, id, nil, old)
		switch err := b.CompareAndSwap(t.Context(), store.Grant, id, old, next); {
		case err == nil:
			renewed++
			a.has(store.Grant, id, next)
			sweep(t, a)
			a.has(store.Grant, id, next)
		case errors.Is(err, store.ErrConflict):
			a.has(store.Grant, id, nil)
		default:
			t.Fatalf("CompareAndSwap: %v", err)
		}
	}
	if renewed == 0 {
		t.Error("every record was swept before it could be renewed: nothing was tested")
	}
}

// sweep waits until something was swept.
func sweep(t *testing.T, r *replica) {
	t.Helper()
	id := r.newID(store.Grant)
	r.swap(store.Grant, id, nil, expiring(past(), 1, 0))
	Eventually(t, "an expired record is gone", func() bool { return r.latest(store.Grant, id) == nil })
}

func newIDSpreads(t *testing.T, f Fixture) {
	s := f.Open(t)
	for _, kind := range store.Kinds {
		seen, parts := map[store.ID]bool{}, map[uint16]bool{}
		for range 100 * f.Parts {
			id, err := s.NewID(kind)
			if err != nil {
				t.Fatalf("NewID: %v", err)
			}
			if seen[id] {
				t.Fatal("an id came twice")
			}
			if back, err := store.ParseID(id.String()); err != nil || back != id {
				t.Fatalf("id %s is read back as %s, %v", id, back, err)
			}
			seen[id], parts[id.Part()] = true, true
		}
		if len(parts) != f.Parts {
			t.Errorf("%d ids are in %d parts, want %d", len(seen), len(parts), f.Parts)
		}
	}
}

func fullTakesNoMore(t *testing.T, f Fixture) {
	r := f.start(t)
	part := f.Bytes / f.Parts
	var first store.ID
	value := expiring(farOff(), 0, part/3)
	for n := range f.Parts {
		for range 2 {
			first, value = store.NewID(uint16(n)), expiring(farOff(), 0, part/3)
			r.swap(store.Client, first, nil, value)
		}
	}
	for n := 0; ; n++ {
		id, err := r.NewID(store.Client)
		if errors.Is(err, store.ErrFull) {
			break
		}
		if err != nil || n*store.Room > f.Bytes {
			t.Fatalf("NewID, after %d records: %v, want that the store is full", n, err)
		}
		// For what gets an id there is room.
		r.swap(store.Client, id, nil, expiring(farOff(), 0, 16<<10))
	}
	for n := range f.Parts {
		id := store.NewID(uint16(n))
		err := r.CompareAndSwap(t.Context(), store.Client, id, nil, expiring(farOff(), 0, 2*store.Room))
		if !errors.Is(err, store.ErrFull) {
			t.Fatalf("creating a record: %v, want that the store is full", err)
		}
		r.has(store.Client, id, nil)
	}
	// What records grow to is beyond that, and a note about the store still finds room.
	grown := expiring(farOff(), 2, part/3+2*store.Room)
	r.swap(store.Client, first, value, grown)
	note := append(store.AppendHeader(nil, farOff()), "a note"...)
	id := store.NewID(first.Part())
	r.swap(store.Client, id, nil, note)
	r.swap(store.Client, id, note, nil)
	value = grown

	next := expiring(farOff(), 1, part/3)
	r.swap(store.Client, first, value, next)
	r.create(store.Grant)
	r.swap(store.Client, first, next, nil)
	// Where one goes, another may come.
	r.create(store.Client)
}
