// Package devidp is an OpenID Connect provider for development: a login page,
// a few users with passwords made up at every start, one confidential client.
// It stands where a company's identity provider will stand, so that the whole
// way can be gone on one machine. It belongs in no production:
//
//	listener, err := devidp.Listen("127.0.0.1:0")
//	...
//	issuer := "http://" + listener.Addr().String()
//	provider, err := devidp.New(issuer, devidp.Options{RedirectURIs: []string{...}})
//	...
//	err = http.Serve(listener, provider)
//
// The protocol is that of zitadel/oidc, narrowed: only the code flow, only with
// PKCE and S256, each code good for one attempt, each login bound to the browser
// that it began in. The library writes refusals to slog's default logger, as
// warnings; they hold no password, code or token.
package devidp

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/zitadel/oidc/v3/pkg/op"
)

// Options say what a Provider is for.
type Options struct {
	// RedirectURIs are where logins may end, compared character by character.
	// At least one is needed.
	RedirectURIs []string
	// ClientID and ClientSecret are the relying party's. What is empty is made up.
	ClientID, ClientSecret string
	// Users are those who can log in. When empty: alice, who is staff; bob, who
	// is staff and ops; and mallory, whose mail address is not verified.
	Users []User
	// Log gets a line for each login and each wrong password, and never what was
	// typed. When nil, nothing is logged.
	Log *slog.Logger
	// Now is the clock that logins, codes and access tokens expire by. When nil,
	// it is time.Now.
	Now func() time.Time
}

// Provider is an OpenID Connect provider. It is an http.Handler, and expects
// requests at the root of its issuer, over TLS or on loopback.
type Provider struct {
	issuer  string
	cookie  cookie
	storage *storage
	op      *op.Provider
	log     *slog.Logger
	handler http.Handler
}

// New returns a provider for issuer: an https URL, or an http URL of this
// machine's loopback interface, without a path.
func New(issuer string, o Options) (*Provider, error) {
	u, err := parseIssuer(issuer)
	if err != nil {
		return nil, fmt.Errorf("issuer %q: %w", issuer, err)
	}
	if len(o.RedirectURIs) == 0 {
		return nil, errors.New("no redirect URI is allowed, so no login could end")
	}
	us, err := newUsers(o.Users)
	if err != nil {
		return nil, err
	}
	key, err := newSigningKey()
	if err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	c := &client{
		id:           cmp.Or(o.ClientID, rand.Text()),
		secret:       cmp.Or(o.ClientSecret, rand.Text()+rand.Text()), // 260 bits
		redirectURIs: slices.Clone(o.RedirectURIs),
	}
	p := &Provider{issuer: issuer, cookie: cookieFor(u), storage: newStorage(c, us, key, o.Now), log: o.Log}
	if p.op, err = newOP(u, p.storage); err != nil {
		return nil, err
	}
	p.handler = p.routes()
	return p, nil
}

// Client returns the credentials of the relying party. They are new in each
// Provider, but for what Options has named.
func (p *Provider) Client() (id, secret string) {
	return p.storage.client.id, p.storage.client.secret
}

// Users returns those who can log in, with their passwords.
func (p *Provider) Users() []User { return slices.Clone(p.storage.users) }

// ServeHTTP serves the provider's endpoints and its login page.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.handler.ServeHTTP(w, r) }

func parseIssuer(issuer string) (*url.URL, error) {
	u, err := url.Parse(issuer)
	if err != nil {
		return nil, errors.New("it is no URL")
	}
	switch {
	case u.Host == "" || u.Scheme+"://"+u.Host != issuer:
		return nil, errors.New("it must be a scheme and a host, and nothing else")
	case u.Scheme == "https":
		return u, nil
	case u.Scheme != "http":
		return nil, errors.New("its scheme must be https, or http on loopback")
	case u.Hostname() != "localhost" && !net.ParseIP(u.Hostname()).IsLoopback():
		return nil, errors.New("http would show passwords to the network: use https, or a loopback address")
	}
	return u, nil
}

// newOP returns the library's provider: its parsing, its checks, its tokens.
func newOP(issuer *url.URL, s *storage) (*op.Provider, error) {
	c := &op.Config{}
	_, _ = rand.Read(c.CryptoKey[:]) // never fails (crypto/rand)
	var options []op.Option
	if issuer.Scheme == "http" {
		// OpenID Connect demands https of every issuer. On loopback nobody listens
		// in, which parseIssuer has made sure of.
		options = append(options, op.WithAllowInsecure())
	}
	provider, err := op.NewProvider(c, s, op.StaticIssuer(issuer.String()), options...)
	if err != nil {
		return nil, fmt.Errorf("making the OpenID Connect provider: %w", err)
	}
	return provider, nil
}
