package kubernetes

import (
	"context"
	"fmt"

	"golang.org/x/time/rate"

	"vestibule.dev/vestibule/gateway/internal/store"
)

// Every sender can ask for a client that does not exist, and only a read of its shard can
// tell. So all shards of clients together are read this often, and the reads that they have to
// wait for are shared by more callers. An id of a grant is in a token, a code or a cookie
// whose MAC is checked first, so reads of grants do not wait.
const (
	readBurst      = 60
	readsPerSecond = 12
)

func newReadLimit(kind store.Kind) *rate.Limiter {
	//rule:client-reads-without-number
	if kind == store.Client {
		return rate.NewLimiter(readsPerSecond, readBurst)
	}
	return rate.NewLimiter(rate.Inf, 0)
}

// reading is a read of the shard that is yet to be sent, and then its answer.
type reading struct {
	done   chan struct{}
	object *object
	err    error
}

// read returns the shard as it is at some moment during the call. Callers share
// a read only if all came before it was sent: who comes while one is under way
// may know of a write that it missed, and waits for the next.
func (s *shard) read(ctx context.Context) (*object, error) {
	s.readMu.Lock()
	if s.nextRead == nil {
		s.nextRead = &reading{done: make(chan struct{})}
	}
	r := s.nextRead
	if !s.reading {
		s.reading = s.background.run(s.readAll)
	}
	closed := !s.reading
	s.readMu.Unlock()
	if closed {
		return nil, errClosed
	}

	select {
	case <-r.done:
		return r.object, r.err
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: reading shard %s: %w", store.ErrUnavailable, s.name, ctx.Err())
	}
}

// readAll sends one read after the other, as long as callers wait for one. No
// caller's context ends it, since the others wait for the same answer.
func (s *shard) readAll(ctx context.Context) {
	for s.readWanted() {
		// Callers that come meanwhile share the read: it has not been sent. The wait ends
		// early if the store is closed, and then the read fails.
		_ = s.readLimit.Wait(ctx)
		s.readMu.Lock()
		r := s.nextRead
		s.nextRead = nil
		s.readMu.Unlock()
		within, cancel := context.WithTimeout(ctx, callTimeout)
		o, err := s.api.get(within, s.name)
		cancel()
		if err != nil {
			r.err = fmt.Errorf("%w: reading shard %s: %w", store.ErrUnavailable, s.name, err)
		} else {
			r.object = o
			s.takeIn(o)
		}
		close(r.done)
	}
}

// readWanted reports whether callers wait for a read. If not, readAll must return.
func (s *shard) readWanted() bool {
	s.readMu.Lock()
	defer s.readMu.Unlock()
	s.reading = s.nextRead != nil
	return s.reading
}
