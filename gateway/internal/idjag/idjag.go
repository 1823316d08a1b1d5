// Package idjag lets users in on the word of their company: an identity provider
// that the configuration trusts has signed who they are, for one client, at this
// server (Identity Assertion Authorization Grants, draft-ietf-oauth-identity-
// assertion-authz-grant).
package idjag

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/assertion"
	"vestibule.dev/vestibule/gateway/internal/documents"
	"vestibule.dev/vestibule/gateway/internal/oauth"
)

// Service verifies identity assertions.
type Service struct {
	publicURL string
	now       func() time.Time
	issuers   []trusted
}

type trusted struct {
	config.TrustedIssuer
	keys Keys
}

// Keys knows what an issuer publishes.
type Keys interface {
	Keys(ctx context.Context, uri, keyID string) (assertion.Keys, error)
}

// New returns the service of the server at publicURL. Without issuers it trusts nobody.
func New(publicURL string, issuers []config.TrustedIssuer, now func() time.Time, log *slog.Logger) (*Service, error) {
	s := &Service{publicURL: publicURL, now: now}
	for _, i := range issuers {
		keys, err := documents.NewTrusted([]string{i.JWKSURL}, i.CABundleFile, now, log)
		if err != nil {
			return nil, fmt.Errorf("trusted issuer %s: %w", i.Name, err)
		}
		s.issuers = append(s.issuers, trusted{i, keys})
	}
	return s, nil
}

// Issuer returns the issuer of this name, or "" for one that is not, or no longer,
// trusted.
func (s *Service) Issuer(name string) string {
	for _, i := range s.issuers {
		if i.Name == name {
			return i.IssuerURL
		}
	}
	return ""
}

// Trusts says whether there is an issuer to trust.
func (s *Service) Trusts() bool { return len(s.issuers) > 0 }

// Verified is an assertion that is to be believed, with the name of its issuer.
type Verified struct {
	*assertion.Identity
	IssuerName string
}

// patience is how long a request waits for an issuer's keys.
const patience = 10 * time.Second

// Verify checks an assertion that an authenticated client has sent. It may come
// again as long as it is good, as the draft allows: only this client can use it,
// and one whose answer was lost must not have to log its user in again.
//
// The error is invalid_grant or temporarily_unavailable.
func (s *Service) Verify(ctx context.Context, compact, clientID string) (*Verified, *oauth.Error) {
	identity, err := assertion.ParseIdentity(compact)
	if err != nil {
		return nil, invalid(err)
	}
	n := slices.IndexFunc(s.issuers, func(i trusted) bool { return i.IssuerURL == identity.Issuer })
	if n < 0 {
		return nil, invalid(errors.New("its issuer is not trusted here"))
	}
	i := s.issuers[n]
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	keys, err := i.keys.Keys(waiting, i.JWKSURL, identity.KeyID)
	if err != nil {
		return nil, oauth.Unavailable(err)
	}
	if err := identity.Verify(i.IssuerURL, clientID, s.publicURL, keys, s.now()); err != nil {
		return nil, invalid(err)
	}
	return &Verified{identity, i.Name}, nil
}

func invalid(cause error) *oauth.Error {
	return oauth.InvalidGrant("the assertion is not valid here").Because(cause)
}
