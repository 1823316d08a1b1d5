package gateway_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
)

func TestAttackForgedConsent(t *testing.T) {
	t.Parallel()
	journal := gatewaytest.NewJournal(t)
	gw := gatewaytest.New(t, gatewaytest.Setup{Options: journal.Use})
	other := gatewaytest.New(t, gatewaytest.Setup{Configure: func(c *config.Config) { c.ServerUID = "another-uid" }})
	client := gw.Register(t, nil)
	request := client.AuthorizationRequest()
	foreign := other.Register(t, nil)
	foreignForm := gatewaytest.ConsentForm(t, foreign.Browser(t).Get(t, other.AuthorizeURL(foreign.AuthorizationRequest())), "approve")

	ours := map[string]string{"Sec-Fetch-Site": "same-origin"}
	for _, row := range []struct {
		name   string
		forge  func(t *testing.T, b *gatewaytest.Browser, form url.Values) (*gatewaytest.Browser, url.Values, map[string]string)
		status int
	}{
		{"no cookie", func(t *testing.T, _ *gatewaytest.Browser, form url.Values) (*gatewaytest.Browser, url.Values, map[string]string) {
			return client.Browser(t), form, ours
		}, http.StatusForbidden},
		{"another browser's cookie", func(t *testing.T, _ *gatewaytest.Browser, form url.Values) (*gatewaytest.Browser, url.Values, map[string]string) {
			victim := client.Browser(t)
			victim.Get(t, gw.AuthorizeURL(request))
			return victim, form, ours
		}, http.StatusForbidden},
		{"from another site", func(_ *testing.T, b *gatewaytest.Browser, form url.Values) (*gatewaytest.Browser, url.Values, map[string]string) {
			return b, form, map[string]string{"Sec-Fetch-Site": "cross-site"}
		}, http.StatusForbidden},
		{"from another host of the site", func(_ *testing.T, b *gatewaytest.Browser, form url.Values) (*gatewaytest.Browser, url.Values, map[string]string) {
			return b, form, map[string]string{"Sec-Fetch-Site": "same-site"}
		}, http.StatusForbidden},
		{"of another server", func(_ *testing.T, b *gatewaytest.Browser, _ url.Values) (*gatewaytest.Browser, url.Values, map[string]string) {
			return b, foreignForm, ours
		}, http.StatusBadRequest},
		{"no request", func(_ *testing.T, b *gatewaytest.Browser, form url.Values) (*gatewaytest.Browser, url.Values, map[string]string) {
			form.Del("request")
			return b, form, ours
		}, http.StatusBadRequest},
		{"two requests", func(_ *testing.T, b *gatewaytest.Browser, form url.Values) (*gatewaytest.Browser, url.Values, map[string]string) {
			form.Add("request", foreignForm.Get("request"))
			return b, form, ours
		}, http.StatusBadRequest},
		{"a changed request", func(_ *testing.T, b *gatewaytest.Browser, form url.Values) (*gatewaytest.Browser, url.Values, map[string]string) {
			form.Set("request", form.Get("request")[:40]+"AAAA"+form.Get("request")[44:])
			return b, form, ours
		}, http.StatusBadRequest},
		{"a pending login in place of a request", func(t *testing.T, b *gatewaytest.Browser, form url.Values) (*gatewaytest.Browser, url.Values, map[string]string) {
			for _, cookie := range cookies(t, b.Submit(t, form, ours)) {
				if strings.Contains(cookie.Name, "-flow-") {
					form.Set("request", cookie.Value)
				}
			}
			return b, form, ours
		}, http.StatusBadRequest},
		{"no decision", func(_ *testing.T, b *gatewaytest.Browser, form url.Values) (*gatewaytest.Browser, url.Values, map[string]string) {
			form.Del("decision")
			return b, form, ours
		}, http.StatusBadRequest},
		{"two decisions", func(_ *testing.T, b *gatewaytest.Browser, form url.Values) (*gatewaytest.Browser, url.Values, map[string]string) {
			form.Add("decision", "deny")
			return b, form, ours
		}, http.StatusBadRequest},
		{"another decision", func(_ *testing.T, b *gatewaytest.Browser, form url.Values) (*gatewaytest.Browser, url.Values, map[string]string) {
			form.Set("decision", "Approve")
			return b, form, ours
		}, http.StatusBadRequest},
		{"too long", func(_ *testing.T, b *gatewaytest.Browser, form url.Values) (*gatewaytest.Browser, url.Values, map[string]string) {
			form.Set("x", strings.Repeat("x", 64<<10))
			return b, form, ours
		}, http.StatusRequestEntityTooLarge},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := client.Browser(t)
			consent := b.Get(t, gw.AuthorizeURL(request))
			forger, form, header := row.forge(t, b, gatewaytest.ConsentForm(t, consent, "approve"))
			a := forger.Submit(t, form, header)
			isPage(t, a, row.status, "This page is no longer good")
			if len(cookies(t, a)) > 0 {
				t.Error("a forged consent begins a login")
			}
			// The page itself is still good.
			if last, arrived := b.Follow(t, b.Press(t, consent, "approve")); arrived.Get("code") == "" {
				t.Errorf("the genuine consent ends with %d:\n%s", last.Status, last.Body)
			}
		})
	}
	t.Run("as JSON", func(t *testing.T) {
		r := gw.Request(t, http.MethodPost, "/consent", strings.NewReader(`{"decision":"approve"}`), map[string]string{"Content-Type": "application/json"})
		isPage(t, gw.Do(t, gw.HTTP(0), r), http.StatusUnsupportedMediaType, "no longer good")
	})
	t.Run("too late", func(t *testing.T) {
		b := client.Browser(t)
		consent := b.Get(t, gw.AuthorizeURL(request))
		writes := journal.Writes()
		gw.Clock.Advance(10*time.Minute + time.Second)
		isPage(t, b.Press(t, consent, "approve"), http.StatusBadRequest, "This page is no longer good")
		if journal.Writes() != writes {
			t.Error("it wrote to the store")
		}
	})
}

