package source

import (
	"math"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limit is how often something may happen: Burst at once, and PerSecond after that.
type Limit struct {
	PerSecond float64
	Burst     int
}

// Unlimited is any number at any time.
var Unlimited = Limit{PerSecond: math.MaxFloat64}

// maxSources bounds how many sources a limiter tells apart.
const maxSources = 10_000

// Limiter bounds how often each source, and all together, may do something on
// this replica.
type Limiter struct{ *KeyedLimiter[netip.Prefix] }

// NewLimiter returns a limiter.
func NewLimiter(each, all Limit, now func() time.Time) *Limiter {
	return &Limiter{NewKeyedLimiter[netip.Prefix](each, all, now)}
}

// Take says whether a source may do it now, and counts it if so. If not, wait
// is when it may.
func (l *Limiter) Take(addr netip.Addr) (wait time.Duration, ok bool) {
	return l.KeyedLimiter.Take(network(addr))
}

// GiveBack takes back one count of Take, for something that turned out not to count.
func (l *Limiter) GiveBack(addr netip.Addr) { l.KeyedLimiter.GiveBack(network(addr)) }

// KeyedLimiter is a Limiter that tells by something else than addresses.
type KeyedLimiter[K comparable] struct {
	each Limit
	now  func() time.Time

	mu      sync.Mutex
	all     *rate.Limiter
	sources map[K]*rate.Limiter
}

// NewKeyedLimiter returns a limiter.
func NewKeyedLimiter[K comparable](each, all Limit, now func() time.Time) *KeyedLimiter[K] {
	return &KeyedLimiter[K]{
		each: each, now: now,
		all:     rate.NewLimiter(rate.Limit(all.PerSecond), all.Burst),
		sources: map[K]*rate.Limiter{},
	}
}

// Take is as that of Limiter.
func (l *KeyedLimiter[K]) Take(key K) (wait time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	// Who is over one limit uses up nothing of the other.
	own := l.source(key, now).ReserveN(now, 1)
	if wait := own.DelayFrom(now); wait > 0 {
		own.CancelAt(now)
		return wait, false
	}
	all := l.all.ReserveN(now, 1)
	if wait := all.DelayFrom(now); wait > 0 {
		all.CancelAt(now)
		own.CancelAt(now)
		return wait, false
	}
	return 0, true
}

// GiveBack takes back one count of Take, for something that turned out not to count.
func (l *KeyedLimiter[K]) GiveBack(key K) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	l.source(key, now).ReserveN(now, -1)
	l.all.ReserveN(now, -1)
}

func (l *KeyedLimiter[K]) source(key K, now time.Time) *rate.Limiter {
	if s, ok := l.sources[key]; ok {
		return s
	}
	if len(l.sources) >= maxSources {
		l.forget(now)
	}
	s := rate.NewLimiter(rate.Limit(l.each.PerSecond), l.each.Burst)
	l.sources[key] = s
	return s
}

// forget drops the sources that have been quiet, which changes nothing for
// them, or else all: the limit on all together still holds.
func (l *KeyedLimiter[K]) forget(now time.Time) {
	for key, s := range l.sources {
		if s.TokensAt(now) >= float64(l.each.Burst) {
			delete(l.sources, key)
		}
	}
	if len(l.sources) >= maxSources {
		clear(l.sources)
	}
}

// network is what one sender can be expected to have of addresses: one of IPv4,
// a /64 of IPv6.
func network(addr netip.Addr) netip.Prefix {
	bits := 32
	if addr.Is6() {
		//rule:limit-per-address
		bits = 64
	}
	p, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // the zero address: all such senders are one
	}
	return p
}
