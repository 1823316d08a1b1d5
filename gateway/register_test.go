package gateway_test

import (
	"crypto/rand"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
	"vestibule.dev/vestibule/gateway/internal/store"
)

func TestRegistrationAnswers(t *testing.T) { // A10, A11, A12, A24
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{})
	always := []string{"client_id", "client_id_issued_at", "grant_types", "redirect_uris",
		"registration_access_token", "registration_client_uri", "response_types", "token_endpoint_auth_method"}
	for _, row := range []struct {
		name, body string
		method     string
		more       []string // members besides those that are always there
	}{
		{"public", `"token_endpoint_auth_method":"none"`, "none", nil},
		{"post", `"token_endpoint_auth_method":"client_secret_post"`, "client_secret_post", []string{"client_secret", "client_secret_expires_at"}},
		{"basic", `"token_endpoint_auth_method":"client_secret_basic"`, "client_secret_basic", []string{"client_secret", "client_secret_expires_at"}},
		{"no method", `"client_name":"Manager"`, "client_secret_basic", []string{"client_secret", "client_secret_expires_at", "client_name"}},
		{"method null", `"token_endpoint_auth_method":null`, "client_secret_basic", []string{"client_secret", "client_secret_expires_at"}},
		{"A13 more than there is", `"token_endpoint_auth_method":"none","grant_types":["authorization_code","refresh_token","urn:ietf:params:oauth:grant-type:device_code"],
			"response_types":["code","token"],"scope":"openid everything","application_type":"native","software_id":"x","jwks":{"keys":[]}`, "none", []string{"application_type", "software_id"}},
		{"A17 no grant types", `"token_endpoint_auth_method":"none","grant_types":[],"response_types":[]`, "none", nil},
		{"A12 empty members", `"token_endpoint_auth_method":"none","client_name":"","client_uri":"","logo_uri":null,"contacts":null`, "none", nil},
		{"a page that is none", `"token_endpoint_auth_method":"none","client_uri":"javascript:alert(1)"`, "none", nil},
		{"a page", `"token_endpoint_auth_method":"none","client_uri":"https://client.example/"`, "none", []string{"client_uri"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			a := register(t, gw, `{"redirect_uris":["`+gatewaytest.RedirectURI+`"],`+row.body+`}`)
			if a.Status != http.StatusCreated || a.Header.Get("Content-Type") != "application/json" || a.Header.Get("Cache-Control") != "no-store" ||
				a.Header.Get("Access-Control-Allow-Origin") != "*" {
				t.Fatalf("the answer is %d %v: %s", a.Status, a.Header, a.Body)
			}
			v := a.JSON(t)
			secret, _ := v["client_secret"].(string)
			gw.Secrets.Add("client secret", secret)
			if got, want := slices.Sorted(maps.Keys(v)), slices.Sorted(slices.Values(append(row.more, always...))); !slices.Equal(got, want) {
				t.Errorf("the members are %v, not %v", got, want)
			}
			if v["token_endpoint_auth_method"] != row.method || strings.Contains(a.Body, "null") || strings.Contains(a.Body, `""`) {
				t.Errorf("the answer is %s", a.Body)
			}
			isList(t, v, "grant_types", []string{"authorization_code", "refresh_token"})
			isList(t, v, "response_types", []string{"code"})
			isList(t, v, "redirect_uris", []string{gatewaytest.RedirectURI})
			token := gw.Secrets.Add("registration access token", v["registration_access_token"].(string))
			if v["registration_client_uri"] != gw.URL+"/register/"+v["client_id"].(string) { // A15
				t.Errorf("the client is managed at %s", v["registration_client_uri"])
			}
			for _, s := range []string{v["client_id"].(string), "x" + secret, token} {
				if strings.ContainsFunc(s, func(c rune) bool {
					return c != '_' && c != '-' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z')
				}) {
					t.Errorf("%s has characters that do not pass everywhere", s)
				}
			}
			if issued := v["client_id_issued_at"].(float64); issued != float64(int64(issued)) || time.Since(time.Unix(int64(issued), 0)) > time.Minute {
				t.Errorf("client_id_issued_at is %v", v["client_id_issued_at"])
			}
			if expires, ok := v["client_secret_expires_at"]; ok && expires != 0.0 {
				t.Errorf("client_secret_expires_at is %v", expires)
			}
		})
	}
}

