package records

import (
	"errors"
	"strings"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/store"
)

// rekeyed hands a replica the keys as they are now.
func (w *world) rekeyed(d *desk) {
	w.t.Helper()
	if err := d.ring.Replace(w.set); err != nil {
		w.t.Fatal(err)
	}
	d.Rekey()
}

func (w *world) newKey() {
	w.t.Helper()
	if err := w.set.Append(w.clock.Now()); err != nil {
		w.t.Fatal(err)
	}
}

// dropAll drops the keys that there are.
func (w *world) dropAll() {
	w.t.Helper()
	w.clock.Advance(time.Second)
	if _, err := w.set.Drop(w.clock.Now(), w.clock.Now()); err != nil {
		w.t.Fatal(err)
	}
}

// outcomes are what a replica says of a record in all ways to ask.
func (w *world) outcomes(d *desk, id store.ID) map[string]error {
	return map[string]error{
		"Get":    second(d.Get(w.t.Context(), id)),
		"Read":   second(d.Read(w.t.Context(), id)),
		"Update": d.Update(w.t.Context(), id, increment),
	}
}

func TestARecordWhoseKeyIsOnItsWayIsUnavailable(t *testing.T) {
	w := newWorld(t)
	id := w.write("a")
	w.newKey()
	w.rekeyed(w.there)
	w.update(w.there, id, increment)
	for what, err := range w.outcomes(w.here, id) {
		if !errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s before the key has come: %v", what, err)
		}
	}
	if sealed, all := w.here.Unreadable(); sealed != 0 || all != 1 {
		t.Errorf("%d of %d records do not open", sealed, all)
	}
	if w.log.Len() > 0 {
		t.Errorf("the log: %s", w.log.String())
	}
	w.here.Sweep(t.Context())
	w.wantCount(w.there, id, 1)

	w.rekeyed(w.here)
	w.here.view.Counts()
	w.wantCount(w.here, id, 1)
	if gets, _ := w.here.view.Counts(); gets != 0 || len(w.here.ByIndex("a")) != 1 {
		t.Errorf("with the key, the copy does not have it: %d reads", gets)
	}
	w.update(w.here, id, increment)
	w.wantCount(w.there, id, 2)
}

func TestARecordWhoseKeyWasDroppedHasEnded(t *testing.T) {
	w := newWorld(t)
	id := w.write("a")
	w.dropAll()
	fresh := w.desk() // one that starts with these keys
	w.rekeyed(w.here)
	for name, d := range map[string]*desk{"that had it open": w.here, "that starts": fresh} {
		for what, err := range w.outcomes(d, id) {
			if !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s by a replica %s: %v", what, name, err)
			}
		}
		if n, _ := d.Peek(id); n != nil || d.CountIndex("a") != 0 {
			t.Errorf("a replica %s has it in its copy", name)
		}
		if sealed, all := d.Unreadable(); sealed != 0 || all != 0 {
			t.Errorf("by a replica %s, %d of %d records do not open", name, sealed, all)
		}
	}
	if w.log.Len() > 0 {
		t.Errorf("the log: %s", w.log.String())
	}
	w.wantCount(w.there, id, 0) // that has not heard of it
}

// A copy that is behind says nothing of what the store has: the record may have been
// sealed anew.
func TestACopyUnderADroppedKeyDecidesNothing(t *testing.T) {
	w := newWorld(t)
	id := w.write("a")
	w.here.view.Pause()
	w.clock.Advance(time.Second)
	made := w.clock.Now()
	w.clock.Advance(config.KeyPropagation)
	w.newKey()
	w.rekeyed(w.there)
	w.update(w.there, id, increment) // sealed with the second key
	if n, err := w.set.Drop(made, w.clock.Now()); err != nil || n != 1 {
		t.Fatalf("%d keys dropped, %v", n, err)
	}
	if err := w.here.ring.Replace(w.set); err != nil { // and not yet Rekey
		t.Fatal(err)
	}
	w.update(w.here, id, increment)
	w.wantCount(w.here, id, 2)
}

func TestRecordsWhoseKeyWasDroppedAreSwept(t *testing.T) {
	w := newWorld(t)
	const records = maxSweep + 10
	for range records {
		w.write("a")
	}
	w.dropAll()
	w.rekeyed(w.here)
	w.rekeyed(w.there)
	kept := w.write("kept")
	for _, left := range []int{records - maxSweep, 0, 0} {
		w.here.Sweep(t.Context())
		if n := len(w.store.Snapshot()); n != left+1 {
			t.Errorf("%d records are left, want %d", n, left+1)
		}
	}
	w.there.Sweep(t.Context())
	w.wantCount(w.there, kept, 0)
	if w.log.Len() > 0 {
		t.Errorf("the log: %s", w.log.String())
	}
}

func TestASweepGoesOnWhenTheStoreDoesNotAnswer(t *testing.T) {
	w := newWorld(t)
	id := w.write("a")
	w.dropAll()
	w.rekeyed(w.here)
	w.here.view.Fail(true)
	w.here.Sweep(t.Context())
	if line := w.log.String(); !strings.Contains(line, id.String()) {
		t.Errorf("the log: %s", line)
	}
	w.here.view.Fail(false)
	w.here.Sweep(t.Context())
	if n := len(w.store.Snapshot()); n != 0 {
		t.Errorf("%d records are left", n)
	}
}
