// Package upstream logs users in at the identity providers that the platform
// team has configured, and asks these again whether a user is still who they
// were. It uses zitadel/oidc as functions only: state, nonce and code verifier
// are the flow's own, so that several logins in one browser, and several
// replicas, do not get in each other's way.
package upstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/oauth2"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/keys"
)

const (
	// rebuildAfter is how long a provider's endpoints and keys are believed: a
	// key that it has withdrawn is refused after that.
	rebuildAfter = 10 * time.Minute
	// doubtAfter is how old what is known of a provider must be, before an answer
	// that does not fit makes us look again: answers can be made not to fit.
	doubtAfter = 30 * time.Second
	// callTimeout bounds all calls to a provider that one step makes.
	callTimeout = 10 * time.Second
	// clockSkew is how far a provider's clock may be ahead of or behind ours.
	clockSkew = 30 * time.Second
)

// Upstream is one identity provider. It is discovered when it is first needed,
// and again from time to time.
type Upstream struct {
	config      config.Upstream
	redirectURI string
	now         func() time.Time

	mu       sync.Mutex
	provider *provider
	// refused is the client secret that the token endpoint refused last, or nil.
	refused *string
}

// provider is what is known of the identity provider for now.
type provider struct {
	*client
	oauth oauth2.Config
	oidc  *oidcProvider // nil for GitHub
	at    time.Time
}

// Identity is who has logged in.
type Identity struct {
	Issuer, Subject string
	// Name is for people to read.
	Name string
	// Claims are what the upstream says of the user. email is among them only if
	// the upstream has verified it.
	Claims map[string]any
	// Sources are nil if they are not known, or if the claims have one source alone.
	Sources *Sources
	// Missing says why a source has no claims here, or is nil.
	Missing error
	// Tokens are nil unless the upstream can be asked again.
	Tokens *Tokens
}

// Tokens are what an upstream has given for a user.
type Tokens struct {
	Access, Refresh string
	// Expires is when Access does; zero if the upstream does not say.
	Expires time.Time
	// Nonce is that of the login, which an id token may still have later.
	Nonce string
}

// New returns an upstream whose answers come to redirectURI. It does not call it yet.
func New(c config.Upstream, redirectURI string, now func() time.Time) *Upstream {
	return &Upstream{config: c, redirectURI: redirectURI, now: now}
}

// Name is the upstream's name in the spec.
func (u *Upstream) Name() string { return u.config.Name }

// Title is what people read of the upstream.
func (u *Upstream) Title() string { return u.config.Title() }

// Issuer is the issuer that the upstream is configured with.
func (u *Upstream) Issuer() string { return u.config.Issuer() }

// MaxAge is how long a grant lives whose user cannot be asked about again; 0
// for no bound.
func (u *Upstream) MaxAge() time.Duration { return u.config.MaxAge() }

// Serves says whether users of this issuer log in here.
func (u *Upstream) Serves(issuer string) bool {
	if o := u.config.OIDC; o != nil && len(o.Issuers) > 0 {
		return slices.Contains(o.Issuers, issuer)
	}
	return issuer == u.Issuer()
}

// get returns the provider, discovering it if it is unknown or old. The secret
// and the CA bundle are read anew each time, so that a change needs no restart.
func (u *Upstream) get(ctx context.Context) (*provider, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.provider != nil && u.now().Before(u.provider.at.Add(rebuildAfter)) {
		return u.provider, nil
	}
	p, err := u.discover(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, explain(err))
	}
	u.provider = p
	return p, nil
}

// forget makes the next call discover again.
func (u *Upstream) forget(p *provider) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.provider == p {
		u.provider = nil
	}
}

// doubt makes the next call discover again if an answer does not fit to what is
// known, for an upstream that has changed its keys.
func (u *Upstream) doubt(p *provider, err error) {
	if errors.Is(err, ErrRefused) && u.now().Sub(p.at) >= doubtAfter {
		u.forget(p)
	}
}

func (u *Upstream) discover(ctx context.Context) (*provider, error) {
	c, err := newClient(u.config.Client())
	if err != nil {
		return nil, err
	}
	p := &provider{client: c, at: u.now()}
	p.oauth = oauth2.Config{
		ClientID: u.config.Client().ClientID, ClientSecret: c.secret, RedirectURL: u.redirectURI, Scopes: u.config.Client().Scopes,
	}
	if g := u.config.GitHub; g != nil {
		p.oauth.Endpoint = githubEndpoint(g)
		return p, nil
	}
	return p, u.discoverOIDC(ctx, p)
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
	//rule:upstream-pkce
	params := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(verifier)}
	if o := u.config.OIDC; o != nil {
		params = append(params, oauth2.SetAuthURLParam("nonce", nonce))
		for name, value := range o.AuthorizeParams {
			params = append(params, oauth2.SetAuthURLParam(name, value))
		}
	}
	return p.oauth.AuthCodeURL(state, params...), nil
}

