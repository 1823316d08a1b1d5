package gateway_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
	"vestibule.dev/vestibule/gateway/internal/store"
)

const lost = "This login is not known here"

// approved goes as far as the upstream: a browser on the way back from its login.
func approved(t *testing.T, client *gatewaytest.Client) (*gatewaytest.Browser, gatewaytest.AuthorizationRequest, string) {
	t.Helper()
	b, request := client.Browser(t), client.AuthorizationRequest()
	login := b.Press(t, b.Get(t, client.AuthorizeURL(request)), "approve")
	return b, request, b.Get(t, login.Location(t).String()).Location(t).String()
}

func TestBadCallbacks(t *testing.T) { // A38
	journal := gatewaytest.NewJournal(t)
	gw := gatewaytest.New(t, gatewaytest.Setup{Options: journal.Use})
	client := gw.Register(t, nil)
	edit := func(f func(url.Values)) func(string) string {
		return func(back string) string {
			u, err := url.Parse(back)
			if err != nil {
				t.Fatal(err)
			}
			q := u.Query()
			f(q)
			u.RawQuery = q.Encode()
			return u.String()
		}
	}
	for _, row := range []struct {
		name  string
		edit  func(back string) string
		drops bool // the pending login ends with it
	}{
		{"no state", edit(func(q url.Values) { q.Del("state") }), false},
		{"empty state", edit(func(q url.Values) { q.Set("state", "") }), false},
		{"two states", edit(func(q url.Values) { q.Add("state", q.Get("state")) }), false},
		{"long state", edit(func(q url.Values) { q.Set("state", strings.Repeat("A", 2000)) }), false},
		{"short state", edit(func(q url.Values) { q.Set("state", q.Get("state")[:15]) }), false},
		{"state that is not UTF-8", edit(func(q url.Values) { q.Set("state", "\xff"+q.Get("state")[1:]) }), false},
		{"state that is none of ours", edit(func(q url.Values) { q.Set("state", "; Path=/; 0123456789") }), false},
		{"unknown state", edit(func(q url.Values) { q.Set("state", strings.Repeat("A", 26)) }), false},
		{"state that begins right", edit(func(q url.Values) { q.Set("state", q.Get("state")[:12]+strings.Repeat("A", 14)) }), true},
		{"another upstream", func(back string) string { return strings.Replace(back, "/callback/corp", "/callback/other", 1) }, true},
		{"bad encoding", func(back string) string { return back + "&a=%zz" }, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			b, _, back := approved(t, client)
			writes, exchanges := journal.Writes(), gw.IdP.Exchanges()
			isPage(t, b.Get(t, row.edit(back)), http.StatusBadRequest, lost)
			if journal.Writes() != writes || gw.IdP.Exchanges() != exchanges {
				t.Error("it went further than the page")
			}
			last, arrived := b.Follow(t, b.Get(t, back))
			if (arrived.Get("code") == "") != row.drops {
				t.Errorf("afterwards the right callback ends with %d %v", last.Status, arrived)
			}
		})
	}
	t.Run("another browser's state", func(t *testing.T) {
		victim, _, _ := approved(t, client)
		b, _, attackers := approved(t, client)
		isPage(t, victim.Get(t, attackers), http.StatusBadRequest, lost)
		if _, arrived := b.Follow(t, b.Get(t, attackers)); arrived.Get("code") == "" {
			t.Error("the other browser's login was harmed")
		}
	})
	t.Run("the same state again", func(t *testing.T) {
		b, request, back := approved(t, client)
		redirectsWith(t, b.Get(t, back), request, gw.URL, "")
		writes, exchanges := journal.Writes(), gw.IdP.Exchanges()
		isPage(t, b.Get(t, back), http.StatusBadRequest, lost)
		if journal.Writes() != writes || gw.IdP.Exchanges() != exchanges {
			t.Error("a login was finished twice")
		}
	})
	t.Run("too late", func(t *testing.T) {
		b, _, back := approved(t, client)
		gw.Clock.Advance(10*time.Minute + time.Second)
		isPage(t, b.Get(t, back), http.StatusBadRequest, lost)
	})
}

