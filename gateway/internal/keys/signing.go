package keys

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
)

// Signing returns the key's own pair on P-256, whose public half others verify with.
// It is derived like every other use of the root secret, so it is distributed, comes
// into use and is dropped with that.
func (k *Key) Signing() *ecdsa.PrivateKey { return k.signing }

// deriveSigning makes candidates until one is a scalar of the curve: the first is,
// but for one secret in four billion (FIPS 186-5 section A.2.2).
func deriveSigning(secret []byte) (*ecdsa.PrivateKey, error) {
	for try := 0; ; try++ {
		candidate, err := hkdf.Key(sha256.New, secret, nil, fmt.Sprintf("%s/p256/%d", LabelIdentity, try), 32)
		if err != nil {
			return nil, err
		}
		key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), candidate)
		if err == nil {
			return key, nil
		}
		if try == 16 {
			return nil, fmt.Errorf("no key on P-256: %w", err) // never, or the library takes none
		}
	}
}
