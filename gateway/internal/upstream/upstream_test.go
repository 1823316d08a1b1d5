package upstream_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
	"vestibule.dev/vestibule/gateway/internal/upstream"
)

const redirectURI = "https://mcp.example.com/callback/corp"

// world is an upstream with its provider, and a time of its own.
type world struct {
	*upstream.Upstream
	idp        *gatewaytest.IdP
	secretFile string
	clock      *gatewaytest.Clock
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		idp: gatewaytest.NewIdP(t, gatewaytest.NewSecrets(t)), clock: &gatewaytest.Clock{},
		secretFile: filepath.Join(t.TempDir(), "secret"),
	}
	w.writeSecret(t, w.idp.ClientSecret+"\r\n")
	w.Upstream = upstream.New(config.Upstream{Name: "corp", OIDC: &config.OIDCUpstream{
		IssuerURL: w.idp.URL, UpstreamClient: config.UpstreamClient{ClientID: w.idp.ClientID, ClientSecretFile: w.secretFile, Scopes: []string{"email"}},
	}}, redirectURI, w.clock.Now)
	return w
}

func (w *world) writeSecret(t *testing.T, secret string) {
	t.Helper()
	if err := os.WriteFile(w.secretFile, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
}

// login goes through the provider's login.
func (w *world) login(t *testing.T) (*upstream.Identity, error) {
	t.Helper()
	verifier := strings.Repeat("v", 43)
	target, err := w.AuthURL(t.Context(), "the-state", "the-nonce", verifier)
	if err != nil {
		return nil, err
	}
	c := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := c.Get(target)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	back, err := resp.Location()
	if err != nil {
		t.Fatal(err)
	}
	q := back.Query()
	return w.Exchange(t.Context(), q.Get("code"), q.Get("iss"), "the-nonce", verifier)
}

func TestTheAuthorizationRequest(t *testing.T) {
	w := newWorld(t)
	// Who asks first may give up: what the upstream says is for all who wait.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	target, err := w.AuthURL(ctx, "the-state", "the-nonce", strings.Repeat("v", 43))
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"response_type": "code", "client_id": w.idp.ClientID, "redirect_uri": redirectURI, "scope": "openid email", "state": "the-state",
		"nonce": "the-nonce", "code_challenge_method": "S256", "code_challenge": "7w_YNF9DSfIdPf_pRjSq646_kPr-2-o9NAl16JGghdM",
	} {
		if got := u.Query().Get(name); got != want {
			t.Errorf("%s is %q, not %q", name, got, want)
		}
	}
}

func TestTheIdentity(t *testing.T) {
	w := newWorld(t)
	for _, row := range []struct {
		name   string
		claims map[string]any
		shown  string
		email  any
	}{
		{"verified", nil, "alice@example.com", "alice@example.com"},
		{"unverified", map[string]any{"email_verified": false, "preferred_username": "ali"}, "ali", nil},
		{"without an address", map[string]any{"email": nil}, "alice", nil},
		{"a name that is too long", map[string]any{"email": nil, "name": strings.Repeat("n", 257)}, "sub-alice", nil},
		{"a name that is none", map[string]any{"email": nil, "name": nil}, "sub-alice", nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			w.idp.LoginAs("alice", row.claims)
			who, err := w.login(t)
			if err != nil {
				t.Fatal(err)
			}
			if who.Issuer != w.Issuer() || who.Subject != "sub-alice" || who.Name != row.shown || who.Claims["email"] != row.email || who.Claims["nonce"] != nil {
				t.Errorf("logged in is %+v", who)
			}
		})
	}
}

func TestWhatIsKnownOfTheUpstreamGrowsOld(t *testing.T) {
	w := newWorld(t)
	if _, err := w.login(t); err != nil {
		t.Fatal(err)
	}
	w.idp.Stop()
	authURL := func() error {
		_, err := w.AuthURL(t.Context(), "s", "n", "v")
		return err
	}
	w.clock.Advance(9 * time.Minute)
	if err := authURL(); err != nil {
		t.Errorf("after nine minutes: %v", err)
	}
	w.clock.Advance(time.Minute)
	if err := authURL(); !errors.Is(err, upstream.ErrUnreachable) {
		t.Errorf("after ten minutes: %v", err)
	}
}

