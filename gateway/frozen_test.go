package gateway_test

import (
	"cmp"
	"encoding/json"
	"flag"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway"
	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
)

// freeze makes a fixture of today's formats:
//
//	go test ./gateway -run TestFrozen -freeze v2
//
// That is done once, in the commit before the one that changes the format of anything
// that lives longer than a process, and never again for that version: what is in
// testdata/frozen was written by a gateway of that time, and stays. A version may be
// deleted when no release that is supported reads from the one before it: N reads N-1.
var freeze = flag.String("freeze", "", "write testdata/frozen/`VERSION`")

// frozen is what clients, browsers and a store had from a gateway, at a moment.
type frozen struct {
	At        time.Time
	PublicURL string
	Issuer    string
	// RedirectURI is the clients' redirect URI. The fixture v1 does not have it.
	RedirectURI string
	Keys        json.RawMessage
	// Public has logged in, Confidential has registered.
	Public, Confidential frozenClient
	// Tokens were refreshed once, and Before is what they were refreshed with.
	Tokens, Before gatewaytest.Tokens
	// Session was begun with them.
	Session string
	// Code waits to be redeemed.
	Code gatewaytest.Code
	// Consent is a page that nobody has answered, and Flow a login at the upstream.
	Consent, Flow frozenStep
}

type frozenClient struct{ ID, Secret, Management string }

// frozenStep is where a browser stands, with its cookies and what it would send.
type frozenStep struct {
	Form    url.Values
	State   string // the client's
	Cookies []*http.Cookie
}

const frozenStore = "store.db"

// frozenSetup tells the backend who calls, so that what is sealed under a token counts.
func frozenSetup(file string) gatewaytest.Setup {
	return gatewaytest.Setup{Configure: func(c *config.Config) {
		c.Store.Memory.File = file
		c.Backend.Identity = &config.Identity{Headers: []config.IdentityHeader{{Name: "X-Email", Claim: "email"}}}
	}}
}

// What a gateway of an earlier version has written, sealed or minted is good at one of
// today: users stay logged in, sessions go on, and logins under way come to their end.
func TestFrozenFormats(t *testing.T) {
	t.Parallel()
	if *freeze != "" {
		makeFrozen(t, filepath.Join("testdata", "frozen", *freeze))
	}
	versions, err := filepath.Glob("testdata/frozen/*")
	if err != nil || len(versions) == 0 {
		t.Fatalf("there is nothing to read: %v", err)
	}
	for _, dir := range versions {
		t.Run(filepath.Base(dir), func(t *testing.T) { readFrozen(t, dir) })
	}
}

