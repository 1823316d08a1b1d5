// Package authorize serves the authorization endpoint and the steps that follow
// it: consent, the login at an upstream, and the way back. Nothing is written
// to the store before a user has approved and logged in: what is pending is
// sealed, and in the browser.
package authorize

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"vestibule.dev/vestibule/gateway/internal/audit"
	"vestibule.dev/vestibule/gateway/internal/clients"
	"vestibule.dev/vestibule/gateway/internal/documents"
	"vestibule.dev/vestibule/gateway/internal/grants"
	"vestibule.dev/vestibule/gateway/internal/keys"
	"vestibule.dev/vestibule/gateway/internal/oauth"
	"vestibule.dev/vestibule/gateway/internal/pages"
	"vestibule.dev/vestibule/gateway/internal/seal"
	"vestibule.dev/vestibule/gateway/internal/source"
	"vestibule.dev/vestibule/gateway/internal/store"
	"vestibule.dev/vestibule/gateway/internal/upstream"
	"vestibule.dev/vestibule/gateway/policy"
)

// Paths under the public URL.
const (
	PathAuthorize = "/authorize"
	PathConsent   = "/consent"
	PathCallback  = "/callback/"
)

const (
	// consentFor is how long a consent page may stand open, and loginFor how
	// long the login may take after it.
	consentFor = 10 * time.Minute
	loginFor   = 10 * time.Minute
)

// Clients finds clients.
type Clients interface {
	// Find returns store.ErrNotFound, store.ErrUnavailable or a *documents.Error.
	Find(ctx context.Context, clientID string) (*clients.Client, error)
	// Proof returns what a grant has to keep of its client, if anything, or a
	// *documents.Error.
	Proof(ctx context.Context, clientID string) (*clients.Proof, error)
}

// Grants makes grants.
type Grants interface {
	Create(ctx context.Context, a grants.Approval) (code string, err error)
}

// Upstream logs users in.
type Upstream interface {
	Name() string
	// Title is what people read of it.
	Title() string
	// MaxAge bounds grants whose users it cannot be asked about again; 0 does not.
	MaxAge() time.Duration
	AuthURL(ctx context.Context, state, nonce, verifier string) (string, error)
	Exchange(ctx context.Context, code, iss, nonce, verifier string) (*upstream.Identity, error)
}

// Resource is one protected route, as tokens and people know it.
type Resource struct {
	URL string
	// Path is the route's.
	Path string
}

// Policy is what requests are judged by. It is immutable.
type Policy interface {
	// Described are the scopes that can be granted, with what people read of them.
	Described() []pages.Scope
	// Suggested are the scopes for a request that names none, on the route at a path.
	Suggested(path string) oauth.Scopes
	// Allowed says by which rule a user may have a grant. The error is policy.ErrDenied,
	// or that nobody can say.
	Allowed(u policy.User) (rule string, err error)
	// MayHave returns those of the scopes that a user may have.
	MayHave(scopes oauth.Scopes, u policy.User) oauth.Scopes
	// Contact is whom those are to ask who are not let in, or "".
	Contact() string
}

// Options are what the handler needs.
type Options struct {
	// PublicURL is the issuer.
	PublicURL string
	ServerUID string
	// Resources are those that can be asked for; the first is the default.
	Resources []Resource
	// Policy returns what a request is judged by: the same throughout the request.
	Policy  func(ctx context.Context) Policy
	Clients Clients
	// Redirects says where clients may be answered, whatever they have registered.
	Redirects oauth.RedirectPolicy
	Grants    Grants
	// Upstreams are those that the user chooses from. At least one.
	Upstreams []Upstream
	// Failures bounds how many code exchanges of one source may fail.
	Failures *source.Limiter
	Ring     *keys.Ring
	Audit    *audit.Log
	Log      *slog.Logger
	Now      func() time.Time
}

// Handler serves the endpoints.
type Handler struct {
	Options
	cookies jar
	// consents are the requests in consent pages, flows those in cookies.
	consents, flows seal.Box
	finished        *finishedLogins
}

// New returns the handler.
func New(o Options) *Handler {
	box := func(purpose string) seal.Box {
		return seal.Box{Ring: o.Ring, ServerUID: o.ServerUID, Purpose: purpose, Now: o.Now}
	}
	return &Handler{Options: o, cookies: newJar(o.PublicURL), consents: box("consent"), flows: box("flow"), finished: newFinishedLogins()}
}

// upstream returns the upstream of this name, or nil.
func (h *Handler) upstream(name string) Upstream {
	for _, u := range h.Upstreams {
		if u.Name() == name {
			return u
		}
	}
	return nil
}