// register posts a body as it is.
func register(t *testing.T, gw *gatewaytest.Server, body string) gatewaytest.Answer {
	t.Helper()
	return gw.Do(t, gw.HTTP(0), gw.Request(t, http.MethodPost, "/register", strings.NewReader(body), map[string]string{"Content-Type": "application/json; charset=utf-8"}))
}

func TestRedirectURIsOfRealClients(t *testing.T) { // A13, A31
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{})
	for name, client := range map[string]struct{ registers, kept, uses []string }{
		"Cursor": {
			[]string{"cursor://anysphere.cursor-mcp/oauth/callback", "https://www.cursor.com/agents/mcp/oauth/callback", "http://localhost:8787/callback"},
			nil, []string{"cursor://anysphere.cursor-mcp/oauth/callback", "http://localhost:8787/callback"},
		},
		"VS Code": {
			[]string{"https://insiders.vscode.dev/redirect", "https://vscode.dev/redirect", "http://127.0.0.1/", "http://127.0.0.1:33418/"},
			nil, []string{"https://vscode.dev/redirect", "http://127.0.0.1:33418/", "http://127.0.0.1:51234/"},
		},
		"Claude Code": {
			[]string{"http://localhost/callback", "http://127.0.0.1/callback"},
			nil, []string{"http://localhost:54321/callback", "http://127.0.0.1:54321/callback"},
		},
		"Claude": {
			[]string{"https://claude.ai/api/mcp/auth_callback", "https://claude.com/api/mcp/auth_callback"},
			nil, []string{"https://claude.ai/api/mcp/auth_callback"},
		},
		"mcp-remote":          {[]string{"http://localhost:3335/oauth/callback"}, nil, []string{"http://localhost:49150/oauth/callback"}},
		"Inspector":           {[]string{"http://127.0.0.1:6276/oauth/callback", "http://localhost:6274/oauth/callback"}, nil, []string{"http://localhost:6274/oauth/callback"}},
		"IPv6":                {[]string{"http://[::1]/callback"}, nil, []string{"http://[::1]:1234/callback"}},
		"an app":              {[]string{"com.example.app:/callback"}, nil, []string{"com.example.app:/callback"}},
		"one good one of six": {[]string{"javascript:alert(1)", "http://evil.example/", "https://ok.example/cb", "https://*.example/", "data:text/html,x", "https://ok.example/cb"}, []string{"https://ok.example/cb"}, []string{"https://ok.example/cb"}},
	} {
		t.Run(name, func(t *testing.T) {
			if client.kept == nil {
				client.kept = client.registers
			}
			a := gw.TryRegister(t, map[string]any{"redirect_uris": client.registers})
			if a.Status != http.StatusCreated {
				t.Fatalf("registration answers %d: %s", a.Status, a.Body)
			}
			v := a.JSON(t)
			isList(t, v, "redirect_uris", client.kept)
			c := &gatewaytest.Client{Server: gw, ID: v["client_id"].(string)}
			for _, uri := range client.uses {
				request := c.AuthorizationRequest()
				request.Set("redirect_uri", uri)
				isPage(t, c.Browser(t).Get(t, gw.AuthorizeURL(request)), http.StatusOK, "asks for access")
			}
		})
	}
}

