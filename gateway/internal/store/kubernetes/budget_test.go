package kubernetes

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
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
				b := newBudget(tc.replicas)
				all.Go(func() {
					for over := false; !over; {
						b.spend(tc.size)
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
		b, began := newBudget(2), time.Now()
		for range 500 {
			b.spend(32 << 10)
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("500 patches took %v", took)
		}
	})
}
