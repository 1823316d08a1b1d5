package grants

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"time"

	"vestibule.dev/vestibule/gateway/internal/oauth"
	"vestibule.dev/vestibule/gateway/internal/records"
	"vestibule.dev/vestibule/gateway/internal/store"
	"vestibule.dev/vestibule/gateway/internal/upstream"
)

const (
	// renewAfter is how old what an upstream said of a user may be, before a
	// refresh asks again.
	renewAfter = 5 * time.Minute
	// nearlyExpired is how long an upstream's access token must be good at least.
	nearlyExpired = 30 * time.Second
	// leaseFor is how long one request may take to ask an upstream and to write
	// down the answer, before another one tries.
	leaseFor = 30 * time.Second
	// storeRenewed bounds the writing down, and storeAgain is the time to the next
	// try if the store does not answer.
	storeRenewed = 10 * time.Second
	storeAgain   = 500 * time.Millisecond
	// waitForOther is how long a request waits for another one that asks.
	waitForOther = 12 * time.Second
)

// lease lets one request at a time ask the upstream about a grant: many providers
// take a refresh token that comes twice for stolen, and end the login.
type lease struct {
	// Attempt is the request.
	Attempt []byte `cbor:"1,keyasint"`
	// Until is when it counts for dead.
	Until int64 `cbor:"2,keyasint"`
}

// upstreamTokens are what the upstream has given for the user.
type upstreamTokens struct {
	Access  string `cbor:"1,keyasint,omitempty"`
	Refresh string `cbor:"2,keyasint,omitempty"`
	// ExpiresAt is of Access; 0 if it is not known.
	ExpiresAt int64  `cbor:"3,keyasint,omitempty"`
	Nonce     string `cbor:"4,keyasint,omitempty"`
	// ReadAt is when the claims were read; 0 if the upstream gave these tokens and
	// then nothing more.
	ReadAt int64 `cbor:"5,keyasint,omitempty"`
}

func keepTokens(t upstream.Tokens, readAt time.Time) *upstreamTokens {
	kept := &upstreamTokens{Access: t.Access, Refresh: t.Refresh, Nonce: t.Nonce, ReadAt: readAt.Unix()}
	if !t.Expires.IsZero() {
		kept.ExpiresAt = t.Expires.Unix()
	}
	return kept
}

// due says whether a refresh has to ask the upstream again.
func (t *upstreamTokens) due(now time.Time) bool {
	return t != nil && (now.Sub(time.Unix(t.ReadAt, 0)) >= renewAfter || t.nearlyExpired(now))
}

// nearlyExpired says whether Access is not good for long enough any more.
func (t *upstreamTokens) nearlyExpired(now time.Time) bool {
	return t.ExpiresAt != 0 && !now.Add(nearlyExpired).Before(time.Unix(t.ExpiresAt, 0))
}

var (
	// errLeased says that this request is to ask the upstream now, errOtherLeased
	// that another one does, and errLate that it was waited for in vain.
	errLeased      = errors.New("the upstream is to be asked first")
	errOtherLeased = errors.New("another request asks the upstream")
	errLate        = errors.New("another request asks the upstream, and takes long")
)

// renewal is one request's turn to ask the upstream.
type renewal struct {
	attempt []byte
	// generation is that of the tokens that it asks with.
	generation uint32
	dataKey    []byte
	data       data
	was        upstream.Identity
	name       string

	// What came of it.
	done    bool
	renewed *upstream.Renewed
	err     error
	// overtaken says that the grant has other tokens by now: another request was
	// faster, and what it got is good.
	overtaken bool
}

// asking is a request that may have to ask the upstream about a grant's user before
// it can decide. grant is what its last look at it saw.
type asking struct {
	service *Service
	id      store.ID
	grant   *grant
	now     time.Time
	// settle says what becomes of the grant, and calls renewFirst before.
	settle func() (records.Verdict, error)
	// renewal is set once this request has asked the upstream.
	renewal *renewal
}

// run settles, and asks the upstream in between if it is this request's turn to.
func (a *asking) run(ctx context.Context) error {
	deadline := time.Now().Add(waitForOther)
	for {
		err := a.tryOnce(ctx, deadline)
		if !errors.Is(err, errOtherLeased) {
			return err
		}
		a.now = a.service.opts.Now()
	}
}

// tryOnce returns errOtherLeased once it is worth another look.
func (a *asking) tryOnce(ctx context.Context, deadline time.Time) error {
	// What changes between the look and the wait must wake us too.
	changed, forget := a.service.changes.of(a.id)
	defer forget()
	err := a.update(ctx)
	switch {
	case errors.Is(err, errLeased):
		a.renewal.ask(ctx, a.service)
		return a.finish(ctx)
	case errors.Is(err, errOtherLeased):
		if late := a.wait(ctx, changed, deadline); late != nil {
			return late
		}
	}
	return err
}

