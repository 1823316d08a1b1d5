package grants

import (
	"context"
	"errors"

	"vestibule.dev/vestibule/gateway/internal/keys"
	"vestibule.dev/vestibule/gateway/internal/oauth"
	"vestibule.dev/vestibule/gateway/internal/store"
	"vestibule.dev/vestibule/gateway/internal/tokens"
)

// opened is a grant with what one of its access tokens opens.
type opened struct {
	id      store.ID
	grant   *grant
	dataKey []byte
	data    data
}

// Claims returns what the upstream says of the user whose access token this is, which
// Check has let through, and the count that goes with it: see identity.Identity. The
// error is an *oauth.Error.
func (s *Service) Claims(ctx context.Context, token string) (claims map[string]any, said uint32, err error) {
	o, err := s.open(ctx, token)
	if err != nil {
		return nil, 0, err
	}
	return o.data.Claims, o.grant.UpstreamGeneration, nil
}

// open finds the grant of an access token that Check has let through, and opens it. It
// decides nothing, so a copy does that was good enough for Check.
func (s *Service) open(ctx context.Context, token string) (*opened, error) {
	t, err := tokens.Parse(s.opts.Ring, tokens.Access, token, s.opts.Now())
	if errors.Is(err, keys.ErrNotYet) {
		return nil, oauth.Unavailable(err)
	}
	if err != nil {
		return nil, oauth.InvalidToken(err.Error())
	}
	g, _ := s.table.Peek(t.Record)
	if g == nil || g.accessToken(tokens.Hash(token)) == nil {
		if g, err = s.table.Get(ctx, t.Record); err != nil {
			return nil, accessError(err)
		}
	}
	o, err := g.open(t.Record, token)
	if err != nil {
		return nil, accessError(err)
	}
	return o, nil
}

// open opens the grant with one of its access tokens.
func (g *grant) open(id store.ID, token string) (*opened, error) {
	a := g.accessToken(tokens.Hash(token))
	if a == nil {
		return nil, oauth.InvalidToken("the grant does not hold this token any more")
	}
	o := &opened{id: id, grant: g}
	var err error
	if o.dataKey, err = unwrap(id, token, a.DataKey); err != nil {
		return nil, err
	}
	if o.data, err = openData(id, o.dataKey, g.Data); err != nil {
		return nil, err
	}
	return o, nil
}

// accessError is protocolError for who has come with an access token.
func accessError(err error) error {
	err = protocolError(err)
	if e, ok := errors.AsType[*oauth.Error](err); ok && e.Code == oauth.CodeInvalidGrant {
		return oauth.InvalidToken("the grant has ended").Because(e)
	}
	return err
}
