//go:build integration

package etcd

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vestibule.dev/vestibule/gateway/internal/store"
	"vestibule.dev/vestibule/gateway/internal/store/conformance"
)

// A watch that brings nothing makes the copy old, which Heard tells. Our own writes
// are ahead of it; what it brings then is older.
func TestAPausedWatch(t *testing.T) {
	prefix := newPrefix()
	l, o := &link{}, &conformance.Told{}
	s, other := open(t, options(prefix, l)), open(t, options(prefix, nil))
	conformance.Start(t, s, o.Observe)
	changed, first := conformance.CreateRecord(t, s)
	deleted, last := conformance.CreateRecord(t, s)

	l.pauseWatch()
	theirs, value := conformance.CreateRecord(t, other)
	var heard time.Time
	conformance.Eventually(t, "the watch is silent", func() bool {
		before := heard
		heard = s.Heard(store.Grant, changed)
		time.Sleep(3 * s.beatEvery)
		return heard.Equal(before)
	})
	// Ours are on top of what the watch has not told yet.
	between, second, created := conformance.NewValue("between"), conformance.NewValue("second"), store.NewID(0)
	must(t, other.CompareAndSwap(t.Context(), store.Grant, changed, first, between))
	must(t, other.CompareAndSwap(t.Context(), store.Grant, deleted, last, between))
	must(t, s.CompareAndSwap(t.Context(), store.Grant, changed, between, second))
	must(t, s.CompareAndSwap(t.Context(), store.Grant, deleted, between, nil))
	must(t, s.CompareAndSwap(t.Context(), store.Grant, created, nil, second))
	if o.Knows(theirs, value) || !s.Heard(store.Grant, changed).Equal(heard) {
		t.Fatal("the watch is not paused")
	}
	if !o.Knows(changed, second) || !o.Knows(deleted, nil) || !o.Knows(created, second) {
		t.Error("the observer does not know our own writes")
	}

	l.resumeWatch()
	conformance.Eventually(t, "Heard advances", func() bool { return s.Heard(store.Grant, changed).After(heard) })
	for name, tc := range map[string]struct {
		id   store.ID
		want [][]byte
	}{
		"changed": {changed, [][]byte{first, second}},
		"deleted": {deleted, [][]byte{last, nil}},
		"created": {created, [][]byte{second}},
		"other's": {theirs, [][]byte{value}},
	} {
		if diff := cmp.Diff(tc.want, o.History(tc.id)); diff != "" {
			t.Errorf("the observer of the %s record was told: %s", name, diff)
		}
	}
	// What is gone is remembered until the watch has told of it, too.
	conformance.Eventually(t, "the copy remembers three records, and none that is gone", func() bool {
		s.copy.mu.Lock()
		defer s.copy.mu.Unlock()
		return len(s.copy.gone) == 0 && len(s.copy.records) == 3
	})
}

// An answer may come after the watch has told more.
func TestALateAnswer(t *testing.T) {
	prefix := newPrefix()
	l, o := &link{}, &conformance.Told{}
	s, other := open(t, options(prefix, l)), open(t, options(prefix, nil))
	conformance.Start(t, s, o.Observe)
	id, value := store.NewID(0), conformance.NewValue("created")
	l.onTxn(once(func(ctx context.Context, send func(context.Context) error) error {
		err := send(ctx)
		must(t, other.CompareAndSwap(ctx, store.Grant, id, value, nil))
		conformance.Eventually(t, "the observer knows that the record is gone", func() bool { return o.Knows(id, nil) })
		return err
	}))
	must(t, s.CompareAndSwap(t.Context(), store.Grant, id, nil, value))
	if diff := cmp.Diff([][]byte{value, nil}, o.History(id)); diff != "" {
		t.Errorf("the observer was told: %s", diff)
	}
}

// What was compacted before the watch could tell it is in the list.
func TestACompactionUnderTheWatch(t *testing.T) {
	prefix := newPrefix()
	l, o := &link{}, &conformance.Told{}
	s, other := open(t, options(prefix, l)), open(t, options(prefix, nil))
	conformance.Start(t, s, o.Observe)
	changed, first := conformance.CreateRecord(t, s)
	deleted, last := conformance.CreateRecord(t, s)
	conformance.Eventually(t, "the watch has told of them", func() bool { return s.Heard(store.Grant, changed).After(time.Now().Add(-s.beatEvery)) })

	l.pauseWatch()
	next := conformance.NewValue("next")
	must(t, other.CompareAndSwap(t.Context(), store.Grant, changed, first, next))
	must(t, other.CompareAndSwap(t.Context(), store.Grant, deleted, last, nil))
	created, value := conformance.CreateRecord(t, other)
	c := admin(t, shared.Endpoints()...)
	now, err := c.Get(t.Context(), prefix)
	must(t, err)
	_, err = c.Compact(t.Context(), now.Header.Revision)
	must(t, err)
	before := l.watches.Load()
	l.cutWatch()
	conformance.Eventually(t, "the observer knows what was compacted", func() bool {
		return o.Knows(changed, next) && o.Knows(deleted, nil) && o.Knows(created, value)
	})
	conformance.Eventually(t, "a watch begins that is too late, and one after the list", func() bool { return l.watches.Load()-before == 2 })
}

