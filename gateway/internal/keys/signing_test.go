package keys

import (
	"bytes"
	"encoding/hex"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/config"
)

// The pair is a function of the root secret: every replica has the same, after every
// update too.
func TestTheSigningKeyIsDerived(t *testing.T) {
	set := config.NewKeySet(start)
	set.Keys[0].Secret = bytes.Repeat([]byte{7}, 32)
	raw, err := ring(t, set).Current(start).Signing().Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := hex.EncodeToString(raw), "291f34dcb439dac2bf93a7058859634a264dfbc1fdb14645e312b7205df7c860"; got != want {
		t.Errorf("the key is %s: others of this version sign with %s", got, want)
	}
	set.Keys[0].Secret = bytes.Repeat([]byte{8}, 32)
	other := ring(t, set).Current(start)
	if again, err := other.Signing().Bytes(); err != nil || bytes.Equal(again, raw) {
		t.Errorf("another secret has the same key: %v", err)
	}
	for label, derived := range other.derived {
		if raw, err := other.Signing().Bytes(); err != nil || bytes.Equal(raw, derived.secret) {
			t.Errorf("the key for %s is the same: %v", label, err)
		}
	}
}

func TestWhichKeysSomethingMayHaveBeenMadeWith(t *testing.T) {
	set := config.NewKeySet(start)
	for n := range 2 {
		if err := set.Append(start.Add(time.Duration(n+1) * time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	r := ring(t, set)
	for after, first := range map[time.Duration]uint8{
		-time.Hour: 1, 0: 1, time.Hour - 1: 1, time.Hour: 2, 2*time.Hour - 1: 2, 2 * time.Hour: 3, 1000 * time.Hour: 3,
	} {
		got := r.Since(start.Add(after))
		if got[0].ID != first || len(got) != int(4-first) || got[0] != r.Current(start.Add(after)) {
			t.Errorf("after %v: %d keys from %d on, want those from %d on", after, len(got), got[0].ID, first)
		}
	}
}
