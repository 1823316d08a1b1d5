package devidp

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"
)

func TestListenOnLoopbackOnly(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:0", "[2001:db8::1]:0", "example.invalid:0", "127.0.0.1", ""} {
		if listener, err := Listen(address); err == nil {
			_ = listener.Close()
			t.Errorf("%q was listened on: %s", address, listener.Addr())
		}
	}
	for _, address := range []string{"127.0.0.1:0", "localhost:0", "127.1.2.3:0"} {
		listener, err := Listen(address)
		if err != nil {
			t.Errorf("%q: %v", address, err)
			continue
		}
		if ip := listener.Addr().(*net.TCPAddr).IP; !ip.IsLoopback() { //nolint:forcetypeassert // a test may panic
			t.Errorf("%q is %s", address, ip)
		}
		_ = listener.Close()
	}
}

func TestNewRefuses(t *testing.T) {
	good := Options{RedirectURIs: []string{redirectURI}}
	for name, c := range map[string]struct {
		issuer  string
		options Options
	}{
		"no issuer":               {"", good},
		"http beyond loopback":    {"http://idp.example.com", good},
		"http on all interfaces":  {"http://0.0.0.0:9000", good},
		"a path":                  {"http://127.0.0.1:9000/", good},
		"a query":                 {"http://127.0.0.1:9000?x=y", good},
		"a user":                  {"http://x@127.0.0.1:9000", good},
		"another scheme":          {"ftp://127.0.0.1", good},
		"no redirect URI":         {"http://127.0.0.1:9000", Options{}},
		"a user without a name":   {"http://127.0.0.1:9000", Options{RedirectURIs: good.RedirectURIs, Users: []User{{Password: "x"}}}},
		"two users with one name": {"http://127.0.0.1:9000", Options{RedirectURIs: good.RedirectURIs, Users: []User{{Name: "a"}, {Name: "a"}}}},
	} {
		if _, err := New(c.issuer, c.options); err == nil {
			t.Errorf("%s: it was made", name)
		}
	}
	for _, issuer := range []string{"http://127.0.0.1:9000", "http://localhost:9000", "http://[::1]:9000", "https://idp.example.com"} {
		if _, err := New(issuer, good); err != nil {
			t.Errorf("%s: %v", issuer, err)
		}
	}
}

