package gateway_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/assertion/assertiontest"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
)

// employer is an identity provider whose word a gateway takes.
type employer struct {
	*gatewaytest.Publisher
	key *assertiontest.Signer
}

const employerIssuer = "https://employer.example"

func newEmployer(t *testing.T) *employer {
	t.Helper()
	e := &employer{gatewaytest.NewPublisher(t), assertiontest.New(t, "e1", jose.RS256)}
	e.Publish(t, "/jwks", assertiontest.JWKS(t, e.key))
	return e
}

func (e *employer) trust(c *config.Config) {
	c.TrustedIssuers = []config.TrustedIssuer{{Name: "employer", IssuerURL: employerIssuer, JWKSURL: e.URL + "/jwks", CABundleFile: e.Bundle}}
}

var idJAG = map[jose.HeaderKey]any{"typ": "oauth-id-jag+jwt"}

// claims are those of a good assertion for nightly, and others in place of or
// besides them.
func (e *employer) claims(gw *gatewaytest.Server, others map[string]any) map[string]any {
	claims := map[string]any{
		"iss": employerIssuer, "sub": "alice", "client_id": "nightly", "resource": gw.URL + "/mcp", "scope": "read write",
		"email": "alice@example.com", "email_verified": true, "name": "Alice",
	}
	maps.Copy(claims, others)
	return assertiontest.Claims("", gw.URL, gw.Clock.Now(), claims)
}

func bearing(assertion string, more url.Values) url.Values {
	v := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {assertion}}
	maps.Copy(v, more)
	return v
}

func newIDJAG(t *testing.T, e *employer) *gatewaytest.Server {
	return gatewaytest.New(t, gatewaytest.Setup{Replicas: 2, Configure: func(c *config.Config) {
		twoRoutes(c)
		twoScopes(c)
		e.trust(c)
		c.AccessRules = []config.AccessRule{{Name: "staff", Expression: `claims.email.endsWith("@example.com")`}}
		bearer := []config.GrantType{config.GrantJWTBearer}
		c.Clients = []config.Client{
			{ID: "nightly", SecretFile: file(t, nightlySecret), GrantTypes: bearer, Scopes: []string{"read", "write"}},
			{ID: "portal", SecretFile: file(t, portalSecret), GrantTypes: []config.GrantType{config.GrantClientCredentials}},
		}
	}, Reconfigure: func(c *config.Config) { c.TrustedIssuers = nil }})
}

