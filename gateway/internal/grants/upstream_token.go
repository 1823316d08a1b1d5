package grants

import (
	"context"
	"errors"
	"time"

	"vestibule.dev/vestibule/gateway/internal/oauth"
	"vestibule.dev/vestibule/gateway/internal/records"
)

// refusedAgain is how soon after one token another one must be refused for both to be
// refused for the same reason.
const refusedAgain = 5 * time.Minute

// refusal is what a grant remembers of an upstream's token that was refused.
type refusal struct {
	// Generation is that of the tokens.
	Generation uint32 `cbor:"1,keyasint"`
	At         int64  `cbor:"2,keyasint"`
}

// UpstreamToken is what a user's upstream gave for requests in their name.
type UpstreamToken struct {
	// Access is empty if the grant keeps none.
	Access string
	// Generation tells it from those before and after.
	Generation uint32
}

// UpstreamToken returns the upstream's token for a request with this access token,
// which Check has let through. One that is about to expire is renewed first. The
// error is an *oauth.Error: invalid_token if the upstream has ended the login, and
// with it the grant; temporarily_unavailable if it cannot be asked.
func (s *Service) UpstreamToken(ctx context.Context, token string) (UpstreamToken, error) {
	o, err := s.open(ctx, token)
	if err != nil {
		return UpstreamToken{}, err
	}
	//rule:upstream-token-expired
	if t := o.data.Upstream; t == nil || !t.nearlyExpired(s.opts.Now()) {
		return o.upstreamToken(), nil
	}
	u := s.use(o, token)
	if err := u.run(ctx); err != nil {
		return UpstreamToken{}, accessError(err)
	}
	return u.got, nil
}

// RenewUpstreamToken is to be called when somebody has refused an upstream's token that
// went along with a request with this access token. It is renewed, unless it has been
// meanwhile, and the next request may fare better. If it was renewed for that just
// before, the grant ends: the user has to log in again. The error is as that of
// UpstreamToken.
func (s *Service) RenewUpstreamToken(ctx context.Context, token string, refused UpstreamToken) error {
	o, err := s.open(ctx, token)
	if err != nil {
		return err
	}
	u := s.use(o, token)
	u.refused = refused.Generation
	if err := u.run(ctx); err != nil {
		return accessError(err)
	}
	return nil
}

func (o *opened) upstreamToken() UpstreamToken {
	if o.data.Upstream == nil {
		return UpstreamToken{}
	}
	return UpstreamToken{Access: o.data.Upstream.Access, Generation: o.grant.UpstreamGeneration}
}

// use is a request that needs the upstream's token.
type use struct {
	asking
	token string
	// refused is the generation of the one that was refused, or 0.
	refused uint32
	got     UpstreamToken
}

func (s *Service) use(o *opened, token string) *use {
	u := &use{asking: asking{service: s, id: o.id, now: s.opts.Now()}, token: token}
	u.settle = u.decide
	return u
}

var errRefusedAgain = errors.New("what the upstream gives is refused, also when it is new")

func (u *use) decide() (records.Verdict, error) {
	g := u.grant
	o, err := g.open(u.id, u.token)
	if err != nil {
		return records.Keep, err
	}
	if o.data.Upstream == nil {
		return records.Keep, nil
	}
	refused := u.refused != 0 && u.refused == g.UpstreamGeneration
	//rule:upstream-token-refused-again upstream-token-refused-later
	if refused && g.Refused != nil && g.Refused.Generation == u.refused-1 && u.now.Sub(time.Unix(g.Refused.At, 0)) < refusedAgain {
		return records.Remove, oauth.InvalidToken("the grant has ended").Because(errRefusedAgain)
	}
	//rule:upstream-token-refused
	verdict, err := u.renewFirst(refused || o.data.Upstream.nearlyExpired(u.now), o.dataKey, o.data)
	if refused && errors.Is(err, errLeased) {
		g.Refused = &refusal{Generation: u.refused, At: u.now.Unix()}
	}
	if err != nil {
		return verdict, err
	}
	u.got = o.upstreamToken()
	return records.Keep, nil
}