// request is a checked authorization request.
type request struct {
	ClientID    string   `cbor:"1,keyasint"`
	RedirectURI string   `cbor:"2,keyasint"`
	State       string   `cbor:"3,keyasint,omitempty"`
	Challenge   []byte   `cbor:"4,keyasint"`
	Scopes      []string `cbor:"5,keyasint,omitempty"`
	Resource    string   `cbor:"6,keyasint"`
}

// redirect answers the client at its redirect URI.
func (h *Handler) redirect(w http.ResponseWriter, r *http.Request, req request, params url.Values) {
	pages.SetHeaders(w.Header())
	// 303: whatever this answers, the browser goes on with a GET.
	//rule:answer-by-307
	http.Redirect(w, r, h.answer(req, params), http.StatusSeeOther)
}

// answer is the client's redirect URI with parameters, state and iss among them as
// RFC 6749 section 4.1.2 and RFC 9207 have it.
func (h *Handler) answer(req request, params url.Values) string {
	//rule:state-lost
	if req.State != "" {
		params.Set("state", req.State)
	}
	//rule:iss-missing iss-missing-in-errors
	params.Set("iss", h.PublicURL)
	return oauth.RedirectWith(req.RedirectURI, params)
}

// redirectError answers the client with an error.
func (h *Handler) redirectError(w http.ResponseWriter, r *http.Request, req request, e *oauth.Error) {
	if e.Code == oauth.CodeServerError {
		h.Log.ErrorContext(r.Context(), "authorization failed", "error", e.Cause)
	}
	h.Audit.Record(r, audit.Refused, e.Facts(slog.String("client_id", req.ClientID))...)
	h.redirect(w, r, req, url.Values{"error": {e.Code}, "error_description": {e.Description}})
}

// problem answers the person, where there is no client to answer.
func (h *Handler) problem(w http.ResponseWriter, r *http.Request, e *oauth.Error, p pages.Problem) {
	h.Audit.Record(r, audit.Refused, e.Facts()...)
	if errors.Is(e, keys.ErrNotYet) {
		p = unavailablePage // whatever it is that cannot be opened
	}
	if e.RetryAfter > 0 {
		w.Header().Set("Retry-After", "2")
	}
	pages.WriteProblem(w, e.Status, p)
}

var startAgain = "Go back to the application and connect again."

// findClient returns the client, or answers with a page.
func (h *Handler) findClient(w http.ResponseWriter, r *http.Request, clientID string) *clients.Client {
	c, err := h.Clients.Find(r.Context(), clientID)
	if bad, ok := errors.AsType[*documents.Error](err); ok {
		e, page := documentProblem(bad, clientID)
		h.problem(w, r, e, page)
		return nil
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		e := oauth.InvalidClient("no such client").Because(err)
		e.Status = http.StatusBadRequest
		h.problem(w, r, e, pages.Problem{
			Title:  "This application is not registered here",
			Text:   "Its registration is unknown, or has lapsed because it was not used for long.",
			Advice: "In the application, remove this MCP server and add it again: it will register anew.",
		})
		return nil
	case err != nil:
		h.problem(w, r, oauth.Unavailable(err), unavailablePage)
		return nil
	}
	return c
}

// documentProblem says what is wrong with a client's metadata document.
func documentProblem(bad *documents.Error, clientID string) (*oauth.Error, pages.Problem) {
	subject := "The document at " + pages.Clean(clientID) + ", by which the application says who it is, "
	e := oauth.InvalidClient("the client's metadata document cannot be used").Because(bad)
	e.Status = http.StatusBadRequest
	switch bad.Kind {
	case documents.Invalid:
		return e, pages.Problem{
			Title:  "This application describes itself wrongly",
			Text:   subject + bad.Reason + ".",
			Advice: "Whoever makes the application can correct this.",
		}
	case documents.Unreachable, documents.Busy:
		e := oauth.Unavailable(bad)
		e.RetryAfter = max(e.RetryAfter, bad.RetryAfter)
		reason := bad.Reason
		if reason == "" {
			reason = "cannot be read from here now"
		}
		return e, pages.Problem{
			Title:  "This application cannot be looked up",
			Text:   subject + reason + ".",
			Advice: "Try again in a minute. If it stays like this, whoever makes the application or runs this server can find out why.",
		}
	}
	return e, pages.Problem{
		Title:  "This application may not be used here",
		Text:   "It says who it is by the URL " + pages.Clean(clientID) + ", and this server does not let in applications from there.",
		Advice: "Ask who runs this server.",
	}
}

var unavailablePage = pages.Problem{
	Title:  "This does not work right now",
	Text:   "The place where registrations and grants are kept does not answer, or this server is just changing its keys.",
	Advice: "Reload this page in a minute. Nothing has been lost.",
}
