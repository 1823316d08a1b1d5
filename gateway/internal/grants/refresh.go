package grants

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"vestibule.dev/vestibule/gateway/internal/keys"
	"vestibule.dev/vestibule/gateway/internal/oauth"
	"vestibule.dev/vestibule/gateway/internal/records"
	"vestibule.dev/vestibule/gateway/internal/tokens"
	"vestibule.dev/vestibule/gateway/policy"
)

// Refreshing is a token request with a refresh token.
type Refreshing struct {
	RefreshToken string
	// ClientID is of the client that has authenticated.
	ClientID string
	// Scopes are nil if the request names none: then they are the grant's.
	Scopes    oauth.Scopes
	Resources []string
}

var (
	errReuse = errors.New("a refresh token was used again that had been replaced")
	errAhead = errors.New("the refresh token is newer than the record: the store has gone back in time")
)

// Refresh rotates a refresh token (RFC 9700 section 4.14.2), so that clients
// that retry or run in parallel are not taken for thieves:
//
//	(a) the newest token gets a successor, in one atomic step;
//	(b) one that was first used less than RetryWindow ago gets the newest pair,
//	    without a write: a successor is derived from its predecessor, so it can
//	    be told again though only its hash is stored;
//	(c) after that time, the direct predecessor of a token that nobody has
//	    presented yet gets another successor, and the unused one counts as spent;
//	(d) any other token of this grant ends it;
//	(e) one that is newer than the record ends nothing: the store is behind.
//
// (c), (d) and every refusal are decided on the store itself. In (a) and (c) the
// user's upstream is asked again first, if it can be and was not just now. The
// error is an *oauth.Error.
func (s *Service) Refresh(ctx context.Context, r Refreshing) (*Issued, error) {
	now := s.opts.Now()
	t, err := tokens.Parse(s.opts.Ring, tokens.Refresh, r.RefreshToken, now)
	if err != nil {
		return nil, unread("the refresh token is not valid", err)
	}
	nonce := make([]byte, 16)
	_, _ = rand.Read(nonce) // never fails (crypto/rand)
	f := refresh{asking: asking{service: s, id: t.Record, now: now}, policy: s.opts.Policy(ctx), request: r, presented: t, nonce: nonce}
	var issued *Issued
	f.settle = func() (verdict records.Verdict, err error) {
		issued, verdict, err = f.decide()
		return verdict, err
	}
	if err := f.run(ctx); err != nil {
		return nil, protocolError(err)
	}
	return issued, nil
}

// refresh is one request.
type refresh struct {
	asking
	policy    Policy
	request   Refreshing
	presented tokens.Token
	nonce     []byte
}

func (f *refresh) decide() (*Issued, records.Verdict, error) {
	g, r := f.grant, f.request
	//rule:refresh-of-another-client
	if g.ClientID != r.ClientID {
		return nil, records.Keep, oauth.InvalidGrant("the refresh token is not valid").
			Because(errors.New("the refresh token is another client's"))
	}
	//rule:older-store-ends-grants
	if f.presented.Generation > g.Generation { // (e)
		return nil, records.Keep, oauth.InvalidGrant("the refresh token is not valid").Because(errAhead)
	}
	if err := f.service.sameResource(g, r.Resources); err != nil {
		return nil, records.Keep, err
	}
	if f.presented.Generation == g.Generation && equalHash(g.Newest.Hash, r.RefreshToken) { // (a)
		return f.rotate(g.Newest.DataKey)
	}
	i := slices.IndexFunc(g.Rotations, func(o rotation) bool { return o.Parent == f.presented.Generation })
	if i < 0 {
		return f.reuse()
	}
	newest, last, err := f.walk(i)
	switch {
	case errors.Is(err, keys.ErrNotYet):
		return nil, records.Keep, oauth.Unavailable(err)
	case err != nil:
		return f.reuse()
	//rule:retry-without-end no-retry
	case f.now.Sub(time.Unix(g.Rotations[i].At, 0)) < RetryWindow: // (b)
		return f.retell(newest, last)
	//rule:used-successor-replaced
	case i == len(g.Rotations)-1: // (c)
		return f.rotate(g.Rotations[i].ParentDataKey)
	}
	return f.reuse()
}

// reuse is (d).
func (f *refresh) reuse() (*Issued, records.Verdict, error) {
	//rule:reuse-harmless
	return nil, records.Remove, oauth.InvalidGrant("the refresh token is not valid").Because(errReuse)
}

