//go:build integration

package migration

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/internal/store"
)

// Which stores are served from, and which are moved between, by their markers.
func TestMarkers(t *testing.T) {
	this, other := random(), random()
	type mk struct {
		state uint8
		move  []byte
	}
	for name, tc := range map[string]struct {
		from, to   mk
		leftovers  int  // in to
		alone      bool // there is no from
		why        store.Incomplete
		from2, to2 uint8 // what is marked after
	}{
		"a store that was never moved":      {alone: true, leftovers: 3},
		"one that was moved to":             {alone: true, leftovers: 3, to: mk{done, this}, to2: done},
		"one that was moved from":           {alone: true, leftovers: 3, to: mk{left, this}, to2: left, why: errLeft},
		"one that was moved to in part":     {alone: true, leftovers: 3, to: mk{copying, this}, to2: copying, why: errUnfinished},
		"a marker of a later version":       {alone: true, leftovers: 3, to: mk{left + 1, this}, to2: left + 1, why: errMarker},
		"a first move":                      {from2: left, to2: done},
		"a move that has ended":             {from: mk{left, this}, to: mk{done, this}, leftovers: 3, from2: left, to2: done},
		"one that was given up and resumed": {to: mk{copying, this}, leftovers: 3, from2: left, to2: done},
		"a move back":                       {from: mk{done, this}, to: mk{left, this}, leftovers: 3, from2: left, to2: done},
		"a crash before the end":            {from: mk{left, this}, to: mk{copying, this}, leftovers: 3, from2: left, to2: done},
		"from a store that was left":        {from: mk{left, this}, from2: left, why: errElsewhere},
		"from one that was left in favour of another": {
			from: mk{left, this}, to: mk{copying, other}, leftovers: 3, from2: left, to2: copying, why: errElsewhere},
		"between two that were left":       {from: mk{left, this}, to: mk{left, this}, leftovers: 3, from2: left, to2: left, why: errElsewhere},
		"from a part of the records":       {from: mk{copying, this}, to: mk{done, other}, from2: copying, to2: done},
		"from a part of them to another":   {from: mk{copying, this}, from2: copying, why: errPartialSource},
		"from a part of them to a part":    {from: mk{copying, this}, to: mk{copying, this}, from2: copying, to2: copying, why: errPartialSource},
		"to a store that is in use":        {leftovers: 3, why: errInUse},
		"from a marker of a later version": {from: mk{left + 1, this}, from2: left + 1, why: errMarker},
		"to one with such a marker":        {to: mk{left + 1, this}, to2: left + 1, why: errMarker},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from, to := inMemory(t, "", 0), inMemory(t, "", 0)
			before := fill(t, to, tc.leftovers)
			want := before
			for s, m := range map[store.Store]mk{from: tc.from, to: tc.to} {
				if m.state != unmarked {
					mark(t, s, m.state, m.move)
				}
			}
			var r *replica
			if tc.alone {
				r = start(t, nil, to)
			} else {
				if moved := fill(t, from, 5); tc.to.state != done {
					want = moved
				}
				r = start(t, from, to)
			}
			if tc.why == "" {
				r.has(t, want)
			} else {
				r.refuses(t, tc.why)
				for k, value := range before {
					if got, err := get(t.Context(), to, k); string(got) != string(value) {
						t.Errorf("a record is %q, %v, want %q", got, err, value)
					}
				}
			}
			r.end(t)
			for s, state := range map[store.Store]uint8{from: tc.from2, to: tc.to2} {
				value, err := get(t.Context(), s, markerKey)
				must(t, err)
				if m, _ := readMarker(value); m.State != state {
					t.Errorf("a store is marked %d, want %d", m.State, state)
				}
			}
		})
	}
}

// Whoever serves from a store stops when its records move away, whatever it was told
// to use, and does not start again.
func TestWhoServesFromAStoreThatIsLeft(t *testing.T) {
	a, b := newPrefix(), newPrefix()
	want := fill(t, inEtcd(t, a), 30)
	served := start(t, nil, inEtcd(t, a))
	served.synced(t)
	moved := start(t, inEtcd(t, a), inEtcd(t, b))
	moved.has(t, want)
	stopped(t, served, errLeft)
	back := start(t, inEtcd(t, b), inEtcd(t, a))
	back.has(t, want)
	stopped(t, moved, errLeft)
	// Such as after a move that was begun by mistake.
	mark(t, inEtcd(t, a), copying, random())
	stopped(t, back, errUnfinished)
	start(t, nil, inEtcd(t, a)).refuses(t, errUnfinished)
}

// stopped insists that a replica ends by itself, and is of no use from then on.
func stopped(t *testing.T, r *replica, why store.Incomplete) {
	t.Helper()
	select {
	case err := <-r.ended:
		if !errors.Is(err, why) {
			t.Errorf("Run ends with %v, want %q", err, why)
		}
		r.ended <- err
	case <-time.After(20 * time.Second):
		t.Fatalf("the replica goes on, want %q", why)
	}
	if err := r.CompareAndSwap(t.Context(), store.Grant, store.NewID(0), nil, newValue(time.Hour)); !errors.Is(err, why) {
		t.Errorf("a write comes to %v, want %q", err, why)
	}
}

