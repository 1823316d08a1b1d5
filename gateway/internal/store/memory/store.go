// Package memory keeps records in the process, for one replica; with a file, a
// restart keeps them.
package memory

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"vestibule.dev/vestibule/gateway/internal/store"
)

// Options describe a store. The zero value is one that ends with the process.
type Options struct {
	// File, when set, keeps the records too: a write is on disk before it is
	// answered. The file is made if it is not there, and is open to one store
	// at a time.
	File string
	// MaxBytes bounds the values of each kind of record: from there on, new
	// records get ErrFull. Unset, 64 MiB.
	MaxBytes int
	// SweepEvery is the time between two sweeps; unset, five minutes.
	SweepEvery time.Duration
	// Now tells the time; unset, time.Now.
	Now func() time.Time
}

const (
	maxBytes   = 64 << 20
	sweepEvery = 5 * time.Minute
)

// Store is a store.Store in the process.
type Store struct {
	opts   Options
	file   *file // nil if nothing is to outlive the process
	synced chan struct{}

	queueMu sync.Mutex
	queue   []*write // that wait for a turn

	// turn is held by the one who writes, for all in the queue, and calls the
	// observer. Whoever holds it may lock mu, not the other way round.
	turn    sync.Mutex
	observe store.Observer

	mu      sync.RWMutex
	records map[key][]byte
	size    map[store.Kind]int
}

var _ store.Store = (*Store)(nil)

type key struct {
	kind store.Kind
	id   store.ID
}

// write is one call of CompareAndSwap.
type write struct {
	key
	old, new []byte
	done     chan error // with room for the one answer
}

// Open returns a store with what is in its file.
func Open(o Options) (*Store, error) {
	if o.MaxBytes <= 0 {
		o.MaxBytes = maxBytes
	}
	if o.SweepEvery <= 0 {
		o.SweepEvery = sweepEvery
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Store{
		opts:    o,
		synced:  make(chan struct{}),
		records: map[key][]byte{},
		size:    map[store.Kind]int{},
	}
	if o.File == "" {
		return s, nil
	}
	f, err := openFile(o.File, s.put)
	if err != nil {
		return nil, fmt.Errorf("store: opening %s: %w", o.File, err)
	}
	s.file = f
	return s, nil
}

// Close gives the file back. Writes are unavailable from then on.
func (s *Store) Close() error {
	if s.file == nil {
		return nil
	}
	return s.file.close()
}

// NewID returns an id in the one part that there is.
func (s *Store) NewID(kind store.Kind) (store.ID, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.size[kind]+store.Room > s.opts.MaxBytes {
		return store.ID{}, store.ErrFull
	}
	return store.NewID(0), nil
}

// Get returns the record.
func (s *Store) Get(ctx context.Context, kind store.Kind, id store.ID) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if value := s.records[key{kind, id}]; value != nil {
		return value, nil
	}
	return nil, store.ErrNotFound
}

// CompareAndSwap writes the record, together with the writes that came while
// the previous ones were on their way to the disk.
func (s *Store) CompareAndSwap(ctx context.Context, kind store.Kind, id store.ID, old, new []byte) error {
	if old == nil && new == nil {
		return errors.New("store: a write without an old and a new value")
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	w := &write{key: key{kind, id}, old: old, new: new, done: make(chan error, 1)}
	s.write(w)
	return <-w.done
}

// write returns when the writes are answered: by who had the turn before, or by
// this call, which then answers all that wait.
func (s *Store) write(writes ...*write) {
	s.queueMu.Lock()
	s.queue = append(s.queue, writes...)
	s.queueMu.Unlock()

	s.turn.Lock()
	defer s.turn.Unlock()
	s.queueMu.Lock()
	batch := s.queue
	s.queue = nil
	s.queueMu.Unlock()

	batch = s.admit(batch)
	var err error
	if s.file != nil && len(batch) > 0 {
		err = s.file.write(batch)
	}
	for _, w := range batch {
		if err == nil {
			s.apply(w)
		}
		w.done <- err
	}
}

// admit refuses the writes that cannot be, each after those before it.
func (s *Store) admit(batch []*write) []*write {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var admitted []*write
	ahead, grown := map[key][]byte{}, map[store.Kind]int{}
	for _, w := range batch {
		now, ok := ahead[w.key]
		if !ok {
			now = s.records[w.key]
		}
		switch {
		//rule:last-writer-wins
		case (now == nil) != (w.old == nil) || !bytes.Equal(now, w.old):
			w.done <- store.ErrConflict
		case w.old == nil && len(w.new) > store.Note && s.size[w.kind]+grown[w.kind]+len(w.new) > s.opts.MaxBytes:
			w.done <- store.ErrFull
		default:
			ahead[w.key] = w.new
			grown[w.kind] += len(w.new) - len(w.old)
			admitted = append(admitted, w)
		}
	}
	return admitted
}

// apply makes a write seen.
func (s *Store) apply(w *write) {
	s.mu.Lock()
	s.put(w.kind, w.id, w.new)
	s.mu.Unlock()
	if s.observe != nil {
		s.observe(w.kind, w.id, w.new)
	}
}

func (s *Store) put(kind store.Kind, id store.ID, value []byte) {
	k := key{kind, id}
	s.size[kind] += len(value) - len(s.records[k])
	if value == nil {
		delete(s.records, k)
		return
	}
	s.records[k] = value
}

// Run tells the observer of all records, and sweeps until ctx is done.
func (s *Store) Run(ctx context.Context, observe store.Observer) error {
	if err := s.attach(observe); err != nil {
		return err
	}
	sweep := time.NewTicker(s.opts.SweepEvery)
	defer sweep.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-sweep.C:
			s.write(s.expired()...)
		}
	}
}

func (s *Store) attach(observe store.Observer) error {
	s.turn.Lock() // Nothing is written meanwhile.
	defer s.turn.Unlock()
	if s.observe != nil {
		return errors.New("store: it runs already")
	}
	s.observe = observe
	for k, value := range s.records {
		observe(k.kind, k.id, value)
	}
	close(s.synced)
	return nil
}

// expired returns the removal of each record that has expired. Whatever is
// written before its turn makes it a conflict, and nothing is lost.
func (s *Store) expired() (removals []*write) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	now := s.opts.Now()
	for k, value := range s.records {
		//rule:sweep-of-the-living
		if expires, ok := store.Expires(value); ok && now.After(expires) {
			removals = append(removals, &write{key: k, old: value, done: make(chan error, 1)})
		}
	}
	return removals
}

// Synced is closed when Run has told the observer of all records.
func (s *Store) Synced() <-chan struct{} { return s.synced }

// Heard returns the present: there is no other copy that could be ahead.
func (s *Store) Heard(store.Kind, store.ID) time.Time {
	select {
	case <-s.synced:
		return s.opts.Now()
	default:
		return time.Time{}
	}
}
