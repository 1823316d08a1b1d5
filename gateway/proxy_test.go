package gateway_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
	"vestibule.dev/vestibule/gateway/internal/store"
)

// scoped has a route that needs scopes, and one that needs none.
func scoped(c *config.Config) {
	c.Scopes = []config.Scope{{Name: "read"}, {Name: "write"}, {Name: "other"}}
	c.RequiredScopes = map[string][]string{"mcp": {"read", "write"}}
	twoRoutes(c)
}

// call sends a request to a protected route, with headers in place of or besides those of a good client.
func call(t *testing.T, gw *gatewaytest.Server, method, path, token string, header http.Header) gatewaytest.Answer {
	t.Helper()
	r := gw.Request(t, method, path, nil, nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for k, v := range header {
		if r.Header[k] = v; k == "Host" {
			r.Host = v[0]
			r.Header.Del("Host")
		}
	}
	return gw.Do(t, gw.HTTP(0), r)
}

// refusedBy insists on a refusal with a challenge, and that the backend saw nothing.
func refusedBy(t *testing.T, gw *gatewaytest.Server, a gatewaytest.Answer, status int, code, challenge string) {
	t.Helper()
	a.Fails(t, status, code)
	if got := a.Header.Values("WWW-Authenticate"); len(got) != 1 || got[0] != challenge {
		t.Errorf("the challenge is %q, not %q", got, challenge)
	}
	if n := len(gw.Backend.Requests()); n > 0 {
		t.Errorf("the backend saw %d requests", n)
	}
}

func TestWhoIsNotLetThrough(t *testing.T) { // R4, R5, R8, R9, R11, A57
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{Configure: scoped})
	client := gw.Register(t, nil)
	login := func(resource, scope string) gatewaytest.Tokens {
		request := client.AuthorizationRequest()
		request.Set("resource", gw.URL+resource)
		request.Set("scope", scope)
		return client.Redeem(t, client.LoginWith(t, request))
	}
	good, elsewhere := login("/mcp", "read write"), login("/two", "read write")
	code := client.Login(t)
	metadata := `resource_metadata="` + gw.Origin() + `/.well-known/oauth-protected-resource/mcp"`
	const scope = `scope="read write", `
	none := `Bearer ` + scope + metadata
	invalid := `Bearer error="invalid_token", error_description="the access token is not valid here", ` + scope + metadata
	malformed := func(d string) string {
		return `Bearer error="invalid_request", error_description="` + d + `", ` + scope + metadata
	}
	authorization := func(values ...string) http.Header { return http.Header{"Authorization": values} }
	for _, row := range []struct {
		name, path string
		header     http.Header
		status     int
		code       string
		challenge  string
	}{
		{"R4 no token", "/mcp", nil, 401, "unauthorized", none},
		{"R4 an empty header", "/mcp", authorization(""), 401, "unauthorized", none},
		{"R4 another scheme", "/mcp", authorization(basic("a", good.Access)), 401, "unauthorized", none},
		{"R9 a token in the query", "/mcp?access_token=" + good.Access, nil, 401, "unauthorized", none},
		{"R9 a token in a cookie", "/mcp", http.Header{"Cookie": {"access_token=" + good.Access}}, 401, "unauthorized", none},
		{"R5 a path below", "/mcp/a/b", nil, 401, "unauthorized", none},
		{"R5 a content type that none expects", "/mcp", http.Header{"Content-Type": {"image/png"}, "Accept": {"image/png"}}, 401, "unauthorized", none},
		{"R4 an unknown token", "/mcp", authorization("Bearer unknown"), 401, "invalid_token", invalid},
		{"R4 a forged token", "/mcp", authorization("Bearer " + forged(good.Access)), 401, "invalid_token", invalid},
		{"R4 a token with more behind it", "/mcp", authorization("Bearer " + good.Access + " x"), 401, "invalid_token", invalid},
		{"R8 a token of the other route", "/mcp", authorization("Bearer " + elsewhere.Access), 401, "invalid_token", invalid},
		{"R8 a token of the other route, below", "/mcp/x", authorization("Bearer " + elsewhere.Access), 401, "invalid_token", invalid},
		{"A57 a refresh token", "/mcp", authorization("Bearer " + good.Refresh), 401, "invalid_token", invalid},
		{"A57 a refresh token, renamed", "/mcp", authorization("Bearer " + strings.Replace(good.Refresh, "_rt_", "_at_", 1)), 401, "invalid_token", invalid},
		{"A57 a code", "/mcp", authorization("Bearer " + code.Code), 401, "invalid_token", invalid},
		{"R11 no token after Bearer", "/mcp", authorization("Bearer"), 400, "invalid_request", malformed("the Authorization header has no token")},
		{"R11 two headers", "/mcp", authorization("Bearer "+good.Access, "Bearer "+good.Access), 400, "invalid_request", malformed("there is more than one Authorization header")},
		{"R10 a token in the query too", "/mcp?access%5Ftoken=" + good.Access, authorization("Bearer " + good.Access), 400, "invalid_request", malformed("there is an access token in the query")},
	} {
		for _, method := range []string{"POST", "GET", "DELETE", "HEAD", "PUT"} { // R5: before method, type and body
			t.Run(row.name+" by "+method, func(t *testing.T) {
				a := call(t, gw, method, row.path, "", row.header)
				if method == "HEAD" {
					a.Body = `{"error":"` + row.code + `"}` // which it would have had
				}
				refusedBy(t, gw, a, row.status, row.code, row.challenge)
			})
		}
	}
	t.Run("R9 a token in a form", func(t *testing.T) {
		r := gw.Request(t, "POST", "/mcp", strings.NewReader("access_token="+good.Access), map[string]string{"Content-Type": "application/x-www-form-urlencoded"})
		refusedBy(t, gw, gw.Do(t, gw.HTTP(0), r), 401, "unauthorized", none)
	})
	t.Run("R4 expired", func(t *testing.T) {
		gw.Clock.Advance(time.Hour)
		refusedBy(t, gw, call(t, gw, "POST", "/mcp", good.Access, nil), 401, "invalid_token", invalid)
	})
	next := client.Refresh(t, good.Refresh)
	for _, scheme := range []string{"Bearer ", "bearer ", "BEARER  "} { // R9
		if a := call(t, gw, "POST", "/mcp", "", authorization(scheme+next.Access)); a.Status != http.StatusOK {
			t.Errorf("%q gets %d: %s", scheme, a.Status, a.Body)
		}
	}
	// R5: below the endpoint is nothing, which only who has a token learns.
	if a := call(t, gw, "POST", "/mcp/x", next.Access, nil); a.Status != http.StatusNotFound || !strings.Contains(a.Body, "jsonrpc") {
		t.Errorf("below the endpoint the answer is %d: %s", a.Status, a.Body)
	}
}