func TestANewSecretNeedsNoRestart(t *testing.T) {
	w := newWorld(t)
	w.writeSecret(t, "old")
	for range 2 {
		if _, err := w.login(t); !errors.Is(err, upstream.ErrCredentials) {
			t.Fatalf("with the old secret: %v", err)
		}
		if err := w.Check(t.Context()); !errors.Is(err, upstream.ErrCredentials) {
			t.Fatalf("the check with the old secret: %v", err)
		}
	}
	w.writeSecret(t, w.idp.ClientSecret)
	if _, err := w.login(t); err != nil { // the same code, a second time with the new secret
		t.Errorf("with the new secret: %v", err)
	}
	if err := w.Check(t.Context()); err != nil {
		t.Errorf("the check with the new secret: %v", err)
	}
}

// provider is one that answers token requests as the test says.
type provider struct {
	*httptest.Server
	methods []string
	issuer  string
	answer  string
	status  int
	// location is where an answer sends on to.
	location string

	authorization string
	form          url.Values
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	p := &provider{status: http.StatusBadRequest, answer: `{}`}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{
			"issuer": p.issuer, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/jwks",
			"token_endpoint_auth_methods_supported": p.methods,
		})
	})
	mux.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		p.authorization, p.form = r.Header.Get("Authorization"), r.PostForm
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Location", p.location)
		w.WriteHeader(p.status)
		_, _ = w.Write([]byte(p.answer))
	})
	p.Server = httptest.NewTLSServer(mux)
	t.Cleanup(p.Close)
	p.issuer = p.URL
	return p
}

// trust writes the provider's certificate to a file.
func (p *provider) trust(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Certificate().Raw})
	if err := os.WriteFile(file, block, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestWhomTheUpstreamTrusts(t *testing.T) {
	p := newProvider(t)
	good, empty := p.trust(t), filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, []byte("none"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name, bundle, issuer, secretFile string
		ok                               bool
	}{
		{"its own CA", good, p.URL, "", true},
		{"the system's CAs", "", p.URL, "", false},
		{"a bundle of nothing", empty, p.URL, "", false},
		{"no such bundle", "/does/not/exist", p.URL, "", false},
		{"no such secret", good, p.URL, "/does/not/exist", false},
		{"another issuer", good, p.URL + "/", "", false},
		{"nobody there", good, "https://127.0.0.1:1", "", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			u := upstream.New(config.Upstream{Name: "corp", OIDC: &config.OIDCUpstream{
				IssuerURL: row.issuer, UpstreamClient: config.UpstreamClient{ClientID: "id", CABundleFile: row.bundle, ClientSecretFile: row.secretFile},
			}}, redirectURI, time.Now)
			if _, err := u.AuthURL(t.Context(), "s", "n", "v"); (err == nil) != row.ok || err != nil && !errors.Is(err, upstream.ErrUnreachable) {
				t.Errorf("the upstream: %v", err)
			}
		})
	}
}

