package grants

import (
	"context"
	"errors"
	"sync"
	"time"

	"vestibule.dev/vestibule/gateway/internal/clients"
	"vestibule.dev/vestibule/gateway/internal/identity"
	"vestibule.dev/vestibule/gateway/internal/keys"
	"vestibule.dev/vestibule/gateway/internal/oauth"
	"vestibule.dev/vestibule/gateway/internal/store"
	"vestibule.dev/vestibule/gateway/internal/tokens"
)

// Check says who presents an access token at a resource. A forged or expired
// one is refused without a look at any record, a good one passes on the local
// copy, and everything else is decided on the store itself. If the store does
// not answer, a token that the copy knows stays good for the tolerated outage.
//
// The error is an *oauth.Error: invalid_token or temporarily_unavailable.
func (s *Service) Check(ctx context.Context, token, resource string) (identity.Identity, error) {
	now := s.opts.Now()
	t, err := tokens.Parse(s.opts.Ring, tokens.Access, token, now)
	if errors.Is(err, keys.ErrNotYet) {
		return identity.Identity{}, oauth.Unavailable(err)
	}
	if err != nil {
		return identity.Identity{}, oauth.InvalidToken(err.Error())
	}
	p := presented{id: t.Record, hash: tokens.Sum(token), resource: resource, policy: s.opts.Policy(ctx), now: now}
	g, heard := s.table.Peek(p.id)
	known := g != nil && s.permits(g, p) == nil
	if known {
		client, clientHeard := s.opts.Clients.Known(g.ClientID)
		if clientHeard.Before(heard) {
			heard = clientHeard
		}
		//rule:deleted-client
		known = client != nil
		if known && s.table.Fresh(heard) {
			return s.identity(g, p, client), nil
		}
	}
	//rule:outage-tolerated-for-ever
	return s.checkStore(ctx, p, g, known && now.Sub(heard) < s.opts.OutageTolerance)
}

// How long a check waits for the store: longer if there is nothing else to go by.
const (
	storePatience   = 10 * time.Second
	excusedPatience = 2 * time.Second
)

// presented is a genuine, unexpired token.
type presented struct {
	id       store.ID
	hash     [tokens.HashLen]byte
	resource string
	policy   Policy
	now      time.Time
}

// checkStore reads the records themselves. If it cannot, a token that is
// excused goes on as what the copy knows it as.
func (s *Service) checkStore(ctx context.Context, p presented, copied *grant, excused bool) (identity.Identity, error) {
	if s.dead.has(p) {
		return identity.Identity{}, oauth.InvalidToken("the store said so a moment ago")
	}
	patience := storePatience
	if excused {
		patience = excusedPatience
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	g, err := s.table.Get(ctx, p.id)
	if err == nil {
		if err := s.permits(g, p); err != nil {
			return identity.Identity{}, s.refuse(p, err.Error())
		}
		err = s.opts.Clients.Exists(ctx, g.ClientID)
		if errors.Is(err, store.ErrNotFound) {
			return identity.Identity{}, s.refuse(p, "its client is not registered any more")
		}
		if err == nil {
			return s.identity(g, p, s.client(g)), nil
		}
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		return identity.Identity{}, s.refuse(p, "the grant has ended")
	case excused:
		return s.identity(copied, p, s.client(copied)), nil
	}
	//rule:outage-refuses-tokens
	return identity.Identity{}, oauth.Unavailable(err)
}

func (s *Service) refuse(p presented, reason string) error {
	s.dead.add(p)
	return oauth.InvalidToken(reason)
}

// permits says why the grant does not let the token through, or returns nil.
func (s *Service) permits(g *grant, p presented) error {
	a := g.accessToken(p.hash[:])
	switch {
	case a == nil:
		return errors.New("the grant does not hold this token any more")
	case a.ExpiresAt <= p.now.Unix():
		return tokens.ErrExpired
	//rule:audience
	case g.Resource != p.resource:
		return errors.New("it is for another resource")
	//rule:unattended-for-ever
	case g.Unattended && !s.opts.Vouches(g.ClientID, g.Upstream, g.Issuer):
		return errors.New("it was issued without a login, which its client may not have any more")
	case g.Unattended:
		return nil
	//rule:removed-upstream
	case !s.opts.Upstreams.Serves(g.Upstream, g.Issuer):
		return errors.New("its upstream is no longer configured")
	}
	return nil
}

func (s *Service) identity(g *grant, p presented, client *clients.Client) identity.Identity {
	a := g.accessToken(p.hash[:])
	return identity.Identity{
		ClientID: g.ClientID, Upstream: g.Upstream, Issuer: g.Issuer, Subject: g.Subject,
		Scopes: narrow(client, configured(p.policy, g.scopesOf(a))), Said: g.UpstreamGeneration, ExpiresAt: time.Unix(a.ExpiresAt, 0),
	}
}

// client is the grant's, as far as it is known here, or nil.
func (s *Service) client(g *grant) *clients.Client {
	c, _ := s.opts.Clients.Known(g.ClientID)
	return c
}

// narrow returns those of the scopes that the client may have at all.
func narrow(client *clients.Client, scopes oauth.Scopes) oauth.Scopes {
	if client == nil {
		return scopes
	}
	return client.Narrow(scopes)
}

// deadTokens remembers for a moment what the store has refused, so that a
// client that keeps calling with a dead token does not keep reading the store.
// A refusal is final: a token that is dead does not come to life again.
type deadTokens struct {
	mu    sync.Mutex
	until map[string]time.Time
}

const (
	deadFor = 5 * time.Second
	maxDead = 4096
)

func newDeadTokens() *deadTokens { return &deadTokens{until: map[string]time.Time{}} }

func (p presented) key() string { return string(p.hash[:]) + p.resource }

func (d *deadTokens) has(p presented) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return p.now.Before(d.until[p.key()])
}

func (d *deadTokens) add(p presented) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.until) >= maxDead {
		clear(d.until) // rare, and costs a few reads
	}
	d.until[p.key()] = p.now.Add(deadFor)
}
