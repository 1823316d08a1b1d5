// Package proxy serves the protected routes: it lets requests with a good token
// through to the backend, and gives back what the backend says.
package proxy

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"

	"vestibule.dev/vestibule/gateway/internal/audit"
	"vestibule.dev/vestibule/gateway/internal/caller"
	"vestibule.dev/vestibule/gateway/internal/cors"
	"vestibule.dev/vestibule/gateway/internal/identity"
	"vestibule.dev/vestibule/gateway/internal/oauth"
	"vestibule.dev/vestibule/gateway/internal/operations"
	"vestibule.dev/vestibule/gateway/internal/pods"
	"vestibule.dev/vestibule/gateway/internal/quota"
	"vestibule.dev/vestibule/gateway/internal/seal"
	"vestibule.dev/vestibule/gateway/internal/source"
)

// Checker says who presents an access token at a resource. Its error is an
// *oauth.Error: invalid_token or temporarily_unavailable.
type Checker interface {
	Check(ctx context.Context, token, resource string) (identity.Identity, error)
}

// Options are what a route needs.
type Options struct {
	// PublicURL is the base of the route's URL.
	PublicURL *url.URL
	// Path is the route's, under the public URL.
	Path string
	// Resource is the route's URL, the audience of its tokens, and
	// ResourceMetadata where its metadata is.
	Resource, ResourceMetadata string
	// Policy returns what a request is judged by, which is asked for once for each. Its
	// error is why nobody can say: then the answer is that.
	Policy func(ctx context.Context) (Policy, *oauth.Error)
	// Quotas are shared by all routes.
	Quotas *quota.Quotas
	// Backend is the URL of the route at the backend.
	Backend   *url.URL
	Transport http.RoundTripper
	// Legacy says that the backend speaks the transport of 2024-11-05 on this route, and
	// Plain that it speaks none of MCP's: then all below the path is passed on, too.
	Legacy, Plain bool
	// Public says that no token is needed, nor looked at.
	Public bool
	// Pods are those behind Backend, if they are told apart: each session stays with
	// one. Without, whatever is at the backend's address gets everything.
	Pods *pods.Set
	// Retried is called when a request goes to another of the Pods.
	Retried func()
	Sources *source.Resolver
	Checker Checker
	// Caller tells the backend who calls; nil where it is not told.
	Caller *caller.Service
	// Sessions seals session ids to their users.
	Sessions seal.Box
	// KeepAlive is after what silence a stream has a comment; 0 is never.
	KeepAlive time.Duration
	// Patience bounds how long a request without a good token may take to arrive.
	Patience time.Duration
	// Draining is done when the gateway is about to stop. Streams that no request
	// waits for end then, each after what Stagger returns.
	Draining context.Context //nolint:containedctx // it outlives each request
	Stagger  func() time.Duration
	Audit    *audit.Log
	Log      *slog.Logger
}

// Policy is what a request on the route is judged by. It is immutable.
type Policy struct {
	// Required are the scopes of every request, and Suggested those that a client is
	// told to ask for at first.
	Required, Suggested oauth.Scopes
	// Operations are what those in a body are judged by, or nil if bodies are not to
	// be read.
	Operations *operations.Rules
	// Origins are those from which browsers may call.
	Origins cors.Origins
}

// Handler serves one protected route.
type Handler struct {
	Options
	path    string // with that of the public URL
	base    string // of the paths below it
	methods string // that scripts may use
	proxy   *httputil.ReverseProxy
}

// New returns the handler of a route.
func New(o Options) *Handler {
	h := &Handler{Options: o, base: o.PublicURL.Path + strings.TrimSuffix(o.Path, "/"), methods: methods}
	h.path = cmp.Or(h.base, "/")
	if o.Plain {
		h.methods = plainMethods
	}
	h.proxy = h.newProxy()
	return h
}

const methods = "GET, POST, DELETE, OPTIONS"

// isEndpoint says whether a path is the route's own. That of the public URL itself may
// have a slash behind it.
func (h *Handler) isEndpoint(path string) bool {
	return path == h.path || h.Path == "/" && path == h.base+"/"
}

// Serves says whether there is anything at a path, with that of the public URL.
func (h *Handler) Serves(path string) bool {
	return h.isEndpoint(path) || h.Plain && strings.HasPrefix(path, h.base+"/") || h.Legacy && path == h.base+messagePath
}

// ServeHTTP asks in this order: where does the request come from, whose is it, is
// there anything at that path, is it too much, and may they. Method, body and content
// type are the backend's to judge, as long as no rule is about them, but for TRACE and
// CONNECT: a client that
// asks without a token must learn where to get one, however it asks.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	policy, e := h.Policy(r.Context())
	if e != nil {
		h.hurry(w)
		oauth.WriteError(w, e)
		return
	}
	origin, e := h.comesFrom(r, policy.Origins)
	if e != nil {
		h.hurry(w)
		h.Audit.Record(r, audit.Refused, e.Facts(slog.String("route", h.Path))...)
		writeRPCError(w, e.Status, e.Description)
		return
	}
	if origin != "" {
		cors.Expose(w.Header(), origin)
	}
	if r.Method == http.MethodOptions {
		h.hurry(w)
		cors.Preflight(w, r, h.methods)
		return
	}
	//rule:method-before-token path-before-token
	who, token, e := h.authenticate(r)
	if e != nil {
		h.hurry(w)
		h.refuse(w, r, policy, e)
		return
	}
	//rule:ambiguous-path
	if !h.Serves(r.URL.Path) || h.Plain && ambiguous(r.URL) {
		h.hurry(w)
		writeRPCError(w, http.StatusNotFound, "there is nothing at this path; the endpoint is "+h.Resource)
		return
	}
	//rule:method-that-echoes
	if echoes(r.Method) {
		h.hurry(w)
		w.Header().Set("Allow", h.methods)
		writeRPCError(w, http.StatusMethodNotAllowed, "this method is not allowed")
		return
	}
	if !h.Public {
		done, ok := h.begin(w, r, who)
		if !ok {
			return
		}
		//rule:quota-of-streams
		defer done()
	}
	//rule:policy-asked-twice
	if !h.permit(w, r, policy, who) {
		return
	}
	h.forward(w, r, &call{policy: policy, who: who, token: token, origin: origin})
}

