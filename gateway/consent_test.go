package gateway_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
)

func TestConsentSaysWhoAsksForWhat(t *testing.T) { // A22, A36
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{Configure: func(c *config.Config) {
		c.Scopes = []config.Scope{{Name: "read", Description: "Read the <b>forecast</b>"}, {Name: "plain"}, {Name: "other", Description: "Do more"}}
	}})
	for _, row := range []struct {
		name     string
		metadata map[string]any
		uri      string
		has, not []string
	}{
		{
			"a loopback client", map[string]any{"client_name": "Inspector"}, gatewaytest.RedirectURI,
			[]string{
				"<h1>Inspector asks for access</h1>", "<strong>127.0.0.1:9</strong>", gatewaytest.RedirectURI, "a program on this computer",
				"Read the &lt;b&gt;forecast&lt;/b&gt;", "<li>plain</li>", "Stay connected while you are away", gw.URL + "/mcp",
				`action="` + gw.URL + `/consent"`, "Nobody has checked it",
			},
			[]string{"Do more", "<script"},
		},
		{
			"a web client", map[string]any{"client_name": "Claude", "client_uri": "https://claude.ai"}, "https://claude.ai/api/mcp/auth_callback",
			[]string{"<strong>claude.ai</strong>", "https://claude.ai/api/mcp/auth_callback", "<code>https://claude.ai</code>"},
			[]string{"a program on this computer", "href="},
		},
		{
			"an app", map[string]any{"client_name": "Cursor"}, "cursor://anysphere.cursor-mcp/oauth/callback",
			[]string{"the application for cursor: links"}, []string{"a program on this computer"},
		},
		{
			"a name that is markup", map[string]any{"client_name": `<script>alert(1)</script>"'>`}, gatewaytest.RedirectURI,
			[]string{"&lt;script&gt;alert(1)&lt;/script&gt;"}, []string{"<script"},
		},
		{
			"a name that turns the line around", map[string]any{"client_name": "Good\u202eevil\u2066\u200b\n<br>"}, gatewaytest.RedirectURI,
			[]string{"Goodevil &lt;br&gt; asks"}, []string{"\u202e", "\u2066", "\u200b"},
		},
		{
			"a name that hides the page", map[string]any{"client_name": strings.Repeat("x", 256)}, gatewaytest.RedirectURI,
			[]string{"<h1>" + strings.Repeat("x", 80) + "… asks for access"}, []string{strings.Repeat("x", 81)},
		},
		{
			"no name", map[string]any{"client_name": "\u200b"}, gatewaytest.RedirectURI,
			[]string{"An application without a name asks"}, nil,
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			row.metadata["redirect_uris"] = []string{row.uri}
			client := gw.Register(t, row.metadata)
			request := client.AuthorizationRequest()
			request.Set("redirect_uri", row.uri)
			request.Set("scope", "read plain offline_access")
			a := client.Browser(t).Get(t, gw.AuthorizeURL(request))
			isPage(t, a, http.StatusOK, "<h1>")
			for _, s := range row.has {
				if !strings.Contains(a.Body, s) {
					t.Errorf("the page does not say %q", s)
				}
			}
			for _, s := range row.not {
				if strings.Contains(a.Body, s) {
					t.Errorf("the page says %q", s)
				}
			}
			if t.Failed() {
				t.Log(a.Body)
			}
		})
	}
}

func cookies(t *testing.T, a gatewaytest.Answer) []*http.Cookie {
	t.Helper()
	return (&http.Response{Header: a.Header}).Cookies()
}

func TestTheUserSaysNo(t *testing.T) { // A40
	t.Parallel()
	journal := gatewaytest.NewJournal(t)
	gw := gatewaytest.New(t, gatewaytest.Setup{Options: journal.Use})
	client := gw.Register(t, nil)
	request := client.AuthorizationRequest()
	b := client.Browser(t)
	writes := journal.Writes()
	a := b.Press(t, b.Get(t, gw.AuthorizeURL(request)), "deny")
	redirectsWith(t, a, request, gw.URL, "access_denied")
	if journal.Writes() != writes || gw.IdP.Exchanges() != 0 || len(cookies(t, a)) > 0 {
		t.Error("a denial began something")
	}
}

