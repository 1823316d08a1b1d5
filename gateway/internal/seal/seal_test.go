package seal

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/keys"
	"vestibule.dev/vestibule/gateway/internal/records/recordstest"
)

type payload struct {
	State string `cbor:"1,keyasint"`
}

func box(t testing.TB, set *config.KeySet, clock *recordstest.Clock) Box {
	t.Helper()
	ring, err := keys.NewRing(set)
	if err != nil {
		t.Fatal(err)
	}
	return Box{Ring: ring, ServerUID: "uid", Purpose: "flow", Now: clock.Now}
}

func sealIn(t testing.TB, b Box) string {
	t.Helper()
	s, err := Seal(b, payload{"s3cret state"}, b.Now().Add(10*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestWhatTheBrowserCarriesOpensHereOnly(t *testing.T) {
	clock := recordstest.NewClock()
	set := config.NewKeySet(clock.Now())
	b := box(t, set, clock)
	s := sealIn(t, b)
	if v, err := Open[payload](b, s); err != nil || v.State != "s3cret state" {
		t.Fatalf("Open = %v, %v", v, err)
	}
	if raw, _ := base64.RawURLEncoding.DecodeString(s); strings.Contains(string(raw), "s3cret") || sealIn(t, b) == s {
		t.Error("it can be read, or is the same every time")
	}
	purpose, server, root := b, b, box(t, config.NewKeySet(clock.Now()), clock)
	purpose.Purpose, server.ServerUID = "form", "uid2"
	for name, other := range map[string]Box{"purpose": purpose, "server": server, "root": root} {
		if _, err := Open[payload](other, s); !errors.Is(err, ErrInvalid) {
			t.Errorf("it opens for another %s: %v", name, err)
		}
	}
}

func TestWhatTheBrowserHasChangedDoesNotOpen(t *testing.T) {
	clock := recordstest.NewClock()
	b := box(t, config.NewKeySet(clock.Now()), clock)
	s := sealIn(t, b)
	raw, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		changed := append([]byte{}, raw...)
		changed[i] ^= 1
		for what, bad := range map[string][]byte{"changed": changed, "cut": raw[:i]} {
			if _, err := Open[payload](b, base64.RawURLEncoding.EncodeToString(bad)); !errors.Is(err, ErrInvalid) {
				t.Errorf("%s at byte %d: %v", what, i, err)
			}
		}
	}
	for _, bad := range []string{"", "A", "AQ", "AQE", "nonsense!", s + "A", s + "=", " " + s} {
		if _, err := Open[payload](b, bad); !errors.Is(err, ErrInvalid) {
			t.Errorf("Open(%.10q) = %v", bad, err)
		}
	}
}

func TestItExpires(t *testing.T) {
	clock := recordstest.NewClock()
	b := box(t, config.NewKeySet(clock.Now()), clock)
	s := sealIn(t, b)
	clock.Advance(10*time.Minute - time.Nanosecond)
	if _, err := Open[payload](b, s); err != nil {
		t.Errorf("just in time: %v", err)
	}
	clock.Advance(time.Nanosecond)
	if _, err := Open[payload](b, s); !errors.Is(err, ErrInvalid) {
		t.Errorf("too late: %v", err)
	}
}

func TestFlowsGoOnThroughANewKey(t *testing.T) {
	clock := recordstest.NewClock()
	set := config.NewKeySet(clock.Now())
	old := box(t, set, clock)
	before := sealIn(t, old)
	if err := set.Append(clock.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	now := box(t, set, clock)
	if _, err := Open[payload](old, sealIn(t, now)); err != nil {
		t.Errorf("a gateway seals with a key whose time has not come: %v", err)
	}
	clock.Advance(time.Minute)
	if _, err := Open[payload](now, before); err != nil {
		t.Errorf("what the old key sealed does not open: %v", err)
	}
	if _, err := Open[payload](old, sealIn(t, now)); !errors.Is(err, keys.ErrNotYet) || errors.Is(err, ErrInvalid) {
		t.Errorf("before the new key has come: %v", err)
	}
	if _, err := set.Drop(clock.Now().Add(time.Hour), clock.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open[payload](box(t, set, clock), before); !errors.Is(err, ErrInvalid) {
		t.Errorf("after its key was dropped: %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	clock := recordstest.NewClock()
	set := config.NewKeySet(clock.Now())
	b := box(f, set, clock)
	good := sealIn(f, b)
	elsewhere := b
	elsewhere.Purpose = "consent"
	for _, seed := range []string{good, sealIn(f, elsewhere), good[:len(good)-1], good + "A", good + "=", "", "AQ", "AQE", "AQH_", strings.Repeat("A", 100), good[:10] + "\n" + good[10:]} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := Open[payload](b, s)
		if (err == nil) != (s == good) || err == nil && v.State == "" || err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("%q opens as %+v, %v", s, v, err)
		}
	})
}
