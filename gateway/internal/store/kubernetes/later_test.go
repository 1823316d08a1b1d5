//go:build integration

package kubernetes

import (
	"bytes"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"vestibule.dev/vestibule/gateway/internal/store"
	"vestibule.dev/vestibule/gateway/internal/store/conformance"
)

// While gateways are rolled onto more shards, those that know fewer of them
// answer for the others' records too.
func TestARecordInALaterShardIsGoodOnOlderReplicas(t *testing.T) {
	c := newCluster(t, "Secret")
	options := c.options(nil)
	options.ClientShards, options.GrantShards = 1, 1
	older, newer := openWith(t, options), c.open(t, nil)
	var told atomic.Int64
	conformance.Start(t, older, func(store.Kind, store.ID, []byte) { told.Add(1) })
	conformance.Start(t, newer, conformance.Ignore)

	id, first, second := store.NewID(1), conformance.NewValue("first"), conformance.NewValue("second")
	if err := newer.CompareAndSwap(t.Context(), store.Grant, id, nil, first); err != nil {
		t.Fatal(err)
	}
	if got, err := older.Get(t.Context(), store.Grant, id); err != nil || !bytes.Equal(got, first) {
		t.Fatalf("the older replica reads %q: %v", got, err)
	}
	if err := older.CompareAndSwap(t.Context(), store.Grant, id, first, second); err != nil {
		t.Fatal(err)
	}
	if got, err := newer.Get(t.Context(), store.Grant, id); err != nil || !bytes.Equal(got, second) {
		t.Fatalf("the newer replica reads %q: %v", got, err)
	}
	if err := older.CompareAndSwap(t.Context(), store.Grant, id, first, nil); !errors.Is(err, store.ErrConflict) {
		t.Errorf("a stale write: %v", err)
	}
	if _, err := older.Get(t.Context(), store.Grant, store.NewID(1)); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an absent record of a later shard: %v", err)
	}
	if heard := older.Heard(store.Grant, id); !heard.IsZero() || told.Load() > 0 {
		t.Errorf("the copy of a shard that is not watched counts as fresh since %v, and told %d records", heard, told.Load())
	}
	// A shard that the role does not name decides nothing about its records.
	for _, part := range []uint16{shards, maxShards} {
		if _, err := older.Get(t.Context(), store.Client, store.NewID(part)); !errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrNotFound) {
			t.Errorf("a record of shard %d: %v", part, err)
		}
	}
}

func TestFillingShardsAreSaidToBe(t *testing.T) {
	c := newCluster(t, "Secret")
	s := c.open(t, nil)
	conformance.Start(t, s, conformance.Ignore)
	if n, filling := s.Counts(store.Grant); n != shards || filling {
		t.Fatalf("of an empty store: %d shards, filling: %v", n, filling)
	}
	value := strings.Repeat("x", 16<<10)
	for range shards * 3 {
		id, err := s.NewID(store.Grant)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.CompareAndSwap(t.Context(), store.Grant, id, nil, conformance.NewValue(value)); err != nil {
			t.Fatal(err)
		}
	}
	if _, filling := s.Counts(store.Grant); !filling {
		t.Errorf("the mean size is %d bytes, and the shards are not filling", 3*len(value))
	}
	if _, filling := s.Counts(store.Client); filling {
		t.Error("the clients' shards are filling too")
	}
}
