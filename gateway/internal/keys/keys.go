// Package keys derives every key that the gateway uses from its root secrets,
// one label a use, and says under which root each thing was made.
package keys

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"hash"
	"sync"
	"time"
)

// A Label separates the uses of one root secret.
type Label string

// The labels. Changing one makes everything under it unreadable.
const (
	LabelMAC      Label = "vestibule/v1/mac"      // authenticates tokens
	LabelRotation Label = "vestibule/v1/rotation" // derives a refresh token's successor
	LabelSeal     Label = "vestibule/v1/seal"     // seals what the browser carries
	LabelStore    Label = "vestibule/v1/store"    // seals records
	LabelIdentity Label = "vestibule/v1/identity" // signs what backends are told of users
)

var labels = [...]Label{LabelMAC, LabelRotation, LabelSeal, LabelStore}

// MACLen is the length of a MAC in bytes.
const MACLen = 16

// Key is one root secret's derived keys.
type Key struct {
	// ID is what sealed and minted things carry.
	ID        uint8
	notBefore time.Time
	derived   map[Label]*subkey
	signing   *ecdsa.PrivateKey
}

// subkey is the key of one label. Every request authenticates something: what that
// takes is kept from one to the next.
type subkey struct {
	secret []byte
	macs   sync.Pool
}

// mac is an HMAC, and room for what goes into it.
type mac struct {
	hash.Hash
	input []byte
}

func newSubkey(secret []byte) *subkey {
	return &subkey{secret: secret, macs: sync.Pool{New: func() any { return &mac{Hash: hmac.New(sha256.New, secret)} }}}
}

// MAC authenticates parts under a label. Parts are length-prefixed, so that no
// two lists of parts authenticate alike.
func (k *Key) MAC(label Label, parts ...[]byte) [MACLen]byte {
	full := k.Derive(label, parts...)
	return [MACLen]byte(full[:MACLen])
}

// Derive returns 32 bytes that nobody without the root secret can compute from parts.
func (k *Key) Derive(label Label, parts ...[]byte) [32]byte {
	sub := k.derived[label]
	m := sub.macs.Get().(*mac) //nolint:forcetypeassert // holds nothing else
	m.input = m.input[:0]
	for _, p := range parts {
		//rule:ambiguous-parts
		m.input = binary.BigEndian.AppendUint32(m.input, uint32(len(p))) //nolint:gosec // parts are short
		m.input = append(m.input, p...)
	}
	m.Reset()
	_, _ = m.Write(m.input) // never fails (hash.Hash)
	m.input = m.Sum(m.input[:0])
	out := [32]byte(m.input)
	clear(m.input)
	sub.macs.Put(m)
	return out
}

// AEAD returns a cipher of its own for each context, such as a record's id:
// so no number of writes to other contexts wears out its random nonces.
func (k *Key) AEAD(label Label, context []byte) (cipher.AEAD, error) {
	//rule:one-key-for-all-records
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

// NotBefore is since when the key may be minted and sealed with.
func (k *Key) NotBefore() time.Time { return k.notBefore }

// Equal compares secrets, or hashes of them, in constant time. It is the only
// way secrets are compared in the gateway.
func Equal(a, b []byte) bool { return subtle.ConstantTimeCompare(a, b) == 1 }
