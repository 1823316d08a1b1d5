package gatewaytest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"
)

// RedirectURI is where the clients of tests take codes. Browsers stop before it. No
// listener gets this port unless it asks for it: it is not ephemeral.
const RedirectURI = "http://127.0.0.1:9/callback"

// Answer is an HTTP response, read to its end.
type Answer struct {
	Status int
	Header http.Header
	Body   string
}

// JSON decodes the body.
func (a Answer) JSON(t testing.TB) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(a.Body), &v); err != nil {
		t.Fatalf("the answer, %d, is not a JSON object: %v\n%s", a.Status, err, a.Body)
	}
	return v
}

// Code is the OAuth error code in the answer, or "".
func (a Answer) Code() string {
	var v struct{ Error any }
	_ = json.Unmarshal([]byte(a.Body), &v) // then there is none
	code, _ := v.Error.(string)
	return code
}

// Location is where the answer redirects to.
func (a Answer) Location(t testing.TB) *url.URL {
	t.Helper()
	u, err := url.Parse(a.Header.Get("Location"))
	if err != nil || a.Header.Get("Location") == "" {
		t.Fatalf("the answer, %d, redirects nowhere: %v\n%s", a.Status, err, a.Body)
	}
	return u
}

// Origin is the public URL without its path.
func (s *Server) Origin() string {
	scheme, rest, _ := strings.Cut(s.URL, "://")
	host, _, _ := strings.Cut(rest, "/")
	return scheme + "://" + host
}

// HTTP returns a client that reaches one replica, whatever host it asks for
// below the public URL, and follows no redirects. All such clients share their
// connections.
func (s *Server) HTTP(replica int) *http.Client {
	transport, _ := s.transports.LoadOrStore(replica, s.transport(replica))
	return &http.Client{
		Timeout: 60 * time.Second, Transport: transport.(*http.Transport),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func (s *Server) transport(replica int) *http.Transport {
	public, dialer := strings.TrimPrefix(s.Origin(), "http://"), &net.Dialer{}
	protocols := &http.Protocols{}
	protocols.SetHTTP1(!s.http2)
	protocols.SetUnencryptedHTTP2(s.http2)
	return &http.Transport{
		Protocols:           protocols,
		MaxIdleConnsPerHost: 64,
		// A connection that was made and not needed, a gateway resets after ten seconds.
		IdleConnTimeout: 5 * time.Second,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if addr == public {
				addr = s.Addrs[replica]
			}
			return dialer.DialContext(ctx, network, addr)
		},
	}
}

// Do sends a request. What is not a success must hold no secret.
func (s *Server) Do(t testing.TB, c *http.Client, r *http.Request) Answer {
	t.Helper()
	resp, err := c.Do(r)
	if err != nil {
		t.Fatalf("%s %s: %v", r.Method, r.URL.Path, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", r.Method, r.URL.Path, err)
	}
	if resp.StatusCode >= 400 {
		fmt.Fprintf(s.Secrets, "%s %s: %d %v\n%s\n", r.Method, r.URL.Path, resp.StatusCode, resp.Header, body)
	}
	return Answer{resp.StatusCode, resp.Header, string(body)}
}

// Request makes a request to a path under the public URL.
func (s *Server) Request(t testing.TB, method, path string, body io.Reader, header map[string]string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, body)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		r.Header.Set(k, v)
	}
	return r
}

// Client is a registered client, which speaks to one replica.
type Client struct {
	*Server
	ID, Secret string
	// Management is the registration access token.
	Management string
	http       *http.Client
	replica    int
}

// Register registers a client at the first replica, with metadata in place of
// or besides that of a public client.
func (s *Server) Register(t testing.TB, metadata map[string]any) *Client {
	t.Helper()
	return s.RegisterFrom(t, "", metadata)
}

// RegisterFrom is Register by somebody at another address, for gateways that
// trust loopback as their proxy.
func (s *Server) RegisterFrom(t testing.TB, addr string, metadata map[string]any) *Client {
	t.Helper()
	a := s.tryRegister(t, addr, metadata)
	if a.Status != http.StatusCreated {
		t.Fatalf("registration answers %d: %s", a.Status, a.Body)
	}
	v := a.JSON(t)
	c := &Client{Server: s, http: s.HTTP(0)}
	c.ID, _ = v["client_id"].(string)
	c.Secret, _ = v["client_secret"].(string)
	c.Management, _ = v["registration_access_token"].(string)
	s.Secrets.Add("client secret", c.Secret)
	s.Secrets.Add("registration access token", c.Management)
	return c
}

