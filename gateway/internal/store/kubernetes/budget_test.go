package kubernetes

import (
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
						b.spend(t.Context(), tc.size)
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
			b.spend(t.Context(), 32<<10)
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
