package gateway_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/caller"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
)

// Whatever a client sends under the names by which the backend is told who calls,
// the backend gets the gateway's word alone: also where the gateway has none.
func TestAttackClaimedIdentity(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{Configure: func(c *config.Config) {
		introducing(c)
		c.Backend.Identity.UpstreamTokenHeader = "X-Upstream-Token"
	}})
	client := gw.Register(t, nil)
	gw.IdP.LoginAs("alice", map[string]any{"groups": []string{"dev"}})
	token := client.Redeem(t, client.Login(t)).Access
	genuine := callTold(t, client, token)
	forged := gw.Secrets.Add("assertion", genuine.Get(assertionHeader)) + "x"
	names := []string{assertionHeader, "X-User-Email", "X-User-Groups", "X-User-Name", "X-User-Missing", "X-Upstream-Token"}
	spellings := map[string]func(string) string{
		"as it is": func(s string) string { return s }, "in small letters": strings.ToLower, "in capitals": strings.ToUpper,
		"with underscores":   func(s string) string { return strings.ReplaceAll(s, "-", "_") },
		"with one of them":   func(s string) string { return strings.Replace(s, "-", "_", 1) },
		"with dots":          func(s string) string { return strings.ReplaceAll(s, "-", ".") },
		"with another of it": func(s string) string { return strings.ReplaceAll(s, "-", "~") },
	}
	for spelled, spell := range spellings {
		for what, wrap := range map[string]func(headers, list string) string{
			"alone":               func(headers, _ string) string { return headers + "Connection: close\r\n" },
			"named by Connection": func(headers, list string) string { return headers + "Connection: close, " + list + "\r\n" },
			"twice":               func(headers, _ string) string { return headers + headers + "Connection: close\r\n" },
		} {
			t.Run(spelled+" "+what, func(t *testing.T) {
				var headers strings.Builder
				var list []string
				for _, name := range names {
					headers.WriteString(spell(name) + ": " + map[bool]string{true: forged, false: "root"}[name == assertionHeader] + "\r\n")
					list = append(list, spell(name))
				}
				answer := raw(t, gw, "POST /mcp HTTP/1.1\r\nHost: "+gw.Addrs[0]+"\r\nAuthorization: Bearer "+token+"\r\nContent-Length: 0\r\n"+
					wrap(headers.String(), strings.Join(list, ", "))+"\r\n")
				if got := statuses(answer); !slices.Equal(got, []string{"200"}) {
					t.Fatalf("the answers are %v: %q", got, answer)
				}
				onlyGenuine(t, lastSeen(t, gw), genuine, names)
			})
		}
	}
}

// The configuration can name a header of another front door. Then it has the gateway's
// word, and the client's never.
func TestAttackHeaderOfAnotherFrontDoor(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{Configure: func(c *config.Config) {
		c.Backend.Identity = &config.Identity{Headers: []config.IdentityHeader{
			{Name: "X-Webauth-User", Claim: "email"}, {Name: "X-Forwarded-Email", Claim: "missing"},
		}}
	}})
	client := gw.Register(t, nil)
	gw.IdP.LoginAs("alice", map[string]any{"email": "alice@example.com"})
	token := client.Redeem(t, client.Login(t)).Access
	root := []string{"root"}
	a := call(t, gw, "POST", "/mcp", token, http.Header{
		"X-Webauth-User": root, "X_webauth_user": root, "X-Forwarded-Email": root, "X-Ms-Client-Principal": root, "X-Http-Method-Override": root,
	})
	if a.Status != http.StatusOK {
		t.Fatalf("the answer is %d: %s", a.Status, a.Body)
	}
	got := lastSeen(t, gw)
	if user := got.Values("X-Webauth-User"); !slices.Equal(user, []string{"alice@example.com"}) {
		t.Errorf("the user is %q", user)
	}
	for name, values := range got {
		if slices.Contains(values, "root") {
			t.Errorf("%s arrives", name)
		}
	}
	n := len(gw.Backend.Requests())
	if a := call(t, gw, "TRACE", "/mcp", token, nil); a.Status != http.StatusMethodNotAllowed || len(gw.Backend.Requests()) != n {
		t.Errorf("TRACE gets %d: %s", a.Status, a.Body)
	}
}

// onlyGenuine insists that headers have what the genuine ones have under these names,
// and nothing that could be read as one of them.
func onlyGenuine(t *testing.T, got, genuine http.Header, names []string) {
	t.Helper()
	for _, name := range names {
		if !slices.Equal(got.Values(name), genuine.Values(name)) {
			t.Errorf("%s arrives as %q", name, got.Values(name))
		}
	}
	for name := range got {
		if plain := caller.PlainName(name); plain != name && slices.Contains(names, plain) {
			t.Errorf("%s arrives beside", name)
		}
	}
}

// Nobody is introduced as somebody else, who has just called with the same client, or
// has the same number at another provider.
func TestAttackIdentityOfAnother(t *testing.T) {
	t.Parallel()
	s := newSeveral(t, introducing)
	client := s.Register(t, nil)
	type user struct{ token, issuer, sub, email string }
	login := func(upstream string, idp *gatewaytest.IdP, sub, email string) user {
		idp.LoginAs("somebody", map[string]any{"sub": sub, "email": email})
		return user{s.login(t, client, upstream).Access, idp.URL, sub, email}
	}
	users := []user{
		login("corp", s.IdP, "1", "alice@example.com"), login("corp", s.IdP, "2", "bob@example.com"), login("other", s.other, "1", "mallory@example.org"),
	}
	for range 3 {
		for _, u := range users {
			headers := callTold(t, client, u.token)
			claims := verify(t, s.Server, headers.Get(assertionHeader))
			if claims["upstream_issuer"] != u.issuer || claims["sub"] != u.sub || claims["email"] != u.email || headers.Get("X-User-Email") != u.email {
				t.Errorf("%+v is introduced as %v, %q", u, claims, headers.Get("X-User-Email"))
			}
		}
	}
	n := len(s.Backend.Requests())
	client.Form(t, "/revoke", url.Values{"token": {users[0].token}})
	if a := client.Call(t, users[0].token); a.Status != http.StatusUnauthorized || len(s.Backend.Requests()) != n {
		t.Errorf("a revoked token gets %d, and the backend saw %d requests", a.Status, len(s.Backend.Requests())-n)
	}
}

// An assertion is good at the backend alone: at the gateway it is no token of any kind.
func TestAttackAssertionAsAToken(t *testing.T) {
	t.Parallel()
	gw, client, token := loggedIn(t, gatewaytest.Setup{Configure: introducing})
	assertion := gw.Secrets.Add("assertion", callTold(t, client, token).Get(assertionHeader))
	client.Call(t, assertion).Fails(t, http.StatusUnauthorized, "invalid_token")
	client.Token(t, gatewaytest.RefreshParams(assertion)).Fails(t, http.StatusBadRequest, "invalid_grant")
	for name, params := range map[string]url.Values{
		"in place of a login": {"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {assertion}},
		"as a client's": {
			"grant_type": {"client_credentials"}, "client_assertion": {assertion},
			"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		},
	} {
		if a := client.Token(t, params); a.Status/100 != 4 || a.Code() == "" {
			t.Errorf("%s, it gets %d: %s", name, a.Status, a.Body)
		}
	}
}
