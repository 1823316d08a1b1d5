package authorize

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"vestibule.dev/vestibule/gateway/internal/audit"
	"vestibule.dev/vestibule/gateway/internal/clients"
	"vestibule.dev/vestibule/gateway/internal/keys"
	"vestibule.dev/vestibule/gateway/internal/oauth"
	"vestibule.dev/vestibule/gateway/internal/pages"
	"vestibule.dev/vestibule/gateway/internal/seal"
)

// pendingConsent is what a consent page carries. It is good only in the browser
// that it was shown in.
type pendingConsent struct {
	Request request `cbor:"1,keyasint"`
	// Browser is the hash of the form-binding cookie.
	Browser []byte `cbor:"2,keyasint"`
}

// pendingLogin is what the browser carries to the upstream and back.
type pendingLogin struct {
	Request   request `cbor:"1,keyasint"`
	Upstream  string  `cbor:"2,keyasint"`
	State     string  `cbor:"3,keyasint"`
	Nonce     string  `cbor:"4,keyasint"`
	Verifier  string  `cbor:"5,keyasint"`
	StartedAt int64   `cbor:"6,keyasint"`
}

const formCookie = "form"

// askConsent shows who asks for what. It is always asked: before the login
// nobody knows who sits there, and any program can register under any name.
func (h *Handler) askConsent(w http.ResponseWriter, r *http.Request, c *clients.Client, req request) {
	// One cookie serves all of a browser's consent pages, or a second tab would
	// make the first one useless.
	binding := h.cookies.get(r, formCookie)
	if len(binding) != len(rand.Text()) {
		binding = rand.Text()
	}
	sealed, err := seal.Seal(h.consents, pendingConsent{req, digest(binding)}, h.Now().Add(consentFor))
	if err != nil {
		h.redirectError(w, r, req, oauth.AsError(err))
		return
	}
	h.cookies.set(w, formCookie, binding, 24*time.Hour)
	pages.WriteConsent(w, pages.Consent{
		Action: h.PublicURL + PathConsent, Request: sealed,
		Provisioned: c.Provisioned(), ClientName: c.Name, ClientURI: c.URI, ClientHost: c.Host(),
		RedirectURI: req.RedirectURI, RedirectHost: redirectHost(req.RedirectURI),
		Loopback: oauth.IsLoopbackURI(req.RedirectURI),
		Resource: req.Resource, Scopes: describe(h.Policy(r.Context()).Described(), req.Scopes), Upstreams: h.choices(),
	})
}

// approve is what a consent page's form says to go on. Behind it stands the
// upstream that the person has chosen, if there are several.
const approve = "approve"

// choices are the buttons to go on with.
func (h *Handler) choices() []pages.Choice {
	if len(h.Upstreams) == 1 {
		return []pages.Choice{{Decision: approve, Title: h.Upstreams[0].Title()}}
	}
	var choices []pages.Choice
	for _, u := range h.Upstreams {
		choices = append(choices, pages.Choice{Decision: approve + ":" + u.Name(), Title: u.Title()})
	}
	return choices
}

// chosen returns the upstream that a decision to go on names, or nil.
func (h *Handler) chosen(decision string) Upstream {
	if len(h.Upstreams) == 1 && decision == approve {
		return h.Upstreams[0]
	}
	name, ok := strings.CutPrefix(decision, approve+":")
	if !ok {
		return nil
	}
	return h.upstream(name)
}

// redirectHost is what a person can judge of a redirect URI.
func redirectHost(uri string) string {
	u, err := url.Parse(uri)
	switch {
	case err != nil:
		return uri
	case u.Scheme == "http" || u.Scheme == "https":
		return u.Host
	}
	return "the application for " + u.Scheme + ": links"
}

func describe(known []pages.Scope, scopes []string) []pages.Scope {
	var described []pages.Scope
	for _, s := range known {
		if slices.Contains(scopes, s.Name) {
			described = append(described, s)
		}
	}
	if slices.Contains(scopes, oauth.ScopeOfflineAccess) {
		described = append(described, pages.Scope{Name: oauth.ScopeOfflineAccess, Description: "Stay connected while you are away"})
	}
	return described
}

