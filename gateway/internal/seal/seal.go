// Package seal closes what the gateway hands to a browser to bring back: the
// browser can neither read nor change it, nor use it for another purpose.
package seal

import (
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/fxamacker/cbor/v2"

	"vestibule.dev/vestibule/gateway/internal/keys"
)

// ErrInvalid says that a value was not sealed here for this purpose, or not lately enough.
var ErrInvalid = errors.New("not sealed here for this, or expired")

const version = 1

// Box seals and opens values for one purpose.
type Box struct {
	Ring *keys.Ring
	// ServerUID and Purpose must be the same at both ends.
	ServerUID string
	Purpose   string
	Now       func() time.Time
}

type sealed[T any] struct {
	Expires int64 `cbor:"1,keyasint"`
	Value   T     `cbor:"2,keyasint"`
}

// Seal returns v in characters that cookies and forms pass on, good until expires.
func Seal[T any](b Box, v T, expires time.Time) (string, error) {
	plain, err := cbor.Marshal(sealed[T]{expires.Unix(), v})
	if err != nil {
		return "", fmt.Errorf("sealing for %s: %w", b.Purpose, err)
	}
	key := b.Ring.Current(b.Now())
	aead, err := key.AEAD(keys.LabelSeal, []byte(b.Purpose))
	if err != nil {
		return "", fmt.Errorf("sealing for %s: %w", b.Purpose, err)
	}
	head := []byte{version, key.ID}
	return base64.RawURLEncoding.EncodeToString(aead.Seal(head, nil, plain, b.associated(head))), nil
}

// Open returns what was sealed, or ErrInvalid; or keys.ErrNotYet if its key is on its
// way here.
func Open[T any](b Box, s string) (T, error) {
	var zero T
	raw, err := base64.RawURLEncoding.Strict().DecodeString(s)
	// The decoder skips line breaks, so the length counts as well.
	if err != nil || base64.RawURLEncoding.EncodedLen(len(raw)) != len(s) || len(raw) < 2 || raw[0] != version {
		return zero, ErrInvalid
	}
	key, err := b.Ring.Find(raw[1])
	if errors.Is(err, keys.ErrNotYet) {
		return zero, err
	}
	if err != nil {
		return zero, ErrInvalid
	}
	aead, err := key.AEAD(keys.LabelSeal, []byte(b.Purpose))
	if err != nil {
		return zero, fmt.Errorf("opening for %s: %w", b.Purpose, err)
	}
	plain, err := aead.Open(nil, nil, raw[2:], b.associated(raw[:2]))
	if err != nil {
		return zero, ErrInvalid
	}
	var v sealed[T]
	//rule:cookie-without-end
	if err := cbor.Unmarshal(plain, &v); err != nil || !b.Now().Before(time.Unix(v.Expires, 0)) {
		return zero, ErrInvalid
	}
	return v.Value, nil
}

func (b Box) associated(head []byte) []byte {
	//rule:cookie-of-another-server
	return append(append([]byte{}, head...), b.ServerUID...)
}
