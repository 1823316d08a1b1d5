package conformance

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"vestibule.dev/vestibule/gateway/internal/store"
)

const racers = 64

// oneWins races writes of the same old value on both replicas, and returns the
// value of the one that succeeded.
func oneWins(t *testing.T, a, b *replica, id store.ID, old []byte, next func(i int) []byte) []byte {
	t.Helper()
	values := make([][]byte, racers)
	for i := range values {
		values[i] = next(i)
	}
	sides := [...]*replica{a, b}
	errs := race(racers, func(i int) error {
		return sides[i%2].CompareAndSwap(t.Context(), store.Grant, id, old, values[i])
	})
	var won [][]byte
	for i, err := range errs {
		switch {
		case err == nil:
			won = append(won, values[i])
		case !errors.Is(err, store.ErrConflict):
			t.Errorf("a loser got %v, want a conflict", err)
		}
	}
	if len(won) != 1 {
		t.Fatalf("%d of %d writes succeeded, want 1", len(won), racers)
	}
	a.has(store.Grant, id, won[0])
	b.has(store.Grant, id, won[0])
	return won[0]
}

func numbered(i int) []byte { return newValue(uint64(i)) }

func oneCreateWins(t *testing.T, f Fixture) {
	a, b := pair(t, f)
	for range 5 {
		oneWins(t, a, b, a.newID(store.Grant), nil, numbered)
	}
}

func oneSwapWins(t *testing.T, f Fixture) {
	a, b := pair(t, f)
	id, value := a.create(store.Grant)
	for range 5 {
		value = oneWins(t, a, b, id, value, numbered)
	}
}

func oneDeleteWins(t *testing.T, f Fixture) {
	a, b := pair(t, f)
	for range 5 {
		id, value := a.create(store.Grant)
		oneWins(t, a, b, id, value, func(int) []byte { return nil })
	}
}

func noUpdateIsLost(t *testing.T, f Fixture) {
	a, b := pair(t, f)
	id, _ := a.create(store.Grant)
	const each = 2
	sides := [...]*replica{a, b}
	for _, err := range race(racers, func(i int) error {
		for range each {
			// What one replica read, the other may write.
			if err := increment(t.Context(), sides[i%2], sides[i/2%2], id); err != nil {
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
		value, err := r.Get(t.Context(), store.Grant, id)
		if err != nil {
			t.Fatalf("Get: %v", err)
		}
		if n := number(value); n != racers*each {
			t.Errorf("the record counts %d increments, want %d", n, racers*each)
		}
	}
}

// increment counts up in the record, be it until the context ends.
func increment(ctx context.Context, reader, writer store.Store, id store.ID) error {
	for {
		old, err := reader.Get(ctx, store.Grant, id)
		if err != nil {
			return fmt.Errorf("reading a counter: %w", err)
		}
		err = writer.CompareAndSwap(ctx, store.Grant, id, old, newValue(number(old)+1))
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
}

func takeTurns(t *testing.T, f Fixture) {
	a, b := pair(t, f)
	for range 5 {
		id, first := a.create(store.Grant)
		second, third := newValue(2), newValue(3)
		b.swap(store.Grant, id, first, second)
		a.swap(store.Grant, id, second, third)
		b.swap(store.Grant, id, third, nil)
	}
}

func readYourWrites(t *testing.T, f Fixture) {
	a, b := pair(t, f)
	id, value := a.create(store.Grant)
	for i := range 20 {
		next := numbered(i)
		a.swap(store.Grant, id, value, next)
		b.has(store.Grant, id, next)
		created, fresh := b.create(store.Client)
		a.has(store.Client, created, fresh)
		b.swap(store.Client, created, fresh, nil)
		a.has(store.Client, created, nil)
		value = next
		a, b = b, a
	}
}
