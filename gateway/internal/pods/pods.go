// Package pods knows which pods serve MCP behind the gateway: those of a Service, by
// its EndpointSlices. A session stays with the pod that began it, and what belongs to
// no session goes to the pod with the least to do.
package pods

import (
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
)

// Pod is one that serves, or did a moment ago.
type Pod struct {
	// UID is the pod's, which no other pod ever has; of an endpoint that is no pod, its
	// address.
	UID string
	// Addr is host and port.
	Addr string

	load atomic.Int64
}

// Begin counts a request until done is called.
func (p *Pod) Begin() (done func()) {
	p.load.Add(1)
	return sync.OnceFunc(func() { p.load.Add(-1) })
}

// Endpoint is what is known of one address.
type Endpoint struct {
	UID, Addr string
	// Ready pods take what is new; Serving ones, among them those that end, go on with
	// what they have.
	Ready, Serving bool
}

// Set is what is known now.
type Set struct {
	now   atomic.Pointer[view]
	known chan struct{}
	once  sync.Once
}

// New returns a set that knows nothing yet.
func New() *Set { return &Set{known: make(chan struct{})} }

type view struct {
	byUID map[string]*Pod
	// open are those that take what is new.
	open []*Pod
}

// Known is closed once Replace was called.
func (s *Set) Known() <-chan struct{} { return s.known }

// Replace tells the set what there is. Of two addresses of one pod the first counts.
// It is not to be called by two at once.
func (s *Set) Replace(endpoints []Endpoint) {
	next := &view{byUID: map[string]*Pod{}}
	before := s.now.Load()
	var last []*Pod
	for _, e := range endpoints {
		if next.byUID[e.UID] != nil {
			continue
		}
		p := &Pod{UID: e.UID, Addr: e.Addr}
		if before != nil {
			if same := before.byUID[e.UID]; same != nil && same.Addr == e.Addr {
				p = same
			}
		}
		next.byUID[e.UID] = p
		if e.Ready {
			next.open = append(next.open, p)
		} else if e.Serving {
			last = append(last, p)
		}
	}
	if len(next.open) == 0 {
		next.open = last // better than nobody, as a Service has it
	}
	s.now.Store(next)
	s.once.Do(func() { close(s.known) })
}

// Find returns the pod with a UID, whether ready or not, or nil if it is gone.
func (s *Set) Find(uid string) *Pod {
	if v := s.now.Load(); v != nil {
		return v.byUID[uid]
	}
	return nil
}

// Open counts the pods that take what is new.
func (s *Set) Open() int {
	if v := s.now.Load(); v != nil {
		return len(v.open)
	}
	return 0
}

// Pick returns the less busy of two that take what is new, or nil if all of them were
// tried.
func (s *Set) Pick(tried []*Pod) *Pod {
	v := s.now.Load()
	if v == nil {
		return nil
	}
	from := v.open
	if len(tried) > 0 {
		from = slices.DeleteFunc(slices.Clone(from), func(p *Pod) bool { return slices.Contains(tried, p) })
	}
	if len(from) == 0 {
		return nil
	}
	// Two that are not the same, unless there is but one.
	i := rand.IntN(len(from)) //nolint:gosec // not a secret
	p := from[i]
	if len(from) > 1 {
		q := from[(i+1+rand.IntN(len(from)-1))%len(from)] //nolint:gosec // not a secret
		if q.load.Load() < p.load.Load() {
			p = q
		}
	}
	return p
}
