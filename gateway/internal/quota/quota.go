// Package quota bounds what one user, and one client, may ask of this gateway.
package quota

import (
	"sync"
	"time"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/identity"
	"vestibule.dev/vestibule/gateway/internal/source"
)

// Quotas count requests. They tell as many users and clients apart as a
// source.KeyedLimiter does.
type Quotas struct {
	limits func() config.Quotas
	now    func() time.Time

	mu      sync.Mutex
	users   counter[user]
	clients counter[string]
}

// user is a person. Neither member names one alone.
type user struct{ issuer, subject string }

// New returns quotas that count by the limits that hold at the moment.
func New(limits func() config.Quotas, now func() time.Time) *Quotas {
	return &Quotas{limits: limits, now: now}
}

// whenOneEnds is when somebody may ask again who has too much under way: nobody knows
// when a request ends.
const whenOneEnds = time.Second

// Begin counts a request. If that is too much, wait is when another may succeed.
// Otherwise done must be called when the request has ended.
func (q *Quotas) Begin(who identity.Identity) (done func(), wait time.Duration, ok bool) {
	limits := q.limits()
	if limits == (config.Quotas{}) {
		return func() {}, 0, true
	}
	//rule:quota-of-issuers
	person := user{who.Issuer, who.Subject}
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.users.room(person, limits.ConcurrentRequestsPerUser) || !q.clients.room(who.ClientID, limits.ConcurrentRequestsPerClient) {
		return nil, whenOneEnds, false
	}
	// The user first: one who asks too much must not use up what others have who
	// share the client.
	//rule:quota-of-users
	if wait, ok = q.users.take(person, limits.RequestsPerMinutePerUser, q.now); !ok {
		return nil, wait, false
	}
	//rule:quota-of-clients
	if wait, ok = q.clients.take(who.ClientID, limits.RequestsPerMinutePerClient, q.now); !ok {
		return nil, wait, false
	}
	q.users.begin(person)
	q.clients.begin(who.ClientID)
	//rule:quota-kept
	return func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.users.end(person)
		q.clients.end(who.ClientID)
	}, 0, true
}

// counter counts for each key.
type counter[K comparable] struct {
	underWay map[K]int64
	// rate holds the requests to perMinute.
	rate      *source.KeyedLimiter[K]
	perMinute int64
}

func (c *counter[K]) room(key K, limit int64) bool { return limit == 0 || c.underWay[key] < limit }

func (c *counter[K]) begin(key K) {
	if c.underWay == nil {
		c.underWay = map[K]int64{}
	}
	c.underWay[key]++
}

func (c *counter[K]) end(key K) {
	if c.underWay[key]--; c.underWay[key] == 0 {
		delete(c.underWay, key)
	}
}

// take counts one of perMinute. Another limit than before begins anew.
func (c *counter[K]) take(key K, perMinute int64, now func() time.Time) (wait time.Duration, ok bool) {
	if perMinute != c.perMinute {
		c.perMinute, c.rate = perMinute, nil
		if perMinute > 0 {
			each := source.Limit{PerSecond: float64(perMinute) / 60, Burst: int(perMinute)}
			c.rate = source.NewKeyedLimiter[K](each, source.Unlimited, now)
		}
	}
	if c.rate == nil {
		return 0, true
	}
	return c.rate.Take(key)
}
