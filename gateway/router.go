package gateway

import (
	"context"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/authorize"
	"vestibule.dev/vestibule/gateway/internal/caller"
	"vestibule.dev/vestibule/gateway/internal/cors"
	"vestibule.dev/vestibule/gateway/internal/metadata"
	"vestibule.dev/vestibule/gateway/internal/oauth"
	"vestibule.dev/vestibule/gateway/internal/proxy"
	"vestibule.dev/vestibule/gateway/internal/register"
	"vestibule.dev/vestibule/gateway/internal/revoke"
	"vestibule.dev/vestibule/gateway/internal/seal"
	"vestibule.dev/vestibule/gateway/internal/source"
	"vestibule.dev/vestibule/gateway/internal/token"
)

// How often clients may register at one replica. A client that was not used for
// half an hour may be forgotten for a new one, so as long as less than
// clients.MaxClients register in that time, nobody is turned away: one source
// cannot reach that at all, and all of them together hardly.
var (
	registrationsOfOne = source.Limit{PerSecond: 1, Burst: 60}
	registrationsOfAll = source.Limit{PerSecond: 5, Burst: 300}
)

// How often senders may fail to prove which client they are before the store is not
// asked any more whether the client has a new secret. Who proves it is not counted.
var (
	failuresOfOne = source.Limit{PerSecond: 1, Burst: 60}
	failuresOfAll = source.Limit{PerSecond: 20, Burst: 300}
)

// How many code exchanges at the upstream may fail for one sender: each is a request with
// the gateway's client secret. There is no limit for all, by which strangers could keep
// others from logging in.
var exchangesOfOne = source.Limit{PerSecond: 1, Burst: 60}

const postOnly = "POST, OPTIONS"

// callbackURL is what the upstream must know as this gateway's redirect URI. It
// is another one for each, so that the code of one is never sent to another.
func (p *parts) callbackURL(upstream string) string {
	return p.cfg.PublicURL + authorize.PathCallback + upstream
}

// within bounds how long a request may take, and its body may be waited for.
func within(bound time.Duration, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), bound)
		defer cancel()
		// Not every writer has deadlines; the server's own has.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bound))
		next(w, r.WithContext(ctx))
	}
}

// router returns the handler of all paths under the public URL.
func (p *parts) router(d *drain) http.Handler {
	prefix := p.url.Path
	mux := http.NewServeMux()
	a := p.authorize()
	mark := p.sources.Mark // whoever names a client may have this server fetch something
	endpoint := func(name, pattern string, h http.HandlerFunc) {
		mux.Handle(pattern, p.tracing.Handler(pattern, p.metrics.Endpoint(pattern, name, within(p.intervals.Answer, h))))
	}
	endpoint("authorize", prefix+authorize.PathAuthorize, mark(only(http.MethodGet, a.Authorize)))
	endpoint("consent", prefix+authorize.PathConsent, mark(only(http.MethodPost, a.Consent)))
	endpoint("callback", prefix+authorize.PathCallback+"{upstream}", mark(only(http.MethodGet, a.Callback)))
	registration := p.register()
	endpoint("register", prefix+register.Path, cors.Anyone(postOnly, registration.ServeHTTP))
	endpoint("registration", prefix+register.Path+"/{client}", cors.Anyone(register.ManageMethods, registration.Manage))
	endpoint("token", prefix+token.Path, mark(cors.Anyone(postOnly, p.token().ServeHTTP)))
	endpoint("revoke", prefix+revoke.Path, mark(cors.Anyone(postOnly, p.revoke().ServeHTTP)))
	for path, document := range p.metadata().Documents() {
		endpoint("metadata", path, document.ServeHTTP)
	}
	nowhere := p.tracing.Handler("/", p.metrics.Endpoint("/", "other", within(p.intervals.Answer, notFound)))
	rest := func(string) http.Handler { return nowhere }
	for _, r := range p.cfg.Routes {
		h := p.proxy(d, r)
		watched := func(pattern string) http.Handler {
			return p.tracing.Handler(pattern, p.metrics.Route(pattern, r.Name, h))
		}
		if r.Path == "/" {
			rest = func(pattern string) http.Handler { return p.atRoot(h.Serves, watched(pattern), nowhere) }
			continue
		}
		for _, pattern := range []string{prefix + r.Path, prefix + r.Path + "/"} {
			mux.Handle(pattern, watched(pattern))
		}
	}
	if prefix != "" {
		mux.Handle(prefix, rest(prefix))
		mux.Handle("/", nowhere)
	}
	//rule:metrics-on-the-public-port
	mux.Handle(prefix+"/", rest(prefix+"/"))
	return plainPaths(p.rules.guard(prefix, mux), nowhere)
}