// echoes reports whether the answer to a method may repeat the request, with what the
// gateway told the backend of the user, or whether the method opens a tunnel.
func echoes(method string) bool {
	return strings.EqualFold(method, http.MethodTrace) || strings.EqualFold(method, "TRACK") || strings.EqualFold(method, http.MethodConnect)
}

// hurry bounds how long a body may take to arrive: one that is to be judged, or one that
// is refused, the rest of which the server reads before it lets the refusal out. Any
// other may be a stream.
func (h *Handler) hurry(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(h.Patience)) // not every writer has deadlines; the server's own has
}

// comesFrom guards against pages that have a browser call a server under a
// name that is not the server's (DNS rebinding), or from an origin that was
// not let in. It returns the origin if there is one.
func (h *Handler) comesFrom(r *http.Request, origins cors.Origins) (string, *oauth.Error) {
	//rule:any-host
	if host := h.Sources.HostOf(r); !sameHost(host, h.PublicURL) {
		return "", forbidden("the Host header does not name this server", errors.New("the host is not that of publicURL"))
	}
	origin, ok := origins.Allow(r)
	//rule:route-from-any-origin
	if !ok {
		return "", forbidden("this origin may not call this server", errors.New("the origin is not in allowedOrigins"))
	}
	return origin, nil
}

func forbidden(description string, cause error) *oauth.Error {
	return &oauth.Error{Code: oauth.CodeAccessDenied, Status: http.StatusForbidden, Description: description, Cause: cause}
}

// sameHost compares a Host header to the public URL's host; the default port
// may be said or left out.
func sameHost(host string, public *url.URL) bool {
	defaultPort := ":443"
	if public.Scheme == "http" {
		defaultPort = ":80"
	}
	trim := func(s string) string { return strings.TrimSuffix(strings.ToLower(s), defaultPort) }
	return trim(host) == trim(public.Host)
}

// errNoCredentials says that a request brings no bearer token at all.
var errNoCredentials = errors.New("no bearer token")

// authenticate is the one way in.
func (h *Handler) authenticate(r *http.Request) (who identity.Identity, token string, e *oauth.Error) {
	if h.Public {
		//rule:public-token-in-query
		return who, "", tokenInQuery(r)
	}
	if token, e = bearer(r); e != nil {
		return who, "", e
	}
	who, err := h.Checker.Check(r.Context(), token, h.Resource)
	if err != nil {
		return identity.Identity{}, "", oauth.AsError(err)
	}
	return who, token, nil
}

// bearer returns the token in the Authorization header (RFC 6750 section 2.1),
// which is the only place for it.
func bearer(r *http.Request) (string, *oauth.Error) {
	header := r.Header["Authorization"]
	switch len(header) {
	case 0:
		return "", oauth.InvalidToken("").Because(errNoCredentials)
	case 1:
	default:
		return "", oauth.InvalidRequest("there is more than one Authorization header")
	}
	scheme, token, _ := strings.Cut(header[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", oauth.InvalidToken("").Because(errNoCredentials)
	}
	token = strings.TrimSpace(token)
	if token == "" {
		return "", oauth.InvalidRequest("the Authorization header has no token")
	}
	if e := tokenInQuery(r); e != nil {
		return "", e
	}
	return token, nil
}

// tokenInQuery refuses one there: the query goes on to the backend, which no token may
// reach.
func tokenInQuery(r *http.Request) *oauth.Error {
	//rule:token-in-query
	if r.URL.RawQuery != "" && r.URL.Query().Has("access_token") {
		return oauth.InvalidRequest("there is an access token in the query")
	}
	return nil
}

// refuse answers a request of somebody unknown. Who has no token, a bad one, or came
// while the store was away: each must do something else, so each gets another answer.
// The audit log has what is known of them, too.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, policy Policy, e *oauth.Error, known ...slog.Attr) {
	c := oauth.Challenge{ResourceMetadata: h.ResourceMetadata, Scope: policy.Suggested}
	switch {
	case errors.Is(e, errNoCredentials):
		// Every connection of every client begins so: not worth an audit line.
		e = &oauth.Error{Code: "unauthorized", Status: http.StatusUnauthorized, Description: "an access token is needed"}
		//rule:challenge-missing
		w.Header().Set("WWW-Authenticate", c.String())
		oauth.WriteError(w, e)
		return
	case h.Public: // where nobody is asked for a token
	case e.Code == oauth.CodeInvalidToken, e.Code == oauth.CodeInvalidRequest:
		c.Error, c.Description = e.Code, e.Description
		w.Header().Set("WWW-Authenticate", c.String())
	}
	h.Audit.Record(r, audit.Refused, e.Facts(append(known, slog.String("route", h.Path))...)...)
	oauth.WriteError(w, e)
}
