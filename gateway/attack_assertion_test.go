package gateway_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"vestibule.dev/vestibule/gateway/internal/assertion"
	"vestibule.dev/vestibule/gateway/internal/assertion/assertiontest"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
)

// Somebody has stolen a refresh token and a code with its verifier, and knows all
// that the client publishes. Without its key they are of no use.
func TestAttackAssertions(t *testing.T) {
	t.Parallel()
	gw, p := newPublished(t)
	victim, evil := newSigner(t, gw, p, "/client.json", "/jwks.json"), newSigner(t, gw, p, "/evil.json", "")
	tokens, code := victim.redeem(t, victim.Login(t)), victim.Login(t)

	encode := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	claims := func(others map[string]any) map[string]any {
		return assertiontest.Claims(victim.ID, gw.URL, gw.Clock.Now(), others)
	}
	sign := func(s *assertiontest.Signer, others map[string]any) string { return s.Sign(t, claims(others), nil) }
	at := func(d time.Duration) int64 { return gw.Clock.Now().Add(d).Unix() }
	parts := strings.Split(sign(victim.key, nil), ".")
	der, err := x509.MarshalPKIXPublicKey(victim.key.Private.Public())
	if err != nil {
		t.Fatal(err)
	}
	shared := func(key []byte) string {
		signed := encode(`{"alg":"HS256","kid":"k1","typ":"JWT"}`) + "." + parts[1]
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(signed))
		return signed + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	}
	brought := evil.key.Sign(t, claims(nil), map[jose.HeaderKey]any{"jwk": jose.JSONWebKey{Key: evil.key.Private.Public(), KeyID: "k1"}})
	pointed := evil.key.Sign(t, claims(nil), map[jose.HeaderKey]any{"jku": p.URL + "/evil-keys"})
	accessToken := victim.key.Sign(t, claims(nil), map[jose.HeaderKey]any{"typ": "at+jwt"})

	used := sign(victim.key, nil)
	tokens = victim.Tokens(t, victim.Token(t, with(assertionParams(used), gatewaytest.RefreshParams(tokens.Refresh))))

	for name, row := range map[string]struct {
		assertion string
		others    url.Values
		want      string // invalid_client, unless it says otherwise
	}{
		"alg none":                 {encode(`{"alg":"none","kid":"k1"}`) + "." + parts[1] + ".", nil, ""},
		"the signature taken away": {parts[0] + "." + parts[1] + ".", nil, ""},
		"HS256, the public key":    {shared(der), nil, ""},
		"HS256, the key as PEM":    {shared(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), nil, ""},
		"HS256, an empty key":      {shared(nil), nil, ""},
		"one's own key":            {sign(evil.key, nil), nil, ""},
		"a key brought along":      {brought, nil, ""},
		"a key pointed to":         {pointed, nil, ""},
		"replayed":                 {used, nil, ""},
		"something else it signed": {accessToken, nil, ""},
		"for another server":       {sign(victim.key, map[string]any{"aud": "https://other.example"}), nil, ""},
		"for another server, too":  {sign(victim.key, map[string]any{"aud": []string{gw.URL, "https://other.example"}}), nil, ""},
		"for no server":            {sign(victim.key, map[string]any{"aud": nil}), nil, ""},
		"expired":                  {sign(victim.key, map[string]any{"exp": at(-time.Minute)}), nil, ""},
		"never to expire":          {sign(victim.key, map[string]any{"exp": at(24 * time.Hour)}), nil, ""},
		"without exp":              {sign(victim.key, map[string]any{"exp": nil}), nil, ""},
		"without jti":              {sign(victim.key, map[string]any{"jti": nil}), nil, ""},
		"not yet":                  {sign(victim.key, map[string]any{"nbf": at(time.Hour)}), nil, ""},
		"of the thief":             {evil.key.Sign(t, assertiontest.Claims(evil.ID, gw.URL, gw.Clock.Now(), nil), nil), nil, "invalid_request"},
		"issued by the thief":      {evil.key.Sign(t, claims(map[string]any{"iss": evil.ID}), nil), nil, ""},
		"about the thief":          {evil.key.Sign(t, claims(map[string]any{"sub": evil.ID}), nil), url.Values{"client_id": {""}}, ""},
		"twice":                    {sign(victim.key, nil), url.Values{"client_assertion": {"a.b.c", "d.e.f"}}, "invalid_request"},
		"and a secret":             {sign(victim.key, nil), url.Values{"client_secret": {"x"}}, "invalid_request"},
		"of another type":          {sign(victim.key, nil), url.Values{"client_assertion_type": {"jwt"}}, "invalid_request"},
		"none, of the right type":  {"", nil, "invalid_request"},
		"very long":                {strings.Repeat("a", 9<<10), nil, "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, stolen := range []url.Values{
				gatewaytest.RefreshParams(tokens.Refresh), gatewaytest.RedeemParams(code), {"token": {tokens.Refresh}},
			} {
				path, want, status := "/token", row.want, http.StatusBadRequest
				if stolen.Has("token") {
					path = "/revoke"
				}
				if want == "" {
					want, status = "invalid_client", http.StatusUnauthorized
				}
				a := victim.Form(t, path, with(assertionParams(row.assertion), stolen, row.others))
				a.Fails(t, status, want)
			}
		})
	}
	// As who the thief is, too.
	evil.Token(t, evil.signed(t, gatewaytest.RefreshParams(tokens.Refresh))).Fails(t, http.StatusBadRequest, "invalid_grant")
	evil.Token(t, evil.signed(t, gatewaytest.RedeemParams(code))).Fails(t, http.StatusBadRequest, "invalid_grant")
	if a := evil.Form(t, "/revoke", evil.signed(t, url.Values{"token": {tokens.Refresh}})); a.Status != http.StatusOK {
		t.Errorf("revoking what is another's gets %d", a.Status) // and ends nothing (RFC 7009 section 2.2)
	}
	if p.Asked("/evil-keys") > 0 {
		t.Error("the gateway asked where an assertion pointed to")
	}
	victim.redeem(t, code)
	victim.refresh(t, tokens)
}

func assertionParams(a string) url.Values {
	return url.Values{"client_assertion_type": {assertion.Type}, "client_assertion": {a}}
}

// with joins parameters, the last ones counting.
func with(all ...url.Values) url.Values {
	joined := url.Values{}
	for _, v := range all {
		maps.Copy(joined, v)
	}
	return joined
}
