package gateway

import (
	"fmt"
	"net/http"
	"net/url"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/pods"
	"vestibule.dev/vestibule/gateway/internal/proxy"
)

// backend is who serves a route, and how to call it.
type backend struct {
	url       *url.URL // of the route
	transport http.RoundTripper
	pods      *pods.Set // nil if they are not told apart
	// guarded says that it is told who calls.
	guarded bool
}

// backends are those of all routes, by name. Routes of one backend share its
// connections, and those of one Service what is known of its pods.
type backends struct {
	of   map[string]backend
	pods map[config.BackendPods]*pods.Set
}

// newBackends reads their files. Where pods is set, they are those of the backend that
// routes have by default.
func newBackends(cfg *config.Config, set *pods.Set) (*backends, error) {
	b := &backends{of: map[string]backend{}, pods: map[config.BackendPods]*pods.Set{}}
	transports := map[config.Backend]http.RoundTripper{}
	for _, r := range cfg.Routes {
		settings := *cfg.BackendOf(&r)
		found := backend{pods: b.set(settings.Pods), guarded: settings.Identity != nil}
		if set != nil && r.Backend == nil {
			found.pods = set
		}
		var err error
		if found.url, err = url.Parse(settings.URL + r.BackendPath); err != nil {
			return nil, fmt.Errorf("route %s: %w", r.Name, err)
		}
		settings.Pods, settings.Identity = nil, nil // which do not matter to how one is called
		transport := transports[settings]
		if transport == nil {
			if transport, err = newTransport(&settings, cfg.Cluster != nil); err != nil {
				return nil, fmt.Errorf("route %s: %w", r.Name, err)
			}
			transports[settings] = transport
		}
		found.transport = transport
		b.of[r.Name] = found
	}
	return b, nil
}

// newTransport returns one to a backend. In a cluster, what it needs may be missing for a
// while: then this backend is not called, and all else works.
func newTransport(b *config.Backend, inCluster bool) (http.RoundTripper, error) {
	t, err := proxy.NewTransport(b)
	//rule:missing-bundle-ends-all
	if err != nil && inCluster {
		return unusable{err}, nil
	}
	return t, err
}

// unusable stands for a backend that nobody may trust.
type unusable struct{ error }

func (u unusable) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		_ = r.Body.Close() // as a RoundTripper must
	}
	return nil, u.error
}

// set is the one of the pods of a Service, if they are told apart.
func (b *backends) set(p *config.BackendPods) *pods.Set {
	if p == nil {
		return nil
	}
	if b.pods[*p] == nil {
		b.pods[*p] = pods.New()
	}
	return b.pods[*p]
}

// anyPod returns the address of a pod that takes what is new, or "" if there is none,
// or pods are not told apart.
func (b backend) anyPod() string {
	if b.pods == nil {
		return ""
	}
	if pod := b.pods.Pick(nil); pod != nil {
		return pod.Addr
	}
	return ""
}