func TestWhatARestartChanges(t *testing.T) {
	make := func() *Provider {
		p, err := New("http://127.0.0.1:9000", Options{RedirectURIs: []string{redirectURI}})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	before, after := make(), make()
	for i, u := range before.Users() {
		again := after.Users()[i]
		if len(u.Password) < 16 || u.Password == again.Password {
			t.Errorf("the password of %s is not a new one each time", u.Name)
		}
		if subject(u.Name) != subject(again.Name) {
			t.Errorf("the subject of %s has changed", u.Name)
		}
	}
	if subject("alice") == subject("bob") {
		t.Error("two users have one subject")
	}
	id, secret := before.Client()
	idAfter, secretAfter := after.Client()
	if id == idAfter || secret == secretAfter || len(secret) < 43 {
		t.Error("the client's credentials are not new ones each time")
	}

	named, err := New("http://127.0.0.1:9000", Options{
		RedirectURIs: []string{redirectURI}, ClientID: "vestibule", Users: []User{{Name: "carol", Password: "given"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if id, _ := named.Client(); id != "vestibule" {
		t.Errorf("the client id is %s", id)
	}
	if diff := cmp.Diff([]User{{Name: "carol", Password: "given"}}, named.Users()); diff != "" {
		t.Errorf("users (-want +got):\n%s", diff)
	}
}

func TestAuthorizeRefusesWithoutRedirecting(t *testing.T) {
	w := newWorld(t, nil)
	for name, parameters := range map[string][]string{
		"another port":           {"redirect_uri", "http://127.0.0.1:41754/callback"},
		"another host":           {"redirect_uri", "http://localhost:9/callback"},
		"https":                  {"redirect_uri", "https://127.0.0.1:9/callback"},
		"another path":           {"redirect_uri", redirectURI + "/"},
		"a query":                {"redirect_uri", redirectURI + "?x=y"},
		"a stranger":             {"redirect_uri", "https://evil.example.com/"},
		"no redirect URI":        {"redirect_uri", ""},
		"the implicit flow":      {"response_type", "id_token token"},
		"an unknown client":      {"client_id", "stranger"},
		"no client":              {"client_id", ""},
		"a query that is a book": {"state", strings.Repeat("x", maxRequest)},
	} {
		t.Run(name, func(t *testing.T) {
			b := w.newBrowser(t)
			b.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
			got := b.open(t, w.authURL(t, oauth2.GenerateVerifier(), parameters...))
			if got.status/100 != 4 || got.arrived != nil {
				t.Errorf("answered %d, to %v", got.status, got.arrived)
			}
		})
	}
}

func TestAuthorizeRefusesTheRelyingParty(t *testing.T) {
	w := newWorld(t, nil)
	for name, c := range map[string]struct {
		parameters []string
		want       string
	}{
		"no PKCE":               {[]string{"code_challenge", "", "code_challenge_method", ""}, "invalid_request"},
		"plain PKCE":            {[]string{"code_challenge_method", "plain"}, "invalid_request"},
		"PKCE without a method": {[]string{"code_challenge_method", ""}, "invalid_request"},
		"a posted answer":       {[]string{"response_mode", "form_post"}, "invalid_request"},
		"an answer in fragment": {[]string{"response_mode", "fragment"}, "invalid_request"},
		"no openid":             {[]string{"scope", "email"}, "invalid_scope"},
		"without asking":        {[]string{"prompt", "none"}, "login_required"},
	} {
		t.Run(name, func(t *testing.T) {
			got := w.newBrowser(t).open(t, w.authURL(t, oauth2.GenerateVerifier(), c.parameters...))
			if got.arrived == nil {
				t.Fatalf("answered %d %s", got.status, got.body)
			}
			answer := got.arrived.Query()
			if answer.Get("error") != c.want || answer.Get("state") != "the-state" || answer.Get("iss") != w.issuer || answer.Has("code") {
				t.Errorf("the answer is %s", got.arrived)
			}
		})
	}
}

func TestAskingForAFreshLoginIsFine(t *testing.T) {
	w := newWorld(t, nil)
	for _, parameters := range [][]string{{"prompt", "login"}, {"prompt", "consent"}, {"prompt", "select_account"}, {"max_age", "0"}} {
		b := w.newBrowser(t)
		if form := b.open(t, w.authURL(t, oauth2.GenerateVerifier(), parameters...)); form.request == "" {
			t.Errorf("%v: answered %d %s", parameters, form.status, form.body)
		}
	}
}

func TestOnlyWhatIsOfferedIsServed(t *testing.T) {
	w := newWorld(t, nil)
	for _, path := range []string{"/", "/authorize/callback", "/revoke", "/end_session", "/device_authorization", "/oauth/token", "/oauth/introspect"} {
		if got := w.newBrowser(t).open(t, w.issuer+path); got.status != http.StatusNotFound {
			t.Errorf("%s answers %d", path, got.status)
		}
	}
}

func TestVisitorsCannotFillTheMemory(t *testing.T) {
	w := newWorld(t, nil)
	for range maxLogins {
		l := &login{id: oauth2.GenerateVerifier(), expires: w.clock.Now().Add(time.Minute)}
		w.storage.pending[l.id] = l
	}
	b := w.newBrowser(t)
	if got := b.open(t, w.authURL(t, oauth2.GenerateVerifier())); got.arrived == nil || got.arrived.Query().Get("error") != "server_error" {
		t.Errorf("login %d answers %d %s", maxLogins+1, got.status, got.body)
	}
	w.clock.forward(time.Minute)
	if got := b.open(t, w.authURL(t, oauth2.GenerateVerifier())); got.request == "" {
		t.Errorf("after the others have expired: %d %s", got.status, got.body)
	}
}

func TestLogsHoldNoSecret(t *testing.T) {
	var ours, librarys bytes.Buffer
	defer slog.SetDefault(slog.Default())
	slog.SetDefault(slog.New(slog.NewTextHandler(&librarys, &slog.HandlerOptions{Level: slog.LevelDebug})))
	w := newWorld(t, slog.New(slog.NewTextHandler(&ours, nil)))

	b := w.newBrowser(t)
	verifier := oauth2.GenerateVerifier()
	form := b.open(t, w.authURL(t, verifier))
	done := b.submit(t, form.request, "alice", w.password(t, "alice"))
	code := done.arrived.Query().Get("code")
	tokens, err := w.redeem(t, w.party, code, verifier)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(librarys.String()) {
		if !strings.Contains(line, "level=DEBUG") {
			t.Errorf("a login that goes well makes the library say %s", line)
		}
	}
	if got := ours.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, `msg="logged in" user=alice`) {
		t.Errorf("a login that goes well is logged as %s", got)
	}

	// The password in the wrong field, a spent code, another's redirect URI.
	form = b.open(t, w.authURL(t, verifier))
	b.submit(t, form.request, w.password(t, "bob"), "typed-by-mistake")
	if _, err := w.redeem(t, w.party, code, verifier); err == nil {
		t.Error("a spent code was redeemed")
	}
	b.open(t, w.authURL(t, verifier, "redirect_uri", "https://evil.example.com/"))
	if !strings.Contains(ours.String(), "login refused") || !strings.Contains(librarys.String(), "level=WARN") {
		t.Errorf("the refusals are not in the logs:\n%s\n%s", ours.String(), librarys.String())
	}
	slog.New(slog.NewTextHandler(&ours, nil)).InfoContext(context.Background(), "everybody", "users", w.Users()[0])

	_, secret := w.Client()
	for name, secret := range map[string]string{
		"a password": w.password(t, "alice"), "a password in the field of the name": w.password(t, "bob"),
		"a wrong password": "typed-by-mistake", "the code": code, "the verifier": verifier, "the client secret": secret,
		"the access token": tokens.AccessToken, "the id token": tokens.IDToken, "the form's secret": form.request,
	} {
		if strings.Contains(ours.String()+librarys.String(), secret) {
			t.Errorf("%s is in the logs", name)
		}
	}
}
