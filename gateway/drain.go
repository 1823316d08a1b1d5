package gateway

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
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
	//rule:streams-end-at-once
	if within <= 0 {
		return 0
	}
	return time.Duration(rand.Int64N(within)) //nolint:gosec // not a secret
}

// lastRequests bounds the wait for requests whose connections were closed.
const lastRequests = 5 * time.Second

// requests counts the requests under way. The zero value counts none.
type requests struct {
	mu    sync.Mutex
	n     int
	ended chan struct{} // set once no more may begin, closed when none is under way
}

// count counts the requests to next. Once end was called, next gets none any more: the
// connection is closed.
func (r *requests) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if !r.add(1) {
			return
		}
		defer r.add(-1)
		next.ServeHTTP(w, req)
	})
}

// add reports whether another request may begin.
func (r *requests) add(n int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended != nil && n > 0 {
		return false
	}
	r.n += n
	if r.ended != nil && r.n == 0 {
		close(r.ended)
	}
	return true
}

// end lets no request begin any more, and reports whether all had ended within a time.
// It must be called once.
func (r *requests) end(within time.Duration) bool {
	r.mu.Lock()
	r.ended = make(chan struct{})
	if r.n == 0 {
		close(r.ended)
	}
	r.mu.Unlock()
	select {
	case <-r.ended:
		return true
	case <-time.After(within):
		return false
	}
}
