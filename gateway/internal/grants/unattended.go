package grants

import (
	"context"
	"time"

	"vestibule.dev/vestibule/gateway/internal/tokens"
)

// Unattended is what a client may have without a user who logs in here: Upstream
// names on whose word, and Vouches says how long it counts.
type Unattended struct {
	Holder
	Claims   map[string]any
	Scopes   []string
	Resource string
	// Max is how many such grants the holder keeps: the oldest ends.
	Max int
}

// Issue writes a grant with one access token, and ends with it: there is no refresh
// token, since the client can ask again. The error is an *oauth.Error.
func (s *Service) Issue(ctx context.Context, u Unattended) (*Issued, error) {
	id, err := s.table.NewID()
	if err != nil {
		return nil, protocolError(err)
	}
	now := s.opts.Now()
	dataKey := newDataKey()
	sealed, err := sealData(id, dataKey, data{Claims: u.Claims})
	if err != nil {
		return nil, err
	}
	g := &grant{
		ClientID: u.ClientID, Upstream: u.Upstream, Issuer: u.Issuer, Subject: u.Subject, Name: u.Name,
		Scopes: u.Scopes, Resource: u.Resource, Unattended: true,
		CreatedAt: now.Unix(), RefreshedAt: now.Unix(), ExpiresAt: now.Add(s.opts.AccessTokenTTL).Unix(),
		Generation: 1, Data: sealed,
	}
	expires := time.Unix(g.ExpiresAt, 0)
	access := s.mint(tokens.Access, id, g.Generation, expires, tokens.NewSecret(), now)
	held, err := hold(id, access, dataKey)
	if err != nil {
		return nil, err
	}
	g.addAccess(accessToken{heldToken: held, ExpiresAt: g.ExpiresAt}, now)
	if err := s.table.Create(ctx, id, g); err != nil {
		return nil, protocolError(err)
	}
	roomFor, cancel := context.WithTimeout(ctx, excusedPatience)
	defer cancel()
	s.makeRoom(roomFor, id, u.Holder, u.Max)
	return s.issued(id, g, access, "", g.Scopes, expires.Sub(now)), nil
}
