package gateway_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
)

// isPage insists on a page that says what is wrong, and sends nobody anywhere.
func isPage(t *testing.T, a gatewaytest.Answer, status int, says string) {
	t.Helper()
	if a.Status != status || !strings.Contains(a.Body, says) || a.Header.Get("Location") != "" {
		t.Errorf("the answer is no page with %d and %q, but %d %v:\n%s", status, says, a.Status, a.Header, a.Body)
	}
	hasPageHeaders(t, a)
	if got := a.Header.Get("Content-Type"); got != "text/html; charset=utf-8" {
		t.Errorf("the page is of type %q", got)
	}
	csp := a.Header.Get("Content-Security-Policy")
	if !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "form-action") {
		t.Errorf("the page has the policy %q", csp)
	}
}

// hasPageHeaders insists on what every answer to a browser has (A36, A39).
func hasPageHeaders(t *testing.T, a gatewaytest.Answer) {
	t.Helper()
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY",
		"X-Content-Type-Options": "nosniff", "Access-Control-Allow-Origin": "",
	} {
		if got := a.Header.Get(name); got != want {
			t.Errorf("the answer, %d, has %s %q, not %q", a.Status, name, got, want)
		}
	}
}

// redirectsWith insists on an authorization response (A32, A34, A5), and returns it.
func redirectsWith(t *testing.T, a gatewaytest.Answer, request gatewaytest.AuthorizationRequest, issuer, code string) url.Values {
	t.Helper()
	if a.Status != http.StatusSeeOther || !strings.HasPrefix(a.Header.Get("Location"), gatewaytest.RedirectURI+"?") {
		t.Fatalf("the answer goes not to the client, but is %d %v:\n%s", a.Status, a.Header, a.Body)
	}
	hasPageHeaders(t, a)
	q := a.Location(t).Query()
	if q.Get("error") != code || q.Get("iss") != issuer || len(q["iss"]) != 1 {
		t.Errorf("the authorization response is %v, not error %q of issuer %q", q, code, issuer)
	}
	if code != "" && q.Has("code") {
		t.Errorf("an error comes with a code: %v", q)
	}
	if want := request.Get("state"); q.Get("state") != want || q.Has("state") != (want != "") {
		t.Errorf("state comes back as %q, not %q", q["state"], want)
	}
	return q
}

