// Package wait has the waits between two attempts of one thing.
package wait

import (
	"context"
	"math/rand/v2"
	"time"
)

// For waits, and says false if ctx was done first.
func For(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// Jitter returns d give or take a third, so that replicas do not march in step.
func Jitter(d time.Duration) time.Duration {
	return d*2/3 + rand.N(d*2/3+1) //nolint:gosec // not a secret
}

// Backoff is how long to wait after so many failures of a store: from 50 milliseconds,
// doubled with each, to 5 seconds, give or take a third.
func Backoff(failures int) time.Duration {
	return Jitter(min(50*time.Millisecond<<min(failures, 8), 5*time.Second))
}
