package records

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/keys"
	"vestibule.dev/vestibule/gateway/internal/records/recordstest"
	"vestibule.dev/vestibule/gateway/internal/store"
)

// note is a record as simple as can be.
type note struct {
	Text    string `cbor:"1,keyasint"`
	Count   int    `cbor:"2,keyasint"`
	Expires int64  `cbor:"3,keyasint"`
}

// world is one table over a store, whose watch can be stopped, and another
// replica that writes behind its back.
type world struct {
	t     *testing.T
	clock *recordstest.Clock
	store *recordstest.Store
	set   *config.KeySet
	here  *desk
	there *desk
	log   bytes.Buffer
}

// desk is one replica.
type desk struct {
	*Table[note]
	view *recordstest.Replica
	ring *keys.Ring
}

func newWorld(t *testing.T) *world {
	clock := recordstest.NewClock()
	w := &world{t: t, clock: clock, store: recordstest.New(clock), set: config.NewKeySet(clock.Now())}
	w.here, w.there = w.desk(), w.desk()
	return w
}

func (w *world) desk(with ...func(*Options[note])) *desk {
	w.t.Helper()
	ring, err := keys.NewRing(w.set)
	if err != nil {
		w.t.Fatal(err)
	}
	d := &desk{view: w.store.Replica(), ring: ring}
	opts := Options[note]{
		Kind: store.Grant, Store: d.view, Ring: ring, ServerUID: "uid", FreshFor: 90 * time.Second, Now: w.clock.Now,
		Log:     slog.New(slog.NewTextHandler(&w.log, nil)),
		Expires: func(n *note) time.Time { return time.Unix(n.Expires, 0) },
		Index:   func(n *note) string { return n.Text },
	}
	for _, change := range with {
		change(&opts)
	}
	d.Table = New(opts)
	d.view.Attach(func(_ store.Kind, id store.ID, value []byte) { d.Observe(id, value) })
	return d
}

func (w *world) write(text string) store.ID {
	w.t.Helper()
	id, err := w.here.NewID()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.here.Create(w.t.Context(), id, &note{Text: text, Expires: w.clock.Now().Add(time.Hour).Unix()}); err != nil {
		w.t.Fatal(err)
	}
	return id
}

func increment(n *note) (Verdict, error) {
	n.Count++
	return Write, nil
}

func (w *world) update(d *desk, id store.ID, change func(*note) (Verdict, error)) {
	w.t.Helper()
	if err := d.Update(w.t.Context(), id, change); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) wantCount(d *desk, id store.ID, want int) {
	w.t.Helper()
	if n, err := d.Read(w.t.Context(), id); err != nil || n.Count != want {
		w.t.Errorf("read %+v, %v; want the count %d", n, err, want)
	}
}

func TestReadsComeFromTheCopyWhileItIsFresh(t *testing.T) {
	w := newWorld(t)
	id := w.write("a")
	w.there.view.Pause()
	w.update(w.here, id, increment)
	w.there.view.Counts()
	w.wantCount(w.there, id, 0)
	if gets, _ := w.there.view.Counts(); gets != 0 {
		t.Errorf("a fresh copy cost %d reads", gets)
	}
	w.clock.Advance(90 * time.Second)
	w.wantCount(w.there, id, 1)
	if gets, _ := w.there.view.Counts(); gets != 1 {
		t.Errorf("a stale copy cost %d reads", gets)
	}
}

func TestWhatTheCopyLacksIsRead(t *testing.T) {
	w := newWorld(t)
	w.there.view.Pause()
	id := w.write("a")
	w.wantCount(w.there, id, 0)
	if _, err := w.there.Read(t.Context(), store.NewID(0)); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an unknown record: %v", err)
	}
	w.there.view.Fail(true)
	if _, err := w.there.Read(t.Context(), id); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("without the store: %v", err)
	}
}

func TestAnExpiredRecordIsGone(t *testing.T) {
	w := newWorld(t)
	id := w.write("a")
	w.clock.Advance(time.Hour)
	if n, _ := w.here.Peek(id); n != nil || len(w.here.ByIndex("a")) != 0 {
		t.Error("the copy still has it")
	}
	if _, err := w.here.Get(t.Context(), id); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Get: %v", err)
	}
	called := false
	err := w.here.Update(t.Context(), id, func(*note) (Verdict, error) { called = true; return Write, nil })
	if called || !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Update: called %v, %v", called, err)
	}
	if w.here.CountIndex("a") != 1 {
		t.Error("until it is swept, it takes room")
	}
}