func TestBadAuthorizationRequests(t *testing.T) {
	t.Parallel()
	journal := gatewaytest.NewJournal(t)
	gw := gatewaytest.New(t, gatewaytest.Setup{Options: journal.Use, Configure: func(c *config.Config) {
		c.Scopes = []config.Scope{{Name: "read", Description: "Read it"}, {Name: "write"}}
	}})
	client := gw.Register(t, nil)
	set := func(name string, values ...string) func(gatewaytest.AuthorizationRequest) {
		return func(r gatewaytest.AuthorizationRequest) { r.Values[name] = values }
	}
	const page = "page" // instead of a code: no redirect
	for _, row := range []struct {
		name string
		edit func(gatewaytest.AuthorizationRequest)
		want string
	}{
		{"A32 no client_id", set("client_id"), page},
		{"A32 empty client_id", set("client_id", ""), page},
		{"A32 two client_ids", set("client_id", client.ID, client.ID), page},
		{"A32 long client_id", set("client_id", strings.Repeat("a", 3000)), page},
		{"A32 client_id that is not UTF-8", set("client_id", client.ID+"\xff"), page},
		{"A32 client_id with a control character", set("client_id", client.ID+"\x00"), page},
		{"A51 unknown client", set("client_id", "vst_cl_"+strings.Repeat("A", 22)), page},
		{"A51 client of a URL", set("client_id", "https://client.example/metadata"), page},
		{"A32 unregistered redirect_uri", set("redirect_uri", "https://evil.example/"), page},
		{"A32 two redirect_uris", set("redirect_uri", gatewaytest.RedirectURI, "https://evil.example/"), page},
		{"A32 the same redirect_uri twice", set("redirect_uri", gatewaytest.RedirectURI, gatewaytest.RedirectURI), page},
		{"A32 long redirect_uri", set("redirect_uri", gatewaytest.RedirectURI+"?"+strings.Repeat("a", 3000)), page},
		{"A32 redirect_uri that is not UTF-8", set("redirect_uri", gatewaytest.RedirectURI+"\xff"), page},
		{"A32 redirect_uri with a line break", set("redirect_uri", gatewaytest.RedirectURI+"\r\nX: y"), page},

		{"A30 no response_type", set("response_type"), "invalid_request"},
		{"A30 two response_types", set("response_type", "code", "code"), "invalid_request"},
		{"A30 the implicit grant", set("response_type", "token"), "unsupported_response_type"},
		{"A30 a hybrid flow", set("response_type", "code id_token"), "unsupported_response_type"},
		{"A30 response_mode fragment", set("response_mode", "fragment"), "invalid_request"},
		{"A30 two code_challenges", set("code_challenge", strings.Repeat("a", 43), strings.Repeat("b", 43)), "invalid_request"},
		{"A30 short code_challenge", set("code_challenge", strings.Repeat("a", 42)), "invalid_request"},
		{"A30 long code_challenge", set("code_challenge", strings.Repeat("a", 44)), "invalid_request"},
		{"A30 padded code_challenge", set("code_challenge", strings.Repeat("a", 43)+"="), "invalid_request"},
		{"A30 code_challenge in other letters", set("code_challenge", strings.Repeat("+", 43)), "invalid_request"},
		{"A33 foreign resource", set("resource", "https://other.example/mcp"), "invalid_target"},
		{"A33 resource of another path", set("resource", gw.URL+"/mcp2"), "invalid_target"},
		{"A33 resource with a fragment", set("resource", gw.URL+"/mcp#a"), "invalid_target"},
		{"A33 resource that is no URL", set("resource", "mcp"), "invalid_target"},
		{"A33 two resources, one foreign", set("resource", gw.URL+"/mcp", "https://other.example/mcp"), "invalid_target"},
		{"A33 long resource", set("resource", gw.URL+"/mcp?"+strings.Repeat("a", 3000)), "invalid_request"},
		{"A33 resource that is not UTF-8", set("resource", gw.URL+"/mcp\xff"), "invalid_request"},
		{"A35 no scope that exists", set("scope", "admin root"), "invalid_scope"},
		{"A35 a scope with a quote", set("scope", `read "write`), "invalid_scope"},
		{"A35 nothing but blanks", set("scope", "  "), "invalid_scope"},
		{"A34 two scopes", set("scope", "read", "write"), "invalid_request"},
		{"A34 long scope", set("scope", strings.Repeat("read ", 500)), "invalid_request"},
		{"A34 scope with a tab", set("scope", "read\twrite"), "invalid_request"},
	} {
		t.Run(row.name, func(t *testing.T) {
			request := client.AuthorizationRequest()
			row.edit(request)
			b := client.Browser(t)
			a := b.Get(t, gw.AuthorizeURL(request))
			if row.want == page {
				isPage(t, a, http.StatusBadRequest, "<h1>")
			} else {
				redirectsWith(t, a, request, gw.URL, row.want)
			}
			if len(a.Header.Values("Set-Cookie")) > 0 {
				t.Error("an error sets a cookie")
			}
		})
	}
	if n := journal.Writes(); n != 1 {
		t.Errorf("there are %d writes, not that of the registration alone", n)
	}
	// None of it did any harm: the client still goes the whole way.
	client.Call(t, client.Redeem(t, client.Login(t)).Access)
	if n := gw.IdP.Exchanges(); n != 1 {
		t.Errorf("the upstream saw %d logins, not one", n)
	}
}

func TestTheUnknownClientIsToldToRegisterAgain(t *testing.T) { // A51
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{})
	client := gw.Register(t, nil)
	request := client.AuthorizationRequest()
	request.Set("client_id", "vst_cl_<script>alert(1)</script>")
	a := client.Browser(t).Get(t, gw.AuthorizeURL(request))
	isPage(t, a, http.StatusBadRequest, "remove this MCP server and add it again")
	if strings.Contains(a.Body, "alert(1)") {
		t.Error("the page repeats what a stranger wrote")
	}
}

func TestBrokenQueries(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{})
	client := gw.Register(t, nil)
	good := client.AuthorizationRequest().Encode()
	for name, query := range map[string]string{
		"a semicolon": good + ";a=b", "bad percent encoding": good + "&scope=%zz", "nothing": "",
		// The query is longer than a form may be, but fits into the server's headers.
		"too long": good + "&x=" + strings.Repeat("a", 64<<10),
	} {
		t.Run(name, func(t *testing.T) {
			isPage(t, client.Browser(t).Get(t, gw.URL+"/authorize?"+query), http.StatusBadRequest, "does not say properly")
		})
	}
}

