package main

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// result is what a number of equal operations took.
type result struct {
	n         int
	took, cpu time.Duration
	p50, p99  time.Duration
}

// perOperation is the gateway's CPU time for one.
func (r result) perOperation() time.Duration { return r.cpu / time.Duration(r.n) }

func (r result) perSecond() float64 { return float64(r.n) / r.took.Seconds() }

// measure does n operations with that many workers, and fails if one of them does. cpu is
// the CPU time so far of the process that is measured.
func measure(cpu func() (time.Duration, error), n, workers int, operation func(i int) error) (result, error) {
	before, err := cpu()
	if err != nil {
		return result{}, err
	}
	started := time.Now()
	latencies, err := do(n, workers, operation)
	if err != nil {
		return result{}, err
	}
	took := time.Since(started)
	after, err := cpu()
	if err != nil {
		return result{}, err
	}
	slices.Sort(latencies)
	return result{n, took, after - before, latencies[n/2], latencies[n*99/100]}, nil
}

// do does n operations and returns how long each took, or the first error.
func do(n, workers int, operation func(i int) error) ([]time.Duration, error) {
	latencies := make([]time.Duration, n)
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var wait sync.WaitGroup
	for range workers {
		wait.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && failed.Load() == nil; i = int(next.Add(1)) - 1 {
				started := time.Now()
				if err := operation(i); err != nil {
					err = fmt.Errorf("operation %d: %w", i, err)
					failed.CompareAndSwap(nil, &err)
				}
				latencies[i] = time.Since(started)
			}
		})
	}
	wait.Wait()
	if err := failed.Load(); err != nil {
		return nil, *err
	}
	return latencies, nil
}
