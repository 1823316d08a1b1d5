package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/zitadel/oidc/v3/pkg/client/rp"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"golang.org/x/oauth2"

	"vestibule.dev/vestibule/hack/testlog"
)

const redirectURI = "https://mcp.example.test/callback/corp"

// provider is one that runs, at an issuer with a certificate of its own.
type provider struct {
	issuer string
	trust  *x509.CertPool
	stdout string
}

// start runs a provider as a pod would, with files in a directory.
func start(t *testing.T, files map[string]string, flags ...string) provider {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := provider{issuer: "https://" + l.Addr().String(), trust: x509.NewCertPool()}
	dir := t.TempDir()
	if err := run(t.Context(), []string{"-issuer", p.issuer, "-make-certificate", dir}, io.Discard); err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ca, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
	if err != nil || !p.trust.AppendCertsFromPEM(ca) {
		t.Fatalf("ca.crt holds no certificate: %v", err)
	}
	flags = append([]string{"-issuer", p.issuer, "-cert", dir + "/tls.crt", "-key", dir + "/tls.key", "-redirect-uri", redirectURI}, flags...)
	for i := range flags {
		flags[i] = strings.ReplaceAll(flags[i], "DIR", dir)
	}
	o, err := parse(flags)
	if err != nil {
		t.Fatal(err)
	}
	var stdout testlog.Buffer
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, l, o, &stdout) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	resp, err := p.browser(t).Get(p.issuer + oidc.DiscoveryEndpoint)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	p.stdout = stdout.String() // Whatever is printed is printed before the first request.
	return p
}

// browser keeps cookies and follows redirects up to the relying party.
func (p provider) browser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: p.trust}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Jar: jar, Transport: transport, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), redirectURI+"?") {
			return http.ErrUseLastResponse
		}
		return nil
	}}
}

var hiddenField = regexp.MustCompile(`name="request" value="([^"]*)"`)

// logIn goes the whole way of the gateway and the browser, and returns the claims.
func (p provider) logIn(t *testing.T, name, password, clientID, clientSecret string) (*oidc.IDTokenClaims, error) {
	t.Helper()
	browser := p.browser(t)
	party, err := rp.NewRelyingPartyOIDC(t.Context(), p.issuer, clientID, clientSecret, redirectURI,
		[]string{oidc.ScopeOpenID, oidc.ScopeEmail, oidc.ScopeProfile},
		rp.WithHTTPClient(browser), rp.WithAuthStyle(oauth2.AuthStyleInHeader), rp.WithSigningAlgsFromDiscovery())
	if err != nil {
		t.Fatal(err)
	}
	verifier := oauth2.GenerateVerifier()
	resp, err := browser.Get(rp.AuthURL("the-state", party, rp.WithCodeChallenge(oauth2.S256ChallengeFromVerifier(verifier))))
	if err != nil {
		t.Fatal(err)
	}
	page, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	field := hiddenField.FindSubmatch(page)
	if err != nil || field == nil {
		t.Fatalf("no login page, but %d %s", resp.StatusCode, page)
	}
	resp, err = browser.PostForm(p.issuer+"/login", url.Values{"request": {string(field[1])}, "username": {name}, "password": {password}})
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	arrived, err := resp.Location()
	if err != nil {
		t.Fatalf("%s cannot log in: %d", name, resp.StatusCode)
	}
	tokens, err := rp.CodeExchange[*oidc.IDTokenClaims](t.Context(), arrived.Query().Get("code"), party, rp.WithCodeVerifier(verifier))
	if err != nil {
		return nil, err
	}
	return tokens.IDTokenClaims, nil
}

var printed = regexp.MustCompile(`(?m)^(user|client) (\S+) (?:password|secret) (\S+)$`)