func TestHowTheUpstreamIsAsked(t *testing.T) {
	secretFile := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secretFile, []byte("s:e+c"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name, secretFile string
		methods          []string
		basic            bool
		inForm           string
	}{
		{"nothing said", secretFile, nil, true, ""},
		{"both", secretFile, []string{"client_secret_post", "client_secret_basic"}, true, ""},
		{"post only", secretFile, []string{"client_secret_post"}, false, "s:e+c"},
		{"without a secret", "", nil, false, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := newProvider(t)
			p.methods = row.methods
			u := upstream.New(config.Upstream{Name: "corp", OIDC: &config.OIDCUpstream{
				IssuerURL: p.URL, UpstreamClient: config.UpstreamClient{ClientID: "id", CABundleFile: p.trust(t), ClientSecretFile: row.secretFile},
			}}, redirectURI, time.Now)
			if _, err := u.Exchange(t.Context(), "the-code", "", "n", "the-verifier"); !errors.Is(err, upstream.ErrRefused) {
				t.Errorf("the exchange: %v", err)
			}
			if strings.HasPrefix(p.authorization, "Basic ") != row.basic || p.form.Get("client_secret") != row.inForm ||
				p.form.Get("code") != "the-code" || p.form.Get("code_verifier") != "the-verifier" || p.form.Get("redirect_uri") != redirectURI {
				t.Errorf("the request is %q %v", p.authorization, p.form)
			}
		})
	}
}

// What a stranger's server says may be wrong in any way; it is told apart, and
// none of its words gets into the error, which is logged.
func TestWhatTheUpstreamAnswers(t *testing.T) {
	p := newProvider(t)
	u := upstream.New(config.Upstream{Name: "corp", OIDC: &config.OIDCUpstream{IssuerURL: p.URL, UpstreamClient: config.UpstreamClient{ClientID: "id", CABundleFile: p.trust(t)}}}, redirectURI, time.Now)
	for _, row := range []struct {
		status int
		answer string
		want   error
		says   string
	}{
		{500, `{"error":"server_error","error_description":"WORDS"}`, upstream.ErrUnreachable, "status 500"},
		{503, `WORDS`, upstream.ErrUnreachable, "status 503"},
		{400, `{"error":"invalid_grant","error_description":"WORDS"}`, upstream.ErrRefused, "invalid_grant"},
		{400, `{"error":"WORDS\nlevel=error"}`, upstream.ErrRefused, "an error"},
		{400, `{"error":"` + strings.Repeat("words", 100) + `"}`, upstream.ErrRefused, "an error"},
		{401, `<html>WORDS`, upstream.ErrRefused, "an error"},
		{200, `{"access_token":"WORDS"}`, upstream.ErrRefused, ""},
		{200, `{"access_token":"WORDS","id_token":"WORDS.WORDS.WORDS"}`, upstream.ErrRefused, ""},
		{200, `WORDS`, upstream.ErrRefused, ""},
	} {
		p.status, p.answer = row.status, row.answer
		_, err := u.Exchange(t.Context(), "c", "", "n", "v")
		if !errors.Is(err, row.want) || !strings.Contains(err.Error(), row.says) {
			t.Errorf("%d %s: %v", row.status, row.answer, err)
		} else if strings.Contains(strings.ToUpper(err.Error()), "WORDS") {
			t.Errorf("the error repeats what the upstream said: %v", err)
		}
	}
}

func TestAnIDTokenIsNotQuoted(t *testing.T) {
	w := newWorld(t)
	w.idp.BreakClaims(func(claims map[string]any) { claims["iss"] = "https://WORDS.example" })
	if _, err := w.login(t); !errors.Is(err, upstream.ErrRefused) || strings.Contains(err.Error(), "WORDS") {
		t.Errorf("the login: %v", err)
	}
}

// What is sent to a token endpoint is secret: nobody else gets it, whatever that says.
func TestNoSecretIsSentOn(t *testing.T) {
	var elsewhere atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	p := newProvider(t)
	p.status, p.location = http.StatusTemporaryRedirect, other.URL
	u := upstream.New(config.Upstream{Name: "corp", OIDC: &config.OIDCUpstream{
		IssuerURL: p.URL, UpstreamClient: config.UpstreamClient{ClientID: "id", CABundleFile: p.trust(t)},
	}}, redirectURI, time.Now)
	if _, err := u.Exchange(t.Context(), "c", "", "n", "v"); !errors.Is(err, upstream.ErrRefused) || elsewhere.Load() != 0 {
		t.Errorf("sent on %d times: %v", elsewhere.Load(), err)
	}
}