func TestIdentityAssertions(t *testing.T) { // A60
	t.Parallel()
	e := newEmployer(t)
	gw := newIDJAG(t, e)
	nightly := gw.Provisioned("nightly", nightlySecret)
	for _, row := range []struct {
		name   string
		claims map[string]any
		params url.Values
		status int
		want   string // the scope, or the error
	}{
		{"all it says", nil, nil, 200, "read write"},
		{"fewer scopes", nil, url.Values{"scope": {"read"}}, 200, "read"},
		{"more scopes", nil, url.Values{"scope": {"read admin"}}, 200, "read"},
		{"no scope", map[string]any{"scope": nil}, nil, 200, "read"},
		{"a scope that the client may not have", map[string]any{"scope": "admin"}, nil, 400, "invalid_scope"},
		{"a scope that the assertion does not have", map[string]any{"scope": "read"}, url.Values{"scope": {"write"}}, 400, "invalid_scope"},
		{"one audience in an array", map[string]any{"aud": []string{gw.URL}}, nil, 200, "read write"},
		{"resources, of which one is ours", map[string]any{"resource": []string{"https://other.example/mcp", gw.URL + "/mcp"}}, nil, 200, "read write"},
		{"a resource of the request", nil, url.Values{"resource": {gw.URL + "/mcp"}}, 200, "read write"},
		{"another resource of the request", map[string]any{"resource": gw.URL + "/mcp"}, url.Values{"resource": {"https://other.example/mcp"}}, 400, "invalid_target"},
		{"another's resource", map[string]any{"resource": "https://other.example/mcp"}, nil, 400, "invalid_target"},
		{"no resource", map[string]any{"resource": nil}, nil, 400, "invalid_target"},
		{"another client", map[string]any{"client_id": "portal"}, nil, 400, "invalid_grant"},
		{"no client", map[string]any{"client_id": nil}, nil, 400, "invalid_grant"},
		{"another server", map[string]any{"aud": "https://other.example"}, nil, 400, "invalid_grant"},
		{"the server with a slash", map[string]any{"aud": gw.URL + "/"}, nil, 400, "invalid_grant"},
		{"two audiences", map[string]any{"aud": []string{gw.URL, "https://other.example"}}, nil, 400, "invalid_grant"},
		{"another issuer", map[string]any{"iss": "https://other.example"}, nil, 400, "invalid_grant"},
		{"no subject", map[string]any{"sub": nil}, nil, 400, "invalid_grant"},
		{"no jti", map[string]any{"jti": nil}, nil, 400, "invalid_grant"},
		{"no iat", map[string]any{"iat": nil}, nil, 400, "invalid_grant"},
		{"no exp", map[string]any{"exp": nil}, nil, 400, "invalid_grant"},
		{"expired", map[string]any{"exp": time.Now().Add(-time.Minute).Unix()}, nil, 400, "invalid_grant"},
		{"a long life", map[string]any{"exp": time.Now().Add(11 * time.Minute).Unix()}, nil, 400, "invalid_grant"},
		{"a long life that is nearly over", map[string]any{"iat": time.Now().Add(-time.Hour).Unix()}, nil, 400, "invalid_grant"},
		{"not good yet", map[string]any{"nbf": time.Now().Add(time.Hour).Unix()}, nil, 400, "invalid_grant"},
		{"from the future", map[string]any{"iat": time.Now().Add(time.Hour).Unix()}, nil, 400, "invalid_grant"},
		{"bound to a key", map[string]any{"cnf": map[string]any{"jkt": "x"}}, nil, 400, "invalid_grant"},
		{"authorization details", map[string]any{"authorization_details": []any{}}, nil, 400, "invalid_grant"},
		{"a user who is not let in", map[string]any{"email": "alice@other.example"}, nil, 400, "invalid_grant"},
		{"an address that nobody has verified", map[string]any{"email_verified": false}, nil, 400, "invalid_grant"},
		{"an address that is verified in words", map[string]any{"email_verified": "true"}, nil, 400, "invalid_grant"},
	} {
		t.Run(row.name, func(t *testing.T) {
			a := nightly.Token(t, bearing(gw.Secrets.Add("assertion", e.key.Sign(t, e.claims(gw, row.claims), idJAG)), row.params))
			if row.status != http.StatusOK {
				a.Fails(t, row.status, row.want)
				return
			}
			tokens := nightly.Tokens(t, a)
			if tokens.Scope != row.want || strings.Contains(a.Body, "refresh_token") {
				t.Errorf("the answer is %s", a.Body)
			}
			if nightly.Call(t, tokens.Access).Status != http.StatusOK {
				t.Error("its token does not pass")
			}
		})
	}
	if e.Asked("/jwks") != 1 {
		t.Errorf("the keys were fetched %d times", e.Asked("/jwks"))
	}

	// It may come again, and what it got ends with the trust in its issuer.
	again := bearing(e.key.Sign(t, e.claims(gw, nil), idJAG), nil)
	nightly.Tokens(t, nightly.Token(t, again))
	tokens := nightly.Tokens(t, nightly.Token(t, again))
	if nightly.On(0).Call(t, tokens.Access).Status != http.StatusOK || nightly.On(1).Call(t, tokens.Access).Status != http.StatusUnauthorized {
		t.Error("a token is not as good as its issuer is trusted")
	}
	nightly.On(1).Token(t, again).Fails(t, http.StatusBadRequest, "invalid_grant")

	var issued map[string]any
	for _, line := range auditLines(t, gw) {
		if line["msg"] == "tokens issued" {
			issued = line
		}
	}
	if issued["upstream"] != "id-jag:employer" || issued["subject"] != "alice" || issued["client_id"] != "nightly" {
		t.Errorf("the audit log has %v", issued)
	}
	for replica, want := range [][]string{
		{"authorization_code", "refresh_token", "client_credentials", "urn:ietf:params:oauth:grant-type:jwt-bearer"},
		{"authorization_code", "refresh_token", "client_credentials"},
	} {
		v := gw.Do(t, gw.HTTP(replica), gw.Request(t, http.MethodGet, "/.well-known/oauth-authorization-server", nil, nil)).JSON(t)
		isList(t, v, "grant_types_supported", want)
		var profiles []string
		if replica == 0 {
			profiles = []string{"urn:ietf:params:oauth:grant-profile:id-jag"}
		}
		isList(t, v, "authorization_grant_profiles_supported", profiles)
	}
}

