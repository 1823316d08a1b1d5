package gateway_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
)

const (
	assertionHeader = "X-Vestibule-Assertion"
	audience        = "https://weather.internal"
)

// introducing is a backend that is told who calls, in every way.
func introducing(c *config.Config) {
	c.Backend.Identity = &config.Identity{
		Assertion: &config.IdentityAssertion{Audience: audience, Claims: []string{"email", "groups", "missing"}},
		Headers: []config.IdentityHeader{
			{Name: "X-User-Email", Claim: "email"}, {Name: "x-user-groups", Claim: "groups"}, {Name: "X-User-Name", Claim: "name"},
			{Name: "X-User-Id", Claim: "sub"}, {Name: "X-User-Scope", Claim: "scope"}, {Name: "X-User-Missing", Claim: "missing"},
		},
	}
}

// lastSeen is the last request that reached the backend.
func lastSeen(t *testing.T, gw *gatewaytest.Server) http.Header {
	t.Helper()
	seen := gw.Backend.Requests()
	if len(seen) == 0 {
		t.Fatal("the backend saw nothing")
	}
	return seen[len(seen)-1].Header
}

// callTold calls with a token, and returns what the backend got with it.
func callTold(t *testing.T, c *gatewaytest.Client, token string) http.Header {
	t.Helper()
	if a := c.Call(t, token); a.Status != http.StatusOK {
		t.Fatalf("a call gets %d: %s", a.Status, a.Body)
	}
	return lastSeen(t, c.Server)
}

// publishedKeys are those with which backends verify.
func publishedKeys(t *testing.T, gw *gatewaytest.Server) jose.JSONWebKeySet {
	t.Helper()
	a := gw.Do(t, gw.HTTP(0), gw.Request(t, "GET", "/.well-known/jwks.json", nil, nil))
	var set jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(a.Body), &set); err != nil || a.Status != http.StatusOK {
		t.Fatalf("the keys are answered with %d: %s", a.Status, a.Body)
	}
	if got := a.Header.Get("Cache-Control"); got != "public, max-age=300" {
		t.Errorf("the keys have Cache-Control %q", got)
	}
	for _, k := range set.Keys {
		if !k.IsPublic() || k.Algorithm != "ES256" || k.Use != "sig" {
			t.Errorf("there is a key %+v", k)
		}
	}
	return set
}

// verify checks an assertion as a backend does, but for its times, and returns its
// claims; nil if no published key has signed it.
func verify(t *testing.T, gw *gatewaytest.Server, assertion string) map[string]any {
	t.Helper()
	gw.Secrets.Add("assertion", assertion)
	signed, err := jose.ParseSignedCompact(assertion, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatalf("%q is no assertion: %v", assertion, err)
	}
	head := signed.Signatures[0].Protected
	if head.ExtraHeaders["typ"] != "vestibule-identity+jwt" || head.KeyID == "" {
		t.Errorf("its header is %+v", head)
	}
	keys := publishedKeys(t, gw)
	found := keys.Key(head.KeyID)
	if len(found) == 0 {
		return nil
	}
	payload, err := signed.Verify(found[0])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

func TestTheBackendIsToldWhoCalls(t *testing.T) { // T40
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{Configure: func(c *config.Config) {
		introducing(c)
		c.Scopes = []config.Scope{{Name: "read"}, {Name: "write"}}
	}})
	client := gw.Register(t, nil)
	gw.IdP.LoginAs("alice", map[string]any{"groups": []string{"ops", "a, b"}, "name": "Älice"})
	headers := callTold(t, client, client.Redeem(t, client.Login(t)).Access)
	for name, want := range map[string]string{
		"X-User-Email": "alice@example.com", "X-User-Groups": `["ops","a, b"]`, "X-User-Id": "sub-alice", "X-User-Scope": "read write",
		"X-User-Name": "=?base64?" + base64.StdEncoding.EncodeToString([]byte("Älice")) + "?=",
	} {
		if got := headers.Values(name); !slices.Equal(got, []string{want}) {
			t.Errorf("%s is %q, not %q", name, got, want)
		}
	}
	if got := headers.Values("X-User-Missing"); got != nil {
		t.Errorf("of a claim that is missing there is %q", got)
	}
	now := float64(gw.Clock.Now().Unix())
	want := map[string]any{
		"iss": gw.URL, "aud": audience, "sub": "sub-alice", "upstream": "corp", "upstream_issuer": gw.IdP.URL,
		"client_id": client.ID, "scope": "read write", "iat": now, "exp": now + 300,
		"email": "alice@example.com", "groups": []any{"ops", "a, b"},
	}
	if diff := cmp.Diff(want, verify(t, gw, headers.Get(assertionHeader))); diff != "" {
		t.Errorf("the assertion says (-want +got):\n%s", diff)
	}

	gw.IdP.LoginAs("bob", map[string]any{"email_verified": false})
	headers = callTold(t, client, client.Redeem(t, client.Login(t)).Access)
	if got := headers.Values("X-User-Email"); got != nil {
		t.Errorf("an address that nobody has verified is told: %q", got)
	}
	if claims := verify(t, gw, headers.Get(assertionHeader)); claims["sub"] != "sub-bob" || claims["email"] != nil {
		t.Errorf("of bob is told %v", claims)
	}
}