// Whatever is heard of late is from before: what counts is the store's own word.
func TestAnOldMarkerIsHeardOfLate(t *testing.T) {
	to := inMemory(t, "", 0)
	mark(t, to, done, random())
	e := &echo{Store: to}
	r := start(t, nil, e)
	r.synced(t)
	reads := e.reads.Load()
	e.observe(markerKind, markerID, newMarker(copying, random()))
	eventually(t, func() bool { return e.reads.Load() > reads }, func() string { return "nobody looks at the marker" })
	r.has(t, nil)
	r.end(t)
}

// echo is a store whose observer a test can tell of what it likes.
type echo struct {
	store.Store
	observe store.Observer
	reads   atomic.Int64
}

func (e *echo) Run(ctx context.Context, observe store.Observer) error {
	e.observe = observe
	return e.Store.Run(ctx, observe)
}

func (e *echo) Get(ctx context.Context, kind store.Kind, id store.ID) ([]byte, error) {
	defer e.reads.Add(1)
	return e.Store.Get(ctx, kind, id)
}

// A store is not synced before it is known to be one to serve from.
func TestTheMarkerCannotBeRead(t *testing.T) {
	m := &mute{Store: inMemory(t, "", 0)}
	want := fill(t, m.Store, 3)
	r := start(t, nil, m)
	eventually(t, func() bool { return m.asked.Load() > 3 }, func() string { return "nobody asks again" })
	select {
	case <-r.Synced():
		t.Fatal("the replica is synced, and nobody has seen the marker")
	default:
	}
	m.answers.Store(true)
	r.has(t, want)
}

type mute struct {
	store.Store
	answers atomic.Bool
	asked   atomic.Int64
}

func (m *mute) Get(ctx context.Context, kind store.Kind, id store.ID) ([]byte, error) {
	m.asked.Add(1)
	if !m.answers.Load() {
		return nil, store.ErrUnavailable
	}
	return m.Store.Get(ctx, kind, id)
}

// The new store is read before it is served from, be the move over or not.
func TestTheNewStoreIsLate(t *testing.T) {
	to := inMemory(t, "", 0)
	mark(t, to, done, random())
	want := fill(t, to, 3)
	l := late{to, make(chan struct{})}
	r := start(t, gone{}, l)
	select {
	case <-r.Synced():
		t.Fatal("the replica is synced, and has read nothing")
	case <-time.After(10 * quick.poll):
	}
	close(l.answers)
	r.has(t, want)
}

// At no moment, whatever fails, do two stores look as if they had every record: the
// old one is marked before the new one is.
func TestLeftBeforeDone(t *testing.T) {
	from, to := inMemory(t, "", 0), inMemory(t, "", 0)
	want := fill(t, from, 30)
	var broken atomic.Bool
	broken.Store(true)
	var tries atomic.Int64
	old := meddled{from, func(ctx context.Context, _ key, write func(context.Context) error) error {
		tries.Add(1)
		if broken.Load() {
			return store.ErrUnavailable
		}
		if err := write(ctx); err != nil {
			return err
		}
		return store.ErrUnavailable // The answer is lost.
	}}
	r := start(t, old, meddled{to, func(ctx context.Context, _ key, write func(context.Context) error) error {
		err := write(ctx)
		if markOf(t, to).State == done && markOf(t, from).State != left {
			t.Error("the new store is done, and the old one is not left")
		}
		return err
	}})
	r.refuses(t, "the store that migrateFrom names does not take the note")
	if n := tries.Load(); n < 10 {
		t.Errorf("it was tried %d times", n)
	}
	broken.Store(false)
	r.has(t, want)
	if a, b := markOf(t, from), markOf(t, to); a.State != left || b.State != done || string(a.Move) != string(b.Move) {
		t.Errorf("the stores are marked %+v and %+v", a, b)
	}
}

// Who dies between the two marks is followed by another, which ends the same move.
func TestACopierDiesBeforeTheEnd(t *testing.T) {
	from, to := newPrefix(), newPrefix()
	want := fill(t, inEtcd(t, from), 30)
	source := inEtcd(t, from)
	var first *replica
	ready := make(chan struct{})
	first = start(t, inEtcd(t, from), meddled{inEtcd(t, to), func(ctx context.Context, k key, write func(context.Context) error) error {
		<-ready
		if k == markerKey && markOf(t, source).State == left {
			first.stop()
			return store.ErrUnavailable
		}
		return write(ctx)
	}})
	close(ready)
	must(t, <-first.ended)
	if a, b := markOf(t, source), markOf(t, inEtcd(t, to)); a.State != left || b.State != copying {
		t.Fatalf("the stores are marked %+v and %+v: nothing is tested", a, b)
	}
	// Nobody can tell which of them has every record, so neither is served from.
	start(t, nil, inEtcd(t, from)).refuses(t, errLeft)
	start(t, nil, inEtcd(t, to)).refuses(t, errUnfinished)
	start(t, inEtcd(t, from), inEtcd(t, newPrefix())).refuses(t, errElsewhere)
	start(t, inEtcd(t, from), inEtcd(t, to)).has(t, want)
}