// walk derives the tokens from the presented one on, through rotation i and
// those after it. It returns the newest, and its parent. An error says that they do
// not lead to the record's newest token, so that the presented one was a fake or had
// been replaced; but keys.ErrNotYet, that this cannot be told here yet.
func (f *refresh) walk(i int) (newest, parent string, err error) {
	token, generation := f.request.RefreshToken, f.presented.Generation
	for _, o := range f.grant.Rotations[i:] {
		if o.Parent != generation {
			return "", "", errReuse
		}
		key, err := f.service.opts.Ring.Find(o.KeyID)
		if err != nil {
			return "", "", err
		}
		parent, token, generation = token, f.successor(key, o, token), o.Child
	}
	if !equalHash(f.grant.Newest.Hash, token) {
		return "", "", errReuse
	}
	return token, parent, nil
}

// successor derives a rotation's child from its parent.
func (f *refresh) successor(key *keys.Key, o rotation, parent string) string {
	return f.derive(key, tokens.Refresh, o, parent, time.Unix(f.grant.ExpiresAt, 0))
}

func (f *refresh) derive(key *keys.Key, kind tokens.Kind, o rotation, parent string, expires time.Time) string {
	generation := binary.BigEndian.AppendUint32(nil, o.Child)
	//rule:successor-without-nonce successor-without-parent
	secret := key.Derive(keys.LabelRotation, []byte(kind), f.id[:], generation, o.Nonce, []byte(parent))
	return tokens.Mint(key, tokens.Token{Kind: kind, Record: f.id, Generation: o.Child, Expires: expires}, secret)
}

// rotate gives the presented token a new successor, (a) and (c).
func (f *refresh) rotate(wrappedDataKey []byte) (*Issued, records.Verdict, error) {
	g := f.grant
	dataKey, err := unwrap(f.id, f.request.RefreshToken, wrappedDataKey)
	if err != nil {
		return nil, records.Keep, err
	}
	d, err := openData(f.id, dataKey, g.Data)
	if err != nil {
		return nil, records.Keep, err
	}
	if verdict, err := f.renewFirst(d.Upstream.due(f.now), dataKey, d); err != nil {
		return nil, verdict, err
	}
	scopes, verdict, err := f.evaluate(d)
	if err != nil {
		return nil, verdict, err
	}
	key := f.service.opts.Ring.Current(f.now)
	o := rotation{
		Parent: f.presented.Generation, Child: g.Generation + 1,
		KeyID: key.ID, Nonce: f.nonce, At: f.now.Unix(), ParentDataKey: wrappedDataKey,
	}
	//rule:no-rotation
	next := f.successor(key, o, f.request.RefreshToken)
	expires := f.service.accessExpires(g, f.now)
	access := f.derive(key, tokens.Access, o, f.request.RefreshToken, expires)
	if err := f.replaceNewest(o, next, dataKey); err != nil {
		return nil, records.Keep, err
	}
	if err := f.addAccess(access, o.Child, expires, scopes, dataKey); err != nil {
		return nil, records.Keep, err
	}
	return f.service.issued(f.id, g, access, next, scopes, expires.Sub(f.now)), records.Write, nil
}

// replaceNewest writes down the rotation, and drops those that no retry can
// reach any more: in (c) that is also the one to the token which now counts as spent.
func (f *refresh) replaceNewest(o rotation, next string, dataKey []byte) error {
	g := f.grant
	held, err := hold(f.id, next, dataKey)
	if err != nil {
		return err
	}
	if n := len(g.Rotations); n > 0 {
		g.Rotations[n-1].ParentDataKey = nil
	}
	g.Rotations = slices.DeleteFunc(g.Rotations, func(old rotation) bool {
		return f.now.Sub(time.Unix(old.At, 0)) >= RetryWindow
	})
	g.Rotations = append(g.Rotations, o)
	if over := len(g.Rotations) - maxRotations; over > 0 {
		g.Rotations = g.Rotations[over:]
	}
	g.Generation, g.Newest, g.RefreshedAt = o.Child, held, f.now.Unix()
	if g.Code != nil && g.Code.ExpiresAt <= f.now.Unix() {
		g.Code = nil // expired ones are refused without a look at the record
	}
	return nil
}