func TestAttacksWithIdentityAssertions(t *testing.T) { // A17, A60
	t.Parallel()
	e := newEmployer(t)
	gw := newIDJAG(t, e)
	nightly := gw.Provisioned("nightly", nightlySecret)
	good := e.key.Sign(t, e.claims(gw, nil), idJAG)
	parts := strings.Split(good, ".")
	header := func(h map[string]any) string {
		b, err := json.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	hs256 := header(map[string]any{"alg": "HS256", "kid": "e1", "typ": "oauth-id-jag+jwt"}) + "." + parts[1]
	mac := hmac.New(sha256.New, assertiontest.JWKS(t, e.key))
	mac.Write([]byte(hs256))
	stranger := assertiontest.New(t, "e1", jose.RS256)
	for name, bad := range map[string]string{
		"alg none":          header(map[string]any{"alg": "none", "typ": "oauth-id-jag+jwt"}) + "." + parts[1] + ".",
		"HS256":             hs256 + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)),
		"another's key":     stranger.Sign(t, e.claims(gw, nil), idJAG),
		"no signature":      parts[0] + "." + parts[1] + ".",
		"an ID token":       e.key.Sign(t, e.claims(gw, nil), map[jose.HeaderKey]any{"typ": "JWT"}),
		"an access token":   e.key.Sign(t, e.claims(gw, nil), map[jose.HeaderKey]any{"typ": "at+jwt"}),
		"another's payload": parts[0] + "." + strings.Split(e.key.Sign(t, e.claims(gw, map[string]any{"sub": "mallory"}), idJAG), ".")[1] + "." + parts[2],
		"a claim twice":     e.key.Sign(t, []byte(`{"iss":"`+employerIssuer+`","iss":"x"}`), idJAG),
		"no JWT":            "assertion",
		"a token of ours":   nightly.Secret,
	} {
		t.Run(name, func(t *testing.T) {
			nightly.Token(t, bearing(bad, nil)).Fails(t, http.StatusBadRequest, "invalid_grant")
		})
	}
	nightly.Token(t, url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}}).Fails(t, http.StatusBadRequest, "invalid_request")
	nightly.Token(t, bearing(strings.Repeat("a", 9<<10), nil)).Fails(t, http.StatusBadRequest, "invalid_request")
	nightly.Token(t, url.Values{"grant_type": {"client_credentials"}}).Fails(t, http.StatusBadRequest, "unauthorized_client")
	for _, c := range []*gatewaytest.Client{gw.Provisioned("portal", portalSecret), gw.Register(t, nil), gw.Register(t, map[string]any{"token_endpoint_auth_method": "client_secret_basic"})} {
		own := e.key.Sign(t, e.claims(gw, map[string]any{"client_id": c.ID}), idJAG)
		c.Token(t, bearing(own, nil)).Fails(t, http.StatusBadRequest, "unauthorized_client")
	}
	post(t, gw, "/token", bearing(good, url.Values{"client_id": {"nightly"}})).Fails(t, http.StatusUnauthorized, "invalid_client")
	nightly.Tokens(t, nightly.Token(t, bearing(good, nil)))
}

func TestTheKeysOfATrustedIssuer(t *testing.T) { // A60
	t.Parallel()
	e := newEmployer(t)
	gw := newIDJAG(t, e)
	nightly := gw.Provisioned("nightly", nightlySecret)
	sign := func(key *assertiontest.Signer) url.Values { return bearing(key.Sign(t, e.claims(gw, nil), idJAG), nil) }
	nightly.Tokens(t, nightly.Token(t, sign(e.key)))
	// A new key is looked for, but not at once again.
	next := assertiontest.New(t, "e2", jose.ES256)
	nightly.Token(t, sign(next)).Fails(t, http.StatusServiceUnavailable, "temporarily_unavailable")
	asked := e.Asked("/jwks")
	e.Publish(t, "/jwks", assertiontest.JWKS(t, e.key, next))
	for range 5 {
		nightly.Token(t, sign(next)).Fails(t, http.StatusServiceUnavailable, "temporarily_unavailable")
	}
	if got := e.Asked("/jwks"); got != asked {
		t.Errorf("the keys were fetched %d times more", got-asked)
	}
	gw.Clock.Advance(31 * time.Second)
	nightly.Tokens(t, nightly.Token(t, sign(next)))
	// Out of reach, nobody is refused for good.
	e.Stop()
	gw.Clock.Advance(48 * time.Hour)
	nightly.Token(t, sign(assertiontest.New(t, "e3", jose.ES256))).Fails(t, http.StatusServiceUnavailable, "temporarily_unavailable")
}

// One user of one client keeps as many tokens as they keep logins.
func TestTokensOfOneUser(t *testing.T) {
	t.Parallel()
	e := newEmployer(t)
	gw := newIDJAG(t, e)
	nightly := gw.Provisioned("nightly", nightlySecret)
	var all []string
	for range 22 {
		all = append(all, nightly.Tokens(t, nightly.Token(t, bearing(e.key.Sign(t, e.claims(gw, nil), idJAG), nil))).Access)
		gw.Clock.Advance(time.Second)
	}
	alive := slices.DeleteFunc(slices.Clone(all), func(token string) bool { return nightly.Call(t, token).Status != http.StatusOK })
	if !slices.Equal(alive, all[2:]) {
		t.Errorf("%d of 22 tokens are good", len(alive))
	}
}
