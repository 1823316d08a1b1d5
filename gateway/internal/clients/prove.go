package clients

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"time"

	"vestibule.dev/vestibule/gateway/internal/assertion"
	"vestibule.dev/vestibule/gateway/internal/documents"
	"vestibule.dev/vestibule/gateway/internal/oauth"
)

// readAssertion reads the assertion of a request. It says by itself which client
// it is of, so client_id may be left out (RFC 7521 section 4.2).
func readAssertion(clientID string, p oauth.Params) (credentials, *oauth.Error) {
	sent, e := p.Need("client_assertion")
	if e != nil {
		return credentials{}, e
	}
	if p.Get("client_assertion_type") != assertion.Type {
		return credentials{}, oauth.InvalidRequest("client_assertion_type must be %s", assertion.Type)
	}
	a, err := assertion.Parse(sent)
	if err != nil {
		return credentials{}, badAssertion(err)
	}
	if clientID != "" && clientID != a.Subject {
		return credentials{}, oauth.InvalidRequest("client_id and client_assertion name two clients")
	}
	return credentials{id: a.Subject, assertion: a}, nil
}

func badAssertion(cause error) *oauth.Error {
	return oauth.InvalidClient("client_assertion does not prove which client sends it").Because(cause)
}

// prove checks that the client has made this assertion, for this server, now,
// and that it comes for the first time.
func (s *Service) prove(ctx context.Context, c *Client, a *assertion.Assertion, p oauth.Params) *oauth.Error {
	if !c.signs() {
		return badAssertion(errors.New("the client has registered no keys"))
	}
	if c.SigningAlg != "" && a.Algorithm != c.SigningAlg {
		return badAssertion(errors.New("it is signed with another algorithm than the client has registered"))
	}
	keys, err := s.keysOf(ctx, c, a.KeyID, p)
	if err != nil {
		return oauth.Unavailable(err)
	}
	now := s.opts.Now()
	if err := a.Verify(c.ID(), keys, s.opts.Audiences, now); err != nil {
		return badAssertion(err)
	}
	if !s.used.add(c.ID(), a.ID, a.ExpiresAt.Add(assertion.Skew), now) {
		return badAssertion(errors.New("it was used before"))
	}
	return nil
}

var errNoKeySets = errors.New("this gateway fetches no keys")

// keysOf returns the client's keys. Those that it publishes may be out of reach:
// then the keys that the grant in question keeps are as good, if the right one is
// there. They are not where it is known that the client has withdrawn one.
func (s *Service) keysOf(ctx context.Context, c *Client, keyID string, p oauth.Params) (assertion.Keys, error) {
	if c.JWKSURI == "" {
		return assertion.ParseKeys(c.JWKS)
	}
	sets, err := s.opts.KeySets, errNoKeySets
	if c.Provisioned() {
		sets = s.opts.TrustedKeySets
	}
	if sets != nil {
		waiting, cancel := context.WithTimeout(ctx, documentPatience)
		defer cancel()
		var keys assertion.Keys
		if keys, err = sets.Keys(waiting, c.JWKSURI, keyID); err == nil {
			return keys, nil
		}
	}
	//rule:key-withdrawn
	if errors.Is(err, documents.ErrNoSuchKey) {
		return assertion.Keys{}, err
	}
	proof, unknown := s.remembered(ctx, c.ID(), p)
	if unknown != nil || proof == nil || proof.JWKSURI != c.JWKSURI {
		return assertion.Keys{}, errors.Join(err, unknown)
	}
	if kept, bad := assertion.ParseKeys(proof.JWKS); bad == nil && kept.Has(keyID) {
		return kept, nil
	}
	return assertion.Keys{}, err
}

// maxUsed bounds how many assertions are remembered.
const maxUsed = 1 << 16

// usedAssertions remembers, on this replica, which assertions have come.
type usedAssertions struct {
	mu       sync.Mutex
	limit    int
	count    int
	byClient map[string]*usedBy
}

// usedBy is one client's: until when each is remembered, and in which order they came.
type usedBy struct {
	until map[[sha256.Size]byte]time.Time
	order [][sha256.Size]byte
}

func newUsedAssertions() *usedAssertions {
	return &usedAssertions{limit: maxUsed, byClient: map[string]*usedBy{}}
}

// add says whether the assertion comes for the first time, and remembers it. If
// there is no room, the client with the most loses its oldest: whoever floods
// this server forgets their own.
func (u *usedAssertions) add(clientID, id string, until, now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.count >= u.limit {
		u.makeRoom(now)
	}
	key := sha256.Sum256([]byte(id))
	c := u.byClient[clientID]
	if c == nil {
		c = &usedBy{until: map[[sha256.Size]byte]time.Time{}}
		u.byClient[clientID] = c
	}
	u.forget(clientID, c, now)
	//rule:assertion-twice
	if _, ok := c.until[key]; ok {
		return false
	}
	u.byClient[clientID] = c // forget takes away a client that has none
	c.until[key], c.order = until, append(c.order, key)
	u.count++
	return true
}

// forget drops what has expired, from the oldest on.
func (u *usedAssertions) forget(clientID string, c *usedBy, now time.Time) {
	for len(c.order) > 0 && !now.Before(c.until[c.order[0]]) {
		u.drop(clientID, c)
	}
	if len(c.order) == 0 {
		delete(u.byClient, clientID)
	}
}

func (u *usedAssertions) drop(clientID string, c *usedBy) {
	delete(c.until, c.order[0])
	c.order = c.order[1:]
	u.count--
	if len(c.order) == 0 {
		delete(u.byClient, clientID)
	}
}

func (u *usedAssertions) makeRoom(now time.Time) {
	largest := ""
	for clientID, c := range u.byClient {
		u.forget(clientID, c, now)
		if l := u.byClient[largest]; l == nil || len(c.order) > len(l.order) {
			largest = clientID
		}
	}
	if c := u.byClient[largest]; c != nil && u.count >= u.limit {
		u.drop(largest, c)
	}
}
