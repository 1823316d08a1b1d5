package etcd

import (
	"bytes"
	"context"
	"runtime"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"

	"vestibule.dev/vestibule/gateway/internal/store"
)

// key names a record.
type key struct {
	kind store.Kind
	id   store.ID
}

// entry is what is known of a record as of a revision. A nil value is that of a
// record which is gone by a write that the watch has not shown yet.
type entry struct {
	value []byte
	asOf  int64
}

// change is an event of the watch.
type change struct {
	key
	entry
}

// moment is what was known of the cluster's history when a call began.
type moment struct {
	epoch    int
	cluster  uint64
	revision int64
}

// replica is the copy of all records. The watch tells it of changes in order, and
// our own writes are told when they are answered, which may be before: the later
// revision counts, record by record.
//
// Revisions count up, unless the cluster was restored from a backup. Then a new
// epoch begins: what is known stays until all was read anew, but as of no revision.
type replica struct {
	mu      sync.Mutex
	observe store.Observer
	records map[key]entry
	gone    map[key]int64 // the entries without a value
	size    map[store.Kind]int

	moment
	watched int64              // all changes up to this revision were taken in
	end     context.CancelFunc // ends the watch of this epoch

	beats []beat
	heard time.Time
}

// beat is a revision that the cluster was at, at some time after at.
type beat struct {
	revision int64
	at       time.Time
}

func newReplica() *replica {
	return &replica{
		records: map[key]entry{}, gone: map[key]int64{}, size: map[store.Kind]int{},
		end: func() {},
	}
}

// attach tells observe all that is known, and from now on every change.
func (r *replica) attach(observe store.Observer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.observe = observe
	values := map[key][]byte{}
	for k, e := range r.records {
		if e.value != nil {
			values[k] = e.value
		}
	}
	r.tell(values)
}

// tell tells the observer of several records at once, since most of it is opening
// them. It is called with mu held, as put is.
func (r *replica) tell(values map[key][]byte) {
	if r.observe == nil {
		return
	}
	var all sync.WaitGroup
	next := make(chan key, len(values))
	for k := range values {
		next <- k
	}
	close(next)
	for range min(runtime.GOMAXPROCS(0), len(values)) {
		all.Go(func() {
			for k := range next {
				r.observe(k.kind, k.id, values[k])
			}
		})
	}
	all.Wait()
}

// follow begins a watch that end ends, and returns its epoch.
func (r *replica) follow(end context.CancelFunc) (epoch int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.end, r.beats = end, nil
	return r.epoch
}

// now returns the moment before a call.
func (r *replica) now() moment {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.moment
}

// witness takes in the header of the cluster's answer to a call that began at m. It
// returns false if another epoch has begun since: then nobody knows of which one
// the answer is.
func (r *replica) witness(m moment, h *etcdserverpb.ResponseHeader) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.witnessed(m, h)
}

func (r *replica) witnessed(m moment, h *etcdserverpb.ResponseHeader) bool {
	if m.epoch != r.epoch {
		return false
	}
	if h.Revision < m.revision || m.cluster != 0 && h.ClusterId != m.cluster {
		r.restart()
	}
	r.cluster, r.revision = h.ClusterId, max(r.revision, h.Revision)
	return true
}

// restart begins an epoch.
func (r *replica) restart() {
	r.epoch++
	r.end()
	r.revision, r.watched, r.beats = 0, 0, nil
	for k, e := range r.records {
		e.asOf = 0
		r.records[k] = e
	}
	r.prune(func(int64) bool { return true })
}

// wrote takes in that a record has this value, as the answer says to a call that
// began at m. It returns what witness does.
func (r *replica) wrote(m moment, h *etcdserverpb.ResponseHeader, k key, value []byte) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.witnessed(m, h) {
		return false
	}
	// Up to watched everything is known, and what is gone is not remembered.
	if h.Revision > r.watched {
		r.put(k, value, h.Revision)
	}
	return true
}

// changed takes in what the watch of an epoch says: changes in their order, and that
// up to revision there are no others. It returns false if the watch said the same of a
// later revision before: then nobody knows what it leaves out.
func (r *replica) changed(epoch int, changes []change, revision int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if epoch != r.epoch {
		return true // The watch is about to end.
	}
	if revision < r.watched {
		return len(changes) == 0
	}
	for _, c := range changes {
		r.put(c.key, c.value, c.asOf)
	}
	r.watched = revision
	r.prune(func(asOf int64) bool { return asOf <= revision })
	for len(r.beats) > 0 && r.beats[0].revision <= revision {
		r.heard, r.beats = r.beats[0].at, r.beats[1:]
	}
	return true
}

// listed takes in some of the records that there are at a revision, and with last,
// that those of the list were all. It returns false if another epoch has begun since.
func (r *replica) listed(epoch int, records map[key][]byte, revision int64, last bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if epoch != r.epoch {
		return false
	}
	news := map[key][]byte{}
	for k, value := range records {
		if r.keep(k, value, revision) {
			news[k] = value
		}
	}
	r.tell(news)
	if !last {
		return true
	}
	for k, e := range r.records {
		if e.asOf < revision {
			r.put(k, nil, revision)
		}
	}
	r.watched = revision
	r.prune(func(asOf int64) bool { return asOf <= revision })
	return true
}

// put replaces what is known of a record as of an earlier revision, and tells the
// observer of a change. It is called with mu held: that puts the calls in order.
func (r *replica) put(k key, value []byte, asOf int64) {
	if r.keep(k, value, asOf) && r.observe != nil {
		r.observe(k.kind, k.id, value)
	}
}

// keep is put without the observer. It returns whether that has to be told.
func (r *replica) keep(k key, value []byte, asOf int64) (news bool) {
	known := r.records[k]
	if asOf < known.asOf {
		return false
	}
	r.size[k.kind] += len(value) - len(known.value)
	r.records[k] = entry{value, asOf}
	if value == nil {
		r.gone[k] = asOf
	} else {
		delete(r.gone, k)
	}
	return !same(known.value, value)
}

// prune forgets records that are gone.
func (r *replica) prune(known func(asOf int64) bool) {
	for k, asOf := range r.gone {
		if known(asOf) {
			delete(r.records, k)
			delete(r.gone, k)
		}
	}
}

// expect notes that who has seen everything up to this revision is up to date as of at.
func (r *replica) expect(epoch int, revision int64, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case epoch != r.epoch:
	case revision <= r.watched:
		r.heard = at
	default:
		r.beats = append(r.beats, beat{revision, at})
	}
}

func (r *replica) lastHeard() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.heard
}

// bytes is how much there is of a kind.
func (r *replica) bytes(kind store.Kind) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.size[kind]
}

// expired returns the records that may be swept.
func (r *replica) expired(now time.Time) map[key][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	found := map[key][]byte{}
	for k, e := range r.records {
		if expires, ok := store.Expires(e.value); ok && now.After(expires) {
			found[k] = e.value
		}
	}
	return found
}

// same compares values; nil, which is no record, is not the empty value.
func same(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }
