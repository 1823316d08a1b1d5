package caller

import (
	"crypto"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/identity"
	"vestibule.dev/vestibule/gateway/internal/keys"
)

// AssertionHeader is where a backend finds the assertion.
const AssertionHeader = "X-Vestibule-Assertion"

const (
	// assertionType keeps assertions and other tokens apart (RFC 8725 section 3.11).
	assertionType = "vestibule-identity+jwt"
	// lifetime is how long an assertion is good. Half of it is left at least when it is
	// sent, so that a slow request and a clock that is ahead do no harm.
	lifetime = 5 * time.Minute
	// publishedFor is how long the keys are published that were signed with before, for
	// replicas that hear of the next one late.
	publishedFor = time.Hour
)

// ownClaims are what the gateway itself says of who calls. A person is upstream_issuer
// and sub together.
func ownClaims(who identity.Identity) map[string]any {
	own := map[string]any{
		"sub": who.Subject, "upstream": who.Upstream, "upstream_issuer": who.Issuer, "client_id": who.ClientID,
	}
	if scope := who.Scopes.String(); scope != "" {
		own["scope"] = scope
	}
	return own
}

// assertion signs what is said of who calls: a JWT (RFC 7519).
func (s *Service) assertion(a *config.IdentityAssertion, who identity.Identity, said map[string]any, key *keys.Key, now time.Time) (string, error) {
	claims := ownClaims(who)
	for _, name := range a.Claims {
		if value, ok := said[name]; ok && value != nil {
			claims[name] = value
		}
	}
	//rule:assertion-audience
	claims["iss"], claims["aud"] = s.opts.PublicURL, a.Audience
	//rule:assertion-lifetime
	claims["iat"], claims["exp"] = now.Unix(), now.Add(lifetime).Unix()
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("encoding an assertion: %w", err)
	}
	id, err := keyID(key)
	if err != nil {
		return "", err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key.Signing(), KeyID: id}},
		(&jose.SignerOptions{}).WithType(assertionType))
	if err != nil {
		return "", fmt.Errorf("signing an assertion: %w", err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("signing an assertion: %w", err)
	}
	return signed.CompactSerialize()
}

// KeySet is what assertions are verified with: the public keys of those that are
// signed with now, may have been a moment ago, or are about to be.
func KeySet(ring *keys.Ring, now time.Time) (jose.JSONWebKeySet, error) {
	var set jose.JSONWebKeySet
	//rule:assertion-key-gone-at-once assertion-key-forever
	for _, key := range ring.Since(now.Add(-publishedFor)) {
		id, err := keyID(key)
		if err != nil {
			return set, err
		}
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: &key.Signing().PublicKey, KeyID: id, Algorithm: string(jose.ES256), Use: "sig"})
	}
	return set, nil
}

// keyID is the key's thumbprint (RFC 7638): the number that it has here is used again.
func keyID(key *keys.Key) (string, error) {
	thumbprint, err := (&jose.JSONWebKey{Key: &key.Signing().PublicKey}).Thumbprint(crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("naming a key: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(thumbprint), nil
}