func readFrozen(t *testing.T, dir string) {
	data, err := os.ReadFile(filepath.Join(dir, "frozen.json"))
	if err != nil {
		t.Fatal(err)
	}
	var f frozen
	if err := json.Unmarshal(data, &f); err != nil {
		t.Fatal(err)
	}
	keys, err := config.ParseKeySet(f.Keys)
	if err != nil {
		t.Fatal(err)
	}
	records, err := os.ReadFile(filepath.Join(dir, frozenStore))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), frozenStore)
	if err := os.WriteFile(file, records, 0o600); err != nil {
		t.Fatal(err)
	}
	setup := frozenSetup(file)
	configure := setup.Configure
	setup.Keys = keys
	setup.Configure = func(c *config.Config) {
		configure(c)
		c.PublicURL, c.Upstreams[0].OIDC.IssuerURL = f.PublicURL, f.Issuer
	}
	ahead := time.Until(f.At.Add(20 * time.Second))
	setup.Options = func(o *gateway.Options) { o.Now = func() time.Time { return time.Now().Add(ahead) } }
	gw := gatewaytest.New(t, setup)
	gw.Backend.Respond(startsSessions)
	client, confidential := gw.Known(f.Public.ID, "", f.Public.Management), gw.Known(f.Confidential.ID, f.Confidential.Secret, f.Confidential.Management)

	call(t, gw, "POST", "/mcp", f.Tokens.Access, http.Header{sessionID: {f.Session}})
	seen := gw.Backend.Requests()
	if len(seen) != 1 || seen[0].Header.Get(sessionID) != "the-backends-own" || seen[0].Header.Get("X-Email") != "alice@example.com" {
		t.Errorf("the backend is called with %+v", seen)
	}
	// A retry with the token before gets what the first answer was.
	if again := client.Refresh(t, f.Before.Refresh); again.Refresh != f.Tokens.Refresh {
		t.Error("a retry gets another token")
	}
	next := client.Refresh(t, f.Tokens.Refresh)
	call(t, gw, "POST", "/mcp", next.Access, http.Header{sessionID: {f.Session}})
	redirectURI := cmp.Or(f.RedirectURI, "http://127.0.0.1:41753/callback")
	redemption := gatewaytest.RedeemParams(f.Code)
	redemption.Set("redirect_uri", redirectURI)
	client.Tokens(t, client.Token(t, redemption))

	if a := gw.Do(t, gw.HTTP(0), gw.Request(t, "GET", "/register/"+f.Confidential.ID, nil, map[string]string{"Authorization": "Bearer " + f.Confidential.Management})); a.Status != http.StatusOK {
		t.Errorf("the registration is %d: %s", a.Status, a.Body)
	}
	// Authenticated, and then told that the token is nobody's.
	confidential.Token(t, gatewaytest.RefreshParams(next.Refresh)).Fails(t, 400, "invalid_grant")

	for name, step := range map[string]frozenStep{"consent": f.Consent, "flow": f.Flow} {
		b := browserWith(t, client, step.Cookies)
		var a gatewaytest.Answer
		if name == "consent" {
			a = b.Submit(t, step.Form, map[string]string{"Sec-Fetch-Site": "same-origin", "Origin": "null"})
		} else {
			a = b.Get(t, f.PublicURL+"/callback/corp?"+step.Form.Encode())
		}
		if _, arrived := b.FollowTo(t, a, redirectURI); arrived.Get("error") != "access_denied" || arrived.Get("state") != step.State {
			t.Errorf("%s ends with %d %v: %s", name, a.Status, arrived, a.Body)
		}
	}
}

// browserWith returns a browser that has been here before.
func browserWith(t *testing.T, c *gatewaytest.Client, cookies []*http.Cookie) *gatewaytest.Browser {
	t.Helper()
	b := c.Browser(t)
	b.HTTP.Jar.SetCookies(public(t, c.URL), cookies)
	return b
}

func public(t *testing.T, publicURL string) *url.URL {
	t.Helper()
	u, err := url.Parse(publicURL)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func makeFrozen(t *testing.T, dir string) {
	file := filepath.Join(t.TempDir(), frozenStore)
	f := frozen{}
	t.Run("freeze", func(t *testing.T) {
		gw := gatewaytest.New(t, frozenSetup(file))
		gw.Backend.Respond(startsSessions)
		f.PublicURL, f.Issuer, f.RedirectURI = gw.URL, gw.IdP.URL, gatewaytest.RedirectURI
		var err error
		if f.Keys, err = gw.Keys.Marshal(); err != nil {
			t.Fatal(err)
		}
		p := gw.Register(t, nil)
		c := gw.Register(t, map[string]any{"token_endpoint_auth_method": "client_secret_basic"})
		f.Public, f.Confidential = frozenClient{p.ID, p.Secret, p.Management}, frozenClient{c.ID, c.Secret, c.Management}
		f.Before = p.Redeem(t, p.Login(t))
		f.Tokens = p.Refresh(t, f.Before.Refresh)
		f.Session = call(t, gw, "POST", "/mcp", f.Tokens.Access, nil).Header.Get(sessionID)

		request, b := p.AuthorizationRequest(), p.Browser(t)
		page := b.Get(t, p.AuthorizeURL(request))
		f.Consent = frozenStep{gatewaytest.ConsentForm(t, page, "deny"), request.Get("state"), b.HTTP.Jar.Cookies(public(t, gw.URL))}
		request, b = p.AuthorizationRequest(), p.Browser(t)
		away := b.Press(t, b.Get(t, p.AuthorizeURL(request)), "approve").Location(t)
		f.Flow = frozenStep{url.Values{"error": {"access_denied"}, "state": {away.Query().Get("state")}}, request.Get("state"), b.HTTP.Jar.Cookies(public(t, gw.URL))}

		f.Code = p.Login(t)
		f.At = time.Now().UTC()
	})
	data, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	records, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"frozen.json": append(data, '\n'), frozenStore: records} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
