//go:build integration

package kubernetes

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/internal/store"
	"vestibule.dev/vestibule/gateway/internal/store/conformance"
)

// waiting counts the writes in the queue of the shard that holds new grants.
func (s *Store) waiting() int {
	sh := s.shards[store.Grant][0]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return len(sh.queue)
}

func TestWaitingWritesShareAPatch(t *testing.T) {
	c := newCluster(t, "Secret")
	l := &link{}
	s := c.open(t, l)
	conformance.Start(t, s, conformance.Ignore)
	first := newHeld(t)
	l.onPatch(once(first.handle))
	const writers = 64
	var all sync.WaitGroup
	write := func() {
		if err := s.CompareAndSwap(t.Context(), store.Grant, store.NewID(0), nil, conformance.NewValue("one of many")); err != nil {
			t.Errorf("CompareAndSwap: %v", err)
		}
	}
	all.Go(write)
	<-first.sent
	for range writers - 1 {
		all.Go(write)
	}
	conformance.Eventually(t, "the others wait", func() bool { return s.waiting() == writers-1 })
	first.release()
	all.Wait()
	if n := l.patches.Load(); n != 2 {
		t.Errorf("%d writes took %d patches, want 2", writers, n)
	}
}

// A lost write does not take those along that happen to share its patch.
func TestOneConflictAmongMany(t *testing.T) {
	c := newCluster(t, "Secret")
	l := &link{}
	s := c.open(t, l)
	conformance.Start(t, s, conformance.Ignore)
	id, _ := conformance.CreateRecord(t, s)
	first := newHeld(t)
	l.onPatch(once(first.handle))
	var all sync.WaitGroup
	write := func(id store.ID, old []byte, want error) {
		all.Go(func() {
			if err := s.CompareAndSwap(t.Context(), store.Grant, id, old, conformance.NewValue("next")); !errors.Is(err, want) {
				t.Errorf("CompareAndSwap: %v, want %v", err, want)
			}
		})
	}
	write(store.NewID(0), nil, nil)
	<-first.sent
	write(id, conformance.NewValue("stale"), store.ErrConflict)
	write(store.NewID(0), conformance.NewValue("never written"), store.ErrConflict)
	for range 10 {
		write(store.NewID(0), nil, nil)
	}
	conformance.Eventually(t, "the others wait", func() bool { return s.waiting() == 12 })
	first.release()
	all.Wait()
}

// A write that knows more than the patch under way is not judged by it.
func TestALateAnswerIsNoConflict(t *testing.T) {
	c := newCluster(t, "Secret")
	l := &link{}
	s, other := c.open(t, l), c.open(t, nil)
	conformance.Start(t, s, conformance.Ignore)
	id, first := conformance.CreateRecord(t, s)

	patch := newHeld(t)
	l.onPatch(once(patch.handle))
	second, third, fourth := conformance.NewValue("second"), conformance.NewValue("third"), conformance.NewValue("fourth")
	var all sync.WaitGroup
	all.Go(func() {
		if err := s.CompareAndSwap(t.Context(), store.Grant, id, first, second); err != nil {
			t.Errorf("the write with a late answer: %v", err)
		}
	})
	<-patch.sent
	if err := other.CompareAndSwap(t.Context(), store.Grant, id, second, third); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Get(t.Context(), store.Grant, id); err != nil || !bytes.Equal(got, third) {
		t.Fatalf("the record is %q, %v, want %q", got, err, third)
	}
	all.Go(func() {
		if err := s.CompareAndSwap(t.Context(), store.Grant, id, third, fourth); err != nil {
			t.Errorf("the write of what was just read: %v", err)
		}
	})
	conformance.Eventually(t, "the second write waits", func() bool { return s.waiting() == 1 })
	patch.release()
	all.Wait()
}

// Who comes while a read is under way may know of a write that it missed.
func TestReadsAreSharedButNeverOld(t *testing.T) {
	c := newCluster(t, "Secret")
	l := &link{}
	s, other := c.open(t, l), c.open(t, nil)
	id, first := conformance.CreateRecord(t, other)
	second := conformance.NewValue("second")
	read := newHeld(t)
	l.onGet(once(read.handle))

	var all sync.WaitGroup
	get := func(want []byte) {
		all.Go(func() {
			if got, err := s.Get(t.Context(), store.Grant, id); err != nil || !bytes.Equal(got, want) {
				t.Errorf("the record is %q, %v, want %q", got, err, want)
			}
		})
	}
	get(first)
	<-read.sent
	if err := other.CompareAndSwap(t.Context(), store.Grant, id, first, second); err != nil {
		t.Fatal(err)
	}
	for range 64 {
		get(second)
	}
	read.release()
	all.Wait()
	if n := l.gets.Load(); n > 20 {
		t.Errorf("65 reads took %d requests", n)
	}
}

func TestNothingRunsAfterRun(t *testing.T) {
	c := newCluster(t, "Secret")
	l := &link{}
	s := c.open(t, l)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, conformance.Ignore) }()
	<-s.Synced()
	conformance.CreateRecord(t, s)
	short, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer stop()
	l.onPatch(cut)
	if err := s.CompareAndSwap(short, store.Grant, store.NewID(0), nil, conformance.NewValue("cut")); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("CompareAndSwap: %v, want that the store is unavailable", err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	conformance.Eventually(t, "no goroutine of the store is left", func() bool {
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		return !strings.Contains(string(stacks), "kubernetes.(*shard)") && !strings.Contains(string(stacks), "kubernetes.(*Store)")
	})
}