// Consent takes the answer of the consent page.
func (h *Handler) Consent(w http.ResponseWriter, r *http.Request) {
	pending, e := h.readConsent(r)
	if e != nil {
		h.problem(w, r, e, stalePage)
		return
	}
	req := pending.request
	// The registration may have lapsed, or been withdrawn, while the page stood
	// open, and a document may have changed.
	//rule:consent-of-lapsed-client
	c := h.findClient(w, r, req.ClientID)
	if c == nil {
		return
	}
	if !c.MayRedirectTo(req.RedirectURI) {
		h.problem(w, r, oauth.InvalidRequest("redirect_uri is not registered for this client any more"), strangeRedirectPage)
		return
	}
	//rule:denied-and-approved
	if pending.upstream == nil {
		h.Audit.Record(r, audit.Denied, slog.String("client_id", req.ClientID), slog.String("reason", "the user said no"))
		h.redirect(w, r, req, url.Values{"error": {oauth.CodeAccessDenied}, "error_description": {"the user said no"}})
		return
	}
	h.startLogin(w, r, req, pending.upstream)
}

var stalePage = pages.Problem{
	Title:  "This page is no longer good",
	Text:   "It was open for too long, or it was opened in another browser.",
	Advice: startAgain,
}

// answeredConsent is a request with where to log in; upstream is nil if the
// person said no.
type answeredConsent struct {
	request  request
	upstream Upstream
}

var errForeignForm = errors.New("the form was not sent from our own page in the same browser")

func (h *Handler) readConsent(r *http.Request) (answeredConsent, *oauth.Error) {
	p, e := oauth.ParseForm(r)
	if e != nil {
		return answeredConsent{}, e
	}
	// Browsers that say where a form comes from must say that it is ours.
	//rule:consent-from-another-site
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" {
		return answeredConsent{}, forbidden(errForeignForm)
	}
	pending, err := seal.Open[pendingConsent](h.consents, p.Get("request"))
	if errors.Is(err, keys.ErrNotYet) {
		return answeredConsent{}, oauth.Unavailable(err)
	}
	if err != nil {
		return answeredConsent{}, oauth.InvalidRequest("the consent page is not good any more").Because(err)
	}
	binding := h.cookies.get(r, formCookie)
	//rule:consent-of-another-browser
	if binding == "" || !keys.Equal(digest(binding), pending.Browser) {
		return answeredConsent{}, forbidden(errForeignForm)
	}
	decision := p.Get("decision")
	u := h.chosen(decision)
	if u == nil && decision != "deny" {
		return answeredConsent{}, oauth.InvalidRequest("decision must be deny, or name an upstream to approve with")
	}
	return answeredConsent{pending.Request, u}, nil
}

func forbidden(cause error) *oauth.Error {
	e := oauth.InvalidRequest("the form was not sent from this server's page").Because(cause)
	e.Status = http.StatusForbidden
	return e
}

// startLogin sends the browser to the upstream. Only now, after approval, is
// there a state that the callback will take.
func (h *Handler) startLogin(w http.ResponseWriter, r *http.Request, req request, u Upstream) {
	now := h.Now()
	login := pendingLogin{
		Request: req, Upstream: u.Name(), StartedAt: now.Unix(),
		State: rand.Text(), Nonce: rand.Text(), Verifier: rand.Text() + rand.Text(),
	}
	target, err := u.AuthURL(r.Context(), login.State, login.Nonce, login.Verifier)
	if err != nil {
		h.Log.ErrorContext(r.Context(), "the upstream cannot be used", "upstream", u.Name(), "error", err)
		h.redirectError(w, r, req, loginUnavailable(err))
		return
	}
	sealed, err := seal.Seal(h.flows, login, now.Add(loginFor))
	if err != nil {
		h.redirectError(w, r, req, oauth.AsError(err))
		return
	}
	name := flowName(login.State)
	size := h.cookies.size(name, sealed)
	if size > maxCookie {
		h.redirectError(w, r, req, oauth.InvalidRequest("state, redirect_uri and scope are too long together"))
		return
	}
	h.cookies.makeRoom(w, r, size, h.startedAt)
	h.cookies.set(w, name, sealed, loginFor)
	pages.SetHeaders(w.Header())
	//rule:login-by-307
	http.Redirect(w, r, target, http.StatusSeeOther)
}

func loginUnavailable(err error) *oauth.Error {
	return &oauth.Error{
		Code: oauth.CodeTemporarilyUnavailable, Description: "the identity provider cannot be reached; try again later", Cause: err,
	}
}

// startedAt is when a pending login began; one that does not open is the first to
// go, unless its key is so new that it is not known here yet.
func (h *Handler) startedAt(value string) int64 {
	login, err := seal.Open[pendingLogin](h.flows, value)
	if errors.Is(err, keys.ErrNotYet) {
		return h.Now().Unix()
	}
	if err != nil {
		return 0
	}
	return login.StartedAt
}

func digest(s string) []byte {
	sum := sha256.Sum256([]byte(s))
	return sum[:]
}