func TestBadRegistrations(t *testing.T) { // A10, A13, A16
	t.Parallel()
	journal := gatewaytest.NewJournal(t)
	gw := gatewaytest.New(t, gatewaytest.Setup{Options: journal.Use})
	const good = `"redirect_uris":["https://client.example/cb"]`
	uris := func(uri string) string { return `{"redirect_uris":["` + uri + `"]}` }
	long := strings.Repeat("a", 600)
	for _, row := range []struct {
		name, body string
		status     int
		want       string
	}{
		{"no redirect URI", `{}`, 400, "invalid_redirect_uri"},
		{"redirect URIs null", `{"redirect_uris":null}`, 400, "invalid_redirect_uri"},
		{"an empty list", `{"redirect_uris":[]}`, 400, "invalid_redirect_uri"},
		{"nothing but null", `{"redirect_uris":[null]}`, 400, "invalid_redirect_uri"},
		{"other capitals", `{"Redirect_URIs":["https://client.example/cb"]}`, 400, "invalid_redirect_uri"},
		{"javascript", uris("javascript:alert(1)"), 400, "invalid_redirect_uri"},
		{"data", uris("data:text/html,x"), 400, "invalid_redirect_uri"},
		{"file", uris("file:///etc/passwd"), 400, "invalid_redirect_uri"},
		{"a scheme that others may have", uris("myapp://cb"), 400, "invalid_redirect_uri"},
		{"http elsewhere", uris("http://client.example/cb"), 400, "invalid_redirect_uri"},
		{"http at a name like loopback", uris("http://localhost.evil.example/cb"), 400, "invalid_redirect_uri"},
		{"a fragment", uris("https://client.example/cb#x"), 400, "invalid_redirect_uri"},
		{"a wildcard", uris("https://*.example/cb"), 400, "invalid_redirect_uri"},
		{"a user name", uris("https://user@client.example/cb"), 400, "invalid_redirect_uri"},
		{"no host", uris("https:///cb"), 400, "invalid_redirect_uri"},
		{"a relative one", uris("/cb"), 400, "invalid_redirect_uri"},
		{"a space", uris("https://client.example/ cb"), 400, "invalid_redirect_uri"},
		{"a line break", uris(`https://client.example/\ncb`), 400, "invalid_redirect_uri"},
		{"too long a URI", uris("https://client.example/" + strings.Repeat("a", 1024)), 400, "invalid_redirect_uri"},
		{"a string", `{"redirect_uris":"https://client.example/cb"}`, 400, "invalid_client_metadata"},
		{"numbers", `{"redirect_uris":[1]}`, 400, "invalid_client_metadata"},
		{"too many", `{"redirect_uris":["` + strings.Repeat(`https://client.example/cb","`, 16) + `https://client.example/cb"]}`, 400, "invalid_client_metadata"},
		{"too much in all", `{"redirect_uris":["https://a.example/` + long + `","https://b.example/` + long + `","https://c.example/` + long + `","https://d.example/` + long + `","https://e.example/` + long + `"]}`, 400, "invalid_client_metadata"},
		{"a long name", `{` + good + `,"client_name":"` + strings.Repeat("a", 257) + `"}`, 400, "invalid_client_metadata"},
		{"a name that is a number", `{` + good + `,"client_name":7}`, 400, "invalid_client_metadata"},
		{"a long page", `{` + good + `,"client_uri":"https://client.example/` + long + `"}`, 400, "invalid_client_metadata"},
		{"A11 a method that does not exist", `{` + good + `,"token_endpoint_auth_method":"tls_client_auth"}`, 400, "invalid_client_metadata"},
		{"A11 a method that is a list", `{` + good + `,"token_endpoint_auth_method":["none"]}`, 400, "invalid_client_metadata"},
		{"A17 client_credentials alone", `{` + good + `,"grant_types":["client_credentials"]}`, 400, "invalid_client_metadata"},
		{"A17 grant types in a string", `{` + good + `,"grant_types":"authorization_code"}`, 400, "invalid_client_metadata"},
		{"A30 the implicit grant", `{` + good + `,"response_types":["token"]}`, 400, "invalid_client_metadata"},
		{"nothing", ``, 400, "invalid_client_metadata"},
		{"null", `null`, 400, "invalid_client_metadata"},
		{"a list", `[]`, 400, "invalid_client_metadata"},
		{"half of it", `{` + good, 400, "invalid_client_metadata"},
		{"two of it", `{` + good + `}{` + good + `}`, 400, "invalid_client_metadata"},
		{"not UTF-8", `{` + good + `,"client_name":"` + "\xff" + `"}`, 400, "invalid_client_metadata"},
		{"a form", `redirect_uris=https://client.example/cb`, 400, "invalid_client_metadata"},
		{"A16 too long", `{` + good + `,"x":"` + strings.Repeat("x", 64<<10) + `"}`, 413, "invalid_request"},
	} {
		t.Run(row.name, func(t *testing.T) {
			a := register(t, gw, row.body)
			a.Fails(t, row.status, row.want)
			if a.Header.Get("Access-Control-Allow-Origin") != "*" { // R20
				t.Error("a browser client cannot read the error")
			}
		})
	}
	for name, send := range map[string]struct {
		method, contentType string
		status              int
	}{
		"GET": {"GET", "", 405}, "PUT": {"PUT", "application/json", 405}, "no content type": {"POST", "", 415},
		"a form's content type": {"POST", "application/x-www-form-urlencoded", 415}, "text": {"POST", "text/plain", 415},
	} {
		t.Run(name, func(t *testing.T) {
			r := gw.Request(t, send.method, "/register", strings.NewReader(`{`+good+`}`), map[string]string{"Content-Type": send.contentType})
			gw.Do(t, gw.HTTP(0), r).Fails(t, send.status, "invalid_request")
		})
	}
	if n := journal.Writes(); n != 0 {
		t.Errorf("bad registrations wrote %d records", n)
	}
	// Nor did they use up what the sender may register.
	for range 60 {
		if a := register(t, gw, `{`+good+`,"token_endpoint_auth_method":"none"}`); a.Status != http.StatusCreated {
			t.Fatalf("a good registration answers %d: %s", a.Status, a.Body)
		}
	}
}