func TestUpstreamsThatSayNo(t *testing.T) { // A40
	journal := gatewaytest.NewJournal(t)
	gw := gatewaytest.New(t, gatewaytest.Setup{Options: journal.Use})
	client := gw.Register(t, nil)
	fails := func(code, description string) func(url.Values) {
		return func(q url.Values) {
			q.Del("code")
			q.Set("error", code)
			if description != "" {
				q.Set("error_description", description)
			}
		}
	}
	for _, row := range []struct {
		name  string
		spoil func(url.Values)
		want  string
	}{
		{"access_denied", fails("access_denied", "no"), "access_denied"},
		{"login_required", fails("login_required", ""), "access_denied"},
		{"consent_required", fails("consent_required", ""), "access_denied"},
		{"interaction_required", fails("interaction_required", ""), "access_denied"},
		{"temporarily_unavailable", fails("temporarily_unavailable", ""), "temporarily_unavailable"},
		{"server_error", fails("server_error", "secret-of-the-upstream"), "server_error"},
		{"unauthorized_client", fails("unauthorized_client", ""), "server_error"},
		{"an error that is none", fails("<script>", ""), "server_error"},
		{"a description in lines", fails("access_denied", "AADSTS65004: declined\r\nTrace ID: 1\r\n"), "access_denied"},
		{"a long description", fails("access_denied", strings.Repeat("a", 5000)), "access_denied"},
		{"an error beside a code", func(q url.Values) { q.Set("error", "access_denied") }, "access_denied"},
		{"neither", func(q url.Values) { q.Del("code") }, "server_error"},
		{"two codes", func(q url.Values) { q.Add("code", "another") }, "server_error"},
		{"a code that is not text", func(q url.Values) { q.Set("code", "\xff") }, "server_error"},
		{"a code of its own making", func(q url.Values) { q.Set("code", "unknown") }, "server_error"},
		{"iss of another", func(q url.Values) { q.Set("iss", "https://evil.example") }, "server_error"},
		{"iss with a slash", func(q url.Values) { q.Set("iss", gw.IdP.URL+"/") }, "server_error"},
		{"two iss", func(q url.Values) { q.Add("iss", "https://evil.example") }, "server_error"},
	} {
		t.Run(row.name, func(t *testing.T) {
			gw.IdP.BreakRedirect(row.spoil)
			defer gw.IdP.BreakRedirect(nil)
			b, request, back := approved(t, client)
			writes := journal.Writes()
			q := redirectsWith(t, b.Get(t, back), request, gw.URL, row.want)
			if journal.Writes() != writes {
				t.Error("a failed login wrote to the store")
			}
			if d := q.Get("error_description"); strings.Contains(d, "secret") || strings.ContainsAny(d, "\r\n\"\\") {
				t.Errorf("the client reads %q", d)
			}
		})
	}
	client.Login(t) // all is well
}

func TestUpstreamsThatLie(t *testing.T) { // A38
	journal := gatewaytest.NewJournal(t)
	gw := gatewaytest.New(t, gatewaytest.Setup{Options: journal.Use})
	client := gw.Register(t, nil)
	set := func(name string, value any) func(map[string]any) {
		return func(claims map[string]any) { claims[name] = value }
	}
	without := func(name string) func(map[string]any) {
		return func(claims map[string]any) { delete(claims, name) }
	}
	for name, f := range map[string]func(map[string]any){
		"another nonce": set("nonce", "another"), "no nonce": without("nonce"),
		"another audience": set("aud", "another"), "no audience": without("aud"),
		"for another party": func(c map[string]any) { c["aud"], c["azp"] = []string{"vestibule", "another"}, "another" },
		"expired":           set("exp", time.Now().Add(-time.Hour).Unix()), "no expiry": without("exp"),
		"from the future": set("iat", time.Now().Add(time.Hour).Unix()),
		"another issuer":  set("iss", "https://evil.example"), "no issuer": without("iss"),
		"nobody": without("sub"), "an empty subject": set("sub", ""),
	} {
		t.Run(name, func(t *testing.T) {
			gw.IdP.BreakClaims(f)
			defer gw.IdP.BreakClaims(nil)
			failsToLogIn(t, client, journal, "server_error")
		})
	}
	for name, f := range map[string]func(string) string{
		"another signature": func(s string) string {
			i := strings.LastIndexByte(s, '.') + 1
			return s[:i] + strings.Repeat("A", len(s)-i)
		},
		"no signature": func(s string) string { return s[:strings.LastIndexByte(s, '.')+1] },
		"algorithm none": func(s string) string {
			return "eyJhbGciOiJub25lIn0" + s[strings.IndexByte(s, '.'):strings.LastIndexByte(s, '.')+1]
		},
		"an unknown key":   func(s string) string { return "eyJhbGciOiJFUzI1NiIsImtpZCI6IjIifQ" + s[strings.IndexByte(s, '.'):] },
		"no token":         func(string) string { return "" },
		"anything but one": func(string) string { return "a.b.c" },
	} {
		t.Run(name, func(t *testing.T) {
			gw.IdP.BreakIDToken(f)
			defer gw.IdP.BreakIDToken(nil)
			failsToLogIn(t, client, journal, "server_error")
		})
	}
	client.Login(t) // all is well
}