// Whoever has approved a client, in this browser and as this user, is asked again:
// before the login nobody knows who sits there.
func TestConsentIsAskedEveryTime(t *testing.T) { // A36, A37
	t.Parallel()
	journal := gatewaytest.NewJournal(t)
	gw := gatewaytest.New(t, gatewaytest.Setup{Options: journal.Use})
	client := gw.Register(t, nil)
	b := client.Browser(t)
	for range 2 {
		request := client.AuthorizationRequest()
		client.Redeem(t, gatewaytest.Code{Code: approve(t, b, request), Verifier: request.Verifier})
	}
	for _, prompt := range []string{"", "none", "login", "consent"} {
		request := client.AuthorizationRequest()
		request.Set("prompt", prompt)
		writes, exchanges := journal.Writes(), gw.IdP.Exchanges()
		isPage(t, b.Get(t, gw.AuthorizeURL(request)), http.StatusOK, "asks for access")
		if journal.Writes() != writes || gw.IdP.Exchanges() != exchanges {
			t.Errorf("with prompt %q, something was done that nobody had approved", prompt)
		}
	}
}

// approve goes the whole way in this browser, and returns the code.
func approve(t *testing.T, b *gatewaytest.Browser, request gatewaytest.AuthorizationRequest) string {
	t.Helper()
	last, arrived := b.Follow(t, b.Press(t, b.Get(t, b.AuthorizeURL(request)), "approve"))
	if arrived.Get("code") == "" {
		t.Fatalf("the login ends with %d:\n%s", last.Status, last.Body)
	}
	return arrived.Get("code")
}

func TestTheRegistrationLapsesWhileThePageStandsOpen(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{Configure: func(c *config.Config) { c.Registration.UnusedTTLSeconds = 300 }})
	client := gw.Register(t, nil)
	b := client.Browser(t)
	consent := b.Get(t, gw.AuthorizeURL(client.AuthorizationRequest()))
	gw.Clock.Advance(5*time.Minute + time.Second)
	isPage(t, b.Press(t, consent, "approve"), http.StatusBadRequest, "This application is not registered here")
}

func TestTwoTabsAtOnce(t *testing.T) { // A38
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{Replicas: 2})
	one, two := gw.Register(t, nil), gw.Register(t, nil)
	b := one.Browser(t)
	request1, request2 := one.AuthorizationRequest(), two.AuthorizationRequest()
	page1 := b.Get(t, gw.AuthorizeURL(request1))
	page2 := b.Get(t, gw.AuthorizeURL(request2))
	login2 := b.Press(t, page2, "approve")
	login1 := b.Press(t, page1, "approve")
	// The second half happens at the other replica: all that is pending is in the browser.
	other := *b
	other.HTTP = gw.HTTP(1)
	other.HTTP.Jar = b.HTTP.Jar
	last1, arrived1 := other.Follow(t, login1)
	last2, arrived2 := other.Follow(t, login2)
	redirectsWith(t, last1, request1, gw.URL, "")
	redirectsWith(t, last2, request2, gw.URL, "")
	one.Redeem(t, gatewaytest.Code{Code: arrived1.Get("code"), Verifier: request1.Verifier})
	two.Redeem(t, gatewaytest.Code{Code: arrived2.Get("code"), Verifier: request2.Verifier})
}

func TestManyPendingLogins(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{})
	client := gw.Register(t, nil)
	b := client.Browser(t)
	public, err := url.Parse(gw.URL)
	if err != nil {
		t.Fatal(err)
	}
	var logins []gatewaytest.Answer
	for range 12 {
		request := client.AuthorizationRequest()
		request.Set("state", strings.Repeat("s", 1024))
		logins = append(logins, b.Press(t, b.Get(t, gw.AuthorizeURL(request)), "approve"))
		size := 0
		for _, c := range b.HTTP.Jar.Cookies(public) {
			if strings.Contains(c.Name, "-flow-") {
				size += len(c.Name) + len(c.Value)
			}
		}
		if size > 6<<10 || size == 0 {
			t.Fatalf("all pending logins take %d bytes", size)
		}
		gw.Clock.Advance(time.Second)
	}
	last, _ := b.Follow(t, logins[0])
	isPage(t, last, http.StatusBadRequest, "This login is not known here")
	for _, i := range []int{11, 10} {
		if last, arrived := b.Follow(t, logins[i]); arrived.Get("code") == "" {
			t.Errorf("login %d ends with %d:\n%s", i, last.Status, last.Body)
		}
	}
}