func TestWhatIsMadeUpIsPrinted(t *testing.T) {
	p := start(t, nil)
	passwords, id, secret := map[string]string{}, "", ""
	for _, line := range printed.FindAllStringSubmatch(p.stdout, -1) {
		if line[1] == "user" {
			passwords[line[2]] = line[3]
		} else {
			id, secret = line[2], line[3]
		}
	}
	for _, name := range []string{"alice", "bob", "mallory"} {
		claims, err := p.logIn(t, name, passwords[name], id, secret)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if claims.Issuer != p.issuer {
			t.Errorf("%s was logged in by %s", name, claims.Issuer)
		}
	}
	if n := strings.Count(p.stdout, "\n"); n != 4 {
		t.Errorf("%d lines were printed: %s", n, p.stdout)
	}
}

func TestWhatIsMountedIsUsed(t *testing.T) {
	const id, secret = "vestibule:weather", "se cret+/&%:ü"
	p := start(t, map[string]string{
		"secret": secret + "\n",
		"users": `[{"name": "carol", "password": "given", "fullName": "Carol", "email": "carol@example.com", "emailVerified": true, "groups": ["ops"]},
			{"name": "dave"}]`,
	}, "-client-id", id, "-client-secret-file", "DIR/secret", "-users", "DIR/users")
	if _, err := p.logIn(t, "carol", "given", id, secret); err != nil {
		t.Error(err)
	}
	for _, wrong := range []string{"another", secret + "\n", ""} {
		if _, err := p.logIn(t, "carol", "given", id, wrong); err == nil {
			t.Errorf("the secret %q is taken", wrong)
		}
	}
	if !strings.HasPrefix(p.stdout, "user dave password ") || strings.Count(p.stdout, "\n") != 1 {
		t.Errorf("more than what was made up was printed, or less: %s", p.stdout)
	}
}

func TestWhatCannotBeServed(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"empty": "\n", "nobody": "[]", "typo": `[{"name":"a","pasword":"x"}]`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	loopback := []string{"-issuer", "http://127.0.0.1:1", "-listen", "127.0.0.1:0", "-redirect-uri", redirectURI}
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no issuer":                 {nil, "-issuer must be set"},
		"http on a network":         {[]string{"-issuer", "http://idp.example.test", "-listen", "127.0.0.1:0", "-redirect-uri", redirectURI}, "http would show passwords"},
		"http on all interfaces":    {[]string{"-issuer", "http://127.0.0.1:1", "-listen", ":0"}, "loopback"},
		"https without certificate": {[]string{"-issuer", "https://idp.example.test", "-listen", ":0"}, "-cert and -key"},
		"half a certificate":        {[]string{"-issuer", "https://idp.example.test", "-cert", "x"}, "-cert and -key"},
		"a certificate for http":    {append(loopback, "-cert", "x", "-key", "x"), "-cert and -key"},
		"no certificate to find":    {[]string{"-issuer", "https://idp.example.test", "-listen", "127.0.0.1:0", "-redirect-uri", redirectURI, "-cert", "missing", "-key", "missing"}, "missing"},
		"no redirect URI":           {loopback[:4], "redirect URI"},
		"no secret":                 {append(loopback, "-client-secret-file", filepath.Join(dir, "missing")), "secret"},
		"an empty secret":           {append(loopback, "-client-secret-file", filepath.Join(dir, "empty")), "needs a secret"},
		"no users":                  {append(loopback, "-users", filepath.Join(dir, "missing")), "users"},
		"an empty list of users":    {append(loopback, "-users", filepath.Join(dir, "nobody")), "names no user"},
		"a mistyped field":          {append(loopback, "-users", filepath.Join(dir, "typo")), "pasword"},
		"an argument":               {[]string{"serve"}, "unexpected"},
		"a certificate for nobody":  {[]string{"-make-certificate", dir}, "needs an -issuer"},
	} {
		if err := run(t.Context(), c.args, io.Discard); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestACertificateIsForOneHost(t *testing.T) {
	dir := t.TempDir()
	if err := run(t.Context(), []string{"-issuer", "https://idp.example.test:8443", "-make-certificate", dir}, io.Discard); err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"))
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	trust := x509.NewCertPool()
	trust.AppendCertsFromPEM(ca)
	for host, good := range map[string]bool{"idp.example.test": true, "other.example.test": false} {
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: trust}); (err == nil) != good {
			t.Errorf("%s: %v", host, err)
		}
	}
}
