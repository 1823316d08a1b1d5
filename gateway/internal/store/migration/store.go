// Package migration moves all records from one store to another, before the
// gateway that is given both serves. Every replica starts with both, one of them
// copies, and the others wait. A store that does not have every record, since they
// were moved away or not all have come, is not served from.
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
	"vestibule.dev/vestibule/gateway/internal/store/wait"
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

// Store is a store.Store that has every record: To, which is synced when it is known
// that it does. Before that, and when the records have moved on, it is unavailable,
// with a store.Incomplete if people are to do something about it; and its observer is
// told of nothing.
type Store struct {
	to, from store.Store
	now      func() time.Time
	log      *slog.Logger
	timing
	synced  chan struct{}
	release func() error // closes from

	mu     sync.Mutex
	why    error // it cannot be used; nil if it can
	said   string
	saidAt time.Time
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
	s := &Store{
		to: o.To, from: o.From, now: o.Now, log: o.Log, timing: o.timing, synced: make(chan struct{}), why: errNotYet,
	}
	s.release = sync.OnceValue(func() error { return closeStore(s.from) })
	return s
}

var errNotYet = fmt.Errorf("%w: it is not known yet to have every record", store.ErrUnavailable)

// usable returns why the store cannot be used, if it cannot.
func (s *Store) usable() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	//rule:half-moved-is-served
	return s.why
}

func (s *Store) become(why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.why = why
}

// wait notes what is waited for: in the log now and then, and, if people are to do
// something about it, for whoever asks the store.
func (s *Store) wait(ctx context.Context, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var todo store.Incomplete
	if errors.As(err, &todo) {
		s.why = fmt.Errorf("%w: %w", store.ErrUnavailable, todo)
	}
	if text := err.Error(); text != s.said || time.Since(s.saidAt) >= s.patience {
		s.said, s.saidAt = text, time.Now()
		s.log.WarnContext(ctx, "nobody is served before every record is in the store", "waiting_for", err)
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

// Synced is closed when To is synced and is known to have every record.
func (s *Store) Synced() <-chan struct{} { return s.synced }

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

// Run moves the records, and then keeps the observer up to date until ctx is done. It
// returns an error if the records move on to another store meanwhile: what the
// observer was told does not count any more.
func (s *Store) Run(ctx context.Context, observe store.Observer) error {
	running, cancel := context.WithCancelCause(ctx)
	target := newGathering()
	var ran sync.WaitGroup
	ran.Go(func() { cancel(run(running, s.to, target)) })
	err := s.ready(running, target)
	if err == nil {
		target.pass(observe)
		s.become(nil)
		close(s.synced)
		err = s.stay(running, target)
	}
	cancel(err)
	ran.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// run returns why it has ended.
func run(ctx context.Context, s store.Store, g *gathering) error {
	if err := s.Run(ctx, g.observe); err != nil {
		return err
	}
	return ctx.Err()
}

// ready waits until To is synced and has every record.
func (s *Store) ready(ctx context.Context, target *gathering) error {
	if err := s.await(ctx, s.to.Synced()); err != nil {
		return err
	}
	if s.from != nil {
		return s.move(ctx, target)
	}
	for {
		_, m, err := s.read(ctx)
		if err == nil {
			err = m.serves()
		}
		if err == nil || ctx.Err() != nil {
			return err
		}
		s.wait(ctx, err)
		if !wait.For(ctx, s.again) {
			return context.Cause(ctx)
		}
	}
}

func (s *Store) await(ctx context.Context, synced <-chan struct{}) error {
	select {
	case <-synced:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// stay returns an error when To does not have every record any more.
func (s *Store) stay(ctx context.Context, target *gathering) error {
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-target.marked:
			// What was heard of may be from before.
			_, m, err := s.read(ctx)
			if err == nil {
				err = m.serves()
			}
			if err != nil && ctx.Err() == nil {
				s.wait(ctx, err)
				return err
			}
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
	marked chan struct{} // has something when the marker has changed

	mu      sync.Mutex
	records map[key][]byte
	to      store.Observer
}

func newGathering() *gathering {
	return &gathering{marked: make(chan struct{}, 1), records: map[key][]byte{}}
}

func (g *gathering) observe(kind store.Kind, id store.ID, value []byte) {
	k := key{kind, id}
	if k == markerKey {
		select {
		case g.marked <- struct{}{}:
		default:
		}
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

// live returns the records that have not expired.
func (g *gathering) live(now time.Time) map[key][]byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	found := map[key][]byte{}
	for k, value := range g.records {
		if expires, ok := store.Expires(value); !ok || !now.After(expires) {
			found[k] = value
		}
	}
	return found
}
