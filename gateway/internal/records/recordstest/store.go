// Package recordstest has a store for tests of what is built on records: several
// replicas over one set of records, each of which can fall behind, fail, or
// stop in the middle of a call.
package recordstest

import (
	"bytes"
	"context"
	"maps"
	"sync"
	"time"

	"vestibule.dev/vestibule/gateway/internal/store"
)

// Clock is a clock that moves only when it is told to.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock returns a clock that shows a whole second.
func NewClock() *Clock { return &Clock{now: time.Unix(1_800_000_000, 0)} }

// Now is the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Key names a record.
type Key struct {
	Kind store.Kind
	ID   store.ID
}

// Store is what the replicas have in common.
type Store struct {
	clock    interface{ Now() time.Time }
	mu       sync.Mutex
	values   map[Key][]byte
	replicas []*Replica
}

// New returns an empty store.
func New(clock interface{ Now() time.Time }) *Store {
	return &Store{clock: clock, values: map[Key][]byte{}}
}

// Snapshot returns all records.
func (s *Store) Snapshot() map[Key][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.values)
}

// Restore takes the store back to a snapshot, as somebody with a backup would.
func (s *Store) Restore(snapshot map[Key][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.values
	s.values = maps.Clone(snapshot)
	for key := range before {
		if s.values[key] == nil {
			s.tell(nil, key)
		}
	}
	for key := range s.values {
		s.tell(nil, key)
	}
}

// tell says to all replicas what a record is now; mu is held. Who wrote it
// knows even if it has not heard of the others for long.
func (s *Store) tell(writer *Replica, key Key) {
	for _, r := range s.replicas {
		if _, paused := r.paused[key.Kind]; paused && r != writer {
			continue
		}
		if r.observe != nil {
			r.observe(key.Kind, key.ID, s.values[key])
		}
	}
}

// Replica is one gateway's view of the store. It is a store.Store.
type Replica struct {
	store *Store

	// Below, everything is guarded by store.mu.
	observe store.Observer
	paused  map[store.Kind]time.Time
	down    bool
	lose    bool
	before  func(op string)
	gets    int
	writes  int
}

// Replica returns another view. It is quiet until Attach.
func (s *Store) Replica() *Replica {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &Replica{store: s}
	s.replicas = append(s.replicas, r)
	return r
}

// Attach tells the observer all records, and from now on what changes.
func (r *Replica) Attach(observe store.Observer) {
	r.with(func() {
		r.observe = observe
		r.catchUp()
	})
}

func (r *Replica) with(f func()) {
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	f()
}

func (r *Replica) catchUp() {
	for key, value := range r.store.values {
		r.observe(key.Kind, key.ID, value)
	}
}

// Pause stops the watch on records of these kinds, or of all: of them the
// replica hears of its own writes only.
func (r *Replica) Pause(kinds ...store.Kind) {
	if len(kinds) == 0 {
		kinds = store.Kinds[:]
	}
	r.with(func() {
		r.paused = map[store.Kind]time.Time{}
		for _, kind := range kinds {
			r.paused[kind] = r.store.clock.Now()
		}
	})
}

// Resume starts the watch again. Records that went meanwhile stay in the copy.
func (r *Replica) Resume() {
	r.with(func() {
		r.paused = nil
		r.catchUp()
	})
}

// Fail makes the store unavailable, or available again.
func (r *Replica) Fail(down bool) { r.with(func() { r.down = down }) }

// LoseAnswer lets the next write take place, and its caller not hear of it.
func (r *Replica) LoseAnswer() { r.with(func() { r.lose = true }) }

// Before has f called before each call reaches the store, with "get" or "swap".
// What f does itself through this replica is not told to f.
func (r *Replica) Before(f func(op string)) { r.with(func() { r.before = f }) }

// Counts returns how many reads were asked for and how many writes took place
// since it was last called.
func (r *Replica) Counts() (gets, writes int) {
	r.with(func() {
		gets, writes = r.gets, r.writes
		r.gets, r.writes = 0, 0
	})
	return gets, writes
}

func (r *Replica) enter(op string) {
	var f func(string)
	r.with(func() { f, r.before = r.before, nil })
	if f != nil {
		f(op)
		r.with(func() { r.before = f })
	}
}

// NewID implements store.Store.
func (r *Replica) NewID(store.Kind) (store.ID, error) { return store.NewID(0), nil }

// Get implements store.Store.
func (r *Replica) Get(_ context.Context, kind store.Kind, id store.ID) (value []byte, err error) {
	r.enter("get")
	r.with(func() {
		r.gets++
		if r.down {
			err = store.ErrUnavailable
		} else if value = r.store.values[Key{kind, id}]; value == nil {
			err = store.ErrNotFound
		}
	})
	return value, err
}

// CompareAndSwap implements store.Store.
func (r *Replica) CompareAndSwap(_ context.Context, kind store.Kind, id store.ID, old, new []byte) (err error) {
	r.enter("swap")
	r.with(func() {
		key := Key{kind, id}
		switch value, there := r.store.values[key]; {
		case r.down:
			err = store.ErrUnavailable
			return
		case there != (old != nil), !bytes.Equal(value, old):
			err = store.ErrConflict
			return
		}
		r.writes++
		if new == nil {
			delete(r.store.values, key)
		} else {
			r.store.values[key] = new
		}
		r.store.tell(r, key)
		if r.lose {
			r.lose, err = false, store.ErrUnavailable
		}
	})
	return err
}

// Run implements store.Store: Attach takes its place.
func (r *Replica) Run(ctx context.Context, _ store.Observer) error {
	<-ctx.Done()
	return nil
}

// Synced implements store.Store.
func (r *Replica) Synced() <-chan struct{} {
	done := make(chan struct{})
	close(done)
	return done
}

// Heard implements store.Store.
func (r *Replica) Heard(kind store.Kind, _ store.ID) (heard time.Time) {
	r.with(func() {
		var paused bool
		if heard, paused = r.paused[kind]; !paused {
			heard = r.store.clock.Now()
		}
	})
	return heard
}