// update takes one look at the grant, and does what it settles on.
func (a *asking) update(ctx context.Context) error {
	return a.service.table.Update(ctx, a.id, func(g *grant) (records.Verdict, error) {
		a.grant = g
		changed, err := a.install()
		if err != nil {
			return records.Keep, err
		}
		verdict, err := a.settle()
		if changed && verdict == records.Keep {
			verdict = records.Write // whatever was decided: the upstream may take its old tokens back
		}
		return verdict, err
	})
}

// finish writes down what the upstream has given, and settles with it. A store
// that does not answer is asked until it is too late, and whether the client is
// still there or not: the upstream may not take the old tokens again.
func (a *asking) finish(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeRenewed)
	defer cancel()
	for {
		err := a.update(ctx)
		if a.renewal.renewed == nil || !errors.Is(err, store.ErrUnavailable) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(storeAgain):
		}
	}
}

// wait returns when the grant has changed, or the other request's lease is over.
func (a *asking) wait(ctx context.Context, changed <-chan struct{}, deadline time.Time) error {
	lapses := time.NewTimer(time.Unix(a.grant.Lease.Until, 0).Sub(a.now))
	defer lapses.Stop()
	late := time.NewTimer(time.Until(deadline))
	defer late.Stop()
	select {
	case <-changed:
		return nil
	case <-lapses.C:
		return nil
	case <-late.C:
	case <-ctx.Done():
	}
	return oauth.Unavailable(errLate)
}

// renewFirst returns nil if the grant's user need not be asked about: it is not due,
// or was done. Otherwise it takes the lease, if there is none.
func (a *asking) renewFirst(due bool, dataKey []byte, d data) (records.Verdict, error) {
	g := a.grant
	if a.renewal != nil && a.renewal.done {
		return a.outcome()
	}
	if !due || !a.service.opts.Upstreams.Serves(g.Upstream, g.Issuer) {
		return records.Keep, nil
	}
	//rule:upstream-asked-twice
	if g.Lease != nil && a.now.Unix() < g.Lease.Until {
		return records.Keep, errOtherLeased
	}
	a.renewal = &renewal{
		attempt: []byte(rand.Text()), generation: g.UpstreamGeneration, dataKey: dataKey, data: d, name: g.Upstream,
		was: upstream.Identity{Issuer: g.Issuer, Subject: g.Subject, Claims: d.Claims, Sources: d.Sources.kept()},
	}
	g.Lease = &lease{Attempt: a.renewal.attempt, Until: a.now.Add(leaseFor).Unix()}
	return records.Write, errLeased
}

// ask is the one call to the upstream.
func (r *renewal) ask(ctx context.Context, s *Service) {
	t := r.data.Upstream
	r.renewed, r.err = s.opts.Upstreams.Renew(context.WithoutCancel(ctx), r.name, upstream.Tokens{
		Access: t.Access, Refresh: t.Refresh, Nonce: t.Nonce,
	}, r.was)
	r.done = true
	if r.err != nil {
		s.opts.Log.WarnContext(ctx, "a user cannot be asked about again", "upstream", r.name, "error", r.err)
	} else if missing := r.renewed.Identity.Missing; missing != nil {
		s.opts.Log.WarnContext(ctx, "claims of a user are missing", "upstream", r.name, "error", missing)
	}
}

// install writes what the upstream has given into the grant, unless somebody else
// has been there meanwhile, and lets the lease go. changed says that the grant is
// to be written.
func (a *asking) install() (changed bool, err error) {
	g, r := a.grant, a.renewal
	if r == nil || !r.done {
		return false, nil
	}
	if g.Lease != nil && bytes.Equal(g.Lease.Attempt, r.attempt) {
		g.Lease, changed = nil, true
	}
	if r.overtaken = g.UpstreamGeneration != r.generation; r.overtaken || r.renewed == nil {
		return changed, nil
	}
	d := data{Claims: r.data.Claims, Sources: r.data.Sources, Upstream: keepTokens(r.renewed.Tokens, time.Unix(0, 0))}
	if who := r.renewed.Identity; who != nil {
		d.Claims, d.Sources = who.Claims, keepSources(who.Sources)
		d.Upstream.ReadAt, g.Name = a.now.Unix(), who.Name
	}
	g.UpstreamGeneration++
	g.Data, err = sealData(a.id, r.dataKey, d)
	return true, err
}

// outcome decides what the upstream's answer means for the grant.
func (a *asking) outcome() (records.Verdict, error) {
	r := a.renewal
	switch {
	case r.err == nil, r.overtaken:
		return records.Keep, nil
	//rule:ended-at-upstream
	case errors.Is(r.err, upstream.ErrEnded), errors.Is(r.err, upstream.ErrOtherUser), errors.Is(r.err, upstream.ErrNotAdmitted):
		return records.Remove, oauth.InvalidGrant("the grant has ended").Because(r.err)
	}
	//rule:outage-of-upstream-ends-grants
	return records.Keep, oauth.Unavailable(r.err)
}