// Provisioned is a client that the configuration names.
func (s *Server) Provisioned(id, secret string) *Client {
	s.Secrets.Add("client secret", secret)
	return &Client{Server: s, ID: id, Secret: secret, http: s.HTTP(0)}
}

// Known is a client that has registered before.
func (s *Server) Known(id, secret, management string) *Client {
	return &Client{Server: s, ID: id, Secret: secret, Management: management, http: s.HTTP(0)}
}

// TryRegister sends a registration.
func (s *Server) TryRegister(t testing.TB, metadata map[string]any) Answer {
	t.Helper()
	return s.tryRegister(t, "", metadata)
}

func (s *Server) tryRegister(t testing.TB, addr string, metadata map[string]any) Answer {
	t.Helper()
	m := map[string]any{"redirect_uris": []string{RedirectURI}, "token_endpoint_auth_method": "none", "client_name": "Test client"}
	for k, v := range metadata {
		m[k] = v
	}
	body, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	r := s.Request(t, http.MethodPost, "/register", bytes.NewReader(body), map[string]string{"Content-Type": "application/json"})
	if addr != "" {
		r.Header.Set("X-Forwarded-For", addr)
	}
	return s.Do(t, s.HTTP(0), r)
}

// On is the same client, speaking to another replica.
func (c *Client) On(replica int) *Client {
	on := *c
	on.http, on.replica = c.HTTP(replica), replica
	return &on
}

// Browser is somebody's browser: it keeps cookies, and can be followed step by step.
type Browser struct {
	*Server
	HTTP *http.Client
}

// Browser returns a new one.
func (c *Client) Browser(t testing.TB) *Browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	h := c.HTTP(c.replica)
	h.Jar = jar
	return &Browser{Server: c.Server, HTTP: h}
}

// Get opens a page.
func (b *Browser) Get(t testing.TB, target string) Answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	return b.Do(t, b.HTTP, r)
}

var requestField = regexp.MustCompile(`name="request" value="([^"]*)"`)

// Press sends the form of a consent page with one of its buttons.
func (b *Browser) Press(t testing.TB, consent Answer, decision string) Answer {
	t.Helper()
	return b.Submit(t, ConsentForm(t, consent, decision), map[string]string{"Sec-Fetch-Site": "same-origin", "Origin": "null"})
}

// ConsentForm is what the form of a consent page sends.
func ConsentForm(t testing.TB, consent Answer, decision string) url.Values {
	t.Helper()
	m := requestField.FindStringSubmatch(consent.Body)
	if m == nil {
		t.Fatalf("no consent page, but %d:\n%s", consent.Status, consent.Body)
	}
	return url.Values{"request": {html.UnescapeString(m[1])}, "decision": {decision}}
}

// Submit posts a form to the consent endpoint, whatever it holds.
func (b *Browser) Submit(t testing.TB, form url.Values, header map[string]string) Answer {
	t.Helper()
	r := b.Request(t, http.MethodPost, "/consent", strings.NewReader(form.Encode()), header)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.Do(t, b.HTTP, r)
}

// Follow goes where redirects lead, until they leave for the client or end.
func (b *Browser) Follow(t testing.TB, a Answer) (last Answer, arrived url.Values) {
	t.Helper()
	return b.FollowTo(t, a, RedirectURI)
}

// FollowTo is Follow for a client with another redirect URI.
func (b *Browser) FollowTo(t testing.TB, a Answer, redirectURI string) (last Answer, arrived url.Values) {
	t.Helper()
	for a.Status/100 == 3 {
		u := a.Location(t)
		if before, _, _ := strings.Cut(u.String(), "?"); before == redirectURI {
			return a, u.Query()
		}
		a = b.Get(t, u.String())
	}
	return a, nil
}

// AuthorizationRequest is an authorization request on its way.
type AuthorizationRequest struct {
	url.Values
	Verifier string
}

// AuthorizationRequest returns a good one. Set and Del make it another.
func (c *Client) AuthorizationRequest() AuthorizationRequest {
	verifier := c.Secrets.Add("code verifier", rand.Text()+rand.Text())
	return AuthorizationRequest{url.Values{
		"response_type": {"code"}, "client_id": {c.ID}, "redirect_uri": {RedirectURI}, "state": {rand.Text()},
		"code_challenge": {oauth2.S256ChallengeFromVerifier(verifier)}, "code_challenge_method": {"S256"},
		"resource": {c.URL + "/mcp"},
	}, verifier}
}

