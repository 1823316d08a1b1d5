package kubernetes

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/client-go/rest"

	"vestibule.dev/vestibule/gateway/internal/store"
)

// However many replicas there are and however large the shards, history keeps
// less than the quota allows.
func TestTheBudgetBoundsHistory(t *testing.T) {
	for _, tc := range []struct{ replicas, size int }{{1, 32 << 10}, {3, 64 << 10}, {10, createLimit}, {2, writeLimit}} {
		synctest.Test(t, func(t *testing.T) {
			end := time.Now().Add(historySeconds * time.Second)
			var mu sync.Mutex
			written := 0
			var all sync.WaitGroup
			for range tc.replicas {
				b := newBudget(tc.replicas, 1)
				all.Go(func() {
					for over := false; !over; {
						b.spend(t.Context(), tc.size, something)
						if !time.Now().Before(end) {
							return
						}
						mu.Lock()
						written += tc.size * 135 / 100
						over = written > historyBytes
						mu.Unlock()
					}
				})
			}
			all.Wait()
			if written > historyBytes {
				t.Errorf("%d replicas wrote %d MiB of history, want at most %d", tc.replicas, written>>20, historyBytes>>20)
			}
			if written < historyBytes*3/4 {
				t.Errorf("%d replicas wrote %d MiB of history: the budget is not used", tc.replicas, written>>20)
			}
		})
	}
}

func TestTheBudgetAllowsStorms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, began := newBudget(2, 1), time.Now()
		for range 500 {
			b.spend(t.Context(), 32<<10, something)
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("500 patches took %v", took)
		}
	})
}

// A flood of registrations must not keep refreshes waiting.
func TestClientsAndGrantsSpendBudgetsOfTheirOwn(t *testing.T) {
	s, err := New(Options{
		REST: &rest.Config{Host: "https://127.0.0.1:1"}, Namespace: "default", Name: "weather", Kind: "Secret",
		ClientShards: 2, GrantShards: 2, Replicas: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	clients, grants := s.shards[store.Client], s.shards[store.Grant]
	if clients[0].budget != clients[1].budget || grants[0].budget != grants[1].budget || clients[0].budget == grants[0].budget {
		t.Error("the shards do not share a budget per kind")
	}
}

// Callers go away after 20 seconds. If each cost a patch that is never sent, a flood of
// them would use up what others wait for.
func TestWritesOfCallersThatHaveGoneCostNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newShelf(2, 2)
		s := f.open(t)
		limiter := s.budgets[store.Client].limiter
		limiter.AllowN(time.Now(), limiter.Burst())
		for _, sh := range s.shards[store.Client] {
			sh.size = 200 << 10 // about three seconds of the budget
		}

		began := time.Now()
		gone, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var all sync.WaitGroup
		for n := range 10 {
			all.Go(func() {
				if err := s.CompareAndSwap(gone, store.Client, store.NewID(uint16(n%2)), nil, []byte("late")); !errors.Is(err, store.ErrUnavailable) {
					t.Errorf("a write that waits for the budget: %v", err)
				}
			})
		}
		all.Wait()
		time.Sleep(10 * time.Second)
		if f.patches > 0 {
			t.Errorf("%d patches were sent", f.patches)
		}
		earned := float64(limiter.Limit()) * time.Since(began).Seconds()
		if has := limiter.Tokens(); has < earned*0.99 {
			t.Errorf("the budget has %.0f bytes, though %.0f came and none was written", has, earned)
		}
		if err := s.CompareAndSwap(t.Context(), store.Client, store.NewID(0), nil, []byte("in time")); err != nil {
			t.Errorf("a write whose caller waits: %v", err)
		}
		if has := limiter.Tokens(); f.patches != 1 || has > earned*0.99 {
			t.Errorf("%d patches were sent, and the budget has %.0f bytes", f.patches, has)
		}
	})
}

// something is a batch to pay for.
func something() []*write { return []*write{{}} }