// atRoot serves a route whose URL is the public URL. It is asked for what no other
// route has, nor the gateway itself, which keeps all below its own paths, too.
func (p *parts) atRoot(serves func(path string) bool, route, others http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		//rule:own-path-shadowed
		if !serves(r.URL.Path) || config.IsOwnPath(strings.TrimPrefix(r.URL.Path, p.url.Path)) {
			others.ServeHTTP(w, r)
			return
		}
		route.ServeHTTP(w, r)
	})
}

// only lets requests with one method through: a page of another origin may
// neither read nor ask about what is meant for a person, so nothing here
// answers preflights.
func only(method string, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		//rule:pages-to-scripts
		if r.Method != method {
			e := oauth.InvalidRequest("the method must be %s", method)
			e.Status = http.StatusMethodNotAllowed
			w.Header().Set("Allow", method)
			oauth.WriteError(w, e)
			return
		}
		next(w, r)
	}
}

func notFound(w http.ResponseWriter, r *http.Request) {
	if strings.Contains(r.URL.Path, "/.well-known/") {
		// Clients in browsers ask for documents that may not be there, with
		// headers of their own: they must be able to learn that they are not.
		cors.Anyone(metadata.Methods, writeNotFound)(w, r)
		return
	}
	writeNotFound(w, r)
}

func writeNotFound(w http.ResponseWriter, _ *http.Request) {
	oauth.WriteError(w, &oauth.Error{Code: "not_found", Status: http.StatusNotFound, Description: "there is nothing at this path"})
}

