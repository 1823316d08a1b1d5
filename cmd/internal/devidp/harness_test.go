package devidp

import (
	"context"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zitadel/oidc/v3/pkg/client/rp"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"golang.org/x/oauth2"
)

// redirectURI is where the relying party would listen. Nobody does: the browser
// stops before it.
const redirectURI = "http://127.0.0.1:9/callback"

// clock is the provider's, for tests to turn forward.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// world is a provider that listens, and a relying party that knows it.
type world struct {
	*Provider
	clock *clock
	party rp.RelyingParty
}

func newWorld(t *testing.T, log *slog.Logger) *world {
	t.Helper()
	listener, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	issuer := "http://" + listener.Addr().String()
	w := &world{clock: &clock{now: time.Now()}}
	w.Provider, err = New(issuer, Options{RedirectURIs: []string{redirectURI}, Log: log, Now: w.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	srv := &httptest.Server{Listener: listener, Config: &http.Server{Handler: w.Provider, ReadHeaderTimeout: time.Minute}}
	srv.Start()
	t.Cleanup(srv.Close)

	id, secret := w.Client()
	w.party = w.newParty(t, id, secret)
	return w
}

type nonceKey struct{}

func (w *world) newParty(t *testing.T, id, secret string) rp.RelyingParty {
	t.Helper()
	party, err := rp.NewRelyingPartyOIDC(t.Context(), w.issuer, id, secret, redirectURI,
		[]string{oidc.ScopeOpenID, oidc.ScopeEmail, oidc.ScopeProfile},
		rp.WithAuthStyle(oauth2.AuthStyleInHeader),
		rp.WithSigningAlgsFromDiscovery(),
		rp.WithVerifierOpts(rp.WithNonce(func(ctx context.Context) string {
			nonce, _ := ctx.Value(nonceKey{}).(string)
			return nonce
		})))
	if err != nil {
		t.Fatal(err)
	}
	return party
}

func (w *world) password(t *testing.T, name string) string {
	t.Helper()
	for _, u := range w.Users() {
		if u.Name == name {
			return u.Password
		}
	}
	t.Fatalf("there is no user %s", name)
	return ""
}

// authURL is the relying party's request; parameters replace its own, and empty
// ones are left out.
func (w *world) authURL(t *testing.T, verifier string, parameters ...string) string {
	t.Helper()
	u, err := url.Parse(rp.AuthURL("the-state", w.party,
		rp.WithCodeChallenge(oauth2.S256ChallengeFromVerifier(verifier)),
		rp.AuthURLOpt(rp.WithURLParam("nonce", "the-nonce"))))
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	for i := 0; i < len(parameters); i += 2 {
		q.Set(parameters[i], parameters[i+1])
		if parameters[i+1] == "" {
			q.Del(parameters[i])
		}
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// redeem redeems a code as the relying party does, nonce included.
func (w *world) redeem(t *testing.T, party rp.RelyingParty, code, verifier string) (*oidc.Tokens[*oidc.IDTokenClaims], error) {
	t.Helper()
	ctx := context.WithValue(t.Context(), nonceKey{}, "the-nonce")
	return rp.CodeExchange[*oidc.IDTokenClaims](ctx, code, party, rp.WithCodeVerifier(verifier))
}

// page is what a browser sees.
type page struct {
	status  int
	header  http.Header
	body    string
	request string   // the hidden field of the login form
	arrived *url.URL // the redirect URI with the answer, where the browser stopped
}

// browser keeps cookies and follows redirects up to the relying party.
type browser struct {
	client *http.Client
	issuer string
}

func (w *world) newBrowser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{issuer: w.issuer, client: &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), redirectURI+"?") {
			return http.ErrUseLastResponse
		}
		return nil
	}}}
}

var hiddenField = regexp.MustCompile(`name="request" value="([^"]*)"`)

func (b *browser) look(t *testing.T, resp *http.Response, err error) page {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	p := page{status: resp.StatusCode, header: resp.Header, body: string(body)}
	if found := hiddenField.FindStringSubmatch(p.body); found != nil {
		p.request = html.UnescapeString(found[1])
	}
	if location, err := resp.Location(); err == nil {
		p.arrived = location
	}
	return p
}

func (b *browser) open(t *testing.T, target string) page {
	t.Helper()
	resp, err := b.client.Get(target)
	return b.look(t, resp, err)
}

func (b *browser) submit(t *testing.T, request, username, password string) page {
	t.Helper()
	resp, err := b.client.PostForm(b.issuer+loginPath, url.Values{"request": {request}, "username": {username}, "password": {password}})
	return b.look(t, resp, err)
}

// code logs in and returns the code and the verifier to redeem it with.
func (w *world) code(t *testing.T, name string) (code, verifier string) {
	t.Helper()
	b := w.newBrowser(t)
	verifier = oauth2.GenerateVerifier()
	form := b.open(t, w.authURL(t, verifier))
	done := b.submit(t, form.request, name, w.password(t, name))
	if done.arrived == nil || done.arrived.Query().Get("code") == "" {
		t.Fatalf("the login of %s ended with %d %s", name, done.status, done.body)
	}
	return done.arrived.Query().Get("code"), verifier
}