// AuthorizeURL is where the client sends the browser.
func (s *Server) AuthorizeURL(r AuthorizationRequest) string {
	return s.URL + "/authorize?" + r.Encode()
}

// Code is an authorization code with its verifier.
type Code struct{ Code, Verifier string }

// Login goes the whole way with a new browser: consent, the upstream's login,
// and back to the client with a code.
func (c *Client) Login(t testing.TB) Code {
	t.Helper()
	return c.LoginWith(t, c.AuthorizationRequest())
}

// LoginWith is Login with another authorization request.
func (c *Client) LoginWith(t testing.TB, request AuthorizationRequest) Code {
	t.Helper()
	b := c.Browser(t)
	last, arrived := b.Follow(t, b.Press(t, b.Get(t, c.AuthorizeURL(request)), "approve"))
	if arrived.Get("code") == "" {
		t.Fatalf("the login ends with %d %v:\n%s", last.Status, arrived, last.Body)
	}
	return Code{c.Secrets.Add("code", arrived.Get("code")), request.Verifier}
}

// Tokens are what a token request got.
type Tokens struct {
	Access    string `json:"access_token"`
	Refresh   string `json:"refresh_token"`
	Scope     string `json:"scope"`
	ExpiresIn int    `json:"expires_in"`
}

// Token sends a token request, with what proves the client.
func (c *Client) Token(t testing.TB, params url.Values) Answer {
	t.Helper()
	return c.Form(t, "/token", params)
}

// Form posts a form to an endpoint, with what proves the client.
func (c *Client) Form(t testing.TB, path string, params url.Values) Answer {
	t.Helper()
	form := url.Values{"client_id": {c.ID}}
	if c.Secret != "" {
		form.Set("client_secret", c.Secret)
	}
	for k, v := range params {
		form[k] = v
	}
	a := c.Do(t, c.http, c.Request(t, http.MethodPost, path, strings.NewReader(form.Encode()),
		map[string]string{"Content-Type": "application/x-www-form-urlencoded"}))
	return a
}

// Tokens reads the answer of a token endpoint that issued some.
func (c *Client) Tokens(t testing.TB, a Answer) Tokens {
	t.Helper()
	var tokens Tokens
	if err := json.Unmarshal([]byte(a.Body), &tokens); err != nil || a.Status != http.StatusOK {
		t.Fatalf("the token endpoint answers %d: %s", a.Status, a.Body)
	}
	c.Secrets.Add("access token", tokens.Access)
	c.Secrets.Add("refresh token", tokens.Refresh)
	return tokens
}

// RedeemParams are the parameters that redeem a code.
func RedeemParams(code Code) url.Values {
	return url.Values{
		"grant_type": {"authorization_code"}, "code": {code.Code}, "code_verifier": {code.Verifier}, "redirect_uri": {RedirectURI},
	}
}

// RefreshParams are the parameters that refresh.
func RefreshParams(refreshToken string) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refreshToken}}
}

// Redeem redeems a code.
func (c *Client) Redeem(t testing.TB, code Code) Tokens {
	t.Helper()
	return c.Tokens(t, c.Token(t, RedeemParams(code)))
}

// Refresh uses a refresh token.
func (c *Client) Refresh(t testing.TB, refreshToken string) Tokens {
	t.Helper()
	return c.Tokens(t, c.Token(t, RefreshParams(refreshToken)))
}

// Fails insists on an OAuth error with its status, in JSON, for no cache to keep.
func (a Answer) Fails(t testing.TB, status int, code string) {
	t.Helper()
	if a.Status != status || a.Code() != code {
		t.Errorf("the answer is %d %s, not %d %s:\n%s", a.Status, a.Code(), status, code, a.Body)
	}
	if got := a.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("the error is of type %q", got)
	}
	if got := a.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("the error has Cache-Control %q", got)
	}
}

// Call sends a request to the MCP endpoint with an access token.
func (c *Client) Call(t testing.TB, accessToken string) Answer {
	t.Helper()
	return c.Do(t, c.http, c.Request(t, http.MethodPost, "/mcp", strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"ping"}`), map[string]string{
		"Authorization": "Bearer " + accessToken, "Content-Type": "application/json", "Accept": "application/json, text/event-stream",
	}))
}