func TestTheBackendIsToldWhichClientCalls(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{Configure: func(c *config.Config) {
		introducing(c)
		c.Clients = []config.Client{{ID: "nightly", SecretFile: file(t, nightlySecret), GrantTypes: []config.GrantType{config.GrantClientCredentials}}}
	}})
	client := gw.Provisioned("nightly", nightlySecret)
	tokens := client.Tokens(t, client.Token(t, url.Values{"grant_type": {"client_credentials"}, "resource": {gw.URL + "/mcp"}}))
	claims := verify(t, gw, callTold(t, client, tokens.Access).Get(assertionHeader))
	if claims["sub"] != "nightly" || claims["client_id"] != "nightly" || claims["upstream"] != "client_credentials" || claims["upstream_issuer"] != gw.URL {
		t.Errorf("of a client without a user is told %v", claims)
	}
}

// Each backend is told in its own way, and on a public route nobody is introduced.
func TestEachBackendIsToldInItsOwnWay(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{Configure: func(c *config.Config) {
		introducing(c)
		plain := config.Backend{URL: c.Backend.URL, Identity: &config.Identity{Headers: []config.IdentityHeader{{Name: "X-Own", Claim: "sub"}}}}
		c.Routes = append(c.Routes,
			config.Route{Name: "own", Path: "/own", Transport: config.TransportStreamableHTTP, BackendPath: "/own", Backend: &plain},
			config.Route{Name: "public", Path: "/public", Transport: config.TransportHTTP, BackendPath: "/public", Public: true, Backend: &plain},
		)
	}})
	client := gw.Register(t, nil)
	login := func(path string) string {
		request := client.AuthorizationRequest()
		request.Set("resource", gw.URL+path)
		return client.Redeem(t, client.LoginWith(t, request)).Access
	}
	forged := http.Header{"X-Own": {"root"}, "X-User-Id": {"root"}, assertionHeader: {"root"}}
	for _, row := range []struct {
		path, token string
		own, id     []string
		signed      bool
	}{
		{"/mcp", login("/mcp"), []string{"root"}, []string{"sub-alice"}, true}, // the other backend's header means nothing to this one
		{"/own", login("/own"), []string{"sub-alice"}, []string{"root"}, false},
		{"/public", "", nil, []string{"root"}, false},
	} {
		if a := call(t, gw, "POST", row.path, row.token, forged); a.Status != http.StatusOK {
			t.Fatalf("%s answers %d: %s", row.path, a.Status, a.Body)
		}
		got := lastSeen(t, gw)
		if !slices.Equal(got.Values("X-Own"), row.own) || !slices.Equal(got.Values("X-User-Id"), row.id) || (got.Get(assertionHeader) != "") != row.signed {
			t.Errorf("at %s the backend is told %v", row.path, got)
		}
	}
}

// What is told is worked out once, for as long as it is true and good.
func TestAnAssertionIsSignedAnewAtHalfItsLife(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{Replicas: 2, Configure: func(c *config.Config) {
		introducing(c)
		c.Upstreams[0].RenewTokens, c.Upstreams[0].OIDC.Scopes = true, []string{"offline_access"}
	}})
	client := gw.Register(t, nil)
	tokens := client.Redeem(t, client.Login(t))
	assertion := func() string { return callTold(t, client, tokens.Access).Get(assertionHeader) }
	first := assertion()
	gw.Clock.Advance(149 * time.Second)
	if assertion() != first {
		t.Error("it is signed anew though most of its life is left")
	}
	gw.Clock.Advance(time.Second)
	second := assertion()
	if second == first {
		t.Error("it is sent though less than half of its life is left")
	}
	if claims := verify(t, gw, second); claims["exp"].(float64)-float64(gw.Clock.Now().Unix()) != 300 {
		t.Errorf("the second one says %v", claims)
	}
	gw.Clock.Advance(5 * time.Minute)
	before := assertion()
	gw.IdP.LoginAs("alice", map[string]any{"groups": []string{"new"}})
	client.On(1).Refresh(t, tokens.Refresh) // which makes another token; this one is good still
	after := assertion()
	if claims := verify(t, gw, after); after == before || !cmp.Equal(claims["groups"], []any{"new"}) {
		t.Errorf("after the claims have changed, it says %v", claims)
	}
}

