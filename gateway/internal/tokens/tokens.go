// Package tokens mints and reads the gateway's opaque tokens. A token names its
// record, its generation and its expiry under a MAC, so that a forged or
// expired one is refused without a look at the store. What authorizes is the
// hash in the record: the MAC key alone makes no token that is good.
package tokens

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"vestibule.dev/vestibule/gateway/internal/keys"
	"vestibule.dev/vestibule/gateway/internal/store"
)

// Kind says what a token is for. Its value is the prefix of the token, by
// which secret scanners know it.
type Kind string

// The kinds of token.
const (
	Access  Kind = "vst_at_"
	Refresh Kind = "vst_rt_"
	Code    Kind = "vst_ac_"
)

// SecretLen is the length of a token's secret part in bytes.
const SecretLen = 32

var (
	// ErrMalformed says that a string is no token of the kind at all.
	ErrMalformed = errors.New("malformed")
	// ErrForged says that a token was not minted under any key of this gateway.
	ErrForged = errors.New("forged")
	// ErrExpired says that a genuine token is past its time.
	ErrExpired = errors.New("expired")
)

// Token is what a token says of itself.
type Token struct {
	Kind       Kind
	Record     store.ID
	Generation uint32
	// Expires is in whole seconds.
	Expires time.Time
}

// A token is the prefix and the base64url of: version, key id, record,
// generation, expiry (five bytes), secret, MAC of the kind and all before.
const (
	version = 1
	headLen = 1 + 1 + len(store.ID{}) + 4 + 5
	bodyLen = headLen + SecretLen
	rawLen  = bodyLen + keys.MACLen
)

// encodedLen is the length of rawLen bytes in base64url without padding.
const encodedLen = (rawLen*8 + 5) / 6

// strict reads no two strings as the same bytes.
var strict = base64.RawURLEncoding.Strict()

// Mint returns the token with the given secret, under key.
func Mint(key *keys.Key, t Token, secret [SecretLen]byte) string {
	raw := make([]byte, 0, rawLen)
	raw = append(raw, version, key.ID)
	raw = append(raw, t.Record[:]...)
	raw = binary.BigEndian.AppendUint32(raw, t.Generation)
	var exp [8]byte
	binary.BigEndian.PutUint64(exp[:], uint64(t.Expires.Unix())) //nolint:gosec // after 1970
	raw = append(raw, exp[3:]...)
	raw = append(raw, secret[:]...)
	mac := key.MAC(keys.LabelMAC, []byte(t.Kind), raw)
	raw = append(raw, mac[:]...)
	return string(t.Kind) + base64.RawURLEncoding.EncodeToString(raw)
}

// Parse reads a token of the given kind. It returns ErrMalformed, ErrForged or
// ErrExpired; with ErrExpired the token is returned too. One whose key is on its way
// here is keys.ErrNotYet, and may be genuine.
func Parse(ring *keys.Ring, kind Kind, s string, now time.Time) (Token, error) {
	encoded, ok := strings.CutPrefix(s, string(kind))
	if !ok || len(encoded) != encodedLen {
		return Token{}, ErrMalformed
	}
	var raw [rawLen]byte
	var in [encodedLen]byte // a conversion would allocate
	copy(in[:], encoded)
	// The decoder skips line breaks, so the length counts as well.
	//rule:token-spelled-twice
	n, err := strict.Decode(raw[:], in[:])
	if err != nil || n != rawLen || raw[0] != version {
		return Token{}, ErrMalformed
	}
	key, err := ring.Find(raw[1])
	if errors.Is(err, keys.ErrNotYet) {
		return Token{}, err
	}
	if err != nil {
		return Token{}, fmt.Errorf("%w: %w", ErrForged, err)
	}
	mac := key.MAC(keys.LabelMAC, []byte(kind), raw[:bodyLen])
	//rule:token-forged
	if !keys.Equal(mac[:], raw[bodyLen:]) {
		return Token{}, ErrForged
	}
	t := Token{Kind: kind}
	rest := raw[2:headLen]
	copy(t.Record[:], rest)
	rest = rest[len(t.Record):]
	t.Generation = binary.BigEndian.Uint32(rest)
	var exp [8]byte
	copy(exp[3:], rest[4:])
	t.Expires = time.Unix(int64(binary.BigEndian.Uint64(exp[:])), 0) //nolint:gosec // forty bits
	//rule:token-expired
	if !now.Before(t.Expires) {
		return t, ErrExpired
	}
	return t, nil
}

// NewSecret returns a random secret.
func NewSecret() [SecretLen]byte {
	var s [SecretLen]byte
	//rule:secret-guessable
	_, _ = rand.Read(s[:]) // never fails (crypto/rand)
	return s
}

// HashLen is the length of a Hash.
const HashLen = sha256.Size

// Hash is how a token or client secret is stored. They have 256 random bits, so
// a plain hash cannot be searched.
func Hash(s string) []byte {
	h := Sum(s)
	return h[:]
}

// Sum is Hash, and allocates nothing for a token.
func Sum(s string) [HashLen]byte {
	var room [len(Access) + encodedLen]byte
	return sha256.Sum256(append(room[:0], s...))
}

// NewClientSecret returns a random client secret in the characters that every
// client passes on unharmed.
func NewClientSecret() string { return newText("vst_cs_") }

// NewManagementToken returns a random registration access token (RFC 7592). It has
// no MAC, which would tie it to a key: registrations outlive keys.
func NewManagementToken() string { return newText("vst_ra_") }

func newText(prefix string) string {
	s := NewSecret()
	return prefix + base64.RawURLEncoding.EncodeToString(s[:])
}
