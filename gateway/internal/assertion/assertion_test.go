package assertion

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"vestibule.dev/vestibule/gateway/internal/assertion/assertiontest"
)

const (
	client = "https://app.example.com/client.json"
	issuer = "https://mcp.example.com"
)

var (
	now       = time.Unix(1_800_000_000, 0)
	audiences = []string{issuer, issuer + "/token"}
)

func parseKeys(t testing.TB, set []byte) Keys {
	t.Helper()
	keys, err := ParseKeys(set)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func verify(compact string, keys Keys) error {
	a, err := Parse(compact)
	if err != nil {
		return err
	}
	return a.Verify(client, keys, audiences, now)
}

// refused insists on an error with these words, which quotes nothing of the assertion.
func refused(t *testing.T, err error, want string) {
	t.Helper()
	if want == "" {
		if err != nil {
			t.Errorf("it is refused: %v", err)
		}
		return
	}
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestWhatIsSignedByTheClientPasses(t *testing.T) {
	for _, algorithm := range Algorithms {
		s := assertiontest.New(t, "k", algorithm)
		keys := parseKeys(t, assertiontest.JWKS(t, s))
		for _, keyID := range []string{"k", ""} {
			s.KeyID = keyID
			refused(t, verify(s.Sign(t, assertiontest.Claims(client, issuer, now, nil), nil), keys), "")
		}
		refused(t, verify(assertiontest.New(t, "k", algorithm).Sign(t, assertiontest.Claims(client, issuer, now, nil), nil), keys), "signature")
	}
}

func TestTheClaims(t *testing.T) {
	s := assertiontest.New(t, "k", jose.ES256)
	keys := parseKeys(t, assertiontest.JWKS(t, s))
	at := func(d time.Duration) int64 { return now.Add(d).Unix() }
	for _, row := range []struct {
		name   string
		claims map[string]any
		want   string
	}{
		{"the token endpoint", map[string]any{"aud": issuer + "/token"}, ""},
		{"one audience in an array", map[string]any{"aud": []string{issuer}}, ""},
		{"two audiences", map[string]any{"aud": []string{issuer, "https://other.example"}}, "claims"},
		{"no audience in an array", map[string]any{"aud": []string{}}, "claims"},
		{"another audience", map[string]any{"aud": "https://other.example"}, "aud is not this server"},
		{"a longer audience", map[string]any{"aud": issuer + "/"}, "aud is not this server"},
		{"no audience", map[string]any{"aud": nil}, "lacks iss, sub or aud"},
		{"another subject", map[string]any{"sub": "https://other.example/c"}, "not both the client"},
		{"another issuer", map[string]any{"iss": "https://other.example/c"}, "not both the client"},
		{"no subject", map[string]any{"sub": nil}, "lacks iss, sub or aud"},
		{"no issuer", map[string]any{"iss": nil}, "lacks iss, sub or aud"},
		{"no exp", map[string]any{"exp": nil}, "lacks exp"},
		{"exp as text", map[string]any{"exp": "1800000100"}, "claims"},
		{"exp with a fraction", map[string]any{"exp": float64(at(time.Minute)) + .5}, ""},
		{"exp far beyond all times", map[string]any{"exp": 1e300}, "claims"},
		{"a negative exp", map[string]any{"exp": -1}, "claims"},
		{"just expired", map[string]any{"exp": at(-29 * time.Second)}, ""},
		{"expired", map[string]any{"exp": at(-30 * time.Second)}, "expired"},
		{"as long as may be", map[string]any{"exp": at(10*time.Minute + 30*time.Second)}, ""},
		{"too long", map[string]any{"exp": at(10*time.Minute + 31*time.Second)}, "more than"},
		{"not good yet, by a little", map[string]any{"nbf": at(30 * time.Second)}, ""},
		{"not good yet", map[string]any{"nbf": at(31 * time.Second)}, "not good yet"},
		{"from the future, by a little", map[string]any{"iat": at(30 * time.Second)}, ""},
		{"from the future", map[string]any{"iat": at(31 * time.Second)}, "in the future"},
		{"no iat", map[string]any{"iat": nil}, ""},
		{"no jti", map[string]any{"jti": nil}, "jti"},
		{"an empty jti", map[string]any{"jti": ""}, "jti"},
		{"a jti of 256 bytes", map[string]any{"jti": strings.Repeat("j", 256)}, ""},
		{"a jti of 257 bytes", map[string]any{"jti": strings.Repeat("j", 257)}, "jti"},
		{"a jti that is a number", map[string]any{"jti": 7}, "claims"},
	} {
		t.Run(row.name, func(t *testing.T) {
			refused(t, verify(s.Sign(t, assertiontest.Claims(client, issuer, now, row.claims), nil), keys), row.want)
		})
	}
	for name, payload := range map[string]string{
		"other cases":   `{"ISS":%q,"SUB":%q,"aud":%q,"exp":1800000100,"jti":"1"}`,
		"a claim twice": `{"iss":%q,"sub":%q,"sub":"x","aud":%q,"exp":1800000100,"jti":"1"}`,
		"an array":      `[%q,%q,%q]`,
	} {
		if err := verify(s.Sign(t, fmt.Appendf(nil, payload, client, client, issuer), nil), keys); err == nil {
			t.Errorf("%s passes", name)
		}
	}
}

func TestTheHeader(t *testing.T) {
	s := assertiontest.New(t, "k", jose.ES256)
	keys := parseKeys(t, assertiontest.JWKS(t, s))
	claims := assertiontest.Claims(client, issuer, now, nil)
	for _, row := range []struct {
		header map[jose.HeaderKey]any
		want   string
	}{
		{map[jose.HeaderKey]any{"typ": "client-authentication+jwt"}, ""},
		{map[jose.HeaderKey]any{"typ": "jwt"}, ""},
		{map[jose.HeaderKey]any{"typ": "at+jwt"}, "typ"},
		{map[jose.HeaderKey]any{"typ": "oauth-id-jag+jwt"}, "typ"},
		{map[jose.HeaderKey]any{"typ": 7}, "typ"},
		{map[jose.HeaderKey]any{"crit": []string{"x"}, "x": 1}, "signature"},
		{map[jose.HeaderKey]any{"jku": "https://evil.example/keys"}, ""}, // and is never asked
	} {
		refused(t, verify(s.Sign(t, claims, row.header), keys), row.want)
	}
	// The key that an assertion brings along proves nothing.
	stranger := assertiontest.New(t, "k", jose.ES256)
	brought := stranger.Sign(t, claims, map[jose.HeaderKey]any{"jwk": jose.JSONWebKey{Key: stranger.Private.Public(), KeyID: "k"}})
	refused(t, verify(brought, keys), "signature")
}

func encode(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func TestWhatNeedsNoKeyOfTheClientIsRefused(t *testing.T) {
	s := assertiontest.New(t, "k", jose.RS256)
	set := assertiontest.JWKS(t, s)
	keys := parseKeys(t, set)
	claims, err := json.Marshal(assertiontest.Claims(client, issuer, now, nil))
	if err != nil {
		t.Fatal(err)
	}
	good := s.Sign(t, claims, nil)
	parts := strings.Split(good, ".")
	none := encode(`{"alg":"none","kid":"k"}`) + "." + parts[1] + "."
	public, err := x509.MarshalPKIXPublicKey(s.Private.Public())
	if err != nil {
		t.Fatal(err)
	}
	shared := func(key []byte) string {
		signed := encode(`{"alg":"HS256","kid":"k"}`) + "." + parts[1]
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(signed))
		return signed + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	}
	other := assertiontest.Claims(client, issuer, now, map[string]any{"sub": "https://evil.example/c", "iss": "https://evil.example/c"})
	for name, compact := range map[string]string{
		"none": none, "None": encode(`{"alg":"None"}`) + "." + parts[1] + ".", "no algorithm": encode(`{}`) + "." + parts[1] + "." + parts[2],
		"HS256 with the public key": shared(public), "HS256 with the set": shared(set),
		"no signature":       parts[0] + "." + parts[1] + ".",
		"another's claims":   parts[0] + "." + strings.Split(s.Sign(t, other, nil), ".")[1] + "." + parts[2],
		"another algorithm":  encode(`{"alg":"PS256","kid":"k","typ":"JWT"}`) + "." + parts[1] + "." + parts[2],
		"JSON serialization": `{"protected":"` + parts[0] + `","payload":"` + parts[1] + `","signature":"` + parts[2] + `"}`,
		"detached":           parts[0] + ".." + parts[2],
		"four parts":         good + ".", "nothing": "", "dots": "..", "five parts": "a.b.c.d.e",
	} {
		if err := verify(compact, keys); err == nil {
			t.Errorf("%s passes", name)
		}
	}
	refused(t, verify(good, keys), "")
}

func TestWhichKeyIsMeant(t *testing.T) {
	one, two := assertiontest.New(t, "1", jose.ES256), assertiontest.New(t, "2", jose.ES256)
	rsaKey := assertiontest.New(t, "3", jose.RS256)
	sign := func(s *assertiontest.Signer, keyID string) string {
		with := *s
		with.KeyID = keyID
		return with.Sign(t, assertiontest.Claims(client, issuer, now, nil), nil)
	}
	keys := parseKeys(t, assertiontest.JWKS(t, one, two, rsaKey))
	refused(t, verify(sign(two, "2"), keys), "")
	refused(t, verify(sign(two, "1"), keys), "signature")
	refused(t, verify(sign(two, "9"), keys), "no key")
	refused(t, verify(sign(two, ""), keys), "which key")
	refused(t, verify(sign(rsaKey, ""), keys), "")
	ps := *rsaKey
	ps.Algorithm = jose.PS256
	refused(t, verify(sign(&ps, "3"), keys), "no key") // the key is for RS256 alone
	if !keys.Has("2") || keys.Has("9") || !keys.Has("") || (Keys{}).Has("") {
		t.Error("Has is wrong")
	}
}

func TestWhichKeysAreUsable(t *testing.T) {
	good := assertiontest.New(t, "good", jose.ES256)
	jwk := func(key any, use string) string {
		b, err := json.Marshal(jose.JSONWebKey{Key: key, KeyID: "x", Use: use})
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	fine := jwk(good.Private.Public(), "sig")
	for _, row := range []struct {
		name, keys string
		usable     int // 0: an error
	}{
		{"one", fine, 1},
		{"one, and one of a new type", fine + `,{"kty":"NEW","kid":"n"}`, 1},
		{"one, and what is no key", fine + `,7,null,"x",{}`, 1},
		{"none", ``, 0},
		{"a short RSA key", jwk(short.Public(), ""), 0},
		{"a curve that no algorithm here has", jwk(p521.Public(), ""), 0},
		{"a key for encryption", jwk(good.Private.Public(), "enc"), 0},
		{"a private key", fine + "," + jwk(good.Private, ""), 0},
		{"a shared secret", fine + "," + jwk([]byte("0123456789abcdef0123456789abcdef"), ""), 0},
		{"as many as may be", strings.Join(slices.Repeat([]string{fine}, MaxKeys), ","), MaxKeys},
		{"too many", strings.Join(slices.Repeat([]string{fine}, MaxKeys+1), ","), 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			keys, err := ParseKeys([]byte(`{"keys":[` + row.keys + `]}`))
			if (err == nil) != (row.usable > 0) || len(keys.all) != row.usable {
				t.Fatalf("%d keys are usable: %v", len(keys.all), err)
			}
			if row.usable == 0 {
				return
			}
			again, err := keys.Marshal()
			if err != nil || len(again) > MaxKeySet {
				t.Fatalf("%d bytes: %v", len(again), err)
			}
			if got := parseKeys(t, again); len(got.all) != row.usable {
				t.Errorf("written and read again, %d are left", len(got.all))
			}
		})
	}
	for _, document := range []string{"", "{}", "[]", "null", `{"keys":null}`, `{"keys":{}}`, `{"KEYS":[` + fine + `]}`, `{"keys":[],"keys":[` + fine + `]}`, `{"keys":[` + fine + `]`} {
		if _, err := ParseKeys([]byte(document)); err == nil {
			t.Errorf("%.20q is taken for a set", document)
		}
	}
}

// Whatever arrives, reading it neither fails badly nor lets anything through
// that the client's key has not signed.
func FuzzParse(f *testing.F) {
	s := assertiontest.New(f, "k", jose.ES256)
	keys := parseKeys(f, assertiontest.JWKS(f, s))
	good := s.Sign(f, assertiontest.Claims(client, issuer, now, nil), nil)
	signed := good[:strings.LastIndex(good, ".")]
	parts := strings.Split(good, ".")
	for _, seed := range []string{
		"", "..", good, parts[0] + "." + parts[1] + ".", encode(`{"alg":"none"}`) + "." + parts[1] + ".",
		parts[0] + "." + encode(`{"iss":"a","sub":"a","aud":["a"],"exp":1e10,"jti":"j"}`) + "." + parts[2],
		parts[0] + "." + encode(strings.Repeat("[", 5000)) + "." + parts[2],
		encode(`{"alg":"ES256","typ":"JWT","crit":["b64"],"b64":false}`) + "." + parts[1] + "." + parts[2],
		encode(`{"alg":"ES256","jwk":{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}}`) + "." + parts[1] + "." + parts[2],
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, compact string) {
		if err := verify(compact, keys); err == nil && !strings.HasPrefix(compact, signed+".") {
			t.Errorf("%q passes", compact)
		}
	})
}

func FuzzParseKeys(f *testing.F) {
	for _, algorithm := range []jose.SignatureAlgorithm{jose.ES256, jose.EdDSA} {
		f.Add(assertiontest.JWKS(f, assertiontest.New(f, "k", algorithm)))
	}
	f.Add([]byte(`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB","x5c":["MIIB"]}]}`))
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"AAAA"},{"kty":"EC","crv":"P-256","x":"","y":""}]}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		keys, err := ParseKeys(document)
		if err != nil {
			return
		}
		written, err := keys.Marshal()
		if err != nil || len(written) > MaxKeySet {
			t.Fatalf("%d bytes: %v", len(written), err)
		}
		if again := parseKeys(t, written); len(again.all) != len(keys.all) {
			t.Errorf("%d keys become %d", len(keys.all), len(again.all))
		}
	})
}