func TestAnUpdateOfAnOldCopyIsMadeAgainOnTheStore(t *testing.T) {
	w := newWorld(t)
	id := w.write("a")
	w.there.view.Pause()
	w.update(w.here, id, increment)
	w.update(w.there, id, increment)
	w.wantCount(w.here, id, 2)
	w.wantCount(w.there, id, 2) // its own write it knows
}

// Only a write proves the copy; everything else is asked for once more.
func TestOnTheCopyOnlyAWriteCounts(t *testing.T) {
	refusal := errors.New("refused")
	for name, c := range map[string]struct {
		verdict Verdict
		err     error
		asked   []int // the counts that change is shown
	}{
		"write":            {Write, nil, []int{0}},
		"keep":             {Keep, nil, []int{0, 0}},
		"refuse":           {Keep, refusal, []int{0, 0}},
		"remove":           {Remove, nil, []int{0, 0}},
		"refuse and write": {Write, refusal, []int{0, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			id := w.write("a")
			var asked []int
			err := w.here.Update(t.Context(), id, func(n *note) (Verdict, error) {
				asked = append(asked, n.Count)
				return c.verdict, c.err
			})
			if !errors.Is(err, c.err) || fmt.Sprint(asked) != fmt.Sprint(c.asked) {
				t.Errorf("asked about %v, got %v", asked, err)
			}
		})
	}
}

func TestARefusalOnAnOldCopyIsTakenBack(t *testing.T) {
	w := newWorld(t)
	id := w.write("a")
	w.there.view.Pause()
	w.update(w.here, id, increment)
	onlyOne := func(n *note) (Verdict, error) {
		if n.Count != 1 {
			return Remove, errors.New("wrong count")
		}
		return increment(n)
	}
	w.update(w.there, id, onlyOne)
	w.wantCount(w.here, id, 2)
}

func TestAnErrorCanActAllTheSame(t *testing.T) {
	w := newWorld(t)
	id := w.write("a")
	refusal := errors.New("refused")
	if err := w.here.Update(t.Context(), id, func(*note) (Verdict, error) { return Remove, refusal }); !errors.Is(err, refusal) {
		t.Errorf("Update: %v", err)
	}
	if _, err := w.there.Get(t.Context(), id); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("it is still there: %v", err)
	}
}

func TestUpdatesFromBothSidesAllCount(t *testing.T) {
	w := newWorld(t)
	id := w.write("a")
	w.there.view.Pause()
	var group sync.WaitGroup
	for i := range 40 {
		d := []*desk{w.here, w.there}[i%2]
		group.Go(func() {
			if err := d.Update(t.Context(), id, increment); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	w.wantCount(w.here, id, 40)
}

func TestAnUpdateWhoseOutcomeIsUnknownSaysSo(t *testing.T) {
	w := newWorld(t)
	id := w.write("a")
	w.here.view.LoseAnswer()
	if err := w.here.Update(t.Context(), id, increment); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Update: %v", err)
	}
}

func TestTheIndexFollowsTheRecords(t *testing.T) {
	w := newWorld(t)
	first, second := w.write("a"), w.write("a")
	w.update(w.there, second, func(n *note) (Verdict, error) { n.Text = "b"; return Write, nil })
	if a, b := w.here.ByIndex("a"), w.here.ByIndex("b"); len(a) != 1 || len(b) != 1 || a[first] == nil || b[second] == nil {
		t.Errorf("a: %v, b: %v", a, b)
	}
	w.update(w.there, first, func(*note) (Verdict, error) { return Remove, nil })
	if w.here.CountIndex("a") != 0 || w.here.CountIndex("b") != 1 {
		t.Errorf("counts: %d and %d", w.here.CountIndex("a"), w.here.CountIndex("b"))
	}
}

func TestARecordThatDoesNotOpenIsUnavailableAndLogged(t *testing.T) {
	w := newWorld(t)
	id := w.write("secret text")
	w.set = config.NewKeySet(w.clock.Now()) // another root under the same id
	stranger := w.desk()
	for what, err := range map[string]error{
		"Get":    second(stranger.Get(t.Context(), id)),
		"Update": stranger.Update(t.Context(), id, increment),
	} {
		if !errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: %v", what, err)
		}
	}
	w.wantCount(w.here, id, 0)
	if sealed, all := stranger.Unreadable(); sealed != 1 || all != 1 {
		t.Errorf("%d of %d records do not open", sealed, all)
	}
	if sealed, all := w.here.Unreadable(); sealed != 0 || all != 1 {
		t.Errorf("with the right keys, %d of %d records do not open", sealed, all)
	}
	if line := w.log.String(); !strings.Contains(line, id.String()) || strings.Contains(line, "secret text") {
		t.Errorf("log: %s", line)
	}
}

func second[T any](_ T, err error) error { return err }