// A page on another port of the same machine shares its cookies with a server on
// loopback. So an attacker may give a victim their own consent page's cookie, and
// have the victim's browser send their form.
func TestAttackTossedConsentCookie(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{})
	evil := gw.Register(t, nil)
	mallory := evil.Browser(t)
	page := mallory.Get(t, gw.AuthorizeURL(evil.AuthorizationRequest()))
	form := gatewaytest.ConsentForm(t, page, "approve")
	victim := evil.Browser(t)
	public, err := url.Parse(gw.URL)
	if err != nil {
		t.Fatal(err)
	}
	victim.HTTP.Jar.SetCookies(public, cookies(t, page))
	for _, site := range []string{"same-site", "cross-site", "none"} {
		a := victim.Submit(t, form, map[string]string{"Sec-Fetch-Site": site, "Origin": "http://127.0.0.1:1"})
		isPage(t, a, http.StatusForbidden, "This page is no longer good")
	}
	// A second cookie of the name, from a parent path or domain, counts for nothing.
	r := gw.Request(t, "POST", "/consent", strings.NewReader(form.Encode()), map[string]string{"Content-Type": "application/x-www-form-urlencoded"})
	tossed := cookies(t, page)[0]
	r.Header["Cookie"] = []string{tossed.Name + "=" + tossed.Value + "; " + tossed.Name + "=" + tossed.Value}
	isPage(t, gw.Do(t, gw.HTTP(0), r), http.StatusForbidden, "This page is no longer good")
	if n := gw.IdP.Exchanges(); n != 0 {
		t.Errorf("%d logins began", n)
	}
	client := gw.Register(t, nil)
	client.Redeem(t, client.Login(t))
}

func TestAttackSmuggledConsent(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{})
	client := gw.Register(t, nil)
	b, request := client.Browser(t), client.AuthorizationRequest()
	form := gatewaytest.ConsentForm(t, b.Get(t, gw.AuthorizeURL(request)), "deny")
	form.Set("redirect_uri", "https://evil.example/")
	form.Set("client_id", "evil")
	form.Set("state", "evil")
	r := gw.Request(t, "POST", "/consent?decision=approve&redirect_uri=https://evil.example/", strings.NewReader(form.Encode()), map[string]string{
		"Content-Type": "application/x-www-form-urlencoded", "X-Http-Method-Override": "GET",
	})
	redirectsWith(t, gw.Do(t, b.HTTP, r), request, gw.URL, "access_denied")
}

// A page loads nothing, links nowhere, and cannot be framed, whatever a client says
// of itself.
func TestAttackFramedConsent(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{})
	client := gw.Register(t, map[string]any{"client_uri": "javascript:alert(1)", "logo_uri": "https://evil.example/track.png"})
	a := client.Browser(t).Get(t, gw.AuthorizeURL(client.AuthorizationRequest()))
	isPage(t, a, http.StatusOK, "asks for access")
	for _, never := range []string{"javascript:", "evil.example", "<script", "<img", "<iframe", "<link", " href=", " src="} {
		if strings.Contains(a.Body, never) {
			t.Errorf("the page holds %s", never)
		}
	}
}
