package clients

import (
	"errors"
	"sync"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/internal/store"
)

// newFullWorld is a world with room for eight clients, which it has: the first
// is used, and the others are older than the half hour that they are safe.
func newFullWorld(t *testing.T) (*world, []*Client) {
	w := newWorld(t)
	w.a.room.limit, w.b.room.limit = 8, 8
	var all []*Client
	for range 8 {
		c, _ := w.a.register(MethodNone)
		all = append(all, c)
		w.clock.Advance(time.Second)
	}
	w.a.touch(all[0])
	w.clock.Advance(keepUnused)
	return w, all
}

func (w *world) wantHeld(want int) {
	w.t.Helper()
	if got := len(w.store.Snapshot()); got != want {
		w.t.Errorf("%d clients are kept, want %d", got, want)
	}
}

func TestTheOldestUnusedClientMakesRoom(t *testing.T) {
	w, all := newFullWorld(t)
	fresh, _ := w.b.register(MethodNone)
	w.wantHeld(8)
	if !w.a.exists(all[0]) || w.a.exists(all[1]) || !w.a.exists(all[2]) || !w.a.exists(fresh) {
		t.Error("it was not the oldest of the unused that went")
	}
}

func TestBelowTheLimitNobodyGoes(t *testing.T) {
	w, all := newFullWorld(t)
	w.a.room.limit = 9
	w.a.register(MethodNone)
	w.wantHeld(9)
	if !w.a.exists(all[1]) {
		t.Error("a client went though there was room")
	}
}

// Its user may be at the login just now.
func TestAYoungClientIsNeverForgotten(t *testing.T) {
	w := newWorld(t)
	w.a.room.limit = 1
	first, _ := w.a.register(MethodNone)
	w.clock.Advance(keepUnused - time.Second)
	w.refusedEverywhere()
	w.clock.Advance(time.Second)
	w.a.register(MethodNone)
	if w.b.exists(first) {
		t.Error("the old client is still there")
	}
}

func (w *world) refusedEverywhere() {
	w.t.Helper()
	w.b.room.limit = w.a.room.limit
	for _, r := range []*replica{w.a, w.b} {
		before := len(w.store.Snapshot())
		if _, _, err := r.Register(w.t.Context(), Client{Method: MethodNone}); !errors.Is(err, ErrTooMany) {
			w.t.Errorf("registering: %v", err)
		}
		w.wantHeld(before)
		if r.room.arriving != 0 || len(r.room.leaving) != 0 {
			w.t.Error("a refused client still takes room")
		}
	}
}

func TestAUsedClientIsNeverForgotten(t *testing.T) {
	w, all := newFullWorld(t)
	for _, c := range all {
		w.a.touch(c)
	}
	w.refusedEverywhere()
}

func TestAClientThatTheCopyThinksUnusedIsNotForgotten(t *testing.T) {
	w, all := newFullWorld(t)
	w.b.view.Pause()
	w.a.touch(all[1])
	w.b.register(MethodNone)
	if !w.a.exists(all[1]) || w.a.exists(all[2]) {
		t.Error("the next oldest should have gone in its place")
	}
	w.wantHeld(8)
}

func TestAClientUsedAtTheLastMomentStays(t *testing.T) {
	w, all := newFullWorld(t)
	done := false
	w.b.view.Before(func(op string) {
		if op == "swap" && !done {
			done = true
			w.a.touch(all[1])
		}
	})
	w.b.register(MethodNone)
	if !w.a.exists(all[1]) {
		t.Error("a used client was forgotten")
	}
	w.wantHeld(8)
}

func TestManyRegistrationsAtOnceFindNoMoreRoomThanThereIs(t *testing.T) {
	w, all := newFullWorld(t)
	registered, refused := make(chan *Client, 20), make(chan error, 20)
	var group sync.WaitGroup
	for range cap(registered) {
		group.Go(func() {
			if c, _, err := w.a.Register(t.Context(), Client{Method: MethodNone}); err != nil {
				refused <- err
			} else {
				registered <- c
			}
		})
	}
	group.Wait()
	close(refused)
	for err := range refused {
		if !errors.Is(err, ErrTooMany) {
			t.Errorf("registering: %v", err)
		}
	}
	// A replica counts its own exactly. The other's it counts as it hears of them,
	// so two can be over by what is on its way.
	if got := len(registered); got != 7 {
		t.Errorf("%d clients found room where there was room for seven", got)
	}
	if !w.a.exists(all[0]) {
		t.Error("the used client was forgotten")
	}
	w.clock.Advance(keepUnused)
	w.a.register(MethodNone)
	w.b.register(MethodNone)
}

// meanwhile has another client registered on r just before the next write of r.
func (r *replica) meanwhile() {
	done := false
	r.view.Before(func(op string) {
		if op == "swap" && !done {
			done = true
			r.register(MethodNone)
		}
	})
}

func TestAClientOnItsWayInTakesRoom(t *testing.T) {
	w, _ := newFullWorld(t)
	w.a.room.limit = 9
	w.a.meanwhile()
	w.a.register(MethodNone)
	w.wantHeld(9)
}

func TestNoTwoForgetTheSameClient(t *testing.T) {
	w, all := newFullWorld(t)
	w.a.view.Counts()
	w.a.meanwhile()
	w.a.register(MethodNone)
	w.wantHeld(8)
	if gets, _ := w.a.view.Counts(); gets != 2 || w.b.exists(all[1]) || w.b.exists(all[2]) {
		t.Errorf("to forget two clients took %d reads", gets)
	}
}

func TestManyOnOneReplicaAreCountedExactly(t *testing.T) {
	w, _ := newFullWorld(t)
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() { _, _, _ = w.a.Register(t.Context(), Client{Method: MethodNone}) })
	}
	group.Wait()
	if got := len(w.store.Snapshot()); got > 8 {
		t.Errorf("%d clients are kept", got)
	}
}

func TestWithoutTheStoreNobodyIsForgotten(t *testing.T) {
	w, _ := newFullWorld(t)
	w.a.view.Fail(true)
	if _, _, err := w.a.Register(t.Context(), Client{Method: MethodNone}); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("registering: %v", err)
	}
	w.a.view.Fail(false)
	w.wantHeld(8)
	w.a.register(MethodNone)
	w.wantHeld(8)
}
