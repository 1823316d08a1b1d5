// Package keys derives every key that the gateway uses from its root secrets,
// one label a use, and says under which root each thing was made.
package keys

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"vestibule.dev/vestibule/gateway/config"
)

// A Label separates the uses of one root secret.
type Label string

// The labels. Changing one makes everything under it unreadable.
const (
	LabelMAC      Label = "vestibule/v1/mac"      // authenticates tokens
	LabelRotation Label = "vestibule/v1/rotation" // derives a refresh token's successor
	LabelSeal     Label = "vestibule/v1/seal"     // seals what the browser carries
	LabelStore    Label = "vestibule/v1/store"    // seals records
)

var labels = [...]Label{LabelMAC, LabelRotation, LabelSeal, LabelStore}

// MACLen is the length of a MAC in bytes.
const MACLen = 16

// Key is one root secret's derived keys.
type Key struct {
	// ID is what sealed and minted things carry.
	ID        uint8
	notBefore time.Time
	derived   map[Label][]byte
}

// Ring holds the keys that a gateway knows. It is immutable.
type Ring struct {
	keys []*Key // in the order of the set: the newest last
	byID [256]*Key
}

// NewRing derives the keys of a set.
func NewRing(set *config.KeySet) (*Ring, error) {
	r := &Ring{}
	for _, root := range set.Keys {
		k := &Key{ID: root.ID, notBefore: root.NotBefore, derived: map[Label][]byte{}}
		for _, label := range labels {
			b, err := hkdf.Key(sha256.New, root.Secret, nil, string(label), 32)
			if err != nil {
				return nil, fmt.Errorf("deriving keys: %w", err)
			}
			k.derived[label] = b
		}
		r.keys = append(r.keys, k)
		r.byID[root.ID] = k
	}
	if len(r.keys) == 0 {
		return nil, errors.New("no keys")
	}
	return r, nil
}

// Current returns the key to mint and seal with: the newest whose time has
// come, or the oldest if the clock is before all of them.
func (r *Ring) Current(now time.Time) *Key {
	for i := len(r.keys) - 1; i > 0; i-- {
		if !r.keys[i].notBefore.After(now) {
			return r.keys[i]
		}
	}
	return r.keys[0]
}

// ByID returns the key with this id, or nil.
func (r *Ring) ByID(id uint8) *Key { return r.byID[id] }

// MAC authenticates parts under a label. Parts are length-prefixed, so that no
// two lists of parts authenticate alike.
func (k *Key) MAC(label Label, parts ...[]byte) [MACLen]byte {
	full := k.Derive(label, parts...)
	return [MACLen]byte(full[:MACLen])
}

// Derive returns 32 bytes that nobody without the root secret can compute from parts.
func (k *Key) Derive(label Label, parts ...[]byte) [32]byte {
	h := hmac.New(sha256.New, k.derived[label])
	var n [4]byte
	for _, p := range parts {
		binary.BigEndian.PutUint32(n[:], uint32(len(p))) //nolint:gosec // parts are short
		h.Write(n[:])
		h.Write(p)
	}
	var out [32]byte
	h.Sum(out[:0])
	return out
}

// AEAD returns a cipher of its own for each context, such as a record's id:
// so no number of writes to other contexts wears out its random nonces.
func (k *Key) AEAD(label Label, context []byte) (cipher.AEAD, error) {
	key := k.Derive(label, context)
	return NewAEAD(key[:])
}

// NewAEAD returns AES-256-GCM under key, which puts a random nonce before each
// ciphertext by itself: Seal and Open take a nil nonce.
func NewAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// Equal compares secrets, or hashes of them, in constant time. It is the only
// way secrets are compared in the gateway.
func Equal(a, b []byte) bool { return subtle.ConstantTimeCompare(a, b) == 1 }