func TestTooSmallAScope(t *testing.T) { // R6
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{Configure: scoped})
	client := gw.Register(t, nil)
	request := client.AuthorizationRequest()
	request.Set("scope", "other read")
	tokens := client.Redeem(t, client.LoginWith(t, request))
	for range 2 { // the same string every time
		refusedBy(t, gw, client.Call(t, tokens.Access), http.StatusForbidden, "insufficient_scope",
			`Bearer error="insufficient_scope", error_description="the token lacks a scope that this request needs", `+
				`scope="read write other", resource_metadata="`+gw.Origin()+`/.well-known/oauth-protected-resource/mcp"`)
	}
	// C12: a client gets through with what it read there, though it asks for nothing else.
	_, challenged, _ := strings.Cut(client.Call(t, tokens.Access).Header.Get("WWW-Authenticate"), `scope="`)
	challenged, _, _ = strings.Cut(challenged, `"`)
	request = client.AuthorizationRequest()
	request.Set("scope", challenged)
	stepped := client.Redeem(t, client.LoginWith(t, request))
	if a := client.Call(t, stepped.Access); a.Status != http.StatusOK || stepped.Scope != "read write other" {
		t.Errorf("with %q, the next call gets %d", stepped.Scope, a.Status)
	}
	// A55: a refresh may narrow the token, and then the route is shut as well.
	request = client.AuthorizationRequest()
	request.Set("scope", "read write")
	full := client.Redeem(t, client.LoginWith(t, request))
	narrow := gatewaytest.RefreshParams(full.Refresh)
	narrow.Set("scope", "read")
	client.Call(t, client.Tokens(t, client.Token(t, narrow)).Access).Fails(t, http.StatusForbidden, "insufficient_scope")
	if a := client.Call(t, full.Access); a.Status != http.StatusOK {
		t.Errorf("the wider token of the same grant gets %d", a.Status)
	}
}