// What clients are known to send, and must not fail on.
func TestToleratedAuthorizationRequests(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{Configure: func(c *config.Config) {
		c.Scopes = []config.Scope{{Name: "read"}, {Name: "write"}}
		c.RequiredScopes = map[string][]string{"mcp": {"read"}}
		c.Routes = append(c.Routes, config.Route{Name: "two", Path: "/two", Transport: "StreamableHTTP", BackendPath: "/two"})
	}})
	client := gw.Register(t, nil)
	upper := "HTTP://" + strings.TrimPrefix(gw.URL, "http://") + "/mcp"
	for _, row := range []struct {
		name, param string
		values      []string
		scope       string
	}{
		{"A33 no resource", "resource", nil, "read"},
		{"A33 an empty resource", "resource", []string{""}, "read"},
		{"A33 trailing slash", "resource", []string{gw.URL + "/mcp/"}, "read"},
		{"A33 upper-case scheme", "resource", []string{upper}, "read"},
		{"A33 the same resource twice", "resource", []string{gw.URL + "/mcp", upper}, "read"},
		{"A33 the origin", "resource", []string{gw.URL}, "read"},
		{"A33 the origin with a slash", "resource", []string{gw.URL + "/"}, "read"},
		{"A31 another port", "redirect_uri", []string{strings.Replace(gatewaytest.RedirectURI, ":9", ":1", 1)}, "read"},
		{"A31 no redirect_uri, of one", "redirect_uri", nil, "read"},
		{"A31 an empty redirect_uri, of one", "redirect_uri", []string{""}, "read"},
		{"A34 unknown parameters, twice", "audience", []string{"a", "b"}, "read"},
		{"A41 prompt", "prompt", []string{"consent"}, "read"},
		{"A41 nonce", "nonce", []string{"n"}, "read"},
		{"A41 login_hint", "login_hint", []string{"alice@example.com"}, "read"},
		{"A41 max_age", "max_age", []string{"0"}, "read"},
		{"A41 display", "display", []string{"popup"}, "read"},
		{"A30 response_mode query", "response_mode", []string{"query"}, "read"},
		{"A35 no scope", "scope", nil, "read"},
		{"A35 some scopes unknown", "scope", []string{"openid write profile"}, "write"},
		{"A35 only offline_access", "scope", []string{"offline_access"}, "read offline_access"},
		{"A35 offline_access too", "scope", []string{"write offline_access"}, "write offline_access"},
		{"A35 a scope twice", "scope", []string{"read read  write"}, "read write"},
	} {
		t.Run(row.name, func(t *testing.T) {
			request := client.AuthorizationRequest()
			request.Values[row.param] = row.values
			b := client.Browser(t)
			consent := b.Get(t, gw.AuthorizeURL(request))
			if consent.Status != http.StatusOK {
				t.Fatalf("no consent page, but %d %v", consent.Status, consent.Header)
			}
			if strings.HasPrefix(row.name, "A31 another port") {
				return // the browser of the test would not know the way back
			}
			code := client.LoginWith(t, request)
			params := gatewaytest.RedeemParams(code)
			if row.param == "resource" {
				params[row.param] = row.values // a client says the same at both endpoints
			}
			tokens := client.Tokens(t, client.Token(t, params))
			if tokens.Scope != row.scope {
				t.Errorf("granted is %q, not %q", tokens.Scope, row.scope)
			}
			refresh := gatewaytest.RefreshParams(tokens.Refresh)
			if row.param == "resource" {
				refresh[row.param] = row.values
			}
			client.Tokens(t, client.Token(t, refresh))
		})
	}
}

func TestStateIsEchoedByteForByte(t *testing.T) { // A34
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{})
	client := gw.Register(t, nil)
	for name, state := range map[string]string{
		"absent": "", "odd": `a+b c%20d&e=f;g#h?"<ü>'\/` + "\u202e", "a space": " ", "longest": strings.Repeat("ü", 512),
	} {
		t.Run(name, func(t *testing.T) {
			request := client.AuthorizationRequest()
			if request.Set("state", state); state == "" {
				request.Del("state")
			}
			b := client.Browser(t)
			last, _ := b.Follow(t, b.Press(t, b.Get(t, gw.AuthorizeURL(request)), "approve"))
			if q := redirectsWith(t, last, request, gw.URL, ""); q.Get("code") == "" {
				t.Errorf("no code: %v", q)
			}
			last = b.Press(t, b.Get(t, gw.AuthorizeURL(request)), "deny")
			redirectsWith(t, last, request, gw.URL, "access_denied")
		})
	}
	for name, states := range map[string][]string{
		"1025 bytes": {strings.Repeat("a", 1025)}, "a control character": {"a\x07b"}, "not UTF-8": {"a\xffb"}, "twice": {"a", "b"},
	} {
		t.Run(name, func(t *testing.T) {
			request := client.AuthorizationRequest()
			request.Values["state"] = states
			a := client.Browser(t).Get(t, gw.AuthorizeURL(request))
			request.Del("state") // one that cannot be trusted to be whole does not come back
			redirectsWith(t, a, request, gw.URL, "invalid_request")
		})
	}
}

func TestNoScriptMayUseThePages(t *testing.T) { // A39
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{})
	for path, allowed := range map[string]string{"/authorize": "GET", "/consent": "POST", "/callback/corp": "GET"} {
		for _, method := range []string{"GET", "POST", "PUT", "DELETE", "OPTIONS"} {
			if method == allowed {
				continue
			}
			t.Run(method+" "+path, func(t *testing.T) {
				a := gw.Do(t, gw.HTTP(0), gw.Request(t, method, path, nil, map[string]string{
					"Origin": "https://evil.example", "Access-Control-Request-Method": "GET",
				}))
				a.Fails(t, http.StatusMethodNotAllowed, "invalid_request")
				if a.Header.Get("Allow") != allowed || a.Header.Get("Access-Control-Allow-Origin") != "" {
					t.Errorf("the answer has %v", a.Header)
				}
			})
		}
	}
}
