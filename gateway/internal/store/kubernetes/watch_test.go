//go:build integration

package kubernetes

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vestibule.dev/vestibule/gateway/internal/store"
	"vestibule.dev/vestibule/gateway/internal/store/conformance"
)

// A watch that brings nothing makes the copy old, which Heard tells, and nothing
// that is asked of the store itself wrong.
func TestAPausedWatch(t *testing.T) {
	c := newCluster(t, "Secret")
	l, o := &link{}, &conformance.Told{}
	s, other := c.open(t, l), c.open(t, nil)
	conformance.Start(t, s, o.Observe)
	id, value := conformance.CreateRecord(t, s)
	conformance.Eventually(t, "the watch brings our own write", func() bool { return s.versionSeen() > 0 })

	l.pauseWatch()
	// One event may have been on its way.
	conformance.Eventually(t, "the watch is silent", func() bool {
		heard := s.Heard(store.Grant, id)
		next := conformance.NewValue("by another")
		if err := other.CompareAndSwap(t.Context(), store.Grant, id, value, next); err != nil {
			t.Fatal(err)
		}
		value = next
		if got, err := s.Get(t.Context(), store.Grant, id); err != nil || !bytes.Equal(got, value) {
			t.Fatalf("the record is %q, %v, want %q", got, err, value)
		}
		return s.Heard(store.Grant, id).Equal(heard)
	})
	heard := s.Heard(store.Grant, id)
	next := conformance.NewValue("by us")
	if err := s.CompareAndSwap(t.Context(), store.Grant, id, value, next); err != nil {
		t.Fatal(err)
	}
	if !o.Knows(id, next) {
		t.Error("the observer does not know our own write")
	}
	if now := s.Heard(store.Grant, id); !now.Equal(heard) {
		t.Errorf("the watch is paused, and Heard went from %v to %v", heard, now)
	}

	l.resumeWatch()
	conformance.Eventually(t, "Heard advances", func() bool { return s.Heard(store.Grant, id).After(heard) })
}

// Our own writes are ahead of the watch. What it brings then is older.
func TestAWatchThatIsBehindOurWrites(t *testing.T) {
	c := newCluster(t, "Secret")
	l, o := &link{}, &conformance.Told{}
	s, other := c.open(t, l), c.open(t, nil)
	conformance.Start(t, s, o.Observe)
	changed, first := conformance.CreateRecord(t, s)
	deleted, last := conformance.CreateRecord(t, s)

	l.pauseWatch()
	theirs, value := conformance.CreateRecord(t, other) // An event without our next writes.
	second := conformance.NewValue("second")
	created := store.NewID(0)
	for _, w := range []struct {
		id       store.ID
		old, new []byte
	}{{changed, first, second}, {deleted, last, nil}, {created, nil, second}} {
		if err := s.CompareAndSwap(t.Context(), store.Grant, w.id, w.old, w.new); err != nil {
			t.Fatal(err)
		}
	}
	if o.Knows(theirs, value) {
		t.Fatal("the watch is not behind")
	}
	l.resumeWatch()
	marker, value := conformance.CreateRecord(t, other)
	conformance.Eventually(t, "the watch has caught up", func() bool { return o.Knows(marker, value) })
	for name, tc := range map[string]struct {
		id   store.ID
		want [][]byte
	}{
		"changed": {changed, [][]byte{first, second}},
		"deleted": {deleted, [][]byte{last, nil}},
		"created": {created, [][]byte{second}},
	} {
		if diff := cmp.Diff(tc.want, o.History(tc.id)); diff != "" {
			t.Errorf("the observer of the %s record was told: %s", name, diff)
		}
	}
}

func (s *Store) versionSeen() uint64 {
	sh := s.shards[store.Grant][0]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.version
}

// An API server without etcd keeps its watches open. What they say then shows nothing.
func TestAWatchOfAnAPIServerWithoutEtcd(t *testing.T) {
	c := newCluster(t, "Secret")
	l, o := &link{}, &conformance.Told{}
	s, other := openWith(t, c.confirming(l)), c.open(t, nil)
	conformance.Start(t, s, o.Observe)
	id, value := conformance.CreateRecord(t, s)
	conformance.Eventually(t, "the store is heard of", func() bool { return !s.Heard(store.Grant, id).IsZero() })

	l.onGet(answers(http.StatusInternalServerError, metav1.StatusReasonInternalError))
	cut := time.Now() // A read that began before may still succeed.
	next := conformance.NewValue("by another")
	if err := other.CompareAndSwap(t.Context(), store.Grant, id, value, next); err != nil {
		t.Fatal(err)
	}
	conformance.Eventually(t, "the watch brings the change", func() bool { return s.shard(store.Grant, id.Part()).lastHeard().After(cut) })
	if heard := s.Heard(store.Grant, id); heard.After(cut) {
		t.Errorf("reads fail since %v, and Heard says %v", cut, heard)
	}
	l.onGet(nil)
	conformance.Eventually(t, "Heard advances", func() bool { return s.Heard(store.Grant, id).After(cut) })
}

// A connection can die without a word.
func TestASilentWatchIsReplaced(t *testing.T) {
	c := newCluster(t, "Secret")
	l, o := &link{}, &conformance.Told{}
	s, other := c.open(t, l), c.open(t, nil)
	for _, shards := range s.shards {
		for _, sh := range shards {
			sh.silence = 200 * time.Millisecond
		}
	}
	conformance.Start(t, s, o.Observe)
	l.pauseWatch()
	id, value := conformance.CreateRecord(t, other)
	before := l.watches.Load()
	conformance.Eventually(t, "each shard is watched anew", func() bool { return l.watches.Load() >= before+2*shards })
	l.resumeWatch()
	conformance.Eventually(t, "the observer knows the record", func() bool { return o.Knows(id, value) })
}