// Exchange turns the upstream's code into the user's identity. iss is what came
// with the code, or "". It returns ErrUnreachable, ErrRefused or ErrCredentials,
// or ErrNotAdmitted with the identity of who may not log in here.
func (u *Upstream) Exchange(ctx context.Context, code, iss, nonce, verifier string) (*Identity, error) {
	ctx, cancel := own(ctx)
	defer cancel()
	p, err := u.get(ctx)
	if err != nil {
		return nil, err
	}
	if err := u.checkIss(p, iss); err != nil {
		return nil, err
	}
	t, p, err := u.token(ctx, p, func(ctx context.Context, p *provider) (*oauth2.Token, error) {
		return p.oauth.Exchange(ctx, code, oauth2.VerifierOption(verifier))
	})
	if err != nil {
		return nil, err
	}
	who, err := u.identify(ctx, p, t, before{nonce: nonce})
	if err != nil {
		u.doubt(p, err)
		return who, err
	}
	if u.config.RenewTokens && t.RefreshToken != "" {
		who.Tokens = &Tokens{Access: t.AccessToken, Refresh: t.RefreshToken, Expires: u.expires(t), Nonce: nonce}
	}
	return who, nil
}

// expires is when a token that has just come does, or zero. The library has added what
// the upstream says to the machine's time, which need not be ours.
func (u *Upstream) expires(t *oauth2.Token) time.Time {
	if t.Expiry.IsZero() {
		return time.Time{}
	}
	return u.now().Add(time.Until(t.Expiry))
}

// checkIss refuses a code that came from another server, or that does not say
// where it comes from though it could (RFC 9207 section 2.4).
func (u *Upstream) checkIss(p *provider, iss string) error {
	switch {
	//rule:upstream-hides
	case iss == "" && p.oidc != nil && p.oidc.sendsIss:
		return fmt.Errorf("%w: it does not say which issuer it comes from", ErrRefused)
	case iss == "", iss == u.Issuer(), u.Serves(iss), u.config.GitHub != nil && iss == githubIss(u.config.GitHub):
		return nil
	}
	//rule:upstream-iss
	return fmt.Errorf("%w: it came from another issuer", ErrRefused)
}

// Renewed is what came of asking an upstream again.
type Renewed struct {
	// Tokens are in place of those that it was asked with.
	Tokens Tokens
	// Identity is nil if the claims could not be read: the error says why.
	Identity *Identity
}

// Renew asks the upstream for new tokens of a user, and for what it says of them
// now; was is what it said before. Each source that answers replaces all claims that
// it had. It returns ErrEnded, ErrUnreachable,
// ErrRefused, ErrCredentials, ErrOtherUser or ErrNotAdmitted. With an error too,
// Renewed is not nil if the upstream has given new tokens: it may take back the
// old ones.
func (u *Upstream) Renew(ctx context.Context, t Tokens, was Identity) (*Renewed, error) {
	ctx, cancel := own(ctx)
	defer cancel()
	p, err := u.get(ctx)
	if err != nil {
		return nil, err
	}
	fresh, p, err := u.token(ctx, p, func(ctx context.Context, p *provider) (*oauth2.Token, error) {
		return p.oauth.TokenSource(ctx, &oauth2.Token{RefreshToken: t.Refresh}).Token()
	})
	if err != nil {
		return nil, err
	}
	renewed := &Renewed{Tokens: Tokens{Access: fresh.AccessToken, Refresh: fresh.RefreshToken, Expires: u.expires(fresh), Nonce: t.Nonce}}
	who, err := u.identify(ctx, p, fresh, before{nonce: t.Nonce, identity: &was})
	if err != nil {
		u.doubt(p, err)
		return renewed, err
	}
	renewed.Identity = who
	return renewed, nil
}

// before is what is known when an upstream's token is read: the nonce of the
// login and, if that is over, who it was.
type before struct {
	nonce    string
	identity *Identity
}

// sameUser returns ErrOtherUser if the upstream spoke of another user before.
func (b before) sameUser(who *Identity) error {
	//rule:renewed-another-user
	if b.identity != nil && (who.Issuer != b.identity.Issuer || who.Subject != b.identity.Subject) {
		return ErrOtherUser
	}
	return nil
}

func (u *Upstream) identify(ctx context.Context, p *provider, t *oauth2.Token, b before) (*Identity, error) {
	if g := u.config.GitHub; g != nil {
		return u.identifyGitHub(ctx, p, t, b)
	}
	return u.identifyOIDC(ctx, p, t, b)
}

// token calls the token endpoint. If that refuses the client's secret, and there
// is another one by now, it is called once more.
func (u *Upstream) token(ctx context.Context, p *provider, call tokenCall) (*oauth2.Token, *provider, error) {
	t, err := u.try(ctx, p, call)
	if !errors.Is(err, ErrCredentials) {
		return t, p, err
	}
	if secret, readErr := readSecret(u.config.Client().ClientSecretFile); readErr != nil || keys.Equal([]byte(secret), []byte(p.secret)) {
		return nil, p, err
	}
	u.forget(p)
	if p, err = u.get(ctx); err != nil {
		return nil, p, err
	}
	t, err = u.try(ctx, p, call)
	return t, p, err
}

// tokenCall is one request to a provider's token endpoint.
type tokenCall func(context.Context, *provider) (*oauth2.Token, error)

// try calls once, and remembers whether the secret was refused.
func (u *Upstream) try(ctx context.Context, p *provider, call tokenCall) (*oauth2.Token, error) {
	t, err := call(context.WithValue(ctx, oauth2.HTTPClient, p.http), p)
	if err != nil {
		err = classify(err)
	}
	switch {
	case err == nil:
		u.setRefused(nil)
	case errors.Is(err, ErrCredentials):
		u.setRefused(&p.secret)
	}
	return t, err
}

func (u *Upstream) setRefused(secret *string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.refused = secret
}