func TestTheStoreCannotSayWhetherATokenIsGood(t *testing.T) {
	t.Parallel()
	journal := gatewaytest.NewJournal(t)
	gw := gatewaytest.New(t, gatewaytest.Setup{Options: journal.Use, Configure: twoRoutes})
	client := gw.Register(t, nil)
	tokens := client.Redeem(t, client.Login(t))
	journal.GoAway(store.ErrUnavailable)
	// What is on this replica's mind is good, what is not cannot be refused for good.
	if a := client.Call(t, tokens.Access); a.Status != http.StatusOK {
		t.Errorf("a known token gets %d", a.Status)
	}
	a := call(t, gw, "POST", "/two", tokens.Access, nil)
	a.Fails(t, http.StatusServiceUnavailable, "temporarily_unavailable")
	if a.Header.Get("Retry-After") == "" || a.Header.Get("WWW-Authenticate") != "" {
		t.Errorf("the answer has %v", a.Header)
	}
	client.Call(t, forged(tokens.Access)).Fails(t, http.StatusUnauthorized, "invalid_token")
	journal.GoAway(nil)
	call(t, gw, "POST", "/two", tokens.Access, nil).Fails(t, http.StatusUnauthorized, "invalid_token")
}

func TestPreflights(t *testing.T) { // R20
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{Configure: func(c *config.Config) { c.AllowedOrigins = []string{"https://app.example"} }})
	for _, path := range []string{"/mcp", "/mcp/x", "/token", "/register", "/revoke"} {
		t.Run(path, func(t *testing.T) {
			a := call(t, gw, "OPTIONS", path, "", http.Header{
				"Origin": {"https://app.example"}, "Access-Control-Request-Method": {"POST"},
				"Access-Control-Request-Headers": {"authorization, mcp-param-city,Mcp-Param-X, x-evil, mcp-param-a\"b"},
			})
			allowed := a.Header.Get("Access-Control-Allow-Headers")
			if a.Status != http.StatusNoContent || a.Body != "" {
				t.Errorf("the answer is %d: %s", a.Status, a.Body)
			}
			for _, name := range []string{"authorization", "content-type", "accept", "last-event-id", "mcp-session-id", "mcp-protocol-version", "mcp-method", "mcp-name", "mcp-param-city", "mcp-param-x", "dpop", "traceparent"} {
				if !strings.Contains(", "+allowed+",", ", "+name+",") {
					t.Errorf("%s is not allowed: %s", name, allowed)
				}
			}
			if strings.Contains(allowed, "evil") || strings.Contains(allowed, `"`) || a.Header.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("too much is allowed: %v", a.Header)
			}
			want := map[bool]string{true: "https://app.example", false: "*"}[strings.HasPrefix(path, "/mcp")]
			if got := a.Header.Get("Access-Control-Allow-Origin"); got != want {
				t.Errorf("allowed is %q", got)
			}
			methods := map[bool]string{true: "GET, POST, DELETE, OPTIONS", false: "POST, OPTIONS"}[strings.HasPrefix(path, "/mcp")]
			if got := a.Header.Get("Access-Control-Allow-Methods"); got != methods {
				t.Errorf("the methods are %q", got)
			}
		})
	}
	if a := call(t, gw, "OPTIONS", "/mcp", "", http.Header{"Origin": {"https://evil.example"}}); a.Status != http.StatusForbidden {
		t.Errorf("a foreign origin's preflight gets %d", a.Status)
	}
	if n := len(gw.Backend.Requests()); n > 0 {
		t.Errorf("the backend saw %d preflights", n)
	}
}