func (f *refresh) addAccess(token string, child uint32, expires time.Time, scopes oauth.Scopes, dataKey []byte) error {
	held, err := hold(f.id, token, dataKey)
	if err != nil {
		return err
	}
	a := accessToken{heldToken: held, ExpiresAt: expires.Unix(), Child: child}
	if !slices.Equal(scopes, f.grant.Scopes) {
		a.Narrowed, a.Scopes = true, scopes
	}
	f.grant.addAccess(a, f.now)
	return nil
}

// retell answers a retry with the newest pair, (b). Only an access token for
// other scopes, or in place of one that has expired, needs a write.
func (f *refresh) retell(newest, parent string) (*Issued, records.Verdict, error) {
	g := f.grant
	o := g.Rotations[len(g.Rotations)-1]
	key, err := f.service.opts.Ring.Find(o.KeyID)
	if err != nil { // replaced since the walk
		return nil, records.Keep, oauth.Unavailable(err)
	}
	dataKey, err := unwrap(f.id, newest, g.Newest.DataKey)
	if err != nil {
		return nil, records.Keep, err
	}
	d, err := openData(f.id, dataKey, g.Data)
	if err != nil {
		return nil, records.Keep, err
	}
	scopes, verdict, err := f.evaluate(d)
	if err != nil {
		return nil, verdict, err
	}
	for i := range g.Access {
		a := &g.Access[i]
		if a.Child != o.Child || a.ExpiresAt <= f.now.Unix() || !slices.Equal(g.scopesOf(a), scopes) {
			continue
		}
		expires := time.Unix(a.ExpiresAt, 0)
		issued := f.service.issued(f.id, g, f.derive(key, tokens.Access, o, parent, expires), newest, scopes, expires.Sub(f.now))
		issued.Retried = true
		return issued, records.Keep, nil
	}
	expires := f.service.accessExpires(g, f.now)
	access := f.service.mint(tokens.Access, f.id, g.Generation, expires, tokens.NewSecret(), f.now)
	if err := f.addAccess(access, 0, expires, scopes, dataKey); err != nil {
		return nil, records.Keep, err
	}
	issued := f.service.issued(f.id, g, access, newest, scopes, expires.Sub(f.now))
	issued.Retried = true
	return issued, records.Write, nil
}

// ended is the answer to somebody who loses the grant.
func ended(why string) error {
	return oauth.InvalidGrant("the grant has ended").Because(errors.New(why))
}

// evaluate asks again whether the user may have this grant and what for. Who
// may not any more loses it.
func (f *refresh) evaluate(d data) (oauth.Scopes, records.Verdict, error) {
	g, opts := f.grant, f.service.opts
	user := policy.User{Upstream: g.Upstream, Claims: d.Claims}
	if !opts.Upstreams.Serves(g.Upstream, g.Issuer) {
		return nil, records.Remove, ended("its upstream is no longer configured")
	}
	_, err := f.policy.Allowed(user)
	//rule:no-rule-at-refresh
	if errors.Is(err, policy.ErrDenied) {
		return nil, records.Remove, ended("the user is no longer let in")
	}
	//rule:unnamed-upstream-at-refresh
	if err != nil {
		return nil, records.Keep, err
	}
	asked := oauth.Scopes(g.Scopes)
	if f.request.Scopes != nil {
		asked = f.request.Scopes
	}
	for _, scope := range asked {
		//rule:refresh-widens
		if !slices.Contains(g.Scopes, scope) {
			return nil, records.Keep, oauth.InvalidScope("scope is wider than what was granted")
		}
	}
	existing := configured(f.policy, asked)
	//rule:scopes-of-others-at-refresh
	granted := f.policy.MayHave(existing, user)
	if granted.Empty() && !existing.Empty() {
		return nil, records.Keep, oauth.InvalidScope("the user may have none of the scopes any more")
	}
	return granted, records.Keep, nil
}

// configured narrows scopes to those that exist.
func configured(p Policy, scopes oauth.Scopes) oauth.Scopes {
	known := p.Grantable()
	//rule:removed-scope
	unknown := func(scope string) bool { return !slices.Contains(known, scope) }
	if !slices.ContainsFunc(scopes, unknown) {
		return scopes // as in every check of a token
	}
	return slices.DeleteFunc(slices.Clone(scopes), unknown)
}

func equalHash(hash []byte, token string) bool { return keys.Equal(hash, tokens.Hash(token)) }