// Two moves from one store to two: one of them is the one.
func TestTwoMovesFromOneStore(t *testing.T) {
	from, a, b := newPrefix(), newPrefix(), newPrefix()
	want := fill(t, inEtcd(t, from), 30)
	asleep, wake := make(chan struct{}), make(chan struct{})
	var once atomic.Bool
	slow := start(t, inEtcd(t, from), meddled{inEtcd(t, a), func(ctx context.Context, k key, write func(context.Context) error) error {
		if k != markerKey && !once.Swap(true) {
			close(asleep)
			<-wake
		}
		return write(ctx)
	}})
	<-asleep
	start(t, inEtcd(t, from), inEtcd(t, b)).has(t, want)
	close(wake)
	slow.refuses(t, errElsewhere)
	if m := markOf(t, inEtcd(t, a)); m.State != copying {
		t.Errorf("the store that was too late is marked %d", m.State)
	}
}

// What somebody writes to the old store during the move, who should not serve from it
// any more, is moved too.
func TestTheOldStoreIsStillWrittenTo(t *testing.T) {
	from, to := newPrefix(), newPrefix()
	want := fill(t, inEtcd(t, from), 60)
	old := start(t, nil, inEtcd(t, from))
	old.synced(t)
	var once atomic.Bool
	r := start(t, meddled{inEtcd(t, from), func(ctx context.Context, _ key, write func(context.Context) error) error {
		if !once.Swap(true) { // All is copied.
			n := 0
			for k, value := range want {
				next := newValue(time.Hour)
				if n++; n%2 == 0 {
					next = nil
				}
				must(t, old.CompareAndSwap(ctx, k.kind, k.id, value, next))
				if want[k] = next; next == nil {
					delete(want, k)
				}
				if n == 10 {
					break
				}
			}
			k, value := key{store.Client, store.NewID(1)}, newValue(time.Hour)
			must(t, old.CompareAndSwap(ctx, k.kind, k.id, nil, value))
			want[k] = value
			time.Sleep(quick.call / 2) // the time in which the copier's watch hears of it
		}
		return write(context.WithoutCancel(ctx))
	}}, inEtcd(t, to))
	r.has(t, want)
	stopped(t, old, errLeft)
}

// Where records have more parts than the new store, they would be nowhere.
func TestTooFewParts(t *testing.T) {
	from := inMemory(t, "", 0)
	id := store.NewID(40)
	must(t, from.CompareAndSwap(t.Context(), store.Grant, id, nil, newValue(time.Hour)))
	start(t, from, parted{inMemory(t, "", 0), 40}).refuses(t, "the records are spread over 41 parts, and the new store has 40: set kubernetes.minShards to at least 41")
	from = inMemory(t, "", 0)
	want := fill(t, from, 20)
	start(t, from, parted{inMemory(t, "", 0), 16}).has(t, want)
}

type parted struct {
	store.Store
	parts int
}

func (p parted) Counts(store.Kind) (parts int, filling bool) { return p.parts, false }

// What keeps failing is told.
func TestWhatAMoveWaitsFor(t *testing.T) {
	t.Run("the old store", func(t *testing.T) {
		l := late{inMemory(t, "", 0), make(chan struct{})}
		want := fill(t, l.Store, 3)
		r := start(t, l, inMemory(t, "", 0))
		r.refuses(t, errSilent)
		close(l.answers)
		r.has(t, want)
	})
	t.Run("the new store", func(t *testing.T) {
		from := inMemory(t, "", 0)
		want := fill(t, from, 3)
		var takes atomic.Bool
		r := start(t, from, meddled{inMemory(t, "", 0), func(ctx context.Context, k key, write func(context.Context) error) error {
			if k != markerKey && !takes.Load() {
				return fmt.Errorf("%w: object absent", store.ErrUnavailable)
			}
			return write(ctx)
		}})
		r.refuses(t, "the new store does not take a record: the store is unavailable: object absent")
		takes.Store(true)
		r.has(t, want)
	})
}

// A replica whose old store cannot be reached is served by another that reaches it.
func TestOneReplicaDoesNotReachTheOldStore(t *testing.T) {
	from, to := newPrefix(), newPrefix()
	want := fill(t, inEtcd(t, from), 3)
	l := late{inEtcd(t, from), make(chan struct{})}
	cut := start(t, l, inEtcd(t, to))
	start(t, inEtcd(t, from), inEtcd(t, to)).has(t, want)
	cut.synced(t)
	if strings.Contains(cut.log.String(), moving) {
		t.Error("it has copied")
	}
}

// The page says where the marker is, for whoever has lost the new store.
func TestThePageNamesTheMarker(t *testing.T) {
	page, err := os.ReadFile("../../../../docs/stores.md")
	must(t, err)
	for _, name := range []string{"/data/" + markerID.String() + `"`, "/" + markerKind.String() + "/" + markerID.String() + "`"} {
		if !strings.Contains(string(page), name) {
			t.Errorf("docs/stores.md does not say %s", name)
		}
	}
}
