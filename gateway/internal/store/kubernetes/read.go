package kubernetes

import (
	"context"
	"fmt"

	"vestibule.dev/vestibule/gateway/internal/store"
)

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

// readAll sends one read after the other, as long as somebody waits for one. No
// caller's context ends it, since the others wait for the same answer.
func (s *shard) readAll(ctx context.Context) {
	for {
		s.readMu.Lock()
		r := s.nextRead
		s.nextRead = nil
		s.reading = r != nil
		s.readMu.Unlock()
		if r == nil {
			return
		}
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
