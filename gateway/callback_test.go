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

const (
	lost = "This login is not known here"
	used = "This sign-in link was already used"
)

// approved goes as far as the upstream: a browser on the way back from its login.
func approved(t *testing.T, client *gatewaytest.Client) (*gatewaytest.Browser, gatewaytest.AuthorizationRequest, string) {
	t.Helper()
	b, request := client.Browser(t), client.AuthorizationRequest()
	login := b.Press(t, b.Get(t, client.AuthorizeURL(request)), "approve")
	return b, request, b.Get(t, login.Location(t).String()).Location(t).String()
}

func TestUpstreamsThatSayNo(t *testing.T) { // A40
	t.Parallel()
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
	t.Parallel()
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
	t.Parallel()
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
