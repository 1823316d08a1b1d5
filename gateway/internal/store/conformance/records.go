package conformance

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"vestibule.dev/vestibule/gateway/internal/store"
)

func recordLives(t *testing.T, f Fixture) {
	r := f.start(t)
	for _, kind := range store.Kinds {
		id := r.newID(kind)
		r.has(kind, id, nil)
		first, second := newValue(1), newValue(2)
		r.swap(kind, id, nil, first)
		r.has(kind, id, first)
		r.swap(kind, id, first, second)
		r.has(kind, id, second)
		r.swap(kind, id, second, nil)
		r.has(kind, id, nil)
	}
}

func kindsAreApart(t *testing.T, f Fixture) {
	r := f.start(t)
	id, client := r.create(store.Client)
	r.has(store.Grant, id, nil)
	grant := newValue(1)
	r.swap(store.Grant, id, nil, grant)
	r.has(store.Client, id, client)
	r.swap(store.Client, id, client, nil)
	r.has(store.Grant, id, grant)
}

// conflicts says that the write is refused, and that the store has this value
// as before.
func (r *replica) conflicts(kind store.Kind, id store.ID, old, new, before []byte) {
	r.t.Helper()
	err := r.CompareAndSwap(r.t.Context(), kind, id, old, new)
	if !errors.Is(err, store.ErrConflict) {
		r.t.Fatalf("CompareAndSwap: %v, want a conflict", err)
	}
	r.has(kind, id, before)
	if got := r.latest(kind, id); !bytes.Equal(got, before) {
		r.t.Fatalf("the observer was told value %d, want %d", number(got), number(before))
	}
}

func createConflicts(t *testing.T, f Fixture) {
	a, b := pair(t, f)
	id, value := a.create(store.Grant)
	a.conflicts(store.Grant, id, nil, newValue(1), value)
	Eventually(t, "the other observer knows the record", func() bool { return b.latest(store.Grant, id) != nil })
	b.conflicts(store.Grant, id, nil, newValue(1), value)
}

func staleConflicts(t *testing.T, f Fixture) {
	a, b := pair(t, f)
	id, first := a.create(store.Grant)
	second := newValue(1)
	b.swap(store.Grant, id, first, second)
	Eventually(t, "the first observer knows the change", func() bool { return number(a.latest(store.Grant, id)) == 1 })
	for _, r := range []*replica{a, b} {
		r.conflicts(store.Grant, id, first, newValue(2), second)
		r.conflicts(store.Grant, id, first, nil, second)
	}
}

func absentConflicts(t *testing.T, f Fixture) {
	r := f.start(t)
	id := r.newID(store.Grant)
	r.conflicts(store.Grant, id, newValue(0), nil, nil)
	r.conflicts(store.Grant, id, newValue(0), newValue(1), nil)
	id, value := r.create(store.Grant)
	r.swap(store.Grant, id, value, nil)
	r.conflicts(store.Grant, id, value, nil, nil)
	r.conflicts(store.Grant, id, value, newValue(1), nil)
}

func valuesAreBytes(t *testing.T, f Fixture) {
	a, b := pair(t, f)
	every := newValue(0)
	for i := range 256 {
		every = append(every, byte(i))
	}
	values := [][]byte{every}
	for _, size := range []int{1 << 10, 4<<10 + 1, 16<<10 - 1, 16 << 10} {
		values = append(values, expiring(farOff(), 0, size))
	}
	for _, value := range values {
		id := a.newID(store.Grant)
		a.swap(store.Grant, id, nil, value)
		b.has(store.Grant, id, value)
		Eventually(t, "the other observer has the very bytes", func() bool {
			return bytes.Equal(b.latest(store.Grant, id), value)
		})
		next := newValue(1)
		b.swap(store.Grant, id, value, next)
		a.has(store.Grant, id, next)
	}
}

func canceledIsUnavailable(t *testing.T, f Fixture) {
	r := f.start(t)
	present, value := r.create(store.Grant)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, err := range map[string]error{
		"reading what is there":     errorFrom(r.Get(ctx, store.Grant, present)),
		"reading what is not there": errorFrom(r.Get(ctx, store.Grant, r.newID(store.Grant))),
		"creating":                  r.CompareAndSwap(ctx, store.Grant, r.newID(store.Grant), nil, newValue(1)),
		"creating what is there":    r.CompareAndSwap(ctx, store.Grant, present, nil, newValue(1)),
		"changing":                  r.CompareAndSwap(ctx, store.Grant, present, value, newValue(1)),
		"deleting what is stale":    r.CompareAndSwap(ctx, store.Grant, present, newValue(1), nil),
	} {
		if !errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s with a canceled context: %v, want only that the store is unavailable", name, err)
		}
	}
}

func errorFrom(_ []byte, err error) error { return err }
