package kubernetes

import (
	"bytes"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"vestibule.dev/vestibule/gateway/internal/store"
)

const (
	// meanLimit is the mean size from which on more shards should share the load.
	meanLimit   = 32 << 10
	warnLimit   = 64 << 10
	createLimit = 256 << 10
	// writeLimit is below what the API server takes, which is 1 MiB.
	writeLimit = 1000 << 10
	warnEvery  = time.Hour
)

// shard is one object: a copy of it, the writes that wait for it and the
// readers that wait for it.
type shard struct {
	kind    store.Kind
	part    uint16
	name    string
	api     *api
	budget  *budget
	now     func() time.Time
	log     *slog.Logger
	silence time.Duration
	synced  chan struct{} // closed by the first watch to catch up

	background *background

	mu      sync.Mutex
	observe store.Observer
	version uint64           // of the last whole object taken in
	records map[string]entry // by id
	size    int              // of all keys and values, in bytes
	warned  time.Time
	heard   time.Time

	// What follows belongs to commit.go.
	queue      []*write // in the order of arrival
	flight     []*write // in the patch on its way
	committing bool     // a goroutine works on queue
	sweepDue   bool     // a patch is wanted even if queue is empty
	plainNext  bool     // the next patch must not sweep

	// What follows belongs to read.go.
	readLimit *rate.Limiter
	readMu    sync.Mutex
	nextRead  *reading
	reading   bool
}

// entry is what is known of a record. After a write of our own, wrote is the
// version that has it, which may be ahead of the whole object's; the value is
// nil if the write deleted the record.
type entry struct {
	value []byte
	wrote uint64
}

// attach tells observe all that is known, and from now on every change.
func (s *shard) attach(observe store.Observer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.observe = observe
	for key, e := range s.records {
		if e.value != nil {
			s.tell(key, e.value)
		}
	}
}

// take in a whole object, from the watch or from a read. Objects come in any
// order from the two; the later version counts, record by record.
func (s *shard) takeIn(o *object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recognize(o)
	if o.version <= s.version {
		return
	}
	s.version = o.version
	for key, known := range s.records {
		if _, ok := o.records[key]; !ok && known.wrote <= o.version {
			s.put(key, entry{})
		}
	}
	for key, value := range o.records {
		if s.records[key].wrote <= o.version {
			s.put(key, entry{value: value})
		}
	}
	s.warn()
}

// wrote takes in writes that version has.
func (s *shard) wrote(version uint64, writes []*write) {
	if version <= s.version {
		return // The object as it was then, or later, is known already.
	}
	for _, w := range writes {
		s.put(w.key, entry{value: w.new, wrote: version})
	}
	s.warn()
}

// put replaces what is known of a record, and tells the observer of a change.
func (s *shard) put(key string, e entry) {
	known := s.records[key]
	if known.value != nil {
		s.size -= len(key) + len(known.value)
	}
	if e.value != nil {
		s.size += len(key) + len(e.value)
	}
	if e.value == nil && e.wrote == 0 {
		delete(s.records, key)
	} else {
		s.records[key] = e
	}
	if !same(known.value, e.value) {
		s.tell(key, e.value)
	}
}

// tell is called with mu held: that puts the calls in order.
func (s *shard) tell(key string, value []byte) {
	if s.observe == nil {
		return
	}
	if id, err := store.ParseID(key); err == nil && id.Part() == s.part {
		s.observe(s.kind, id, value)
	}
}

func (s *shard) warn() {
	if now := s.now(); s.size > warnLimit && now.Sub(s.warned) > warnEvery {
		s.warned = now
		s.log.Warn("store shard is filling up", "shard", s.name, "bytes", s.size, "full_at", createLimit)
	}
}

func (s *shard) bytes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.size
}

func (s *shard) lastHeard() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.heard
}

func (s *shard) lastVersion() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.version
}

func (s *shard) hear() {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard = now
}

// same compares values; nil, which is no record, is not the empty value.
func same(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }
