// Package upstream logs users in at the identity providers that the platform
// team has configured. It uses the relying party of zitadel/oidc as functions
// only: state, nonce and code verifier are the flow's own, so that several
// logins in one browser, and several replicas, do not get in each other's way.
package upstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/zitadel/oidc/v3/pkg/client"
	"github.com/zitadel/oidc/v3/pkg/client/rp"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"golang.org/x/oauth2"

	"vestibule.dev/vestibule/gateway/config"
)

const (
	// rebuildAfter is how long a provider's endpoints and keys are believed: a
	// key that it has withdrawn is refused after that.
	rebuildAfter = 10 * time.Minute
	// callTimeout bounds each call to a provider.
	callTimeout = 10 * time.Second
	// clockSkew is how far a provider's clock may be ahead of or behind ours.
	clockSkew = 30 * time.Second
)

var (
	// ErrUnreachable says that the upstream did not answer, or not with a
	// discovery document: nothing is known about the user.
	ErrUnreachable = errors.New("the upstream cannot be reached")
	// ErrRefused says that the upstream's answer is not one to believe.
	ErrRefused = errors.New("the upstream's answer is refused")
)

// Upstream is one identity provider. It is discovered when it is first needed,
// and again from time to time.
type Upstream struct {
	name        string
	config      config.OIDCUpstream
	redirectURI string
	now         func() time.Time

	mu       sync.Mutex
	provider *provider
}

// provider is what one discovery has found.
type provider struct {
	rp        rp.RelyingParty
	expiresAt time.Time
}

// Identity is who has logged in.
type Identity struct {
	Issuer, Subject string
	// Name is for people to read.
	Name string
	// Claims are those of the id token and of userinfo. email is among them
	// only if the upstream has verified it.
	Claims map[string]any
}

// New returns an upstream whose answers come to redirectURI. It does not call it yet.
func New(c config.Upstream, redirectURI string, now func() time.Time) *Upstream {
	return &Upstream{name: c.Name, config: *c.OIDC, redirectURI: redirectURI, now: now}
}

// Name is the upstream's name in the spec.
func (u *Upstream) Name() string { return u.name }

// Issuer is the issuer that the upstream is configured with.
func (u *Upstream) Issuer() string { return u.config.IssuerURL }

// get returns the provider, discovering it if it is unknown or old. The secret
// and the CA bundle are read anew each time, so that a change needs no restart.
func (u *Upstream) get(ctx context.Context) (*provider, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.provider != nil && u.now().Before(u.provider.expiresAt) {
		return u.provider, nil
	}
	p, err := u.discover(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, explain(err))
	}
	u.provider = p
	return p, nil
}

// forget makes the next call discover again, for an upstream that has changed
// its keys or its mind.
func (u *Upstream) forget(p *provider) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.provider == p {
		u.provider = nil
	}
}

func (u *Upstream) discover(ctx context.Context) (*provider, error) {
	httpClient, err := u.httpClient()
	if err != nil {
		return nil, err
	}
	secret, err := readSecret(u.config.ClientSecretFile)
	if err != nil {
		return nil, err
	}
	document, err := client.Discover(ctx, u.config.IssuerURL, httpClient)
	if err != nil {
		return nil, fmt.Errorf("discovery: %w", err)
	}
	scopes := append([]string{oidc.ScopeOpenID}, u.config.Scopes...)
	party, err := rp.NewRelyingPartyOIDC(ctx, u.config.IssuerURL, u.config.ClientID, secret, u.redirectURI, scopes,
		rp.WithHTTPClient(httpClient),
		rp.WithAuthStyle(authStyle(document, secret)),
		rp.WithSigningAlgsFromDiscovery(),
		rp.WithVerifierOpts(rp.WithIssuedAtOffset(clockSkew), rp.WithNonce(nonceFrom)),
	)
	if err != nil {
		return nil, fmt.Errorf("discovery: %w", err)
	}
	return &provider{rp: party, expiresAt: u.now().Add(rebuildAfter)}, nil
}

func (u *Upstream) httpClient() (*http.Client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // it is one
	if u.config.CABundleFile != "" {
		pem, err := os.ReadFile(u.config.CABundleFile)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrFiles, err)
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%w: the CA bundle holds no certificate", ErrFiles)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	return &http.Client{Transport: transport, Timeout: callTimeout}, nil
}

func readSecret(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrFiles, err)
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}

// authStyle is chosen here because a library that tries both sends a failing
// exchange twice.
func authStyle(d *oidc.DiscoveryConfiguration, secret string) oauth2.AuthStyle {
	methods := d.TokenEndpointAuthMethodsSupported
	if secret == "" || len(methods) > 0 && !slices.Contains(methods, oidc.AuthMethodBasic) {
		return oauth2.AuthStyleInParams
	}
	return oauth2.AuthStyleInHeader // the default of OpenID Connect Discovery section 3
}

type nonceKey struct{}

func nonceFrom(ctx context.Context) string {
	nonce, _ := ctx.Value(nonceKey{}).(string)
	return nonce
}