// failsToLogIn insists that a login ends with an error, and leaves nothing behind.
func failsToLogIn(t *testing.T, client *gatewaytest.Client, journal *gatewaytest.Journal, code string) {
	t.Helper()
	b, request, back := approved(t, client)
	writes := journal.Writes()
	redirectsWith(t, b.Get(t, back), request, client.URL, code)
	if journal.Writes() != writes {
		t.Error("a failed login wrote to the store")
	}
}

func TestUpstreamsThatAreBroken(t *testing.T) { // A40, A56
	journal := gatewaytest.NewJournal(t)
	gw := gatewaytest.New(t, gatewaytest.Setup{Options: journal.Use})
	client := gw.Register(t, nil)
	answers := func(status int, body string) func(http.ResponseWriter) bool {
		return func(w http.ResponseWriter) bool {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
			return true
		}
	}
	for _, row := range []struct {
		name   string
		answer func(http.ResponseWriter) bool
		want   string
	}{
		{"500", answers(500, ""), "temporarily_unavailable"},
		{"503", answers(503, `{"error":"temporarily_unavailable"}`), "temporarily_unavailable"},
		{"400", answers(400, `{"error":"invalid_grant","error_description":"secret-of-the-upstream"}`), "server_error"},
		{"401", answers(401, `{"error":"invalid_client"}`), "server_error"},
		{"200 without a token", answers(200, `{}`), "server_error"},
		{"200 that is no JSON", answers(200, `<html>`), "server_error"},
	} {
		t.Run(row.name, func(t *testing.T) {
			gw.IdP.BreakToken(row.answer)
			defer gw.IdP.BreakToken(nil)
			failsToLogIn(t, client, journal, row.want)
		})
	}
	if strings.Contains(gw.Secrets.Written(), "secret-of-the-upstream") {
		t.Error("the upstream's words are in the log")
	}
	b, request, back := approved(t, client)
	gw.IdP.Stop()
	redirectsWith(t, b.Get(t, back), request, gw.URL, "temporarily_unavailable")
	// What is known of the upstream grows old all the same.
	gw.Clock.Advance(10 * time.Minute)
	b, request = client.Browser(t), client.AuthorizationRequest()
	a := b.Press(t, b.Get(t, gw.AuthorizeURL(request)), "approve")
	redirectsWith(t, a, request, gw.URL, "temporarily_unavailable")
	if len(cookies(t, a)) > 0 {
		t.Error("a login that cannot begin leaves a cookie")
	}
}

func TestTheStoreIsAwayDuringALogin(t *testing.T) {
	journal := gatewaytest.NewJournal(t)
	gw := gatewaytest.New(t, gatewaytest.Setup{Options: journal.Use})
	client := gw.Register(t, nil)
	for name, err := range map[string]error{"unavailable": store.ErrUnavailable, "full": store.ErrFull} {
		t.Run(name, func(t *testing.T) {
			b, request, back := approved(t, client)
			journal.GoAway(err)
			redirectsWith(t, b.Get(t, back), request, gw.URL, "temporarily_unavailable")
			journal.GoAway(nil)
		})
	}
	t.Run("unknown client", func(t *testing.T) { // whether it is registered, only the store could say
		request := client.AuthorizationRequest()
		request.Set("client_id", "vst_cl_"+strings.Repeat("A", len(client.ID)-len("vst_cl_")))
		journal.GoAway(store.ErrUnavailable)
		defer journal.GoAway(nil)
		a := client.Browser(t).Get(t, gw.AuthorizeURL(request))
		isPage(t, a, http.StatusServiceUnavailable, "This does not work right now")
		if a.Header.Get("Retry-After") == "" {
			t.Error("the page does not say when to try again")
		}
	})
	client.Login(t)
}
