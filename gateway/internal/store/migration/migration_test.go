//go:build integration

package migration

import (
	"context"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/internal/store"
)

const moving = `msg="moving records"`

func TestRecordsMove(t *testing.T) {
	for name, open := range map[string]func(*testing.T) (from, to store.Store){
		"memory to etcd": func(t *testing.T) (from, to store.Store) { return inMemory(t, "", 0), inEtcd(t, newPrefix()) },
		"etcd to memory": func(t *testing.T) (from, to store.Store) { return inEtcd(t, newPrefix()), inMemory(t, "", 0) },
	} {
		for _, n := range []int{0, 300} {
			t.Run(name, func(t *testing.T) {
				from, to := open(t)
				want := fill(t, from, n)
				// What was there before a move away: more, and older.
				mark(t, to, left, random())
				must(t, to.CompareAndSwap(t.Context(), store.Grant, store.NewID(3), nil, newValue(time.Hour)))
				for k := range want {
					must(t, to.CompareAndSwap(t.Context(), k.kind, k.id, nil, newValue(time.Hour)))
					break
				}
				r := start(t, from, to)
				r.has(t, want)
				// It is a store like any other.
				id, value := store.NewID(0), newValue(time.Hour)
				must(t, r.CompareAndSwap(t.Context(), store.Client, id, nil, value))
				want[key{store.Client, id}] = value
				r.has(t, want)
				if r.Heard(store.Client, id).IsZero() {
					t.Error("the replica was never heard")
				}
			})
		}
	}
}

// Of several replicas one copies. They all know everything, and later starts copy
// nothing, even if the old store is gone.
func TestReplicasStartAtOnce(t *testing.T) {
	from, to := newPrefix(), newPrefix()
	want := fill(t, inEtcd(t, from), 300)
	var all []*replica
	for range 3 {
		all = append(all, start(t, inEtcd(t, from), inEtcd(t, to)))
	}
	copied := 0
	for _, r := range all {
		r.has(t, want)
		copied += strings.Count(r.log.String(), moving)
	}
	if copied != 1 {
		t.Errorf("the records were moved %d times", copied)
	}
	for k, value := range want {
		must(t, all[0].CompareAndSwap(t.Context(), k.kind, k.id, value, nil))
		delete(want, k)
		break
	}
	for name, old := range map[string]store.Store{"there": inEtcd(t, from), "gone": gone{}} {
		r := start(t, old, inEtcd(t, to))
		r.has(t, want)
		if strings.Contains(r.log.String(), moving) {
			t.Errorf("with the old store %s, the records are moved again", name)
		}
	}
	// Nor is a gateway disturbed that knows of one store alone.
	start(t, nil, inEtcd(t, to)).has(t, want)
}

// gone is a store that cannot be reached.
type gone struct{ store.Store }

func (gone) Get(context.Context, store.Kind, store.ID) ([]byte, error) {
	return nil, store.ErrUnavailable
}

// Who copies may die, and another takes over.
func TestACopierDies(t *testing.T) {
	from, to := newPrefix(), newPrefix()
	want := fill(t, inEtcd(t, from), 300)
	var first *replica
	var writes atomic.Int64
	ready := make(chan struct{})
	first = start(t, inEtcd(t, from), meddled{inEtcd(t, to), func(ctx context.Context, _ key, write func(context.Context) error) error {
		<-ready
		if writes.Add(1) > 50 {
			first.stop()
		}
		return write(ctx)
	}})
	close(ready)
	if err := <-first.ended; err != nil {
		t.Errorf("a replica that is stopped ends with %v", err)
	}
	select {
	case <-first.Synced():
		t.Fatal("the copier was done before it died")
	default:
	}
	begun := time.Now()
	start(t, inEtcd(t, from), inEtcd(t, to)).has(t, want)
	if took := time.Since(begun); took < quick.lease {
		t.Errorf("another took over after %v, while the first might still have written", took)
	}
}

// Who is slow, and says so, is not overtaken.
func TestASlowCopierGoesOn(t *testing.T) {
	from, to := newPrefix(), newPrefix()
	want := fill(t, inEtcd(t, from), 1500)
	patient := quick
	patient.lease, patient.margin, patient.call = 4*time.Second, time.Second, 600*time.Millisecond
	slow := func(ctx context.Context, k key, write func(context.Context) error) error {
		if k != markerKey {
			time.Sleep(patient.call / 3)
		}
		return write(ctx)
	}
	begun := time.Now()
	a := startTimed(t, patient, inEtcd(t, from), meddled{inEtcd(t, to), slow})
	b := startTimed(t, patient, inEtcd(t, from), meddled{inEtcd(t, to), slow})
	a.has(t, want)
	b.has(t, want)
	if took := time.Since(begun); took < patient.lease {
		t.Errorf("all was copied within %v, which is no more than a lease: nothing is tested", took)
	}
	if n := strings.Count(a.log.String()+b.log.String(), moving); n != 1 {
		t.Errorf("the move began %d times", n)
	}
}