// plainPaths refuses paths with dot segments or empty ones. The mux would
// redirect them, which no client of ours expects, and which are best not
// interpreted twice.
func plainPaths(next, nowhere http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := r.URL.Path
		//rule:path-read-twice
		if clean := path.Clean(p); p != clean && (p != clean+"/" || clean == "/") {
			nowhere.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (p *parts) authorize() *authorize.Handler {
	var resources []authorize.Resource
	for _, r := range p.cfg.Protected() {
		resources = append(resources, authorize.Resource{URL: config.RouteURL(p.cfg.PublicURL, r.Path), Path: r.Path})
	}
	return authorize.New(authorize.Options{
		PublicURL: p.cfg.PublicURL, ServerUID: p.cfg.ServerUID,
		Resources: resources, Policy: func(ctx context.Context) authorize.Policy { return p.rules.of(ctx) },
		Clients: p.clients, Redirects: p.redirects(), Grants: p.grants, Upstreams: p.upstreams.choices(p.metrics),
		Failures: source.NewLimiter(exchangesOfOne, source.Unlimited, p.now),
		Ring:     p.ring, Audit: p.audit, Log: p.log, Now: p.now,
	})
}

// redirects says where clients may be answered that nobody has provisioned.
func (p *parts) redirects() oauth.RedirectPolicy {
	return oauth.RedirectPolicy{Hosts: p.cfg.Registration.AllowedRedirectHosts, Schemes: p.cfg.Registration.PrivateUseSchemes}
}

func (p *parts) register() *register.Handler {
	limiter := source.NewLimiter(registrationsOfOne, registrationsOfAll, p.now)
	return &register.Handler{
		PublicURL: p.cfg.PublicURL, Clients: p.clients,
		Settings: p.cfg.Registration, Redirects: p.redirects(), Scopes: p.scopes, Audit: p.audit, Log: p.log,
		Take: func(r *http.Request) (wait time.Duration, ok bool) { return limiter.Take(p.sources.Of(r)) },
	}
}

// takeFailure counts failed authentications.
func (p *parts) takeFailure() func(*http.Request) (time.Duration, bool) {
	limiter := source.NewLimiter(failuresOfOne, failuresOfAll, p.now)
	return func(r *http.Request) (time.Duration, bool) { return limiter.Take(p.sources.Of(r)) }
}

func (p *parts) token() *token.Handler {
	h := &token.Handler{
		PublicURL: p.cfg.PublicURL, Policy: func(ctx context.Context) token.Policy { return p.rules.of(ctx) },
		Clients: p.clients, Grants: p.metrics.Grants(p.grants), Assertions: p.idjag, Paths: map[string]string{},
		Audit: p.audit, Log: p.log,
	}
	for _, r := range p.cfg.Protected() {
		resource := config.RouteURL(p.cfg.PublicURL, r.Path)
		h.Resources = append(h.Resources, resource)
		h.Paths[resource] = r.Path
	}
	return h
}

func (p *parts) revoke() *revoke.Handler {
	return &revoke.Handler{Clients: p.clients, Grants: p.grants, Audit: p.audit}
}

// publicClients says whether there can be clients that prove nothing.
func (p *parts) publicClients() bool {
	return p.cfg.Registration.PublicClients || slices.ContainsFunc(p.cfg.Clients, config.Client.Public)
}

func (p *parts) metadata() metadata.Server {
	s := metadata.Server{
		PublicURL: p.cfg.PublicURL, Scopes: p.scopes,
		Registration: p.cfg.Registration.Enabled, PublicClients: p.publicClients(),
		ClientDocuments:    p.cfg.ClientIDMetadataDocuments.Enabled,
		ClientCredentials:  p.cfg.May(config.GrantClientCredentials),
		IdentityAssertions: p.cfg.May(config.GrantJWTBearer) && p.idjag.Trusts(),
		Authorize:          authorize.PathAuthorize, Token: token.Path, Register: register.Path, Revoke: revoke.Path,
	}
	protected := p.cfg.Protected()
	if slices.ContainsFunc(protected, p.signs) {
		s.Keys = func() (any, error) { return caller.KeySet(p.ring, p.now()) }
	}
	for _, r := range protected {
		s.Resources = append(s.Resources, metadata.Resource{Name: r.Name, Path: r.Path, Scopes: func() oauth.Scopes { return p.rules.get().published(r.Path) }})
	}
	return s
}

// signs says whether the backend of a route is told who calls in an assertion.
func (p *parts) signs(r config.Route) bool {
	i := p.cfg.BackendOf(&r).Identity
	return i != nil && i.Assertion != nil
}

// caller tells a backend who calls, on all of its routes; it is nil for one that is
// not told.
func (p *parts) caller(i *config.Identity) *caller.Service {
	if i != nil && p.callers[i] == nil {
		p.callers[i] = caller.New(caller.Options{
			PublicURL: p.cfg.PublicURL, Settings: *i, Ring: p.ring, Grants: p.grants, Now: p.now,
		})
	}
	return p.callers[i]
}

func (p *parts) proxy(d *drain, r config.Route) *proxy.Handler {
	backend := p.backends.of[r.Name]
	return proxy.New(proxy.Options{
		PublicURL: p.url, Path: r.Path,
		Resource:         config.RouteURL(p.cfg.PublicURL, r.Path),
		ResourceMetadata: metadata.ResourceMetadataURL(p.cfg.PublicURL, r.Path),
		Policy:           func(ctx context.Context) (proxy.Policy, *oauth.Error) { return p.rules.of(ctx).proxy(&r) },
		Quotas:           p.quotas,
		Backend:          backend.url, Transport: p.tracing.Transport(backend.transport), Pods: backend.pods, Retried: p.metrics.Retried(r.Name),
		Legacy: r.Transport == config.TransportSSE, Plain: r.Transport == config.TransportHTTP, Public: r.Public,
		Sources:   p.sources,
		Checker:   p.grants,
		Caller:    p.caller(p.cfg.BackendOf(&r).Identity),
		Sessions:  seal.Box{Ring: p.ring, ServerUID: p.cfg.ServerUID, Purpose: "session", Now: p.now},
		KeepAlive: time.Duration(p.cfg.KeepAliveSeconds) * time.Second,
		Patience:  p.intervals.Answer, Draining: d.begun, Stagger: d.stagger, Audit: p.audit, Log: p.log,
	})
}
