package records

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"

	"vestibule.dev/vestibule/gateway/internal/keys"
	"vestibule.dev/vestibule/gateway/internal/store"
)

// maxSweep is how many records one call of Sweep deletes: a few in a while, so that
// they do not stand in the way of logins.
const maxSweep = 32

// closed is a record of the copy that does not open, and why.
type closed struct {
	raw []byte
	why error
}

func (t *Table[T]) close(id store.ID, value []byte, why error) {
	t.closed[id] = closed{value, why}
	// With a key that is on its way or was dropped, that is to be expected.
	if !errors.Is(why, keys.ErrNotYet) && !errors.Is(why, keys.ErrDropped) {
		t.opts.Log.Error("a record does not open", "kind", t.opts.Kind.String(), "id", id.String(), "error", why)
	}
}

// unopened is what a record that does not open means to those who ask for it.
func unopened(why error) error {
	if errors.Is(why, keys.ErrDropped) {
		return fmt.Errorf("%w: %w", store.ErrNotFound, why)
	}
	//rule:unreadable-is-absent
	return fmt.Errorf("%w: %w", store.ErrUnavailable, why)
}

// Unreadable says how many records of the copy do not open though their keys should
// be here, and how many there are with those. Records under dropped keys are none.
func (t *Table[T]) Unreadable() (sealed, all int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, records := range t.index {
		all += len(records)
	}
	for _, c := range t.closed {
		switch {
		case errors.Is(c.why, keys.ErrDropped):
			continue
		case !errors.Is(c.why, keys.ErrNotYet):
			sealed++
		}
		all++
	}
	return sealed, all
}

// Rekey is to be called when the ring's keys were replaced: records that did not open
// may open now, and others may not any more.
func (t *Table[T]) Rekey() {
	t.keyed.Lock()
	defer t.keyed.Unlock()
	t.mu.Lock()
	unopened := maps.Clone(t.closed)
	t.mu.Unlock()
	for id, c := range unopened {
		t.take(id, c.raw)
	}
	t.rows.Range(func(id, r any) bool {
		raw := r.(*row[T]).raw
		if _, err := t.opts.Ring.Find(raw[store.HeaderLen]); err != nil {
			t.take(id.(store.ID), raw)
		}
		return true
	})
}

// Sweep deletes some of the records whose key was dropped. What it does not get done
// is there at the next call.
func (t *Table[T]) Sweep(ctx context.Context) {
	var all sync.WaitGroup // at once, so that a store can write them at once
	for id, value := range t.dropped() {
		all.Go(func() {
			err := t.opts.Store.CompareAndSwap(ctx, t.opts.Kind, id, value, nil)
			if err != nil && !errors.Is(err, store.ErrConflict) { // a conflict is with another who sweeps
				t.opts.Log.WarnContext(ctx, "a record whose key was dropped cannot be deleted",
					"kind", t.opts.Kind.String(), "id", id.String(), "error", err)
			}
		})
	}
	all.Wait()
}

func (t *Table[T]) dropped() map[store.ID][]byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	some := map[store.ID][]byte{}
	for id, c := range t.closed {
		if len(some) == maxSweep {
			break
		}
		if errors.Is(c.why, keys.ErrDropped) {
			some[id] = c.raw
		}
	}
	return some
}