// A copier that wakes up after another has taken over writes nothing: what was
// deleted since would be there again.
func TestACopierWakesUp(t *testing.T) {
	from, to := newPrefix(), newPrefix()
	want := fill(t, inEtcd(t, from), 100)
	asleep, wake := make(chan key, len(want)), make(chan struct{})
	var writes atomic.Int64
	stale := start(t, inEtcd(t, from), meddled{inEtcd(t, to), func(ctx context.Context, k key, write func(context.Context) error) error {
		if writes.Add(1) > 20 {
			select {
			case <-wake:
			default:
				if k != markerKey {
					asleep <- k
				}
				<-wake
			}
		}
		return write(ctx)
	}})
	victim := <-asleep
	next := start(t, inEtcd(t, from), inEtcd(t, to))
	next.has(t, want)
	must(t, next.CompareAndSwap(t.Context(), victim.kind, victim.id, want[victim], nil))
	delete(want, victim)
	close(wake)
	stale.has(t, want)
	next.has(t, want)
}

// An answer that is lost is not a record that is.
func TestAnswersAreLost(t *testing.T) {
	from, to := inMemory(t, "", 0), inEtcd(t, newPrefix())
	want := fill(t, from, 50)
	var writes atomic.Int64
	start(t, from, meddled{to, func(ctx context.Context, _ key, write func(context.Context) error) error {
		err := write(ctx)
		if writes.Add(1)%3 == 0 {
			return store.ErrUnavailable
		}
		return err
	}}).has(t, want)
}

// A full store is reported, and the move goes on as soon as there is room.
func TestAFullTarget(t *testing.T) {
	c := &cramped{Store: inMemory(t, "", 0)}
	r := start(t, crowded{inMemory(t, "", 0)}, c)
	r.refuses(t, errFull)
	c.roomy.Store(true)
	r.synced(t)
}

// cramped is a store with little room.
type cramped struct {
	store.Store
	roomy   atomic.Bool
	records atomic.Int64
}

func (c *cramped) CompareAndSwap(ctx context.Context, kind store.Kind, id store.ID, old, new []byte) error {
	if old == nil && len(new) > 0 && !c.roomy.Load() && c.records.Add(1) > 20 {
		return store.ErrFull
	}
	return c.Store.CompareAndSwap(ctx, kind, id, old, new)
}

// crowded is a store with a hundred grants.
type crowded struct{ store.Store }

func (c crowded) Run(ctx context.Context, observe store.Observer) error {
	for range 100 {
		observe(store.Grant, store.NewID(0), newValue(time.Hour))
	}
	return c.Store.Run(ctx, observe)
}

// Nothing is moved before all of the old store is known.
func TestTheOldStoreIsLate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "store.db")
	from := inMemory(t, file, 0)
	want := fill(t, from, 20)
	l := late{from, make(chan struct{})}
	r := start(t, l, inEtcd(t, newPrefix()))
	select {
	case <-r.Synced():
		t.Fatal("the records are moved that nobody has read")
	case <-time.After(10 * quick.poll):
	}
	close(l.answers)
	r.has(t, want)
}

type late struct {
	store.Store
	answers chan struct{}
}

func (l late) Run(ctx context.Context, observe store.Observer) error {
	select {
	case <-l.answers:
		return l.Store.Run(ctx, observe)
	case <-ctx.Done():
		return nil
	}
}

// Records can be moved to and fro. Each store is one that nobody serves from while
// they are in the other, and what was deleted meanwhile does not come back.
func TestThereAndBack(t *testing.T) {
	a, b := newPrefix(), newPrefix()
	want := fill(t, inEtcd(t, a), 30)
	use := func(from, to string) {
		t.Helper()
		var old store.Store
		if from != "" {
			old = inEtcd(t, from)
		}
		r := start(t, old, inEtcd(t, to))
		r.has(t, want)
		for k, value := range want {
			must(t, r.CompareAndSwap(t.Context(), k.kind, k.id, value, nil))
			delete(want, k)
			break
		}
		id, value := store.NewID(0), newValue(time.Hour)
		must(t, r.CompareAndSwap(t.Context(), store.Client, id, nil, value))
		want[key{store.Client, id}] = value
		r.end(t)
	}
	for _, way := range [][2]string{{a, b}, {b, a}, {a, b}} {
		from, to := way[0], way[1]
		use(from, to)
		use(from, to) // restarted
		use("", to)
		start(t, nil, inEtcd(t, from)).refuses(t, errLeft)
	}
}
