package devidp

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/zitadel/oidc/v3/pkg/client/rp"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"golang.org/x/oauth2"
)

func TestLogin(t *testing.T) {
	w := newWorld(t, nil)
	for name, want := range map[string]map[string]any{
		"alice":   {"name": "Alice Adams", "email": "alice@example.com", "email_verified": true, "groups": []any{"staff"}},
		"bob":     {"name": "Bob Brown", "email": "bob@example.com", "email_verified": true, "groups": []any{"staff", "ops"}},
		"mallory": {"name": "Mallory Moss", "email": "mallory@example.com", "email_verified": false, "groups": []any{"staff"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := w.newBrowser(t)
			verifier := oauth2.GenerateVerifier()

			form := b.open(t, w.authURL(t, verifier))
			if form.status != http.StatusOK || form.request == "" {
				t.Fatalf("the login page is %d %s", form.status, form.body)
			}
			done := b.submit(t, form.request, name, w.password(t, name))
			if done.status != http.StatusSeeOther || done.arrived == nil {
				t.Fatalf("the login ended with %d %s", done.status, done.body)
			}
			answer := done.arrived.Query()
			code := answer.Get("code")
			answer.Del("code")
			if diff := cmp.Diff(url.Values{"state": {"the-state"}, "iss": {w.issuer}}, answer); diff != "" || code == "" {
				t.Errorf("the answer besides the code %q (-want +got):\n%s", code, diff)
			}

			tokens, err := w.redeem(t, w.party, code, verifier)
			if err != nil {
				t.Fatal(err)
			}
			if got := tokens.IDTokenClaims.Subject; got != subject(name) || strings.Contains(got, name) {
				t.Errorf("the subject is %q", got)
			}
			if age := time.Since(tokens.IDTokenClaims.AuthTime.AsTime()); age < 0 || age > time.Minute {
				t.Errorf("auth_time is %v ago", age)
			}
			info, err := rp.Userinfo[*oidc.UserInfo](t.Context(), tokens.AccessToken, tokens.TokenType, tokens.IDTokenClaims.Subject, w.party)
			if err != nil {
				t.Fatal(err)
			}
			want := maps.Clone(want)
			want["sub"], want["preferred_username"] = subject(name), name
			if diff := cmp.Diff(want, info.Claims); diff != "" {
				t.Errorf("userinfo (-want +got):\n%s", diff)
			}
		})
	}
}

