// Package assertion verifies the signed statements by which clients prove who
// they are (RFC 7521, RFC 7523), and reads the public keys that they are
// verified with.
package assertion

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
)

const (
	// MaxKeys is how many usable keys one set may hold.
	MaxKeys = 16
	// MaxKeySet is how many bytes they may take in the form that Marshal gives them.
	MaxKeySet = 8 << 10

	maxKeyID   = 256
	minRSABits = 2048
)

// ErrNotPublic says that a set tells a secret, which then is none.
var ErrNotPublic = errors.New("it holds a key that is not public")

// Algorithms are those that an assertion may be signed with: none that needs a
// shared secret, and not none.
//
//rule:alg-none
var Algorithms = []jose.SignatureAlgorithm{jose.RS256, jose.PS256, jose.ES256, jose.ES384, jose.EdDSA}

// AlgorithmNames are the Algorithms as metadata lists them.
func AlgorithmNames() []string {
	names := make([]string, len(Algorithms))
	for i, a := range Algorithms {
		names[i] = string(a)
	}
	return names
}

// Keys are a client's public keys. The zero value holds none.
type Keys struct{ all []jose.JSONWebKey }

// ParseKeys reads a JWK Set (RFC 7517 section 5). Keys that are of no use here
// are left out: for encryption, of unknown types, too short. A set that tells a
// secret, ErrNotPublic, or that holds no usable key is an error.
func ParseKeys(document []byte) (Keys, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	// This decoder tells cases apart, and refuses a member that stands twice.
	if err := json.Unmarshal(document, &set); err != nil || set.Keys == nil {
		return Keys{}, errors.New("it is not a JWK Set")
	}
	var keys Keys
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		if err := key.UnmarshalJSON(raw); err != nil {
			continue // a key that this library does not know does not spoil the others
		}
		if !key.IsPublic() {
			return Keys{}, ErrNotPublic
		}
		if key.Use == "enc" || len(key.KeyID) > maxKeyID || !usable(key.Key) {
			continue
		}
		// Certificates are of no use here, and long.
		keys.all = append(keys.all, jose.JSONWebKey{Key: key.Key, KeyID: key.KeyID, Algorithm: key.Algorithm, Use: key.Use})
	}
	if len(keys.all) == 0 {
		return Keys{}, errors.New("it holds no key that an assertion can be verified with")
	}
	if len(keys.all) > MaxKeys {
		return Keys{}, fmt.Errorf("it holds more than %d keys", MaxKeys)
	}
	if b, err := keys.Marshal(); err != nil || len(b) > MaxKeySet {
		return Keys{}, errors.New("its keys are too long")
	}
	return keys, nil
}

func usable(key any) bool {
	for _, a := range Algorithms {
		if fits(key, a) {
			return true
		}
	}
	return false
}

// fits says whether a key is one for this algorithm, and strong enough.
func fits(key any, algorithm jose.SignatureAlgorithm) bool {
	switch algorithm {
	case jose.RS256, jose.PS256:
		k, ok := key.(*rsa.PublicKey)
		return ok && k.N.BitLen() >= minRSABits
	case jose.ES256:
		k, ok := key.(*ecdsa.PublicKey)
		return ok && k.Curve == elliptic.P256()
	case jose.ES384:
		k, ok := key.(*ecdsa.PublicKey)
		return ok && k.Curve == elliptic.P384()
	case jose.EdDSA:
		_, ok := key.(ed25519.PublicKey)
		return ok
	}
	return false
}

// Marshal writes the keys as a JWK Set, which ParseKeys reads.
func (k Keys) Marshal() ([]byte, error) {
	return json.Marshal(jose.JSONWebKeySet{Keys: k.all})
}

// Has says whether one of the keys has this id. Every set has the empty one.
func (k Keys) Has(keyID string) bool {
	for _, key := range k.all {
		if keyID == "" || key.KeyID == keyID {
			return true
		}
	}
	return false
}

// choose returns the key that an assertion names, or, if it names none, the only
// one that fits.
func (k Keys) choose(keyID string, algorithm jose.SignatureAlgorithm) (any, error) {
	var found []any
	for _, key := range k.all {
		if (keyID == "" || key.KeyID == keyID) && fits(key.Key, algorithm) &&
			(key.Algorithm == "" || key.Algorithm == string(algorithm)) {
			found = append(found, key.Key)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return nil, errors.New("it does not say which key it is signed with")
	}
	return nil, errors.New("no key of the client fits it")
}
