package assertion

import (
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"vestibule.dev/vestibule/gateway/internal/assertion/assertiontest"
)

// Whatever passes is signed by the issuer, for this client and this server, and
// lives for minutes.
func FuzzIdentity(f *testing.F) {
	key := assertiontest.New(f, "k", jose.ES256)
	keys := parseKeys(f, assertiontest.JWKS(f, key))
	const employer = "https://idp.example.com"
	header := map[jose.HeaderKey]any{"typ": typeIdentity}
	for _, others := range []map[string]any{
		nil, {"client_id": "other"}, {"resource": []string{"a", "b"}}, {"cnf": map[string]any{}}, {"exp": 1}, {"email": "a@example.com"},
		{"email": "a@example.com", "email_verified": true}, {"authorization_details": nil}, {"aud": []string{issuer}},
	} {
		claims := assertiontest.Claims(employer, issuer, now, map[string]any{"client_id": client, "scope": "read"})
		for k, v := range others {
			claims[k] = v
		}
		compact := key.Sign(f, claims, header)
		f.Add(compact, []byte(nil))
		f.Add("", mustPayload(compact))
	}
	f.Add("..", []byte(`{"iss":1}`))
	f.Fuzz(func(t *testing.T, compact string, payload []byte) {
		if payload != nil {
			compact = key.Sign(t, payload, header) // what an issuer could sign
		}
		i, err := ParseIdentity(compact)
		if err != nil {
			if len(compact) > 12 && strings.Contains(err.Error(), compact) {
				t.Fatal("the error quotes it")
			}
			return
		}
		if _, email := i.Claims["email"]; email && i.Claims["email_verified"] != true {
			t.Fatal("it has an address that nobody has verified")
		}
		if i.Claims["cnf"] != nil || i.Claims["authorization_details"] != nil || i.Subject == "" {
			t.Fatalf("it passes with %v", i.Claims)
		}
		if i.Verify(employer, client, issuer, keys, now) != nil {
			return
		}
		expires := i.claims.ExpiresAt.time()
		if i.Issuer != employer || i.ClientID != client || expires.Before(now.Add(-Skew)) || expires.After(now.Add(MaxLifetime+Skew)) ||
			expires.Sub(i.claims.IssuedAt.time()) > MaxLifetime+time.Second || i.claims.ID == "" {
			t.Fatalf("it passes with %v", i.Claims)
		}
		if i.Verify(employer, "another", issuer, keys, now) == nil || i.Verify(employer, client, issuer+"/", keys, now) == nil ||
			i.Verify("https://other.example", client, issuer, keys, now) == nil || i.Verify(employer, client, issuer, Keys{}, now) == nil {
			t.Fatal("it passes elsewhere too")
		}
	})
}

func mustPayload(compact string) []byte {
	signed, err := jose.ParseSignedCompact(compact, Algorithms)
	if err != nil {
		panic(err)
	}
	return signed.UnsafePayloadWithoutVerification()
}
