// Package conformance holds the promises of store.Store, each as a test. Every
// store passes all of them.
package conformance

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/internal/store"
)

// Fixture is an empty store to be tested.
type Fixture struct {
	// Open connects one more replica. It is to sweep several times a second.
	Open func(t *testing.T) store.Store
	// Single says that there is only one replica. Both sides of a test that
	// needs two are then the same.
	Single bool
	// Parts counts the parts of the store that each kind of record has.
	Parts int
	// Bytes is how much of each kind the store takes in all its parts, which are
	// of one size.
	Bytes int
	// Ready, when set, is called with each replica that has caught up.
	Ready func(t *testing.T, s store.Store)
}

type promise struct {
	name string
	test func(t *testing.T, f Fixture)
}

var promises = []promise{
	{"a record lives from its creation to its deletion", recordLives},
	{"kinds are apart", kindsAreApart},
	{"creating what exists is a conflict", createConflicts},
	{"a stale swap is a conflict", staleConflicts},
	{"changing or deleting what is not there is a conflict", absentConflicts},
	{"values are any bytes up to 16 KiB", valuesAreBytes},
	{"a canceled call is unavailable", canceledIsUnavailable},

	{"the observer has seen a write when it is answered", observerIsAhead},
	{"the observer never goes back", observerNeverGoesBack},
	{"the other observer sees each change", otherObserverSees},
	{"Synced is closed when the observer has seen everything", syncedMeansAll},
	{"Heard advances", heardAdvances},
	{"Run is called once", runOnce},
	{"Run ends with its context", runEnds},

	{"expired records are swept, others are not", expiredAreSwept},
	{"a renewed record is not swept", renewedIsSpared},
	{"NewID is unique and spreads", newIDSpreads},
	{"a full store takes no new records", fullTakesNoMore},
}

// races are the promises that hold whatever the watch says, or does not say.
var races = []promise{
	{"of racing creates one wins", oneCreateWins},
	{"of racing swaps one wins", oneSwapWins},
	{"of racing deletes one wins", oneDeleteWins},
	{"no update is lost", noUpdateIsLost},
	{"replicas take turns at a record", takeTurns},
	{"a write is read on the other replica at once", readYourWrites},
}

// Run tests all promises, each on a fixture of its own.
func Run(t *testing.T, open func(t *testing.T) Fixture) {
	Races(t, open)
	for _, p := range promises {
		t.Run(p.name, func(t *testing.T) { p.test(t, open(t)) })
	}
}

// Races tests only what must hold too for a replica whose watch is silent.
func Races(t *testing.T, open func(t *testing.T) Fixture) {
	for _, p := range races {
		t.Run(p.name, func(t *testing.T) { p.test(t, open(t)) })
	}
}

// patience bounds what takes milliseconds on an idle machine.
const patience = 20 * time.Second

type key struct {
	kind store.Kind
	id   store.ID
}

// replica is a store that runs, and all that its observer was told.
type replica struct {
	store.Store
	t *testing.T

	mu   sync.Mutex
	told map[key][][]byte
}

// start opens a replica and runs it until the test ends.
func (f Fixture) start(t *testing.T) *replica {
	t.Helper()
	return f.run(t, f.Open(t))
}

func (f Fixture) run(t *testing.T, s store.Store) *replica {
	t.Helper()
	r := &replica{Store: s, t: t, told: map[key][][]byte{}}
	Start(t, s, r.observe)
	if f.Ready != nil {
		f.Ready(t, s)
	}
	return r
}

func (r *replica) observe(kind store.Kind, id store.ID, value []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := key{kind, id}
	r.told[k] = append(r.told[k], value)
}

// history is all that the observer was told of a record.
func (r *replica) history(kind store.Kind, id store.ID) [][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.told[key{kind, id}])
}

// latest is what the observer knows of a record.
func (r *replica) latest(kind store.Kind, id store.ID) []byte {
	if h := r.history(kind, id); len(h) > 0 {
		return h[len(h)-1]
	}
	return nil
}

// newID must succeed.
func (r *replica) newID(kind store.Kind) store.ID {
	r.t.Helper()
	id, err := r.NewID(kind)
	if err != nil {
		r.t.Fatalf("NewID: %v", err)
	}
	return id
}

// swap must succeed.
func (r *replica) swap(kind store.Kind, id store.ID, old, new []byte) {
	r.t.Helper()
	if err := r.CompareAndSwap(r.t.Context(), kind, id, old, new); err != nil {
		r.t.Fatalf("CompareAndSwap: %v", err)
	}
}

// create makes a record, which must succeed.
func (r *replica) create(kind store.Kind) (store.ID, []byte) {
	r.t.Helper()
	id, value := r.newID(kind), newValue(0)
	r.swap(kind, id, nil, value)
	return id, value
}

// has says whether the store has this value; nil means no record.
func (r *replica) has(kind store.Kind, id store.ID, want []byte) {
	r.t.Helper()
	got, err := r.Get(r.t.Context(), kind, id)
	switch {
	case want == nil && errors.Is(err, store.ErrNotFound):
	case err != nil:
		r.t.Fatalf("Get: %v", err)
	case want == nil:
		r.t.Fatal("Get: there is a record, want none")
	case !bytes.Equal(got, want):
		r.t.Fatalf("Get: value %d, want %d", number(got), number(want))
	}
}

// pair opens two replicas, where there can be two.
func pair(t *testing.T, f Fixture) (a, b *replica) {
	t.Helper()
	a = f.start(t)
	if f.Single {
		return a, a
	}
	return a, f.start(t)
}

// expiring returns a value like a sealed record: the header, and a text that no
// other value has.
func expiring(at time.Time, n uint64, size int) []byte {
	b := store.AppendHeader(nil, at)
	b = binary.BigEndian.AppendUint64(b, n)
	text := make([]byte, max(size-len(b), 16))
	_, _ = rand.Read(text) // never fails (crypto/rand)
	return append(b, text...)
}

// newValue returns a value that has a number and outlives the test.
func newValue(n uint64) []byte { return expiring(time.Now().Add(time.Hour), n, 0) }

func number(value []byte) uint64 {
	if len(value) < store.HeaderLen+8 {
		return 0
	}
	return binary.BigEndian.Uint64(value[store.HeaderLen:])
}

// race calls f n times at once, with 0, 1, … and returns the errors.
func race(n int, f func(i int) error) []error {
	errs := make([]error, n)
	gun := make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			<-gun
			errs[i] = f(i)
		})
	}
	close(gun)
	all.Wait()
	return errs
}
