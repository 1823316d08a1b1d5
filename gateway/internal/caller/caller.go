// Package caller tells a backend who calls it: in an assertion that the gateway
// signs, in plain headers, and with the token that the user's upstream gave.
package caller

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/grants"
	"vestibule.dev/vestibule/gateway/internal/identity"
	"vestibule.dev/vestibule/gateway/internal/keys"
)

// maxHeaders bounds what is told with one request, in bytes: servers take 8 KiB or
// more for all headers, and the client's own are among them.
const maxHeaders = 12 << 10

// ErrTooLong says that a user's claims do not fit into headers. Nobody is told a part
// of them: a group that is missing may be one that forbids something.
var ErrTooLong = fmt.Errorf("what is to be told of the user is longer than %d bytes", maxHeaders)

// Grants is what the service asks of the grants. Errors are *oauth.Error.
type Grants interface {
	// Claims opens what the upstream says of the user who has an access token.
	Claims(ctx context.Context, token string) (claims map[string]any, said uint32, err error)
	// UpstreamToken opens the token that it gave, and RenewUpstreamToken replaces one
	// that was refused.
	UpstreamToken(ctx context.Context, token string) (grants.UpstreamToken, error)
	RenewUpstreamToken(ctx context.Context, token string, refused grants.UpstreamToken) error
}

// Options are what the service needs.
type Options struct {
	// PublicURL is the issuer of assertions.
	PublicURL string
	// Settings say what the backend is told.
	Settings config.Identity
	Ring     *keys.Ring
	Grants   Grants
	Now      func() time.Time
}

// Service introduces callers to one backend.
type Service struct {
	opts  Options
	names map[string]bool
	cache cache
}

// New returns the service for a backend that is told something.
func New(o Options) *Service {
	s := &Service{opts: o, names: map[string]bool{AssertionHeader: true}}
	for _, h := range o.Settings.Headers {
		s.names[http.CanonicalHeaderKey(h.Name)] = true
	}
	if h := o.Settings.UpstreamTokenHeader; h != "" {
		s.names[http.CanonicalHeaderKey(h)] = true
	}
	return s
}

// Says says whether a header, in canonical form, is the service's to send: from
// anybody else it must not reach the backend. That of no service says nothing.
func (s *Service) Says(header string) bool { return s != nil && s.names[header] }

// Introduction is what the backend is told with one request.
type Introduction struct {
	headers  []header
	upstream grants.UpstreamToken
}

type header struct{ name, value string }

// Set writes it into the headers of the request.
func (i *Introduction) Set(to http.Header) {
	for _, h := range i.headers {
		to.Set(h.name, h.value)
	}
}

// Introduce returns what the backend is told of who calls with this access token. The
// error is an *oauth.Error, or ErrTooLong.
func (s *Service) Introduce(ctx context.Context, who identity.Identity, token string) (*Introduction, error) {
	headers, err := s.about(ctx, who, token)
	if err != nil {
		return nil, err
	}
	i := &Introduction{headers: headers}
	name := s.opts.Settings.UpstreamTokenHeader
	if name == "" {
		return i, nil
	}
	// It is opened for each request, and kept nowhere.
	if i.upstream, err = s.opts.Grants.UpstreamToken(ctx, token); err != nil {
		return nil, err
	}
	if i.upstream.Access == "" {
		return i, nil
	}
	i.headers = append(slices.Clone(headers), header{name, i.upstream.Access}) // those are others' too
	if size(i.headers) > maxHeaders {
		return nil, ErrTooLong
	}
	return i, nil
}

// HasUpstreamToken says whether the backend was sent the upstream's token.
func (i *Introduction) HasUpstreamToken() bool { return i != nil && i.upstream.Access != "" }

// Refused is to be called when the backend asks for credentials though it was sent the
// upstream's token. It returns nil if the token was renewed, so that the backend may take
// the next request. Else the error is an *oauth.Error, with what the client is to do.
func (s *Service) Refused(ctx context.Context, i *Introduction, token string) error {
	return s.opts.Grants.RenewUpstreamToken(ctx, token, i.upstream)
}

// about returns what is told of a user and client: the assertion and the plain headers.
func (s *Service) about(ctx context.Context, who identity.Identity, token string) ([]header, error) {
	if s.opts.Settings.Assertion == nil && len(s.opts.Settings.Headers) == 0 {
		return nil, nil
	}
	now := s.opts.Now()
	key := s.opts.Ring.Current(now)
	//rule:identity-of-another
	at := of(token)
	if e := s.cache.get(at); e != nil && e.tells(who, key, now) {
		return e.headers, nil
	}
	said, count, err := s.opts.Grants.Claims(ctx, token)
	if err != nil {
		return nil, err
	}
	//rule:assertion-at-its-end
	e := &entry{said: count, scopes: who.Scopes, key: key.ID, until: now.Add(lifetime / 2)}
	if a := s.opts.Settings.Assertion; a != nil {
		signed, err := s.assertion(a, who, said, key, now)
		if err != nil {
			return nil, err
		}
		e.headers = append(e.headers, header{AssertionHeader, signed})
	}
	own := ownClaims(who)
	for _, h := range s.opts.Settings.Headers {
		value, ok := own[h.Claim]
		if !ok {
			value = said[h.Claim]
		}
		text, err := asText(value)
		if err != nil {
			return nil, fmt.Errorf("claim %s: %w", h.Claim, err)
		}
		if text != "" {
			e.headers = append(e.headers, header{h.Name, text})
		}
	}
	//rule:identity-too-long
	if e.size = size(e.headers); e.size > maxHeaders {
		return nil, ErrTooLong
	}
	s.cache.put(at, e)
	return e.headers, nil
}

func size(headers []header) int {
	n := 0
	for _, h := range headers {
		n += len(h.name) + len(h.value) + len(": \r\n")
	}
	return n
}

// PlainName is a header's name, in canonical form, as servers may read it that cannot
// tell all characters apart: what is neither a letter nor a digit counts as a hyphen.
func PlainName(name string) string {
	isPlain := func(c byte) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-'
	}
	i := 0
	for i < len(name) && isPlain(name[i]) {
		i++
	}
	if i == len(name) {
		return name // nearly always
	}
	plain := []byte(name)
	for ; i < len(plain); i++ {
		if !isPlain(plain[i]) {
			plain[i] = '-'
		}
	}
	//rule:underscore-for-hyphen
	return http.CanonicalHeaderKey(string(plain))
}
