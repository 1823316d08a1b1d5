package devidp

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"

	"github.com/go-jose/go-jose/v4"
)

// signingKey signs id tokens, for as long as the process runs.
type signingKey struct {
	id  string
	key *ecdsa.PrivateKey
}

func newSigningKey() (signingKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return signingKey{}, fmt.Errorf("making the signing key: %w", err)
	}
	// Random, so that a relying party that knew the provider before a restart
	// sees a key that it does not have, and fetches it.
	return signingKey{id: rand.Text(), key: key}, nil
}

func (k signingKey) ID() string                                  { return k.id }
func (k signingKey) SignatureAlgorithm() jose.SignatureAlgorithm { return jose.ES256 }
func (k signingKey) Key() any                                    { return k.key }

// verificationKey is the public half of a signingKey.
type verificationKey struct{ of signingKey }

func (k verificationKey) ID() string                         { return k.of.id }
func (k verificationKey) Algorithm() jose.SignatureAlgorithm { return jose.ES256 }
func (k verificationKey) Use() string                        { return "sig" }
func (k verificationKey) Key() any                           { return &k.of.key.PublicKey }
