package grants

import (
	"context"
	"errors"

	"vestibule.dev/vestibule/gateway/internal/keys"
	"vestibule.dev/vestibule/gateway/internal/oauth"
	"vestibule.dev/vestibule/gateway/internal/records"
	"vestibule.dev/vestibule/gateway/internal/store"
	"vestibule.dev/vestibule/gateway/internal/tokens"
)

// errNotHeld says that there is nothing to revoke.
var errNotHeld = errors.New("the client holds no such token")

// Revoke ends what a client's token stands for (RFC 7009): a refresh token ends
// its grant, an access token only itself. A token that is unknown, dead or
// another client's changes nothing, and is no error. It returns the holder of
// what ended, or nil. The error is an *oauth.Error: temporarily_unavailable.
func (s *Service) Revoke(ctx context.Context, token, clientID string) (*Holder, error) {
	now := s.opts.Now()
	kind := tokens.Refresh
	t, err := tokens.Parse(s.opts.Ring, kind, token, now)
	if errors.Is(err, tokens.ErrMalformed) {
		kind = tokens.Access
		t, err = tokens.Parse(s.opts.Ring, kind, token, now)
	}
	if errors.Is(err, keys.ErrNotYet) {
		return nil, oauth.Unavailable(err)
	}
	if err != nil {
		return nil, nil //nolint:nilnil // RFC 7009 section 2.2: nothing ended, and no error
	}
	var holder Holder
	err = s.table.Update(ctx, t.Record, func(g *grant) (records.Verdict, error) {
		holder = g.holder()
		//rule:revoked-by-others
		if g.ClientID != clientID {
			return records.Keep, errNotHeld
		}
		if kind == tokens.Refresh {
			//rule:revoked-in-part revoked-refresh-token
			return records.Remove, nil
		}
		for i := range g.Access {
			if equalHash(g.Access[i].Hash, token) {
				//rule:revoked-access-token
				g.Access = append(g.Access[:i], g.Access[i+1:]...)
				return records.Write, nil
			}
		}
		return records.Keep, errNotHeld
	})
	switch {
	case errors.Is(err, errNotHeld), errors.Is(err, store.ErrNotFound):
		return nil, nil //nolint:nilnil // as above
	case err != nil:
		return nil, oauth.Unavailable(err)
	}
	return &holder, nil
}