func TestARequestThatNoCookieHolds(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{Configure: func(c *config.Config) {
		for i := range 40 {
			c.Scopes = append(c.Scopes, config.Scope{Name: fmt.Sprintf("a-scope-with-a-name-of-forty-characters%02d", i)})
		}
	}})
	client := gw.Register(t, nil)
	request := client.AuthorizationRequest()
	request.Set("state", strings.Repeat("s", 1024))
	b := client.Browser(t)
	// A browser would drop the cookie, and the user be lost after the login.
	a := b.Press(t, b.Get(t, gw.AuthorizeURL(request)), "approve")
	redirectsWith(t, a, request, gw.URL, "invalid_request")
	request.Set("state", "s")
	client.LoginWith(t, request)
}

func TestCookies(t *testing.T) { // A37, A38
	t.Parallel()
	for _, row := range []struct {
		publicURL, prefix string
		secure            bool
	}{
		{"https://mcp.example.com/team", "__Host-vestibule-", true},
		{"", "vestibule-", false}, // http on loopback
	} {
		t.Run(row.prefix, func(t *testing.T) {
			gw := gatewaytest.New(t, gatewaytest.Setup{Configure: func(c *config.Config) {
				if row.publicURL != "" {
					c.PublicURL = row.publicURL
				}
			}})
			direct := "http://" + gw.Addrs[0] + strings.TrimPrefix(gw.URL, gw.Origin())
			send := func(method, path, body string, header map[string]string) gatewaytest.Answer {
				r, err := http.NewRequestWithContext(t.Context(), method, direct+path, strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				for k, v := range header {
					r.Header.Set(k, v)
				}
				return gw.Do(t, gw.HTTP(0), r)
			}
			registered := send("POST", "/register", `{"redirect_uris":["`+gatewaytest.RedirectURI+`"],"token_endpoint_auth_method":"none"}`, map[string]string{"Content-Type": "application/json"})
			request := gatewaytest.AuthorizationRequest{Values: url.Values{
				"response_type": {"code"}, "client_id": {registered.JSON(t)["client_id"].(string)},
				"code_challenge": {strings.Repeat("a", 42) + "A"}, "code_challenge_method": {"S256"},
			}}
			consent := send("GET", "/authorize?"+request.Encode(), "", nil)
			set := cookies(t, consent)
			form := gatewaytest.ConsentForm(t, consent, "approve")
			login := send("POST", "/consent", form.Encode(), map[string]string{
				"Content-Type": "application/x-www-form-urlencoded", "Cookie": set[0].Name + "=" + set[0].Value,
			})
			if login.Status != http.StatusSeeOther { // any other might send the form on
				t.Errorf("the way to the upstream is a %d", login.Status)
			}
			set = append(set, cookies(t, login)...)
			if len(set) != 2 {
				t.Fatalf("there are %d cookies, not one for forms and one for the login", len(set))
			}
			for _, c := range set {
				if !strings.HasPrefix(c.Name, row.prefix) || c.Secure != row.secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" ||
					c.SameSite != http.SameSiteLaxMode || c.MaxAge <= 0 || len(c.Name)+len(c.Value) > 4096 {
					t.Errorf("the cookie is %v", c)
				}
			}
			if set[1].MaxAge != 600 {
				t.Errorf("a login may take %d seconds", set[1].MaxAge)
			}
			if login.Status != http.StatusSeeOther { // A39: what the form held does not go on to the upstream
				t.Errorf("the form is answered with %d", login.Status)
			}
			upstream := login.Location(t)
			if q := upstream.Query(); len(q.Get("state")) > 64 || q.Get("nonce") == "" || q.Get("code_challenge_method") != "S256" ||
				q.Get("redirect_uri") != fmt.Sprintf("%s/callback/corp", gw.URL) || strings.Contains(set[1].Value, q.Get("nonce")) {
				t.Errorf("the upstream is asked %v", q)
			}
		})
	}
}
