package records

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/keys"
	"vestibule.dev/vestibule/gateway/internal/store"
)

func ringOf(t testing.TB, set *config.KeySet) *keys.Ring {
	t.Helper()
	ring, err := keys.NewRing(set)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// Whoever writes to the store can lose a record or bring an old one back. They
// cannot make one, change one, or make one pass for another.
func TestARecordOpensOnlyAsWhatItWasSealedAs(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	set := config.NewKeySet(now)
	ring := ringOf(t, set)
	id, other := store.NewID(3), store.NewID(3)
	home := sealer{ring: ring, uid: "uid", kind: store.Grant}
	value, err := home.seal(id, note{Text: "text"}, now.Add(time.Hour), now)
	if err != nil {
		t.Fatal(err)
	}
	var n note
	if err := home.open(id, value, &n); err != nil || n.Text != "text" {
		t.Fatalf("opening: %+v, %v", n, err)
	}
	for name, c := range map[string]struct {
		sealer sealer
		id     store.ID
	}{
		"another record":  {home, other},
		"another part":    {home, store.ID(append([]byte{0, 4}, id[2:]...))},
		"another kind":    {sealer{ring, "uid", store.Client}, id},
		"another server":  {sealer{ring, "uie", store.Grant}, id},
		"a longer server": {sealer{ring, "uid2", store.Grant}, id},
		"no server":       {sealer{ring, "", store.Grant}, id},
		"another root":    {sealer{ringOf(t, config.NewKeySet(now)), "uid", store.Grant}, id},
	} {
		if err := c.sealer.open(c.id, value, &n); !errors.Is(err, errSealed) {
			t.Errorf("as of %s: %v", name, err)
		}
	}
	for i := range value {
		changed := bytes.Clone(value)
		changed[i] ^= 1
		if err := home.open(id, changed, &n); !errors.Is(err, errSealed) {
			t.Errorf("with byte %d changed: %v", i, err)
		}
		if err := home.open(id, value[:i], &n); !errors.Is(err, errSealed) {
			t.Errorf("cut to %d bytes: %v", i, err)
		}
	}
	if err := home.open(id, append(bytes.Clone(value), 0), &n); !errors.Is(err, errSealed) {
		t.Errorf("with a byte more: %v", err)
	}
}

func TestTheSameRecordIsNeverTheSameValue(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	s := sealer{ring: ringOf(t, config.NewKeySet(now)), uid: "uid", kind: store.Grant}
	seen := map[string]bool{}
	for range 100 {
		value, err := s.seal(store.ID{}, note{}, now, now)
		if err != nil || seen[string(value)] {
			t.Fatalf("a value came twice, or %v", err)
		}
		seen[string(value)] = true
	}
}

func TestRecordsOutliveTheirKeysSuccession(t *testing.T) {
	w := newWorld(t)
	id := w.write("a")
	if err := w.set.Append(w.clock.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	newer := w.desk()
	w.update(newer, id, increment) // still under the first key, which the others know
	w.wantCount(w.here, id, 1)
	w.clock.Advance(time.Minute)
	w.update(newer, id, increment)
	w.wantCount(newer, id, 2)
	// A gateway without the second key knows that it knows nothing.
	if _, err := w.here.Get(t.Context(), id); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Get without the key: %v", err)
	}
}

// Whoever writes to the store writes any bytes.
func FuzzOpen(f *testing.F) {
	now := time.Unix(1_800_000_000, 0)
	set := config.NewKeySet(now)
	id := store.NewID(3)
	s := sealer{ring: ringOf(f, set), uid: "uid", kind: store.Grant}
	good, err := s.seal(id, note{Text: "text"}, now.Add(time.Hour), now)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range [][]byte{good, good[:len(good)-1], append(bytes.Clone(good), 0), good[:store.HeaderLen+1], good[:store.HeaderLen], nil, bytes.Repeat([]byte{1}, 100)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		var n note
		err := s.open(id, value, &n)
		if (err == nil) != bytes.Equal(value, good) || err != nil && (!errors.Is(err, errSealed) || n != (note{})) {
			t.Errorf("%x opens as %+v, %v", value, n, err)
		}
	})
}