// own returns a context that ends by itself, and not with the request: the
// first caller's context also fetches keys for those who wait with it.
func own(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
}

// AuthURL returns where to send the browser. It returns ErrUnreachable.
func (u *Upstream) AuthURL(ctx context.Context, state, nonce, verifier string) (string, error) {
	ctx, cancel := own(ctx)
	defer cancel()
	p, err := u.get(ctx)
	if err != nil {
		return "", err
	}
	return rp.AuthURL(state, p.rp,
		rp.WithCodeChallenge(oauth2.S256ChallengeFromVerifier(verifier)),
		rp.AuthURLOpt(rp.WithURLParam("nonce", nonce)),
	), nil
}

// Exchange turns the upstream's code into the user's identity. iss is what came
// with the code, or "". It returns ErrUnreachable or ErrRefused.
func (u *Upstream) Exchange(ctx context.Context, code, iss, nonce, verifier string) (*Identity, error) {
	ctx, cancel := own(ctx)
	defer cancel()
	p, err := u.get(ctx)
	if err != nil {
		return nil, err
	}
	if iss != "" && iss != p.rp.Issuer() {
		return nil, fmt.Errorf("%w: it came from another issuer", ErrRefused) // RFC 9207 section 2.4
	}
	ctx = context.WithValue(ctx, nonceKey{}, nonce)
	t, err := rp.CodeExchange[*oidc.IDTokenClaims](ctx, code, p.rp, rp.WithCodeVerifier(verifier))
	if err != nil {
		u.forget(p)
		return nil, classify(err)
	}
	return u.identify(ctx, p, t)
}

// classify tells an upstream that is down from one that said no. The text of
// its answer stays out of the error: it is not ours to log.
func classify(err error) error {
	if e, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		if e.Response != nil && e.Response.StatusCode >= http.StatusInternalServerError {
			return fmt.Errorf("%w: status %d at its token endpoint", ErrUnreachable, e.Response.StatusCode)
		}
		return fmt.Errorf("%w: %s at its token endpoint", ErrRefused, errorCode(e.ErrorCode))
	}
	if e, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err); ok {
		return fmt.Errorf("%w: %s", ErrUnreachable, netText(e))
	}
	return fmt.Errorf("%w: %s", ErrRefused, known(err))
}

// known says which rule of OpenID Connect an answer breaks, without its words.
func known(err error) string {
	for _, rule := range []error{
		oidc.ErrIssuerInvalid, oidc.ErrSubjectMissing, oidc.ErrAudience, oidc.ErrAzpMissing, oidc.ErrAzpInvalid,
		oidc.ErrSignatureMissing, oidc.ErrSignatureMultiple, oidc.ErrSignatureUnsupportedAlg,
		oidc.ErrSignatureInvalidPayload, oidc.ErrSignatureInvalid, oidc.ErrExpired, oidc.ErrIatMissing,
		oidc.ErrIatInFuture, oidc.ErrIatToOld, oidc.ErrNonceInvalid, oidc.ErrAtHash, rp.ErrUserInfoSubNotMatching,
	} {
		if errors.Is(err, rule) {
			return rule.Error()
		}
	}
	return "its answer is not what OpenID Connect has"
}

// errorCode returns a code as RFC 6749 allows it, so that nothing else of a
// stranger's answer gets into a log.
func errorCode(s string) string {
	if s == "" || len(s) > 64 || strings.ContainsFunc(s, func(c rune) bool { return c != '_' && (c < 'a' || c > 'z') }) {
		return "an error"
	}
	return s
}

func (u *Upstream) identify(ctx context.Context, p *provider, t *oidc.Tokens[*oidc.IDTokenClaims]) (*Identity, error) {
	idToken := t.IDTokenClaims
	claims := map[string]any{}
	for name, value := range idToken.Claims {
		claims[name] = value
	}
	if p.rp.UserinfoEndpoint() != "" {
		info, err := rp.Userinfo[*oidc.UserInfo](ctx, t.AccessToken, t.TokenType, idToken.Subject, p.rp)
		if errors.Is(err, rp.ErrUserInfoSubNotMatching) {
			return nil, classify(err)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: no answer from its userinfo endpoint: %s", ErrUnreachable, netText(err))
		}
		if _, ok := info.Claims["email"]; ok {
			// One source says both, or the id token's word would vouch for userinfo's address.
			delete(claims, "email_verified")
		}
		for name, value := range info.Claims {
			claims[name] = value
		}
	}
	if claims["email_verified"] == "true" {
		claims["email_verified"] = true // as some providers write it
	}
	if claims["email_verified"] != true {
		delete(claims, "email")
	}
	for _, name := range []string{"nonce", "at_hash", "c_hash", "sid"} {
		delete(claims, name)
	}
	return &Identity{Issuer: idToken.Issuer, Subject: idToken.Subject, Name: displayName(claims, idToken.Subject), Claims: claims}, nil
}

func displayName(claims map[string]any, subject string) string {
	for _, name := range []string{"email", "preferred_username", "name"} {
		if s, _ := claims[name].(string); s != "" && len(s) <= 256 {
			return s
		}
	}
	return subject
}
