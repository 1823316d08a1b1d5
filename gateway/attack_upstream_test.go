package gateway_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
)

func TestAttackForgedIDToken(t *testing.T) {
	t.Parallel()
	journal := gatewaytest.NewJournal(t)
	gw := gatewaytest.New(t, gatewaytest.Setup{Options: journal.Use})
	client := gw.Register(t, nil)
	set := func(name string, value any) func(map[string]any) {
		return func(claims map[string]any) { claims[name] = value }
	}
	without := func(name string) func(map[string]any) {
		return func(claims map[string]any) { delete(claims, name) }
	}
	for name, f := range map[string]func(map[string]any){
		"another nonce": set("nonce", "another"), "no nonce": without("nonce"),
		"another audience": set("aud", "another"), "no audience": without("aud"),
		"for another party": func(c map[string]any) { c["aud"], c["azp"] = []string{"vestibule", "another"}, "another" },
		"expired":           set("exp", time.Now().Add(-time.Hour).Unix()), "no expiry": without("exp"),
		"from the future": set("iat", time.Now().Add(time.Hour).Unix()),
		"another issuer":  set("iss", "https://evil.example"), "no issuer": without("iss"),
		"nobody": without("sub"), "an empty subject": set("sub", ""),
	} {
		t.Run(name, func(t *testing.T) {
			gw.IdP.BreakClaims(f)
			defer gw.IdP.BreakClaims(nil)
			failsToLogIn(t, client, journal, "server_error")
		})
	}
	for name, f := range map[string]func(string) string{
		"another signature": func(s string) string {
			i := strings.LastIndexByte(s, '.') + 1
			return s[:i] + strings.Repeat("A", len(s)-i)
		},
		"no signature": func(s string) string { return s[:strings.LastIndexByte(s, '.')+1] },
		"algorithm none": func(s string) string {
			return "eyJhbGciOiJub25lIn0" + s[strings.IndexByte(s, '.'):strings.LastIndexByte(s, '.')+1]
		},
		"an unknown key":   func(s string) string { return "eyJhbGciOiJFUzI1NiIsImtpZCI6IjIifQ" + s[strings.IndexByte(s, '.'):] },
		"no token":         func(string) string { return "" },
		"anything but one": func(string) string { return "a.b.c" },
	} {
		t.Run(name, func(t *testing.T) {
			gw.IdP.BreakIDToken(f)
			defer gw.IdP.BreakIDToken(nil)
			failsToLogIn(t, client, journal, "server_error")
		})
	}
	client.Login(t) // all is well
}

// An attacker who can bring id tokens to the gateway, and knows what is public of
// the upstream, signs one with that.
func TestAttackIDTokenAlgorithms(t *testing.T) {
	t.Parallel()
	journal := gatewaytest.NewJournal(t)
	gw := gatewaytest.New(t, gatewaytest.Setup{Options: journal.Use})
	client := gw.Register(t, nil)
	var set jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(client.Browser(t).Get(t, gw.IdP.URL+"/jwks").Body), &set); err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(set.Keys[0].Key)
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := json.Marshal(set.Keys[0])
	if err != nil {
		t.Fatal(err)
	}
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	// as signs what the genuine token says with another key.
	as := func(key jose.SigningKey, options *jose.SignerOptions) func(string) string {
		return func(genuine string) string {
			payload, err := base64.RawURLEncoding.DecodeString(strings.Split(genuine, ".")[1])
			if err != nil {
				t.Error(err)
			}
			signer, err := jose.NewSigner(key, options)
			if err != nil {
				t.Error(err)
			}
			signed, err := signer.Sign(payload)
			if err != nil {
				t.Error(err)
			}
			compact, err := signed.CompactSerialize()
			if err != nil {
				t.Error(err)
			}
			return compact
		}
	}
	hmacWith := func(key []byte) func(string) string {
		return as(jose.SigningKey{Algorithm: jose.HS256, Key: jose.JSONWebKey{Key: key, KeyID: "1"}}, nil)
	}
	forgeries := map[string]func(string) string{
		"HMAC with the public key, DER":    hmacWith(der),
		"HMAC with the public key, PEM":    hmacWith(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})),
		"HMAC with the public key, JWK":    hmacWith(jwk),
		"HMAC with nothing but zeros":      hmacWith(make([]byte, 32)),
		"another key under the same kid":   as(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: own, KeyID: "1"}}, nil),
		"another key, without a kid":       as(jose.SigningKey{Algorithm: jose.ES256, Key: own}, nil),
		"another key, inside of the token": as(jose.SigningKey{Algorithm: jose.ES256, Key: own}, &jose.SignerOptions{EmbedJWK: true}),
		"another key, named by the token": as(jose.SigningKey{Algorithm: jose.ES256, Key: own},
			(&jose.SignerOptions{}).WithHeader("jku", gw.IdP.URL+"/jwks").WithHeader("kid", "1")),
		"algorithm none, unsigned": func(s string) string {
			return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","kid":"1"}`)) + s[strings.IndexByte(s, '.'):strings.LastIndexByte(s, '.')+1]
		},
		"algorithm None, signed": func(s string) string {
			return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"None","kid":"1"}`)) + s[strings.IndexByte(s, '.'):]
		},
	}
	for _, offered := range [][]string{{"ES256"}, {"ES256", "HS256", "none"}} {
		gw.IdP.BreakDocument(func(d map[string]any) { d["id_token_signing_alg_values_supported"] = offered })
		gw.Clock.Advance(time.Hour) // so that the gateway asks again
		for name, forge := range forgeries {
			t.Run(fmt.Sprintf("%s, of %v", name, offered), func(t *testing.T) {
				gw.IdP.BreakIDToken(forge)
				defer gw.IdP.BreakIDToken(nil)
				failsToLogIn(t, client, journal, "server_error")
			})
		}
		client.Redeem(t, client.Login(t)) // all is well
	}
}

// Who may not log in any more, since there is another provider under the name of
// theirs, has no grant either.
func TestAttackReplacedUpstream(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{Replicas: 2})
	client := gw.Register(t, nil)
	tokens, other := client.Redeem(t, client.Login(t)), client.Redeem(t, client.Login(t))
	changed := client.On(gw.Join(t, func(c *config.Config) {
		oidc := *c.Upstreams[0].OIDC
		oidc.IssuerURL = "https://elsewhere.example"
		c.Upstreams = []config.Upstream{{Name: c.Upstreams[0].Name, Type: config.UpstreamOIDC, OIDC: &oidc}}
	}))
	changed.Call(t, tokens.Access).Fails(t, http.StatusUnauthorized, "invalid_token")
	if a := client.Call(t, tokens.Access); a.Status != http.StatusOK {
		t.Errorf("where it is still configured, the answer is %d", a.Status)
	}
	changed.Token(t, gatewaytest.RefreshParams(tokens.Refresh)).Fails(t, http.StatusBadRequest, "invalid_grant")
	dead(t, client, tokens)
	unharmed(t, client, other)
}
