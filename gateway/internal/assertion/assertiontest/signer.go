// Package assertiontest makes keys, and signs with them what a test says.
package assertiontest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"maps"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Signer is a client's key.
type Signer struct {
	KeyID     string
	Algorithm jose.SignatureAlgorithm
	Private   crypto.Signer
}

// New makes a key for an algorithm.
func New(t testing.TB, keyID string, algorithm jose.SignatureAlgorithm) *Signer {
	t.Helper()
	var private crypto.Signer
	var err error
	switch algorithm {
	case jose.ES256:
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case jose.ES384:
		private, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case jose.EdDSA:
		_, private, err = ed25519.GenerateKey(rand.Reader)
	default:
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	return &Signer{keyID, algorithm, private}
}

// JWKS is the JWK Set of some signers' public keys.
func JWKS(t testing.TB, signers ...*Signer) []byte {
	t.Helper()
	var set jose.JSONWebKeySet
	for _, s := range signers {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: s.Private.Public(), KeyID: s.KeyID, Use: "sig", Algorithm: string(s.Algorithm)})
	}
	b, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Claims are those of a good assertion, and others in place of or besides them;
// a nil one takes a claim away.
func Claims(clientID, audience string, now time.Time, others map[string]any) map[string]any {
	claims := map[string]any{
		"iss": clientID, "sub": clientID, "aud": audience, "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
	}
	maps.Copy(claims, others)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return claims
}

// Sign signs claims, or a payload that is bytes already. Of the headers, kid is
// the signer's, and typ is JWT unless the test says otherwise.
func (s *Signer) Sign(t testing.TB, claims any, header map[jose.HeaderKey]any) string {
	t.Helper()
	payload, ok := claims.([]byte)
	if !ok {
		var err error
		if payload, err = json.Marshal(claims); err != nil {
			t.Fatal(err)
		}
	}
	options := (&jose.SignerOptions{}).WithType("JWT")
	for k, v := range header {
		options.WithHeader(k, v)
	}
	var key any = s.Private
	if s.KeyID != "" {
		key = jose.JSONWebKey{Key: s.Private, KeyID: s.KeyID}
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: s.Algorithm, Key: key}, options)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	compact, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return compact
}