// A member of an older version says that its watch is further than it is. What comes
// then is not left out.
func TestAHastyWatch(t *testing.T) {
	prefix := newPrefix()
	l, o := &link{}, &conformance.Told{}
	s, other := open(t, options(prefix, l)), open(t, options(prefix, nil))
	conformance.Start(t, s, o.Observe)
	l.hasty.Store(1000)
	known, value := conformance.CreateRecord(t, other)
	conformance.Eventually(t, "the watch is ahead of the cluster", func() bool {
		s.copy.mu.Lock()
		defer s.copy.mu.Unlock()
		return o.Knows(known, value) && s.copy.watched > s.copy.revision+500
	})
	next := conformance.NewValue("next")
	must(t, other.CompareAndSwap(t.Context(), store.Grant, known, value, next))
	id, first := conformance.CreateRecord(t, other)
	conformance.Eventually(t, "the observer knows what came late", func() bool { return o.Knows(known, next) && o.Knows(id, first) })
}

// A list that was overtaken by a restored backup is not all that there is.
func TestAListOfAnotherEpoch(t *testing.T) {
	r := newReplica()
	epoch := r.follow(func() {})
	r.restart()
	if r.listed(epoch, nil, 7, true) || r.watched != 0 {
		t.Error("the list of another epoch is taken in")
	}
}

// A watch can die without a word.
func TestASilentWatchIsReplaced(t *testing.T) {
	prefix := newPrefix()
	l, o := &link{}, &conformance.Told{}
	s, other := open(t, options(prefix, l)), open(t, options(prefix, nil))
	s.silence = 500 * time.Millisecond
	conformance.Start(t, s, o.Observe)
	l.pauseWatch()
	id, value := conformance.CreateRecord(t, other)
	conformance.Eventually(t, "the observer knows the record", func() bool { return o.Knows(id, value) })
}

// Records come in pages, and other keys below the prefix are left alone.
func TestManyRecordsAndStrangeKeys(t *testing.T) {
	prefix := newPrefix()
	c := admin(t, shared.Endpoints()...)
	strange := []string{"/", "/grant/", "/grant/short", "/later/" + store.NewID(0).String(), "/unknown/" + store.NewID(0).String()}
	for _, name := range strange {
		_, err := c.Put(t.Context(), prefix+name, string(store.AppendHeader(nil, time.Unix(0, 0))))
		must(t, err)
	}
	_, err := c.Put(t.Context(), prefix+"-of-another/grant/"+store.NewID(0).String(), "x")
	must(t, err)

	writer := open(t, options(prefix, nil))
	ids := make([]store.ID, 2*pageSize+1)
	errs := make([]error, len(ids))
	var all sync.WaitGroup
	limit := make(chan struct{}, 64)
	for i := range ids {
		ids[i] = store.NewID(uint16(i % parts))
		all.Go(func() {
			limit <- struct{}{}
			defer func() { <-limit }()
			errs[i] = writer.CompareAndSwap(t.Context(), store.Kinds[i%2], ids[i], nil, conformance.NewValue("many"))
		})
	}
	all.Wait()
	for _, err := range errs {
		must(t, err)
	}
	o := &conformance.Told{}
	s := open(t, options(prefix, nil))
	conformance.Start(t, s, o.Observe)
	conformance.CreateRecord(t, writer) // The next list is of another revision.
	_, err = s.list(t.Context(), s.copy.now().epoch, func() {})
	must(t, err)
	for _, id := range ids {
		if n := len(o.History(id)); n != 1 {
			t.Fatalf("the store is synced, was listed again, and the observer was told %d times of a record", n)
		}
	}
	if o.Records() != len(ids)+1 {
		t.Errorf("the observer was told of %d records, want %d", o.Records(), len(ids)+1)
	}

	id, err := s.NewID(store.Grant)
	must(t, err)
	expired := append(store.AppendHeader(nil, time.Now().Add(-time.Hour)), "expired"...)
	must(t, s.CompareAndSwap(t.Context(), store.Grant, id, nil, expired))
	conformance.Eventually(t, "an expired record is swept", func() bool { return o.Knows(id, nil) })
	for _, name := range strange {
		if got, err := c.Get(t.Context(), prefix+name); err != nil || len(got.Kvs) != 1 {
			t.Errorf("another's key %s is gone, %v", name, err)
		}
	}
}

// A copy that is behind would sweep what another replica has renewed.
func TestASweepThatIsBehind(t *testing.T) {
	prefix := newPrefix()
	l, o := &link{}, options(prefix, nil)
	o.DialOptions = l.options()
	var mu sync.Mutex
	ahead := time.Duration(0)
	o.Now = func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return time.Now().Add(ahead)
	}
	s, other := open(t, o), open(t, options(prefix, nil))
	conformance.Start(t, s, conformance.Ignore)
	id, value := conformance.CreateRecord(t, s)
	gone, _ := conformance.CreateRecord(t, s)
	l.pauseWatch()
	renewed := append(store.AppendHeader(nil, time.Now().Add(24*time.Hour)), "renewed"...)
	must(t, other.CompareAndSwap(t.Context(), store.Grant, id, value, renewed))
	mu.Lock()
	ahead = 2 * time.Hour
	mu.Unlock()
	conformance.Eventually(t, "what has expired is swept", func() bool {
		_, err := other.Get(t.Context(), store.Grant, gone)
		return err != nil
	})
	if got, err := other.Get(t.Context(), store.Grant, id); !same(got, renewed) {
		t.Errorf("the renewed record is %q, %v, want %q", got, err, renewed)
	}
}
