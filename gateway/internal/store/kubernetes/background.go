package kubernetes

import (
	"context"
	"fmt"
	"sync"

	"vestibule.dev/vestibule/gateway/internal/store"
)

var errClosed = fmt.Errorf("%w: it was closed", store.ErrUnavailable)

// background runs the reads and patches that several callers wait for, so that no
// single caller's context may end them.
type background struct {
	ctx  context.Context //nolint:containedctx // the store's own life
	stop context.CancelFunc

	mu     sync.Mutex
	closed bool
	all    sync.WaitGroup
}

func newBackground() *background {
	b := &background{}
	b.ctx, b.stop = context.WithCancel(context.Background())
	return b
}

// run starts f, with a context that is done when the background is closed. It returns
// false if it is closed already.
func (b *background) run(f func(context.Context)) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.all.Go(func() { f(b.ctx) })
	}
	return !b.closed
}

// close ends what runs, and waits for it.
func (b *background) close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.stop()
	b.all.Wait()
}