// A backend can verify what is signed with every key, and cannot any more when the key
// was dropped.
func TestTheKeysOfAssertionsAreRotated(t *testing.T) {
	t.Parallel()
	w := newKeyWorld(t, introducing)
	client, _ := w.register(0, "192.0.2.1")
	tokens := client.Redeem(t, client.Login(t))
	published := func(want int) {
		t.Helper()
		if got := len(publishedKeys(t, w.Server).Keys); got != want {
			t.Errorf("%d keys are published, not %d", got, want)
		}
	}
	sign := func() string {
		t.Helper()
		assertion := callTold(t, client, tokens.Access).Get(assertionHeader)
		if verify(t, w.Server, assertion) == nil {
			t.Error("an assertion is signed with a key that is not published")
		}
		return assertion
	}
	first := sign()
	if err := w.set.Append(w.Clock.Now().Add(config.KeyPropagation)); err != nil {
		t.Fatal(err)
	}
	w.deliver(0)
	w.deliver(1)
	published(2) // before anything is signed with it
	if sign() != first {
		t.Error("the next key is in use before its time")
	}
	w.Clock.Advance(config.KeyPropagation)
	second := sign()
	if one, two := keyOf(t, first), keyOf(t, second); one == two {
		t.Error("the next key is not in use")
	}
	if verify(t, w.Server, first) == nil {
		t.Error("what was signed with the key before cannot be verified any more")
	}
	w.Clock.Advance(time.Hour)
	published(1) // the one before signs nothing any more

	now := w.Clock.Now()
	if _, err := w.set.Drop(now, now); err != nil {
		t.Fatal(err)
	}
	w.deliver(0)
	published(1)
	if verify(t, w.Server, second) != nil {
		t.Error("what was signed with a dropped key can be verified still")
	}
	w.deliver(1)
	client, _ = w.register(0, "192.0.2.2")
	tokens = client.Redeem(t, client.Login(t))
	sign()
}

// keyOf is the id of the key that has signed an assertion.
func keyOf(t *testing.T, assertion string) string {
	t.Helper()
	head, _, _ := strings.Cut(assertion, ".")
	decoded, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil {
		t.Fatal(err)
	}
	var v struct{ Kid string }
	if err := json.Unmarshal(decoded, &v); err != nil {
		t.Fatal(err)
	}
	return v.Kid
}

// Who is told nothing that is signed has no use for keys, and clients never have.
func TestKeysArePublishedForBackendsAlone(t *testing.T) {
	t.Parallel()
	get := func(gw *gatewaytest.Server, path string) gatewaytest.Answer {
		return gw.Do(t, gw.HTTP(0), gw.Request(t, "GET", path, nil, nil))
	}
	plain := gatewaytest.New(t, gatewaytest.Setup{})
	if a := get(plain, "/.well-known/jwks.json"); a.Status != http.StatusNotFound {
		t.Errorf("without assertions, keys are answered with %d", a.Status)
	}
	gw := gatewaytest.New(t, gatewaytest.Setup{Configure: introducing})
	if a := get(gw, "/.well-known/oauth-authorization-server"); strings.Contains(a.Body, "jwks") {
		t.Errorf("clients are led to keys of tokens that there are none of: %s", a.Body)
	}
}

// A backend finds the keys below the public URL's path, and inside of the cluster under
// the name of the gateway's Service.
func TestWhereKeysArePublished(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{Configure: func(c *config.Config) {
		introducing(c)
		c.PublicURL += "/weather"
	}})
	r := gw.Request(t, "GET", "/.well-known/jwks.json", nil, nil)
	if r.Host = "weather-gateway.demo.svc"; r.URL.Path != "/weather/.well-known/jwks.json" {
		t.Fatalf("the path is %s", r.URL.Path)
	}
	if a := gw.Do(t, gw.HTTP(0), r); a.Status != http.StatusOK || !strings.Contains(a.Body, `"kty":"EC"`) {
		t.Errorf("the keys are answered with %d: %s", a.Status, a.Body)
	}
	if a := gw.Do(t, gw.HTTP(0), gw.Request(t, "POST", "/.well-known/jwks.json", nil, nil)); a.Status != http.StatusMethodNotAllowed {
		t.Errorf("a POST gets %d", a.Status)
	}
}

// Of claims that do not fit, the backend is not told a part.
func TestClaimsThatDoNotFit(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{Configure: introducing})
	client := gw.Register(t, nil)
	for name, row := range map[string]struct{ groups, status int }{"many": {300, http.StatusOK}, "too many": {900, http.StatusBadGateway}} {
		t.Run(name, func(t *testing.T) {
			gw.IdP.LoginAs("alice", map[string]any{"groups": slices.Repeat([]string{"a-group"}, row.groups)})
			a := client.Call(t, client.Redeem(t, client.Login(t)).Access)
			if a.Status != row.status || row.status != http.StatusOK && !strings.Contains(a.Body, "is too long") {
				t.Errorf("with %d groups, a call gets %d: %s", row.groups, a.Status, a.Body)
			}
		})
	}
	if n := len(gw.Backend.Requests()); n != 1 {
		t.Errorf("the backend saw %d requests", n)
	}
}
