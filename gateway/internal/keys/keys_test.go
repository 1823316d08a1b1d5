package keys

import (
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/config"
)

var start = time.Unix(1_800_000_000, 0)

func ring(t *testing.T, set *config.KeySet) *Ring {
	t.Helper()
	r, err := NewRing(set)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestANewKeyIsMintedWithOnceItsTimeHasCome(t *testing.T) {
	set := config.NewKeySet(start)
	for _, at := range []time.Duration{time.Hour, 2 * time.Hour} {
		if err := set.Append(start.Add(at)); err != nil {
			t.Fatal(err)
		}
	}
	r := ring(t, set)
	for at, want := range map[time.Duration]uint8{
		-time.Hour: 1, 0: 1, time.Hour - 1: 1, time.Hour: 2, 2*time.Hour - 1: 2, 2 * time.Hour: 3, 1000 * time.Hour: 3,
	} {
		if got := r.Current(start.Add(at)).ID; got != want {
			t.Errorf("after %v the current key is %d, want %d", at, got, want)
		}
	}
	for id := range 5 {
		if k, err := r.Find(uint8(id)); (err == nil) != (id >= 1 && id <= 3) || err == nil && k.ID != uint8(id) {
			t.Errorf("Find(%d) = %v, %v", id, k, err)
		}
	}
}

func TestEachUseHasAKeyOfItsOwn(t *testing.T) {
	r := ring(t, config.NewKeySet(start))
	k, seen := r.Current(start), map[[32]byte]Label{}
	for _, label := range labels {
		out := k.Derive(label, []byte("part"))
		if other, ok := seen[out]; ok {
			t.Errorf("%s and %s derive the same", label, other)
		}
		seen[out] = label
	}
	if ring(t, config.NewKeySet(start)).Current(start).Derive(LabelMAC) == k.Derive(LabelMAC) {
		t.Error("two roots derive the same")
	}
}

func TestNoTwoListsOfPartsDeriveTheSame(t *testing.T) {
	k := ring(t, config.NewKeySet(start)).Current(start)
	seen := map[[32]byte]int{}
	for i, parts := range [][][]byte{
		{}, {nil}, {nil, nil}, {[]byte("ab")}, {[]byte("a"), []byte("b")}, {[]byte("ab"), nil}, {nil, []byte("ab")},
		{[]byte("\x00\x00\x00\x01a")}, {[]byte("b"), []byte("a")},
	} {
		out := k.Derive(LabelMAC, parts...)
		if other, ok := seen[out]; ok {
			t.Errorf("lists %d and %d derive the same", i, other)
		}
		seen[out] = i
	}
}

func TestWhatIsSealedInOneContextOpensInNoOther(t *testing.T) {
	k := ring(t, config.NewKeySet(start)).Current(start)
	here, err := k.AEAD(LabelStore, []byte("here"))
	if err != nil {
		t.Fatal(err)
	}
	box := here.Seal(nil, nil, []byte("text"), nil)
	for name, c := range map[string]struct {
		label   Label
		context string
		want    bool
	}{
		"the same":        {LabelStore, "here", true},
		"another context": {LabelStore, "there", false},
		"another label":   {LabelSeal, "here", false},
	} {
		aead, err := k.AEAD(c.label, []byte(c.context))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := aead.Open(nil, nil, box, nil); (err == nil) != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestARingNeedsAKey(t *testing.T) {
	if _, err := NewRing(&config.KeySet{}); err == nil {
		t.Error("a ring without keys")
	}
}

func TestEqual(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{{"", "", true}, {"a", "a", true}, {"a", "b", false}, {"a", "", false}, {"a", "aa", false}} {
		if Equal([]byte(c.a), []byte(c.b)) != c.want {
			t.Errorf("Equal(%q, %q) = %v", c.a, c.b, !c.want)
		}
	}
}
