package gateway

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/cors"
	"vestibule.dev/vestibule/gateway/internal/metadata"
	"vestibule.dev/vestibule/gateway/internal/oauth"
	"vestibule.dev/vestibule/gateway/internal/operations"
	"vestibule.dev/vestibule/gateway/internal/pages"
	"vestibule.dev/vestibule/gateway/internal/proxy"
	"vestibule.dev/vestibule/gateway/policy"
)

// rules are a configuration's Rules, compiled, with what they are for. They are immutable
// and replaced as a whole, so none of them is ever half of one policy and half of another.
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
	// routes are those that the rules are for, by path: the name of the one at a path may
	// be another in the configuration.
	routes map[string]*routeRules
	// missing are the paths in routes at which the configuration has no route.
	missing []string
	// strangers are the upstreams of the configuration that the rules do not know, or know
	// as something else, if they ask who a user is.
	strangers map[string]bool
	quotas    config.Quotas
}

// routeRules are those of one route.
type routeRules struct {
	// public says that it needs no token.
	public bool
	// mcp is what requests are judged by where MCP is spoken.
	mcp proxy.Policy
}

// compileRules compiles rules for the routes and upstreams of targets. Without targets,
// they are those of the configuration.
func compileRules(cfg *config.Config, r *config.Rules, targets *config.Targets) (*rules, error) {
	own := config.TargetsOf(cfg)
	if targets == nil {
		targets = own
	}
	access, err := policy.CompileAccess(r.AccessRules)
	if err != nil {
		return nil, err
	}
	allow, err := policy.CompileScopes(r.Scopes)
	if err != nil {
		return nil, err
	}
	c := &rules{
		access: access, contact: r.AccessContact, allow: allow, routes: map[string]*routeRules{}, strangers: map[string]bool{},
		quotas: r.Quotas,
	}
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
	origins := cors.NewOrigins(cfg.PublicURL, r.AllowedOrigins)
	named, listedOnly := operations.New(r.Scopes, false), operations.New(r.Scopes, true)
	for _, t := range targets.Routes {
		route := &routeRules{t.Public, proxy.Policy{Required: r.RequiredScopes[t.Name], Suggested: c.usual, Operations: named, Origins: origins}}
		if len(route.mcp.Required) > 0 {
			route.mcp.Suggested = route.mcp.Required.With(c.operating)
		}
		//rule:bodies-read-for-nothing
		if slices.Contains(r.DenyUnlistedTools, t.Name) {
			route.mcp.Operations = listedOnly
		}
		//rule:rules-by-name
		c.routes[t.Path] = route
		if !slices.ContainsFunc(own.Routes, func(r config.TargetRoute) bool { return r.Path == t.Path }) {
			c.missing = append(c.missing, t.Path)
		}
	}
	//rule:rules-of-another-upstream
	if access.Asks() || allow.Asks() {
		for _, u := range own.Upstreams {
			c.strangers[u.Name] = !slices.Contains(targets.Upstreams, u)
		}
	}
	return c, nil
}

// Scopes are those that can be granted, without offline_access.
func (r *rules) Scopes() oauth.Scopes { return r.scopes }

// Grantable are Scopes and offline_access.
func (r *rules) Grantable() oauth.Scopes { return r.grantable }

// Described are Scopes, with what people read of them.
func (r *rules) Described() []pages.Scope { return r.described }

// Contact is whom those are to ask who are not let in, or "".
func (r *rules) Contact() string { return r.contact }

// Suggested are the scopes for a client that does not say what it wants on the route at a
// path: what the route and its operations need, or all there are for one that needs none.
// Some clients cannot ask for more later, so only those on demand are left out.
func (r *rules) Suggested(path string) oauth.Scopes {
	if own := r.routes[path]; own != nil {
		return own.mcp.Suggested
	}
	return r.usual
}

// published are the scopes in the metadata of the route at a path.
func (r *rules) published(path string) oauth.Scopes {
	if own := r.routes[path]; own != nil {
		return r.usual.With(own.mcp.Required)
	}
	return r.usual
}

// proxy is what requests on a route are judged by. Nobody can say what that is of a route
// that the newest configuration does not have, or where it asks for a token and this one
// does not: a new configuration is on its way.
func (r *rules) proxy(route *config.Route) (proxy.Policy, *oauth.Error) {
	own := r.routes[route.Path]
	//rule:route-without-rules
	if own == nil || route.Public && !own.public {
		return proxy.Policy{}, oauth.Unavailable(errOtherRoutes)
	}
	p := own.mcp
	if route.Transport == config.TransportHTTP {
		p.Operations = nil // MCP is not spoken, so no call is in a body
	}
	return p, nil
}

// elsewhere reports whether a path below the public URL belongs to a route that the
// configuration lacks. Another route of this gateway would serve the path by its own rules,
// and clients would take a 404 for the end of their session.
func (r *rules) elsewhere(path string) bool {
	if len(r.missing) == 0 || config.IsOwnPath(path) {
		return false
	}
	var nearest string
	for route := range r.routes {
		if len(route) > len(nearest) && (route == "/" || path == route || strings.HasPrefix(path, route+"/")) {
			nearest = route
		}
	}
	return slices.Contains(r.missing, nearest)
}

// Allowed says by which rule a user may have a grant. The error is policy.ErrDenied, or
// that nobody can say, since rules know the user's upstream by another name.
func (r *rules) Allowed(u policy.User) (rule string, err error) {
	if r.strangers[u.Upstream] {
		return "", oauth.Unavailable(errOtherUpstreams)
	}
	return r.access.Allowed(u)
}

// MayHave returns those of the scopes that a user may have.
func (r *rules) MayHave(scopes oauth.Scopes, u policy.User) oauth.Scopes {
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

type rulesKey struct{}

// guard lets no request through before there are rules: without them everybody
// would lose what they have. It gives each those that are in force when it comes, and
// refuses those for a route that only a newer configuration has. The public URL has the
// path prefix.
func (f *inForce) guard(prefix string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rules := f.get()
		if rules == nil {
			oauth.WriteError(w, oauth.Unavailable(errNoRules))
			return
		}
		path, document := strings.CutPrefix(r.URL.Path, metadata.PathResource)
		below, ok := strings.CutPrefix(path, prefix)
		every := document && below == "" // the document of the public URL, which every gateway has
		//rule:route-of-a-newer-configuration
		if ok && !every && rules.elsewhere(below) {
			oauth.WriteError(w, oauth.Unavailable(errOtherRoutes))
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), rulesKey{}, rules)))
	})
}

// of returns the rules that a request is judged by from its beginning to its end.
func (f *inForce) of(ctx context.Context) *rules {
	//rule:policy-half-and-half
	if rules, ok := ctx.Value(rulesKey{}).(*rules); ok {
		return rules
	}
	return f.get() // not for a request
}

var (
	errNoRules        = errors.New("the policy was not read yet")
	errOtherRoutes    = errors.New("the newest policy is for other routes than this gateway has, which is to be replaced")
	errOtherUpstreams = errors.New("the newest policy is for other upstreams than this gateway has, which is to be replaced")
)