func TestScopesBoundTheClaims(t *testing.T) {
	w := newWorld(t, nil)
	for scope, want := range map[string]map[string]any{
		"openid":        {},
		"openid email":  {"email": "bob@example.com", "email_verified": true},
		"openid groups": {"groups": []any{"staff", "ops"}},
	} {
		t.Run(scope, func(t *testing.T) {
			b := w.newBrowser(t)
			verifier := oauth2.GenerateVerifier()
			form := b.open(t, w.authURL(t, verifier, "scope", scope))
			done := b.submit(t, form.request, "bob", w.password(t, "bob"))
			tokens, err := w.redeem(t, w.party, done.arrived.Query().Get("code"), verifier)
			if err != nil {
				t.Fatal(err)
			}
			info, err := rp.Userinfo[*oidc.UserInfo](t.Context(), tokens.AccessToken, tokens.TokenType, tokens.IDTokenClaims.Subject, w.party)
			if err != nil {
				t.Fatal(err)
			}
			want["sub"] = subject("bob")
			if diff := cmp.Diff(want, info.Claims); diff != "" {
				t.Errorf("userinfo (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWrongPasswordShowsTheFormAgain(t *testing.T) {
	w := newWorld(t, nil)
	b := w.newBrowser(t)
	form := b.open(t, w.authURL(t, oauth2.GenerateVerifier()))
	for name, typed := range map[string][2]string{
		"wrong":             {"alice", "wrong-password"},
		"empty":             {"alice", ""},
		"another user's":    {"alice", w.password(t, "bob")},
		"nobody's":          {"nobody", w.password(t, "alice")},
		"no name":           {"", w.password(t, "alice")},
		"no name, no proof": {"", ""},
		"markup":            {`"><script>`, "wrong-password"},
	} {
		t.Run(name, func(t *testing.T) {
			again := b.submit(t, form.request, typed[0], typed[1])
			if again.status != http.StatusForbidden || again.request != form.request || !strings.Contains(again.body, `role="alert"`) {
				t.Errorf("got %d, the form of %q: %s", again.status, again.request, again.body)
			}
			if again.arrived != nil || strings.Contains(again.body, "<script>") || typed[1] != "" && strings.Contains(again.body, typed[1]) {
				t.Errorf("the answer goes to %v and says %s", again.arrived, again.body)
			}
		})
	}
	if done := b.submit(t, form.request, "alice", w.password(t, "alice")); done.arrived == nil {
		t.Errorf("the right password gets %d %s", done.status, done.body)
	}
}

func TestLoginIsBoundToItsBrowser(t *testing.T) {
	w := newWorld(t, nil)
	first, other := w.newBrowser(t), w.newBrowser(t)
	form := first.open(t, w.authURL(t, oauth2.GenerateVerifier()))
	other.open(t, w.authURL(t, oauth2.GenerateVerifier())) // it has a cookie, too
	bare := w.newBrowser(t)

	for name, b := range map[string]*browser{"another browser": other, "a browser without cookies": bare} {
		if got := b.open(t, w.issuer+loginPath+"?request="+form.request); got.status != http.StatusBadRequest || got.request != "" {
			t.Errorf("%s sees %d %s", name, got.status, got.body)
		}
		if got := b.submit(t, form.request, "alice", w.password(t, "alice")); got.status != http.StatusBadRequest || got.arrived != nil {
			t.Errorf("%s completes the login: %d %v", name, got.status, got.arrived)
		}
	}
	// And two tabs of one browser do not disturb one another.
	second := first.open(t, w.authURL(t, oauth2.GenerateVerifier()))
	for _, request := range []string{form.request, second.request} {
		if done := first.submit(t, request, "alice", w.password(t, "alice")); done.arrived == nil {
			t.Errorf("its own browser gets %d %s", done.status, done.body)
		}
	}
}

func TestLoginIsSpentByItsSuccess(t *testing.T) {
	w := newWorld(t, nil)
	b := w.newBrowser(t)
	form := b.open(t, w.authURL(t, oauth2.GenerateVerifier()))
	password := w.password(t, "alice")
	var codes atomic.Int32
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			resp, err := b.client.PostForm(w.issuer+loginPath, url.Values{"request": {form.request}, "username": {"alice"}, "password": {password}})
			if err != nil {
				t.Error(err)
				return
			}
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusSeeOther {
				codes.Add(1)
			} else if resp.StatusCode != http.StatusBadRequest {
				t.Errorf("a spent login answers %d", resp.StatusCode)
			}
		})
	}
	wg.Wait()
	if got := codes.Load(); got != 1 {
		t.Errorf("one login gave %d codes", got)
	}
}

func TestEverythingExpires(t *testing.T) {
	w := newWorld(t, nil)
	b := w.newBrowser(t)
	form := b.open(t, w.authURL(t, oauth2.GenerateVerifier()))
	w.clock.forward(loginLifetime)
	if got := b.submit(t, form.request, "alice", w.password(t, "alice")); got.status != http.StatusBadRequest || got.arrived != nil {
		t.Errorf("an expired login answers %d", got.status)
	}

	code, verifier := w.code(t, "alice")
	w.clock.forward(codeLifetime)
	if _, err := w.redeem(t, w.party, code, verifier); err == nil {
		t.Error("an expired code was redeemed")
	}

	w = newWorld(t, nil) // the library compares the id token with the real clock
	code, verifier = w.code(t, "alice")
	tokens, err := w.redeem(t, w.party, code, verifier)
	if err != nil {
		t.Fatal(err)
	}
	w.clock.forward(tokenLifetime)
	if _, err := rp.Userinfo[*oidc.UserInfo](t.Context(), tokens.AccessToken, tokens.TokenType, tokens.IDTokenClaims.Subject, w.party); err == nil {
		t.Error("an expired access token opens userinfo")
	}
}

func TestPagesCannotBeFramedCachedOrScripted(t *testing.T) {
	w := newWorld(t, nil)
	b := w.newBrowser(t)
	form := b.open(t, w.authURL(t, oauth2.GenerateVerifier(), "login_hint", "alice"))
	if !strings.Contains(form.body, "Development identity provider") || !strings.Contains(form.body, `value="alice"`) ||
		!strings.Contains(form.body, "127.0.0.1:9") {
		t.Errorf("the page does not say what it is, for whom, and where it leads: %s", form.body)
	}
	stranded := b.open(t, w.issuer+loginPath)
	for _, p := range []page{form, stranded} {
		for name, want := range map[string]string{
			"Cache-Control":          "no-store",
			"Referrer-Policy":        "no-referrer",
			"X-Frame-Options":        "DENY",
			"X-Content-Type-Options": "nosniff",
		} {
			if got := p.header.Get(name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		csp := p.header.Get("Content-Security-Policy")
		if !strings.HasPrefix(csp, "default-src 'none'; style-src 'sha256-") || !strings.Contains(csp, "frame-ancestors 'none'") {
			t.Errorf("the policy is %q", csp)
		}
		if strings.Contains(p.body, "<script") {
			t.Error("the page has a script")
		}
	}
}

func TestCookies(t *testing.T) {
	for issuer, want := range map[string]struct {
		prefix string
		secure bool
	}{
		"http://127.0.0.1:9000":   {"devidp-", false},
		"https://idp.example.com": {"__Host-devidp-", true},
	} {
		p, err := New(issuer, Options{RedirectURIs: []string{redirectURI}})
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		p.ServeHTTP(w, httptest.NewRequest(http.MethodGet, issuer+authorizePath, nil))
		cookies := w.Result().Cookies()
		if len(cookies) != 1 {
			t.Fatalf("%s sets %d cookies", issuer, len(cookies))
		}
		if c := cookies[0]; !strings.HasPrefix(c.Name, want.prefix) || c.Secure != want.secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" {
			t.Errorf("%s sets %v", issuer, c)
		}
	}
}
