package controllers

import (
	"context"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"vestibule.dev/vestibule/api/v1alpha1"
)

const (
	// settleWithin bounds how long a pass waits for the cache. One that is later than that
	// costs requests, and nothing else.
	settleWithin = 2 * time.Second
	// settleEvery is how often the cache is looked at meanwhile.
	settleEvery = 5 * time.Millisecond
)

// wrote notes that an object was created or changed, if it was.
func (s *scope) wrote(c child, before, after client.Object) {
	was := ""
	if before != nil {
		was = stateOf(before)
	}
	if _, noted := s.written[c]; !noted && was != stateOf(after) {
		s.written[c] = was
	}
}

// settle waits until the cache knows what this pass has written. The next one would
// look for it at the API server otherwise, or write it again.
func (r *Reconciler) settle(ctx context.Context, s *scope) {
	if r.Cached == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, settleWithin)
	defer cancel()
	for c, before := range s.written {
		key, o := client.ObjectKey{Namespace: s.server.Namespace, Name: c.name}, cached(c.kind)
		if c.kind == kindMCPServer {
			o = &v1alpha1.MCPServer{}
		}
		for {
			err := r.Cached.Get(ctx, key, o)
			if client.IgnoreNotFound(err) != nil || err == nil && stateOf(o) != before {
				break
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(settleEvery):
			}
		}
	}
}

// kindMCPServer is no child: its status is written.
const kindMCPServer = "MCPServer"
