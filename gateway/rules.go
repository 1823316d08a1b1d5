package gateway

import (
	"errors"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/cors"
	"vestibule.dev/vestibule/gateway/internal/oauth"
	"vestibule.dev/vestibule/gateway/internal/operations"
	"vestibule.dev/vestibule/gateway/internal/pages"
	"vestibule.dev/vestibule/gateway/policy"
)

// rules are a configuration's Rules, compiled. They are replaced as a whole,
// so none of them is ever half of one policy and half of another.
type rules struct {
	access *policy.Access
	// contact is whom those are to ask who are not let in.
	contact string
	// allow says who may have which scope.
	allow *policy.Scopes
	// scopes are the names of those that can be granted, and described what
	// people read of them.
	scopes    oauth.Scopes
	described []pages.Scope
	// grantable are scopes and offline_access.
	grantable oauth.Scopes
	// usual are those that clients are told of before they need them, and operating
	// those of them that operations need.
	usual, operating oauth.Scopes
	// required are those that a request on a route needs, by the route's name.
	required map[string]oauth.Scopes
	origins  cors.Origins
	// operations are what bodies are judged by, and listedOnly the same for the routes
	// of denyUnlisted.
	operations, listedOnly *operations.Rules
	denyUnlisted           []string
	quotas                 config.Quotas
}

func compileRules(publicURL string, r *config.Rules) (*rules, error) {
	access, err := policy.CompileAccess(r.AccessRules)
	if err != nil {
		return nil, err
	}
	allow, err := policy.CompileScopes(r.Scopes)
	if err != nil {
		return nil, err
	}
	c := &rules{
		access: access, contact: r.AccessContact, allow: allow, required: map[string]oauth.Scopes{},
		operations: operations.New(r.Scopes, false), listedOnly: operations.New(r.Scopes, true), denyUnlisted: r.DenyUnlistedTools,
		quotas: r.Quotas,
	}
	c.origins = cors.NewOrigins(publicURL, r.AllowedOrigins)
	for _, s := range r.Scopes {
		c.scopes = append(c.scopes, s.Name)
		c.described = append(c.described, pages.Scope{Name: s.Name, Description: s.Description})
		//rule:demanded-at-once
		if s.OnDemand {
			continue
		}
		c.usual = append(c.usual, s.Name)
		if s.NamesOperations() {
			c.operating = append(c.operating, s.Name)
		}
	}
	c.grantable = c.scopes.With(oauth.Scopes{oauth.ScopeOfflineAccess})
	for route, scopes := range r.RequiredScopes {
		c.required[route] = scopes
	}
	return c, nil
}

// suggested are the scopes for a client that does not say what it wants on a route:
// what the route and its operations need, or all there are for one that needs none. Some
// clients cannot ask for more later, so only those on demand are left out.
func (r *rules) suggested(route string) oauth.Scopes {
	if required := r.required[route]; len(required) > 0 {
		return required.With(r.operating)
	}
	return r.usual
}

// published are the scopes in a route's metadata.
func (r *rules) published(route string) oauth.Scopes { return r.usual.With(r.required[route]) }

// judge returns what the bodies on a route are judged by, or nil.
func (r *rules) judge(route string) *operations.Rules {
	//rule:bodies-read-for-nothing
	if slices.Contains(r.denyUnlisted, route) {
		return r.listedOnly
	}
	return r.operations
}

// mayHave returns those of the scopes that a user may have.
func (r *rules) mayHave(scopes oauth.Scopes, u policy.User) oauth.Scopes {
	return slices.DeleteFunc(slices.Clone(scopes), func(scope string) bool { return !r.allow.Allowed(scope, u) })
}

// inForce holds the rules that are in force. Until the first are, it holds none,
// and the gateway answers nobody.
type inForce struct {
	current atomic.Pointer[rules]
	first   sync.Once
	// loaded is closed once there are rules.
	loaded chan struct{}
}

func newInForce() *inForce { return &inForce{loaded: make(chan struct{})} }

func (f *inForce) set(r *rules) {
	f.current.Store(r)
	f.first.Do(func() { close(f.loaded) })
}

func (f *inForce) get() *rules { return f.current.Load() }

// guard lets no request through before there are rules: without them everybody
// would lose what they have.
func (f *inForce) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f.get() == nil {
			oauth.WriteError(w, oauth.Unavailable(errNoRules))
			return
		}
		next.ServeHTTP(w, r)
	})
}

var errNoRules = errors.New("the policy was not read yet")
