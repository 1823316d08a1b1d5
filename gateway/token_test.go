package gateway_test

import (
	"math"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
	"vestibule.dev/vestibule/gateway/internal/store"
)

// twoRoutes is a configuration with a second resource.
func twoRoutes(c *config.Config) {
	c.Routes = append(c.Routes, config.Route{Name: "two", Path: "/two", Transport: "StreamableHTTP", BackendPath: "/two"})
}

// forged changes one character in the middle of a token: its form stays.
func forged(token string) string {
	i := len(token) / 2
	c := "A"
	if token[i] == 'A' {
		c = "B"
	}
	return token[:i] + c + token[i+1:]
}

func TestBadRedemptions(t *testing.T) { // A50, A53
	t.Parallel()
	journal := gatewaytest.NewJournal(t)
	gw := gatewaytest.New(t, gatewaytest.Setup{Options: journal.Use, Configure: twoRoutes})
	client, another := gw.Register(t, nil), gw.Register(t, nil)
	set := func(name string, values ...string) func(url.Values) {
		return func(p url.Values) { p[name] = values }
	}
	gw.IdP.LoginAs("bob", nil) // so that alice's many grants do not end this one
	other := client.Redeem(t, client.Login(t))
	gw.IdP.LoginAs("alice", nil)
	for _, row := range []struct {
		name   string
		edit   func(url.Values)
		status int
		want   string
	}{
		{"no grant_type", set("grant_type"), 400, "invalid_request"},
		{"two grant_types", set("grant_type", "authorization_code", "refresh_token"), 400, "invalid_request"},
		{"another grant_type", set("grant_type", "password"), 400, "unsupported_grant_type"},
		{"A17 client_credentials", set("grant_type", "client_credentials"), 400, "unauthorized_client"},
		{"A17 jwt-bearer", set("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), 400, "unauthorized_client"},
		{"a grant_type that is not UTF-8", set("grant_type", "authorization_code\xff"), 400, "invalid_request"},
		{"no code", set("code"), 400, "invalid_request"},
		{"an empty code", set("code", ""), 400, "invalid_request"},
		{"two codes", set("code", "a", "b"), 400, "invalid_request"},
		{"a long code", set("code", strings.Repeat("a", 9000)), 400, "invalid_request"},
		{"a code with a control character", func(p url.Values) { p.Set("code", p.Get("code")+"\n") }, 400, "invalid_request"},
		{"an unknown code", set("code", "unknown"), 400, "invalid_grant"},
		{"a forged code", func(p url.Values) { p.Set("code", forged(p.Get("code"))) }, 400, "invalid_grant"},
		{"A57 an access token as code", set("code", other.Access), 400, "invalid_grant"},
		{"A57 a refresh token as code", set("code", other.Refresh), 400, "invalid_grant"},
		{"A57 a code as refresh token", func(p url.Values) {
			p["grant_type"], p["refresh_token"] = []string{"refresh_token"}, p["code"]
		}, 400, "invalid_grant"},
		{"A53 no verifier", set("code_verifier"), 400, "invalid_request"},
		{"A53 two verifiers", set("code_verifier", strings.Repeat("a", 43), strings.Repeat("a", 43)), 400, "invalid_request"},
		{"A53 a short verifier", set("code_verifier", strings.Repeat("a", 42)), 400, "invalid_request"},
		{"A53 a long verifier", set("code_verifier", strings.Repeat("a", 129)), 400, "invalid_request"},
		{"A53 a verifier in other letters", set("code_verifier", strings.Repeat("ä", 30)), 400, "invalid_request"},
		{"A53 a wrong verifier", set("code_verifier", strings.Repeat("a", 43)), 400, "invalid_grant"},
		{"A53 another redirect_uri", set("redirect_uri", "http://127.0.0.1:1/callback"), 400, "invalid_grant"},
		{"A53 two redirect_uris", set("redirect_uri", gatewaytest.RedirectURI, gatewaytest.RedirectURI), 400, "invalid_request"},
		{"A53 the other resource", set("resource", gw.URL+"/two"), 400, "invalid_target"},
		{"A53 both resources", set("resource", gw.URL+"/mcp", gw.URL+"/two"), 400, "invalid_target"},
		{"A53 a foreign resource", set("resource", "https://evil.example/mcp"), 400, "invalid_target"},
		{"A53 another client", set("client_id", another.ID), 400, "invalid_grant"},
		{"A51 no client", set("client_id"), 401, "invalid_client"},
		{"A51 two clients", set("client_id", client.ID, another.ID), 400, "invalid_request"},
		{"A51 an unknown client", set("client_id", "vst_cl_"+strings.Repeat("A", len(client.ID)-7)), 401, "invalid_client"},
		{"A51 a client of another kind", set("client_id", "https://client.example/metadata"), 401, "invalid_client"},
		{"A52 a secret of a public client", set("client_secret", "x"), 401, "invalid_client"},
	} {
		t.Run(row.name, func(t *testing.T) {
			code := client.Login(t)
			params := gatewaytest.RedeemParams(code)
			row.edit(params)
			writes := journal.Writes()
			a := client.Token(t, params)
			a.Fails(t, row.status, row.want)
			if a.Header.Get("WWW-Authenticate") != "" {
				t.Error("a client that did not use Basic is asked for it")
			}
			if journal.Writes() != writes {
				t.Error("it wrote to the store")
			}
			// Nobody who has not all three, client, code and verifier, can spend the code.
			client.Call(t, client.Redeem(t, code).Access)
		})
	}
	client.Refresh(t, other.Refresh)
}

func TestTheCodesLife(t *testing.T) { // A53
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{})
	client, another := gw.Register(t, nil), gw.Register(t, nil)
	t.Run("expired", func(t *testing.T) {
		code := client.Login(t)
		gw.Clock.Advance(time.Minute)
		client.Token(t, gatewaytest.RedeemParams(code)).Fails(t, 400, "invalid_grant")
	})
	t.Run("replayed by those who may not", func(t *testing.T) {
		code := client.Login(t)
		tokens := client.Redeem(t, code)
		another.Token(t, gatewaytest.RedeemParams(code)).Fails(t, 400, "invalid_grant")
		wrong := gatewaytest.RedeemParams(code)
		wrong.Set("code_verifier", strings.Repeat("a", 43))
		client.Token(t, wrong).Fails(t, 400, "invalid_grant")
		// A leaked code must not be a way to sign somebody out.
		client.Refresh(t, tokens.Refresh)
	})
	t.Run("replayed", func(t *testing.T) {
		code := client.Login(t)
		tokens := client.Refresh(t, client.Redeem(t, code).Refresh)
		client.Token(t, gatewaytest.RedeemParams(code)).Fails(t, 400, "invalid_grant")
		client.Token(t, gatewaytest.RefreshParams(tokens.Refresh)).Fails(t, 400, "invalid_grant")
		client.Call(t, tokens.Access).Fails(t, 401, "invalid_token")
	})
	t.Run("replayed after it has expired", func(t *testing.T) {
		code := client.Login(t)
		tokens := client.Redeem(t, code)
		gw.Clock.Advance(time.Minute)
		client.Token(t, gatewaytest.RedeemParams(code)).Fails(t, 400, "invalid_grant")
		client.Refresh(t, tokens.Refresh)
	})
}

func TestBadRefreshes(t *testing.T) { // A55, A57
	t.Parallel()
	journal := gatewaytest.NewJournal(t)
	gw := gatewaytest.New(t, gatewaytest.Setup{Options: journal.Use, Configure: func(c *config.Config) {
		twoRoutes(c)
		c.Scopes = []config.Scope{{Name: "read"}, {Name: "write"}}
	}})
	client, another := gw.Register(t, nil), gw.Register(t, nil)
	request := client.AuthorizationRequest()
	request.Set("scope", "read")
	tokens := client.Redeem(t, client.LoginWith(t, request))
	set := func(name string, values ...string) func(url.Values) {
		return func(p url.Values) { p[name] = values }
	}
	for _, row := range []struct {
		name   string
		edit   func(url.Values)
		status int
		want   string
	}{
		{"no token", set("refresh_token"), 400, "invalid_request"},
		{"two tokens", set("refresh_token", tokens.Refresh, tokens.Refresh), 400, "invalid_request"},
		{"a long token", set("refresh_token", tokens.Refresh+strings.Repeat("a", 3000)), 400, "invalid_request"},
		{"a token that is not UTF-8", set("refresh_token", tokens.Refresh+"\xff"), 400, "invalid_request"},
		{"an unknown token", set("refresh_token", "unknown"), 400, "invalid_grant"},
		{"a forged token", set("refresh_token", forged(tokens.Refresh)), 400, "invalid_grant"},
		{"a token with a line break", set("refresh_token", tokens.Refresh[:20]+"\n"+tokens.Refresh[20:]), 400, "invalid_request"},
		{"A57 an access token", set("refresh_token", tokens.Access), 400, "invalid_grant"},
		{"A57 an access token, renamed", set("refresh_token", strings.Replace(tokens.Access, "_at_", "_rt_", 1)), 400, "invalid_grant"},
		{"A57 another client", set("client_id", another.ID), 400, "invalid_grant"},
		{"A55 a wider scope", set("scope", "read write"), 400, "invalid_scope"},
		{"A55 a scope that does not exist", set("scope", "admin"), 400, "invalid_scope"},
		{"A55 a scope that is none", set("scope", `"`), 400, "invalid_scope"},
		{"A55 two scopes", set("scope", "read", "read"), 400, "invalid_request"},
		{"A55 the other resource", set("resource", gw.URL+"/two"), 400, "invalid_target"},
		{"A51 an unknown client", set("client_id", "unknown"), 401, "invalid_client"},
	} {
		t.Run(row.name, func(t *testing.T) {
			params := gatewaytest.RefreshParams(tokens.Refresh)
			row.edit(params)
			writes := journal.Writes()
			client.Token(t, params).Fails(t, row.status, row.want)
			if journal.Writes() != writes {
				t.Error("it wrote to the store")
			}
		})
	}
	if a := client.Call(t, tokens.Access); a.Status != http.StatusOK {
		t.Errorf("the access token of the grant gets %d: %s", a.Status, a.Body)
	}
	next := client.Refresh(t, tokens.Refresh)
	if next.Scope != "read" { // A55: no scope means the same scope
		t.Errorf("a refresh gets the scope %q", next.Scope)
	}
	gw.Clock.Advance(30 * 24 * time.Hour)
	client.Token(t, gatewaytest.RefreshParams(next.Refresh)).Fails(t, 400, "invalid_grant")
}

func TestTheStoreIsAwayAtTheTokenEndpoint(t *testing.T) { // A56
	t.Parallel()
	journal := gatewaytest.NewJournal(t)
	gw := gatewaytest.New(t, gatewaytest.Setup{Options: journal.Use})
	client := gw.Register(t, nil)
	code, tokens := client.Login(t), client.Redeem(t, client.Login(t))
	unknown := "vst_cl_" + strings.Repeat("A", len(client.ID)-7)
	for name, params := range map[string]url.Values{
		"code": gatewaytest.RedeemParams(code), "refresh": gatewaytest.RefreshParams(tokens.Refresh),
		"revocation": {"token": {tokens.Refresh}}, "unknown client": {"grant_type": {"refresh_token"}, "client_id": {unknown}},
	} {
		t.Run(name, func(t *testing.T) {
			journal.GoAway(store.ErrUnavailable)
			defer journal.GoAway(nil)
			path := "/token"
			if params.Has("token") {
				path = "/revoke"
			}
			a := client.Form(t, path, params)
			a.Fails(t, http.StatusServiceUnavailable, "temporarily_unavailable")
			if a.Header.Get("Retry-After") == "" {
				t.Error("the answer does not say when to try again")
			}
		})
	}
	client.Redeem(t, code)
	client.Refresh(t, tokens.Refresh)
}

func TestTokenAnswers(t *testing.T) { // A54, A50
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{})
	client := gw.Register(t, nil)
	a := client.Token(t, gatewaytest.RedeemParams(client.Login(t)))
	client.Tokens(t, a)
	v := a.JSON(t)
	lasts, _ := v["expires_in"].(float64)
	if v["token_type"] != "Bearer" || lasts < 3590 || lasts > 3600 || lasts != math.Trunc(lasts) || strings.Contains(a.Body, "null") || strings.Contains(a.Body, `""`) {
		t.Errorf("the answer is %s", a.Body)
	}
	for name, want := range map[string]string{
		"Content-Type": "application/json", "Cache-Control": "no-store", "Access-Control-Allow-Origin": "*", "Access-Control-Allow-Credentials": "",
	} {
		if got := a.Header.Get(name); got != want {
			t.Errorf("the answer has %s %q", name, got)
		}
	}
}
