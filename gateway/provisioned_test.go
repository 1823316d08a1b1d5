package gateway_test

import (
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/assertion"
	"vestibule.dev/vestibule/gateway/internal/assertion/assertiontest"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
)

const nightlySecret, portalSecret = "nightly-secret-of-an-administrator", "portal-secret-of-an-administrator"

// twoScopes are those of a server, of which its route needs one.
func twoScopes(c *config.Config) {
	c.Scopes = []config.Scope{{Name: "read"}, {Name: "write"}, {Name: "admin"}}
	c.RequiredScopes = map[string][]string{"mcp": {"read"}}
}

// file writes a file that ends with the test.
func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func without(clients []config.Client, id string) []config.Client {
	return slices.DeleteFunc(slices.Clone(clients), func(c config.Client) bool { return c.ID == id })
}

// A provisioned client is there for users to log in with like any other, but by
// the administrator's name, and as long as the configuration names it.
func TestProvisionedClients(t *testing.T) {
	t.Parallel()
	secret := file(t, portalSecret+"\n")
	gw := gatewaytest.New(t, gatewaytest.Setup{Replicas: 2, Configure: func(c *config.Config) {
		twoScopes(c)
		c.Registration = config.Registration{TTLSeconds: 172800, UnusedTTLSeconds: 1800}
		c.Clients = []config.Client{
			{ID: "portal", Name: "The Portal", RedirectURIs: []string{gatewaytest.RedirectURI, "https://portal.example/cb"}, SecretFile: secret, GrantTypes: []config.GrantType{config.GrantAuthorizationCode}, Scopes: []string{"read"}},
			{ID: "desktop", RedirectURIs: []string{"myapp://callback", gatewaytest.RedirectURI}, GrantTypes: []config.GrantType{config.GrantAuthorizationCode}},
		}
	}, Reconfigure: func(c *config.Config) { c.Clients = without(c.Clients, "portal") }})
	portal, desktop := gw.Provisioned("portal", portalSecret), gw.Provisioned("desktop", "")

	isPage(t, portal.Browser(t).Get(t, gw.AuthorizeURL(portal.AuthorizationRequest())), http.StatusOK, "The administrator of this server has given")
	request := desktop.AuthorizationRequest()
	request.Set("redirect_uri", "myapp://callback")
	isPage(t, desktop.Browser(t).Get(t, gw.AuthorizeURL(request)), http.StatusOK, "desktop asks for access")
	request.Set("redirect_uri", "otherapp://callback")
	isPage(t, desktop.Browser(t).Get(t, gw.AuthorizeURL(request)), http.StatusBadRequest, "has not registered")

	request = portal.AuthorizationRequest()
	request.Set("scope", "read write offline_access")
	tokens := portal.Redeem(t, portal.LoginWith(t, request))
	if tokens.Scope != "read offline_access" {
		t.Errorf("it is granted %q", tokens.Scope)
	}
	request.Set("scope", "write")
	_, arrived := desktop.Browser(t).Follow(t, portal.Browser(t).Get(t, gw.AuthorizeURL(request)))
	if arrived.Get("error") != "invalid_scope" {
		t.Errorf("it asks for what it may not have, and gets %v", arrived)
	}
	for name, a := range map[string]gatewaytest.Answer{
		"no secret":    post(t, gw, "/token", url.Values{"client_id": {"portal"}, "grant_type": {"refresh_token"}, "refresh_token": {tokens.Refresh}}),
		"wrong secret": post(t, gw, "/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {tokens.Refresh}}, basic("portal", nightlySecret)),
	} {
		if a.Status != http.StatusUnauthorized || a.Code() != "invalid_client" {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
	}
	portal.Token(t, url.Values{"grant_type": {"client_credentials"}}).Fails(t, http.StatusBadRequest, "unauthorized_client")
	manage(t, gw, 0, "DELETE", "portal", "vst_ra_x", "").Fails(t, http.StatusUnauthorized, "invalid_token")

	// It does not lapse, and a changed file needs no restart.
	gw.Clock.Advance(20 * 24 * time.Hour)
	tokens = portal.Refresh(t, tokens.Refresh)
	if err := os.WriteFile(secret, []byte(nightlySecret), 0o600); err != nil {
		t.Fatal(err)
	}
	portal.Token(t, gatewaytest.RefreshParams(tokens.Refresh)).Fails(t, http.StatusUnauthorized, "invalid_client")
	renamed := gw.Provisioned("portal", nightlySecret)
	tokens = renamed.Refresh(t, tokens.Refresh)
	for _, bad := range []string{"", "short\n"} {
		if err := os.WriteFile(secret, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		renamed.Token(t, gatewaytest.RefreshParams(tokens.Refresh)).Fails(t, http.StatusServiceUnavailable, "temporarily_unavailable")
	}
	// At a replica whose configuration does not name it any more, it is nobody.
	if a := renamed.Call(t, tokens.Access); a.Status != http.StatusOK {
		t.Errorf("its token gets %d", a.Status)
	}
	if a := renamed.On(1).Call(t, tokens.Access); a.Status != http.StatusUnauthorized {
		t.Errorf("once it is not named any more, its token gets %d", a.Status)
	}
	renamed.On(1).Token(t, gatewaytest.RefreshParams(tokens.Refresh)).Fails(t, http.StatusUnauthorized, "invalid_client")
}

func TestClientCredentials(t *testing.T) { // A17, A61
	t.Parallel()
	key := assertiontest.New(t, "k", jose.ES256)
	clientCredentials := []config.GrantType{config.GrantClientCredentials}
	gw := gatewaytest.New(t, gatewaytest.Setup{Replicas: 2, Configure: func(c *config.Config) {
		twoRoutes(c)
		twoScopes(c)
		c.AccessRules = []config.AccessRule{{Name: "nobody", Expression: "false"}}
		c.Clients = []config.Client{
			{ID: "nightly", SecretFile: file(t, nightlySecret), GrantTypes: clientCredentials, Scopes: []string{"read", "write"}},
			{ID: "signer", JWKSFile: file(t, string(assertiontest.JWKS(t, key))), GrantTypes: clientCredentials},
			{ID: "portal", SecretFile: file(t, portalSecret), RedirectURIs: []string{gatewaytest.RedirectURI}, GrantTypes: []config.GrantType{config.GrantAuthorizationCode}},
		}
	}, Reconfigure: func(c *config.Config) {
		c.Clients = slices.Clone(c.Clients)
		c.Clients[0].Scopes, c.Clients[1].GrantTypes = []string{"write"}, []config.GrantType{config.GrantJWTBearer}
	}})
	nightly := gw.Provisioned("nightly", nightlySecret)
	ask := func(more url.Values) url.Values {
		v := url.Values{"grant_type": {"client_credentials"}}
		maps.Copy(v, more)
		return v
	}
	for _, row := range []struct {
		name   string
		params url.Values
		status int
		want   string // the scope, or the error
	}{
		{"nothing", nil, 200, "read"},
		{"a scope", url.Values{"scope": {"write"}}, 200, "write"},
		{"more than it may have", url.Values{"scope": {"read admin offline_access"}}, 200, "read"},
		{"only what it may not have", url.Values{"scope": {"admin"}}, 400, "invalid_scope"},
		{"a scope that does not exist", url.Values{"scope": {"fly"}}, 400, "invalid_scope"},
		{"a resource", url.Values{"resource": {gw.URL + "/mcp"}}, 200, "read"},
		{"the origin", url.Values{"resource": {gw.URL}}, 200, "read"},
		{"another's resource", url.Values{"resource": {"https://other.example/mcp"}}, 400, "invalid_target"},
	} {
		t.Run(row.name, func(t *testing.T) {
			a := nightly.Token(t, ask(row.params))
			if row.status != http.StatusOK {
				a.Fails(t, row.status, row.want)
				return
			}
			tokens := nightly.Tokens(t, a)
			if tokens.Scope != row.want || tokens.Refresh != "" || tokens.ExpiresIn < 3599 || tokens.ExpiresIn > 3600 || strings.Contains(a.Body, "refresh_token") {
				t.Errorf("the answer is %s", a.Body)
			}
		})
	}
	if got := nightly.Tokens(t, nightly.Token(t, ask(nil))); nightly.On(0).Call(t, got.Access).Status != http.StatusOK {
		t.Error("its token does not pass")
	}

	// Who was not provisioned for it does not get it.
	registered := gw.Register(t, map[string]any{"token_endpoint_auth_method": "client_secret_post", "grant_types": []string{"authorization_code", "client_credentials"}})
	for _, c := range []*gatewaytest.Client{registered, gw.Register(t, nil), gw.Provisioned("portal", portalSecret)} {
		c.Token(t, ask(nil)).Fails(t, http.StatusBadRequest, "unauthorized_client")
	}
	post(t, gw, "/token", ask(url.Values{"client_id": {"nightly"}})).Fails(t, http.StatusUnauthorized, "invalid_client")
	nightly.Token(t, gatewaytest.RefreshParams("x")).Fails(t, http.StatusBadRequest, "unauthorized_client")
	_, arrived := nightly.Browser(t).Follow(t, nightly.Browser(t).Get(t, gw.AuthorizeURL(nightly.AuthorizationRequest())))
	if arrived != nil {
		t.Errorf("a client without redirect URIs is answered at %v", arrived)
	}

	// A key proves a client as well, and what it was given ends with what it may.
	signs := func() url.Values {
		return ask(url.Values{
			"client_id": {"signer"}, "client_assertion_type": {assertion.Type}, "scope": {"read"},
			"client_assertion": {key.Sign(t, assertiontest.Claims("signer", gw.URL, gw.Clock.Now(), nil), nil)},
		})
	}
	signer := gw.Provisioned("signer", "")
	signed := signer.Tokens(t, post(t, gw, "/token", signs()))
	both := nightly.Tokens(t, nightly.Token(t, ask(url.Values{"scope": {"read write"}})))
	for replica, want := range map[int][]int{0: {200, 200}, 1: {401, 403}} {
		if a := signer.On(replica).Call(t, signed.Access); a.Status != want[0] {
			t.Errorf("replica %d answers the signer with %d", replica, a.Status)
		}
		if a := nightly.On(replica).Call(t, both.Access); a.Status != want[1] {
			t.Errorf("replica %d answers nightly with %d", replica, a.Status)
		}
	}
	if a := nightly.Form(t, "/revoke", url.Values{"token": {both.Access}}); a.Status != http.StatusOK || nightly.Call(t, both.Access).Status != http.StatusUnauthorized {
		t.Error("a revoked token passes")
	}

	v := gw.Do(t, gw.HTTP(0), gw.Request(t, http.MethodGet, "/.well-known/oauth-authorization-server", nil, nil)).JSON(t)
	isList(t, v, "grant_types_supported", []string{"authorization_code", "refresh_token", "client_credentials"})
	gw.Clock.Advance(time.Hour)
	if nightly.Call(t, signed.Access).Status != http.StatusUnauthorized {
		t.Error("an expired token passes")
	}
}

// Many workers share a client; only the oldest of very many tokens ends.
func TestTokensOfManyWorkers(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{Configure: func(c *config.Config) {
		c.Clients = []config.Client{{ID: "nightly", SecretFile: file(t, nightlySecret), GrantTypes: []config.GrantType{config.GrantClientCredentials}}}
	}})
	nightly := gw.Provisioned("nightly", nightlySecret)
	issue := func() string {
		return nightly.Tokens(t, nightly.Token(t, url.Values{"grant_type": {"client_credentials"}})).Access
	}
	first := issue()
	gw.Clock.Advance(time.Second)
	second := issue()
	gw.Clock.Advance(time.Second)
	var workers sync.WaitGroup
	for range 2 {
		workers.Go(func() {
			for range 127 {
				issue()
			}
		})
	}
	workers.Wait()
	if nightly.Call(t, first).Status != http.StatusOK {
		t.Error("256 tokens do not live together")
	}
	issue()
	if nightly.Call(t, first).Status != http.StatusUnauthorized || nightly.Call(t, second).Status != http.StatusOK {
		t.Error("one token more ends another than the oldest, or none")
	}
}
