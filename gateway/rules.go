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
	// required are those that a request on a route needs, by the route's name.
	required map[string]oauth.Scopes
	origins  cors.Origins
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
	c := &rules{access: access, contact: r.AccessContact, allow: allow, required: map[string]oauth.Scopes{}}
	c.origins = cors.NewOrigins(publicURL, r.AllowedOrigins)
	for _, s := range r.Scopes {
		c.scopes = append(c.scopes, s.Name)
		c.described = append(c.described, pages.Scope{Name: s.Name, Description: s.Description})
	}
	c.grantable = c.scopes.With(oauth.Scopes{oauth.ScopeOfflineAccess})
	for route, scopes := range r.RequiredScopes {
		c.required[route] = scopes
	}
	return c, nil
}

// suggested are the scopes for a client that does not say what it wants on a
// route: what the route needs, or all there are for one that needs none.
func (r *rules) suggested(route string) oauth.Scopes {
	if required := r.required[route]; len(required) > 0 {
		return required
	}
	return r.scopes
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
