// Package migration moves all records from one store to another, before the
// gateway that is given both serves. Every replica starts with both, one of them
// copies, and the others wait.
package migration

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"vestibule.dev/vestibule/gateway/internal/store"
)

// Options describe a move.
type Options struct {
	// To is the store that the gateway serves from.
	To store.Store
	// From is where its records were before; nil if nothing is to be moved.
	From store.Store
	// Now tells which records have expired; unset, time.Now.
	Now func() time.Time
	// Log is told of the move; unset, nobody is.
	Log *slog.Logger

	timing timing
}

// Store is a store.Store that has all records of another: To, which is synced when
// everything was moved. Until then it is unavailable, and its observer told of
// nothing.
type Store struct {
	to, from store.Store
	now      func() time.Time
	log      *slog.Logger
	timing
	synced  chan struct{}
	release func() error // closes from
}

var _ store.Store = (*Store)(nil)

// New returns a store, whose records are moved by Run.
func New(o Options) *Store {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.timing == (timing{}) {
		o.timing = defaultTiming
	}
	s := &Store{to: o.To, from: o.From, now: o.Now, log: o.Log, timing: o.timing, synced: make(chan struct{})}
	s.release = sync.OnceValue(func() error { return closeStore(s.from) })
	return s
}

var errMoving = fmt.Errorf("%w: its records are being moved", store.ErrUnavailable)

// usable returns errMoving until the records are there.
func (s *Store) usable() error {
	if s.from == nil {
		return nil
	}
	select {
	case <-s.synced:
		return nil
	default:
		return errMoving
	}
}

// NewID is To's.
func (s *Store) NewID(kind store.Kind) (store.ID, error) {
	if err := s.usable(); err != nil {
		return store.ID{}, err
	}
	return s.to.NewID(kind)
}

// Get is To's.
func (s *Store) Get(ctx context.Context, kind store.Kind, id store.ID) ([]byte, error) {
	if err := s.usable(); err != nil {
		return nil, err
	}
	return s.to.Get(ctx, kind, id)
}

// CompareAndSwap is To's.
func (s *Store) CompareAndSwap(ctx context.Context, kind store.Kind, id store.ID, old, new []byte) error {
	if err := s.usable(); err != nil {
		return err
	}
	return s.to.CompareAndSwap(ctx, kind, id, old, new)
}

// Heard is To's.
func (s *Store) Heard(kind store.Kind, id store.ID) time.Time {
	if s.usable() != nil {
		return time.Time{}
	}
	return s.to.Heard(kind, id)
}

// Synced is closed when To is synced and has everything.
func (s *Store) Synced() <-chan struct{} {
	if s.from == nil {
		return s.to.Synced()
	}
	return s.synced
}

// Counts is To's, if it counts its parts.
func (s *Store) Counts(kind store.Kind) (parts int, filling bool) {
	if c, ok := s.to.(interface {
		Counts(store.Kind) (int, bool)
	}); ok {
		return c.Counts(kind)
	}
	return 0, false
}

// Close closes both stores, if they can be.
func (s *Store) Close() error { return errors.Join(closeStore(s.to), s.release()) }

func closeStore(s store.Store) error {
	if c, ok := s.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// Run moves the records, and then keeps the observer up to date until ctx is done.
// It returns an error if they cannot be moved.
func (s *Store) Run(ctx context.Context, observe store.Observer) error {
	if s.from == nil {
		return s.to.Run(ctx, func(kind store.Kind, id store.ID, value []byte) {
			if kind != markerKind || id != markerID {
				observe(kind, id, value)
			} else if m, err := readMarker(value); err == nil && m.State == left {
				go s.comeBack(ctx)
			}
		})
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	target := newGathering()
	var ran sync.WaitGroup
	ran.Go(func() { cancel(run(ctx, s.to, target)) })
	defer ran.Wait()
	if err := s.moveAll(ctx, target); err != nil {
		cancel(err)
	} else {
		if err := s.release(); err != nil {
			s.log.WarnContext(ctx, "the old store was not closed", "error", err)
		}
		target.pass(observe)
		close(s.synced)
		<-ctx.Done()
	}
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// run returns why it has ended.
func run(ctx context.Context, s store.Store, g *gathering) error {
	if err := s.Run(ctx, g.observe); err != nil {
		return err
	}
	return ctx.Err()
}

// comeBack says of a store that was left, and is served from, that it is left no more.
func (s *Store) comeBack(ctx context.Context) {
	for {
		value, err := get(ctx, s.to, markerKey)
		if err == nil {
			m, err := readMarker(value)
			if err != nil || m.State != left ||
				s.to.CompareAndSwap(ctx, markerKind, markerID, value, newMarker(returned, m.Move)) == nil {
				return
			}
		}
		if !pause(ctx, s.poll) {
			return
		}
	}
}

// key names a record.
type key struct {
	kind store.Kind
	id   store.ID
}

// gathering is an observer that keeps what it is told, until it is to pass it on.
type gathering struct {
	mu      sync.Mutex
	records map[key][]byte
	to      store.Observer
}

func newGathering() *gathering { return &gathering{records: map[key][]byte{}} }

func (g *gathering) observe(kind store.Kind, id store.ID, value []byte) {
	k := key{kind, id}
	if k == markerKey {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.to != nil:
		g.to(kind, id, value)
	case value == nil:
		delete(g.records, k)
	default:
		g.records[k] = value
	}
}

// pass tells observe of all records, and from now on of what changes.
func (g *gathering) pass(observe store.Observer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for k, value := range g.records {
		observe(k.kind, k.id, value)
	}
	g.records, g.to = nil, observe
}
