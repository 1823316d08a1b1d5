package gatewaytest

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"vestibule.dev/vestibule/gateway"
	"vestibule.dev/vestibule/gateway/internal/store"
	"vestibule.dev/vestibule/gateway/internal/store/memory"
)

// Journal is a store in memory that counts what is written to it, and can be
// away. Its Use is for Setup.Options.
type Journal struct {
	store.Store
	writes atomic.Int64
	away   atomic.Pointer[error]
}

// NewJournal returns an empty store.
func NewJournal(t testing.TB) *Journal {
	t.Helper()
	m, err := memory.Open(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return &Journal{Store: m}
}

// Use has a gateway use this store.
func (j *Journal) Use(o *gateway.Options) { o.Store = j }

// Writes counts the writes that took place.
func (j *Journal) Writes() int { return int(j.writes.Load()) }

// GoAway makes every call fail with err until it is called with nil.
func (j *Journal) GoAway(err error) {
	if err == nil {
		j.away.Store(nil)
		return
	}
	j.away.Store(&err)
}

func (j *Journal) failure() error {
	if err := j.away.Load(); err != nil {
		return fmt.Errorf("the test says: %w", *err)
	}
	return nil
}

// NewID fails while the store is away.
func (j *Journal) NewID(kind store.Kind) (store.ID, error) {
	if err := j.failure(); err != nil {
		return store.ID{}, err
	}
	return j.Store.NewID(kind)
}

// Get fails while the store is away.
func (j *Journal) Get(ctx context.Context, kind store.Kind, id store.ID) ([]byte, error) {
	if err := j.failure(); err != nil {
		return nil, err
	}
	return j.Store.Get(ctx, kind, id)
}

// CompareAndSwap fails while the store is away.
func (j *Journal) CompareAndSwap(ctx context.Context, kind store.Kind, id store.ID, old, new []byte) error {
	if err := j.failure(); err != nil {
		return err
	}
	err := j.Store.CompareAndSwap(ctx, kind, id, old, new)
	if err == nil {
		j.writes.Add(1)
	}
	return err
}