func TestRegistrationPolicies(t *testing.T) {
	t.Parallel()
	disabled := gatewaytest.New(t, gatewaytest.Setup{Configure: func(c *config.Config) { c.Registration.Enabled = false }})
	disabled.TryRegister(t, nil).Fails(t, http.StatusForbidden, "invalid_request")
	confidential := gatewaytest.New(t, gatewaytest.Setup{Configure: func(c *config.Config) { c.Registration.PublicClients = false }})
	confidential.TryRegister(t, nil).Fails(t, http.StatusBadRequest, "invalid_client_metadata")
	client := confidential.Register(t, map[string]any{"token_endpoint_auth_method": "client_secret_post"})
	client.Redeem(t, client.Login(t))
}

// A policy that has become narrower holds for the clients that are there.
func TestRedirectPolicy(t *testing.T) { // A13, A16
	t.Parallel()
	const web, app, other = "https://client.example/cb", "cursor://anysphere.cursor-mcp/oauth/callback", "https://other.example/cb"
	gw := gatewaytest.New(t, gatewaytest.Setup{Replicas: 2, Reconfigure: func(c *config.Config) {
		c.Registration.AllowedRedirectHosts, c.Registration.PrivateUseSchemes = []string{"other.example"}, nil
	}})
	client := gw.Register(t, map[string]any{"redirect_uris": []string{web, app, other, gatewaytest.RedirectURI}})
	for _, row := range []struct {
		replica int
		uri     string
		status  int
	}{
		{0, web, 200}, {0, app, 200}, {0, other, 200}, {0, gatewaytest.RedirectURI, 200},
		{1, web, 400}, {1, app, 400}, {1, other, 200}, {1, gatewaytest.RedirectURI, 200},
	} {
		request := client.AuthorizationRequest()
		request.Set("redirect_uri", row.uri)
		a := client.On(row.replica).Browser(t).Get(t, gw.AuthorizeURL(request))
		if a.Status != row.status {
			t.Errorf("replica %d answers %d at %s", row.replica, a.Status, row.uri)
		}
	}
	try := func(uris ...string) gatewaytest.Answer {
		body := strings.NewReader(`{"redirect_uris":["` + strings.Join(uris, `","`) + `"]}`)
		return gw.Do(t, gw.HTTP(1), gw.Request(t, http.MethodPost, "/register", body, map[string]string{"Content-Type": "application/json"}))
	}
	try(web, app).Fails(t, http.StatusBadRequest, "invalid_redirect_uri")
	isList(t, try(web, app, other).JSON(t), "redirect_uris", []string{other})
}