// Many shards whose watches fail must not be a storm of them.
func TestAFailingWatchBacksOff(t *testing.T) {
	c, stranger := newCluster(t, "Secret"), newCluster(t, "Secret")
	for name, tc := range map[string]struct {
		account cluster
		silence time.Duration
	}{
		"refused":     {stranger, watchSilence},
		"short-lived": {c, 20 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			l := &link{}
			options := c.options(l)
			options.REST = tc.account.account
			s := openWith(t, options)
			for _, shards := range s.shards {
				for _, sh := range shards {
					sh.silence = tc.silence
				}
			}
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			began := time.Now()
			go func() { ended <- s.Run(ctx, conformance.Ignore) }()
			// Then one shard at least is at its fifth watch.
			conformance.Eventually(t, "watches are tried again", func() bool { return l.watches.Load() > 4*2*shards })
			if took, least := time.Since(began), (100+200+400+800)*2/3*time.Millisecond; took < least {
				t.Errorf("four watches failed within %v, want no less than %v", took, least)
			}
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}

// That somebody deletes a shard signs nobody out by itself.
func TestADeletedShard(t *testing.T) {
	c := newCluster(t, "Secret")
	l, o := &link{}, &conformance.Told{}
	s := c.open(t, l)
	conformance.Start(t, s, o.Observe)
	id, value := conformance.CreateRecord(t, s)

	object := c.object(c.shard(store.Grant, 0))
	if err := admin.Delete(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	conformance.Eventually(t, "the shard is gone", func() bool {
		_, err := s.Get(t.Context(), store.Grant, id)
		if errors.Is(err, store.ErrNotFound) {
			t.Fatal("the record of a deleted shard is said not to exist")
		}
		return errors.Is(err, store.ErrUnavailable)
	})
	for name, err := range map[string]error{
		"creating": s.CompareAndSwap(t.Context(), store.Grant, store.NewID(0), nil, conformance.NewValue("new")),
		"changing": s.CompareAndSwap(t.Context(), store.Grant, id, value, conformance.NewValue("changed")),
		"deleting": s.CompareAndSwap(t.Context(), store.Grant, id, value, nil),
	} {
		if !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s in a deleted shard: %v, want that the store is unavailable", name, err)
		}
	}
	if !o.Knows(id, value) {
		t.Error("the observer was told that the record is gone")
	}
	if _, err := s.NewID(store.Client); err != nil {
		t.Errorf("the other shards: %v", err)
	}

	c.createShard(t, c.shard(store.Grant, 0))
	conformance.Eventually(t, "the new shard takes records", func() bool {
		return s.CompareAndSwap(t.Context(), store.Grant, store.NewID(0), nil, conformance.NewValue("new")) == nil
	})
	conformance.Eventually(t, "the observer knows what the new shard has", func() bool { return o.Knows(id, nil) })
}

func TestAnUnknownShard(t *testing.T) {
	c := newCluster(t, "ConfigMap")
	s := c.open(t, nil)
	conformance.Start(t, s, conformance.Ignore)
	id := store.NewID(shards)
	if _, err := s.Get(t.Context(), store.Grant, id); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Get: %v, want that the store is unavailable", err)
	}
	if err := s.CompareAndSwap(t.Context(), store.Grant, id, nil, conformance.NewValue("new")); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("CompareAndSwap: %v, want that the store is unavailable", err)
	}
	if heard := s.Heard(store.Grant, id); !heard.IsZero() {
		t.Errorf("Heard: %v, want never", heard)
	}
}

// A copy that is behind would sweep what another replica has renewed.
func TestASweepThatIsBehind(t *testing.T) {
	c := newCluster(t, "Secret")
	l := &link{}
	// By its clock, the record has expired as soon as its time is moved on.
	var mu sync.Mutex
	ahead := time.Duration(0)
	options := c.options(l)
	options.Now = func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return time.Now().Add(ahead)
	}
	options.SweepEvery = time.Hour // Only along with writes.
	s, other := openWith(t, options), c.open(t, nil)
	conformance.Start(t, s, conformance.Ignore)
	id, value := conformance.CreateRecord(t, s)

	l.pauseWatch()
	renewed := store.AppendHeader(nil, time.Now().Add(24*time.Hour))
	renewed = append(renewed, "renewed"...)
	if err := other.CompareAndSwap(t.Context(), store.Grant, id, value, renewed); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	ahead = 2 * time.Hour
	mu.Unlock()
	before := l.patches.Load()
	longer := append(store.AppendHeader(nil, time.Now().Add(24*time.Hour)), "longer"...)
	if err := s.CompareAndSwap(t.Context(), store.Grant, store.NewID(0), nil, longer); err != nil {
		t.Errorf("the write along with a sweep: %v", err)
	}
	if n := l.patches.Load() - before; n != 2 {
		t.Errorf("%d patches, want one with the sweep and one without", n)
	}
	if got, err := s.Get(t.Context(), store.Grant, id); err != nil || !bytes.Equal(got, renewed) {
		t.Errorf("the renewed record is %q, %v, want %q", got, err, renewed)
	}
}
