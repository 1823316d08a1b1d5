package tokens

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/keys"
	"vestibule.dev/vestibule/gateway/internal/store"
)

var (
	start = time.Unix(1_800_000_000, 0)
	kinds = []Kind{Access, Refresh, Code}
)

func ring(t testing.TB, set *config.KeySet) *keys.Ring {
	t.Helper()
	r, err := keys.NewRing(set)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func some(kind Kind) Token {
	return Token{Kind: kind, Record: store.NewID(7), Generation: 1 << 31, Expires: start.Add(time.Hour)}
}

func TestATokenSaysWhatItWasMintedWith(t *testing.T) {
	r := ring(t, config.NewKeySet(start))
	for _, kind := range kinds {
		want := some(kind)
		s := Mint(r.Current(start), want, NewSecret())
		got, err := Parse(r, kind, s, start)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", kind, err, diff)
		}
		if !regexp.MustCompile(`^vst_[a-z]{2}_[A-Za-z0-9_-]{103}$`).MatchString(s) {
			t.Errorf("a secret scanner does not find %s", s)
		}
		for _, other := range kinds {
			swapped := string(other) + strings.TrimPrefix(s, string(kind))
			if _, err := Parse(r, other, s, start); other != kind && !errors.Is(err, ErrMalformed) {
				t.Errorf("%s passes for %s: %v", kind, other, err)
			}
			if _, err := Parse(r, other, swapped, start); other != kind && !errors.Is(err, ErrForged) {
				t.Errorf("%s with the prefix of %s: %v", kind, other, err)
			}
		}
	}
}

func TestATokenOfWhichABitIsChangedIsForged(t *testing.T) {
	r := ring(t, config.NewKeySet(start))
	s := Mint(r.Current(start), some(Access), NewSecret())
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(s, string(Access)))
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		for bit := range 8 {
			raw[i] ^= 1 << bit
			_, err := Parse(r, Access, string(Access)+base64.RawURLEncoding.EncodeToString(raw), start)
			want := ErrForged
			switch {
			case i == 0:
				want = ErrMalformed
			case i == 1 && raw[i] > 1 && raw[i] <= 17:
				want = keys.ErrNotYet // which no one can tell from one of another replica
			}
			if !errors.Is(err, want) {
				t.Errorf("bit %d of byte %d: %v", bit, i, err)
			}
			raw[i] ^= 1 << bit
		}
	}
}

func TestATokenHasOneSpelling(t *testing.T) {
	r := ring(t, config.NewKeySet(start))
	s := Mint(r.Current(start), some(Access), [SecretLen]byte(bytes.Repeat([]byte{0xff}, SecretLen)))
	last := s[len(s)-1]
	for name, other := range map[string]string{
		"padding":         s + "=",
		"white space":     s + " ",
		"a line break":    s[:50] + "\n" + s[50:],
		"upper case":      strings.ToUpper(s[:7]) + s[7:],
		"no prefix":       s[7:],
		"two prefixes":    string(Access) + s,
		"shorter":         s[:len(s)-1],
		"empty":           "",
		"a prefix":        string(Access),
		"standard base64": string(Access) + strings.ReplaceAll(s[7:], "_", "/"),
	} {
		if _, err := Parse(r, Access, other, start); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The last character carries four bits of the token, and two that say nothing.
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for i := range 3 {
		c := alphabet[strings.IndexByte(alphabet, last)+1+i]
		if _, err := Parse(r, Access, s[:len(s)-1]+string(c), start); !errors.Is(err, ErrMalformed) {
			t.Errorf("with %c for %c at the end: %v", c, last, err)
		}
	}
}

// The decoder skips line breaks, and leaves zeros where it had nothing to decode.
// So a token that ends in zeros could be spelled with line breaks in their place.
func TestLineBreaksStandForNothing(t *testing.T) {
	r := ring(t, &config.KeySet{Keys: []config.Key{{ID: 1, Secret: make([]byte, 32)}}})
	var secret [SecretLen]byte
	binary.BigEndian.PutUint64(secret[:], endsInZeros)
	s := Mint(r.Current(start), Token{Kind: Access, Expires: start.Add(time.Hour)}, secret)
	zeros, ok := strings.CutSuffix(s, "AAA")
	if !ok {
		t.Fatalf("%s does not end in zeros", s)
	}
	if _, err := Parse(r, Access, zeros+"\r\n\n", start); !errors.Is(err, ErrMalformed) {
		t.Errorf("with line breaks: %v", err)
	}
}

// endsInZeros is a secret that was searched for: the MAC over it ends in zeros.
const endsInZeros = 194_321

func TestATokenExpiresOnTheSecond(t *testing.T) {
	r := ring(t, config.NewKeySet(start))
	want := some(Refresh)
	s := Mint(r.Current(start), want, NewSecret())
	if _, err := Parse(r, Refresh, s, want.Expires.Add(-1)); err != nil {
		t.Errorf("just in time: %v", err)
	}
	got, err := Parse(r, Refresh, s, want.Expires)
	if !errors.Is(err, ErrExpired) || got.Record != want.Record {
		t.Errorf("too late: %v, %v", got, err)
	}
}

func TestTokensOutliveTheirKeysSuccession(t *testing.T) {
	set := config.NewKeySet(start)
	first := ring(t, set)
	old := Mint(first.Current(start), some(Access), NewSecret())
	if err := set.Append(start.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	both := ring(t, set)
	if _, err := Parse(both, Access, old, start.Add(time.Minute)); err != nil {
		t.Errorf("the old key's token: %v", err)
	}
	young := Mint(both.Current(start.Add(time.Minute)), some(Access), NewSecret())
	if _, err := Parse(first, Access, young, start); !errors.Is(err, keys.ErrNotYet) || errors.Is(err, ErrForged) {
		t.Errorf("before its key has come: %v", err)
	}
	if _, err := set.Drop(start.Add(time.Hour), start.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]string{"the old key's": old, "the young key's": young} {
		if _, err := Parse(ring(t, set), Access, token, start); !errors.Is(err, ErrForged) || !errors.Is(err, keys.ErrDropped) {
			t.Errorf("%s token after all were dropped: %v", name, err)
		}
	}
	stranger := ring(t, config.NewKeySet(start)) // another root, the same id
	if _, err := Parse(stranger, Access, old, start); !errors.Is(err, ErrForged) {
		t.Errorf("under another root: %v", err)
	}
}

func TestSecretsAreNotGuessed(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		s := NewClientSecret()
		if seen[s] || !regexp.MustCompile(`^vst_cs_[A-Za-z0-9_-]{43}$`).MatchString(s) {
			t.Fatalf("client secret %q", s)
		}
		seen[s] = true
	}
}

func FuzzParse(f *testing.F) {
	r := ring(f, config.NewKeySet(start))
	good := Mint(r.Current(start), some(Access), NewSecret())
	for _, seed := range []string{good, good + "\n", good[:60], string(Access), "", strings.Repeat("A", 110), string(Access) + strings.Repeat("A", 103)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if _, err := Parse(r, Access, s, start); err == nil && s != good {
			t.Errorf("a forged token passes: %q", s)
		}
	})
}
