package grants

import (
	"context"
	"errors"
	"slices"
	"time"

	"vestibule.dev/vestibule/gateway/internal/oauth"
	"vestibule.dev/vestibule/gateway/internal/records"
	"vestibule.dev/vestibule/gateway/internal/store"
	"vestibule.dev/vestibule/gateway/internal/tokens"
)

// Redemption is a token request with an authorization code.
type Redemption struct {
	Code, Verifier string
	// ClientID is of the client that has authenticated.
	ClientID string
	// RedirectURI and Resources may be empty: they need only match if sent.
	RedirectURI string
	Resources   []string
}

// errReplay says that a code came a second time.
var errReplay = errors.New("the code was already redeemed")

// Redeem spends a code and issues the grant's first tokens in the same atomic
// step: of any number of concurrent calls on all replicas one succeeds, and the
// others end the grant, since somebody has stolen the code (RFC 6749 section
// 4.1.2). The client, its redirect URI and its verifier are checked before the
// code is touched: a wrong one does not spend it, nor does it end the grant.
// The error is an *oauth.Error.
func (s *Service) Redeem(ctx context.Context, r Redemption) (*Issued, error) {
	now := s.opts.Now()
	t, err := tokens.Parse(s.opts.Ring, tokens.Code, r.Code, now)
	if err != nil {
		return nil, unread("the code is not valid", err)
	}
	id := t.Record
	refresh, access := tokens.NewSecret(), tokens.NewSecret()
	var issued *Issued
	err = s.table.Update(ctx, id, func(g *grant) (records.Verdict, error) {
		if err := s.mayRedeem(g, r); err != nil {
			return records.Keep, err
		}
		//rule:code-reusable
		if g.Code.Spent {
			//rule:code-replay-harmless
			return records.Remove, oauth.InvalidGrant("the code is not valid").Because(errReplay)
		}
		var err error
		issued, err = s.redeem(id, g, r.Code, refresh, access, s.opts.Policy(ctx), now)
		return records.Write, err
	})
	if err != nil {
		return nil, protocolError(err)
	}
	roomFor, cancel := context.WithTimeout(ctx, excusedPatience)
	defer cancel()
	s.makeRoom(roomFor, id, issued.Holder, MaxPerUser)
	return issued, nil
}

func (s *Service) mayRedeem(g *grant, r Redemption) error {
	invalid := func(why string) error {
		return oauth.InvalidGrant("the code is not valid").Because(errors.New(why))
	}
	switch {
	case g.Code == nil:
		return invalid("the code is long spent")
	case !equalHash(g.Code.Hash, r.Code):
		return invalid("not the grant's code")
	//rule:code-of-another-client
	case g.ClientID != r.ClientID:
		return invalid("the code is another client's")
	//rule:code-redirect
	case r.RedirectURI != "" && r.RedirectURI != g.Code.RedirectURI:
		return oauth.InvalidGrant("redirect_uri is not that of the authorization request")
	//rule:code-verifier
	case !verifies(g.Code.Challenge, r.Verifier):
		return oauth.InvalidGrant("code_verifier does not match the code challenge")
	}
	return s.sameResource(g, r.Resources)
}

// sameResource refuses resources other than the grant's (RFC 8707 section 2.2).
func (s *Service) sameResource(g *grant, resources []string) error {
	for _, r := range resources {
		named := s.opts.PublicURL != "" && oauth.SameResource(s.opts.PublicURL, r)
		//rule:code-resource
		if !named && !oauth.SameResource(g.Resource, r) {
			return oauth.InvalidTarget("resource is not that of the authorization request")
		}
	}
	return nil
}

func (s *Service) redeem(id store.ID, g *grant, code string, refreshSecret, accessSecret [tokens.SecretLen]byte, p Policy, now time.Time) (*Issued, error) {
	dataKey, err := unwrap(id, code, g.Code.DataKey)
	if err != nil {
		return nil, err
	}
	//rule:spent-code-opens-claims
	g.Code.Spent, g.Code.DataKey = true, nil
	g.Generation, g.RefreshedAt = 1, now.Unix()
	refresh := s.mint(tokens.Refresh, id, g.Generation, time.Unix(g.ExpiresAt, 0), refreshSecret, now)
	if g.Newest, err = hold(id, refresh, dataKey); err != nil {
		return nil, err
	}
	expires := s.accessExpires(g, now)
	access := s.mint(tokens.Access, id, g.Generation, expires, accessSecret, now)
	held, err := hold(id, access, dataKey)
	if err != nil {
		return nil, err
	}
	g.addAccess(accessToken{heldToken: held, ExpiresAt: expires.Unix()}, now)
	return s.issued(id, g, access, refresh, configured(p, g.Scopes), expires.Sub(now)), nil
}

func (s *Service) issued(id store.ID, g *grant, access, refresh string, scopes oauth.Scopes, expiresIn time.Duration) *Issued {
	return &Issued{
		Holder: g.holder(), GrantID: id.String(), AccessToken: access, RefreshToken: refresh,
		Scopes: narrow(s.client(g), scopes), ExpiresIn: int64(expiresIn / time.Second), Resource: g.Resource,
	}
}

// accessExpires is when an access token issued now ends: never after its grant.
func (s *Service) accessExpires(g *grant, now time.Time) time.Time {
	//rule:tokens-outlive-grant
	end := min(now.Add(s.opts.AccessTokenTTL).Unix(), g.ExpiresAt)
	return time.Unix(end, 0)
}

// makeRoom ends the grants of this user and client on the word of the same
// upstream that are more than limit, those least recently refreshed first, and never the one just redeemed. Which these
// are, the store itself says. It is best effort: a grant too many does no harm.
func (s *Service) makeRoom(ctx context.Context, redeemed store.ID, h Holder, limit int) {
	user := (&grant{ClientID: h.ClientID, Issuer: h.Issuer, Subject: h.Subject}).user()
	type live struct {
		id          store.ID
		refreshedAt int64
	}
	var others []live
	for id, g := range s.table.ByIndex(user) {
		if id != redeemed && g.Generation > 0 && g.Upstream == h.Upstream {
			others = append(others, live{id, g.RefreshedAt})
		}
	}
	//rule:grants-without-number
	for len(others) >= limit {
		i := 0
		for j, o := range others {
			if o.refreshedAt < others[i].refreshedAt {
				i = j
			}
		}
		refreshedAt, err := s.evict(ctx, others[i].id, others[i].refreshedAt)
		switch {
		case errors.Is(err, errRefreshed):
			others[i].refreshedAt = refreshedAt
			continue
		case err != nil:
			s.opts.Log.WarnContext(ctx, "ending the oldest grant of a user failed", "grant", others[i].id.String(), "error", err)
		}
		others = slices.Delete(others, i, i+1)
	}
}

// errRefreshed says that a grant was refreshed later than the copy knew.
var errRefreshed = errors.New("the grant was refreshed meanwhile")

// evict ends a grant that was last refreshed then, or returns errRefreshed and when it was.
func (s *Service) evict(ctx context.Context, id store.ID, then int64) (refreshedAt int64, err error) {
	err = s.table.Update(ctx, id, func(g *grant) (records.Verdict, error) {
		if refreshedAt = g.RefreshedAt; refreshedAt > then {
			return records.Keep, errRefreshed
		}
		return records.Remove, nil
	})
	if errors.Is(err, store.ErrNotFound) {
		return refreshedAt, nil
	}
	return refreshedAt, err
}
