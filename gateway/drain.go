package gateway

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// drain tells streams to end.
type drain struct {
	begun  context.Context //nolint:containedctx // the gateway's own life
	cancel context.CancelFunc
	// within is how long they may take, in nanoseconds.
	within atomic.Int64
}

func newDrain() *drain {
	d := &drain{}
	d.begun, d.cancel = context.WithCancel(context.Background())
	return d
}

// begin has every stream end within a time.
func (d *drain) begin(within time.Duration) {
	d.within.Store(int64(within))
	d.cancel()
}

// stagger returns how long after the beginning one stream ends, another time for each.
func (d *drain) stagger() time.Duration {
	within := d.within.Load()
	if within <= 0 {
		return 0
	}
	return time.Duration(rand.Int64N(within)) //nolint:gosec // not a secret
}