func TestInitialAccessToken(t *testing.T) { // A16
	t.Parallel()
	file := filepath.Join(t.TempDir(), "token")
	set := func(token string) {
		if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	gw := gatewaytest.New(t, gatewaytest.Setup{Configure: func(c *config.Config) { c.Registration.InitialAccessTokenFile = file }})
	first, second := gw.Secrets.Add("initial access token", rand.Text()), gw.Secrets.Add("initial access token", rand.Text())
	try := func(authorization ...string) gatewaytest.Answer {
		r := gw.Request(t, http.MethodPost, "/register", strings.NewReader(`{"redirect_uris":["https://client.example/cb"]}`), map[string]string{"Content-Type": "application/json"})
		r.Header["Authorization"] = authorization
		return gw.Do(t, gw.HTTP(0), r)
	}
	refused := func(a gatewaytest.Answer) {
		t.Helper()
		a.Fails(t, http.StatusUnauthorized, "invalid_token")
		if !strings.HasPrefix(a.Header.Get("WWW-Authenticate"), "Bearer") {
			t.Errorf("the challenge is %q", a.Header.Get("WWW-Authenticate"))
		}
	}
	try("Bearer "+first).Fails(t, http.StatusServiceUnavailable, "temporarily_unavailable")
	set("\n")
	try("Bearer").Fails(t, http.StatusServiceUnavailable, "temporarily_unavailable")
	set(first + "\n")
	for _, good := range []string{"Bearer " + first, "bearer  " + first} {
		if a := try(good); a.Status != http.StatusCreated {
			t.Errorf("with the token, the answer is %d: %s", a.Status, a.Body)
		}
	}
	refused(try())
	refused(try("Bearer"))
	refused(try("Bearer "))
	refused(try("Basic " + first))
	refused(try("Bearer " + first + "x"))
	refused(try("Bearer " + first[1:]))
	refused(try("Bearer "+first, "Bearer "+first))
	set(second)
	refused(try("Bearer " + first))
	if a := try("Bearer " + second); a.Status != http.StatusCreated {
		t.Errorf("after a change, the answer is %d: %s", a.Status, a.Body)
	}
	// Whoever guesses does not get far, not even with the right one at last.
	guess := gatewaytest.Answer{}
	for range 60 {
		guess = try("Bearer guess")
	}
	guess.Fails(t, http.StatusTooManyRequests, "temporarily_unavailable")
	try("Bearer "+second).Fails(t, http.StatusTooManyRequests, "temporarily_unavailable")
}

func TestRegistrationsLapse(t *testing.T) { // A14, A51
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{})
	unused, used := gw.Register(t, nil), gw.Register(t, nil)
	tokens := used.Redeem(t, used.Login(t))
	gw.Clock.Advance(25 * time.Hour)
	isPage(t, unused.Browser(t).Get(t, gw.AuthorizeURL(unused.AuthorizationRequest())), http.StatusBadRequest, "not registered here")
	unused.Token(t, gatewaytest.RefreshParams("x")).Fails(t, http.StatusUnauthorized, "invalid_client")
	tokens = used.Refresh(t, tokens.Refresh)
	// From half of its time on, use renews a registration.
	for range 4 {
		gw.Clock.Advance(50 * 24 * time.Hour)
		tokens = used.Redeem(t, used.Login(t))
	}
	used.Refresh(t, tokens.Refresh)
	gw.Clock.Advance(91 * 24 * time.Hour)
	used.Token(t, gatewaytest.RefreshParams(tokens.Refresh)).Fails(t, http.StatusUnauthorized, "invalid_client")
}

func TestTheStoreTakesNoClients(t *testing.T) {
	t.Parallel()
	journal := gatewaytest.NewJournal(t)
	gw := gatewaytest.New(t, gatewaytest.Setup{Options: journal.Use})
	journal.GoAway(store.ErrUnavailable)
	gw.TryRegister(t, nil).Fails(t, http.StatusServiceUnavailable, "temporarily_unavailable")
	journal.GoAway(store.ErrFull)
	gw.TryRegister(t, nil).Fails(t, http.StatusTooManyRequests, "temporarily_unavailable")
	journal.GoAway(nil)
	gw.Register(t, nil)
}
