package gateway_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
)

func TestAttackForgedCallback(t *testing.T) {
	t.Parallel()
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
		isPage(t, b.Get(t, back), http.StatusBadRequest, used)
		if journal.Writes() != writes || gw.IdP.Exchanges() != exchanges {
			t.Error("a login was finished twice")
		}
		if u := gw.Request(t, "GET", "/callback/corp", nil, nil).URL; slices.ContainsFunc(b.HTTP.Jar.Cookies(u), isFlow) {
			t.Error("the browser still has the cookie of a login that was finished")
		}
	})
	t.Run("too late", func(t *testing.T) {
		b, _, back := approved(t, client)
		gw.Clock.Advance(10*time.Minute + time.Second)
		isPage(t, b.Get(t, back), http.StatusBadRequest, lost)
	})
}

func isFlow(c *http.Cookie) bool { return strings.Contains(c.Name, "-flow-") }

// A browser that keeps the cookie of a finished login brings its callback again and
// again, with any code: each would be a request with the gateway's client secret.
func TestAttackReplayedLogin(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{})
	client := gw.Register(t, nil)
	b, _, back := approved(t, client)
	var kept []string
	for _, c := range b.HTTP.Jar.Cookies(gw.Request(t, "GET", "/", nil, nil).URL) {
		kept = append(kept, c.Name+"="+c.Value)
	}
	replay := func() gatewaytest.Answer {
		return gw.Do(t, gw.HTTP(0), gw.Request(t, "GET", strings.TrimPrefix(back, gw.URL), nil, map[string]string{"Cookie": strings.Join(kept, "; ")}))
	}
	var all sync.WaitGroup
	answers := make([]gatewaytest.Answer, 200)
	for i := range answers {
		all.Go(func() { answers[i] = replay() })
	}
	all.Wait()
	finished := 0
	for _, a := range answers {
		if a.Status == http.StatusSeeOther {
			finished++
			continue
		}
		isPage(t, a, http.StatusBadRequest, used)
	}
	if finished != 1 || gw.IdP.Exchanges() != 1 {
		t.Errorf("200 callbacks of one login finish it %d times, with %d token requests", finished, gw.IdP.Exchanges())
	}
	gw.Clock.Advance(10*time.Minute + time.Second)
	isPage(t, replay(), http.StatusBadRequest, lost)
	if gw.IdP.Exchanges() != 1 {
		t.Error("a login that has expired was finished again")
	}
}

// A sender with many pending logins brings codes of their own making.
func TestAttackMadeUpCodes(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{})
	client := gw.Register(t, nil)
	for range 65 { // logins that succeed are not counted
		client.Login(t)
	}
	before := gw.IdP.Exchanges()
	gw.IdP.BreakRedirect(func(q url.Values) { q.Set("code", "made-up") })
	for i := range 65 {
		b, request, back := approved(t, client)
		want := "server_error"
		if i >= 60 {
			want = "temporarily_unavailable"
		}
		redirectsWith(t, b.Get(t, back), request, gw.URL, want)
	}
	if n := gw.IdP.Exchanges() - before; n != 60 {
		t.Errorf("65 codes of one sender make %d token requests", n)
	}
	gw.IdP.BreakRedirect(nil)
	gw.Clock.Advance(time.Second)
	client.Login(t)
}

// The upstream knows this server, and asks no one twice: with its session alone a
// stranger's link must not end in a grant (confused deputy).
func TestAttackCallbackWithoutConsent(t *testing.T) {
	t.Parallel()
	journal := gatewaytest.NewJournal(t)
	gw := gatewaytest.New(t, gatewaytest.Setup{Options: journal.Use})
	client := gw.Register(t, nil)
	genuine, _, pending := approved(t, client)
	victim := client.Browser(t)
	victim.Get(t, gw.AuthorizeURL(client.AuthorizationRequest())) // has a page open, and approves nothing
	writes := journal.Writes()
	for name, state := range map[string]string{
		"a state of the stranger's": strings.Repeat("B", 26), "a state that another browser got": "", "none": "-",
	} {
		t.Run(name, func(t *testing.T) {
			link, err := url.Parse(gw.IdP.URL + "/authorize")
			if err != nil {
				t.Fatal(err)
			}
			q := url.Values{
				"client_id": {gw.IdP.ClientID}, "response_type": {"code"}, "scope": {"openid"}, "redirect_uri": {gw.URL + "/callback/corp"},
				"code_challenge": {strings.Repeat("a", 43)}, "code_challenge_method": {"S256"}, "state": {state},
			}
			switch state {
			case "":
				mine, err := url.Parse(pending)
				if err != nil {
					t.Fatal(err)
				}
				q.Set("state", mine.Query().Get("state"))
			case "-":
				q.Del("state")
			}
			link.RawQuery = q.Encode()
			isPage(t, victim.Get(t, victim.Get(t, link.String()).Location(t).String()), http.StatusBadRequest, lost)
		})
	}
	if journal.Writes() != writes || gw.IdP.Exchanges() != 0 {
		t.Error("a login was finished that nobody had approved")
	}
	if _, arrived := genuine.Follow(t, genuine.Get(t, pending)); arrived.Get("code") == "" {
		t.Error("the login whose state was stolen was harmed")
	}
}

// A browser that brings many cookies of others still logs in, and
// one that brings too many harms itself alone.
func TestAttackCookieFlood(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{})
	client := gw.Register(t, nil)
	b := client.Browser(t)
	public, err := url.Parse(gw.URL)
	if err != nil {
		t.Fatal(err)
	}
	var flood []*http.Cookie
	for i := range 100 {
		flood = append(flood, &http.Cookie{Name: fmt.Sprintf("other-app-%d", i), Value: strings.Repeat("x", 300), Path: "/"})
	}
	// Some look like ours, with nothing that opens.
	form := cookies(t, b.Get(t, gw.AuthorizeURL(client.AuthorizationRequest())))[0]
	prefix := strings.TrimSuffix(form.Name, "form")
	for i := range 30 {
		flood = append(flood, &http.Cookie{Name: fmt.Sprintf("%sflow-%012d", prefix, i), Value: strings.Repeat("A", 100), Path: "/"})
	}
	b.HTTP.Jar.SetCookies(public, flood)
	request := client.AuthorizationRequest()
	login := b.Press(t, b.Get(t, gw.AuthorizeURL(request)), "approve")
	last, arrived := b.Follow(t, login)
	if arrived.Get("code") == "" {
		t.Fatalf("among many cookies the login ends with %d:\n%s", last.Status, last.Body)
	}
	client.Redeem(t, gatewaytest.Code{Code: arrived.Get("code"), Verifier: request.Verifier})
	r := gw.Request(t, "GET", "/authorize?"+request.Encode(), nil, map[string]string{"Cookie": strings.Repeat("a=b; ", 20<<10)})
	if a := gw.Do(t, gw.HTTP(0), r); a.Status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("100 KiB of cookies get %d", a.Status)
	}
	client.Redeem(t, client.Login(t))
}
