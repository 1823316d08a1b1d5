package authorize

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"vestibule.dev/vestibule/gateway/internal/audit"
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

// Callback takes the user back from the upstream: it finds out who they are,
// applies the access rules, and answers the client with a code.
func (h *Handler) Callback(w http.ResponseWriter, r *http.Request) {
	p, malformed := oauth.ParseQuery(r)
	login, e := h.takeLogin(w, r, p.Get("state"))
	if e != nil {
		page := lostPage
		if errors.Is(e, errFinished) {
			page = usedPage
		}
		h.problem(w, r, first(malformed, e), page)
		return
	}
	who, admitted, e := h.identify(r, p, malformed, login)
	switch {
	case e != nil:
		h.redirectError(w, r, login.Request, e)
	case !admitted:
		h.deny(w, r, login, who, "the user is of another domain or tenant")
	default:
		h.grant(w, r, login, who)
	}
}

var lostPage = pages.Problem{
	Title:  "This login is not known here",
	Text:   "It took too long, was already finished, or began in another browser.",
	Advice: startAgain,
}

var usedPage = pages.Problem{
	Title:  "This sign-in link was already used",
	Text:   "A login is finished once, and this one was finished before.",
	Advice: startAgain,
}

var (
	errNoFlow   = errors.New("no pending login of this browser has that state")
	errFinished = errors.New("the login was already finished")
	errFailures = errors.New("too many code exchanges of the sender have failed")
)

// takeLogin returns the login that state belongs to in this browser, and takes
// its cookie away: a login is finished once.
func (h *Handler) takeLogin(w http.ResponseWriter, r *http.Request, state string) (pendingLogin, *oauth.Error) {
	unknown := func(cause error) (pendingLogin, *oauth.Error) {
		return pendingLogin{}, oauth.InvalidRequest("the login is unknown or over").Because(cause)
	}
	if len(state) < 16 || len(state) > 64 || strings.ContainsFunc(state, notText) {
		return unknown(errNoFlow)
	}
	value := h.cookies.get(r, flowName(state))
	if value == "" {
		if h.finished.has(state, h.Now()) {
			return unknown(errFinished)
		}
		return unknown(errNoFlow)
	}
	login, err := seal.Open[pendingLogin](h.flows, value)
	if errors.Is(err, keys.ErrNotYet) {
		// The cookie stays: whoever reloads the page may be luckier.
		return pendingLogin{}, oauth.Unavailable(err)
	}
	//rule:callback-twice
	h.cookies.drop(w, flowName(state))
	if err != nil {
		return unknown(err)
	}
	//rule:callback-state
	if !keys.Equal([]byte(login.State), []byte(state)) {
		return unknown(errNoFlow)
	}
	//rule:callback-of-another-upstream
	if r.PathValue("upstream") != login.Upstream || h.upstream(login.Upstream) == nil {
		return unknown(errors.New("the answer is for another upstream"))
	}
	// The cookie is gone only from browsers that do as they are told.
	//rule:login-replayed
	if !h.finished.add(login.State, h.Now()) {
		return unknown(errFinished)
	}
	return login, nil
}

// notText says that a character is not one of those that rand.Text makes.
func notText(c rune) bool { return (c < 'A' || c > 'Z') && (c < '2' || c > '7') }

// identify asks the upstream who has logged in. admitted is false for somebody
// whom its own settings keep out.
func (h *Handler) identify(r *http.Request, p oauth.Params, malformed *oauth.Error, login pendingLogin) (who *upstream.Identity, admitted bool, e *oauth.Error) {
	// An error counts whatever comes with it: Entra describes its own in lines.
	if code := p.Get("error"); code != "" {
		return nil, false, upstreamError(code, errors.New("the upstream answered with an error"))
	}
	if malformed != nil {
		return nil, false, upstreamError(oauth.CodeServerError, malformed)
	}
	code := p.Get("code")
	if code == "" {
		return nil, false, upstreamError(oauth.CodeServerError, errors.New("the upstream sent neither a code nor an error"))
	}
	// Counted before, so that no number of requests at once gets past the limit.
	sender := source.AddrOf(r.Context())
	//rule:failed-exchanges
	if _, ok := h.Failures.Take(sender); !ok {
		return nil, false, &oauth.Error{
			Code: oauth.CodeTemporarilyUnavailable, Description: "too many logins from this address have failed; try again later", Cause: errFailures,
		}
	}
	who, err := h.upstream(login.Upstream).Exchange(r.Context(), code, p.Get("iss"), login.Nonce, login.Verifier)
	if err == nil || errors.Is(err, upstream.ErrNotAdmitted) {
		h.Failures.GiveBack(sender)
	}
	if who != nil && who.Missing != nil {
		h.Log.WarnContext(r.Context(), "claims of a user are missing", "upstream", login.Upstream, "error", who.Missing)
	}
	switch {
	case err == nil:
		return who, true, nil
	case errors.Is(err, upstream.ErrNotAdmitted):
		return who, false, nil
	case errors.Is(err, upstream.ErrUnreachable):
		return nil, false, loginUnavailable(err)
	case errors.Is(err, upstream.ErrCredentials):
		h.Log.ErrorContext(r.Context(), "the upstream refuses the gateway's client id or secret", "upstream", login.Upstream)
	}
	return nil, false, &oauth.Error{Code: oauth.CodeServerError, Description: "the login at the identity provider failed", Cause: err}
}

// upstreamError passes on what kind of no the upstream said, and none of its words.
func upstreamError(code string, cause error) *oauth.Error {
	switch code {
	case oauth.CodeAccessDenied, "login_required", "interaction_required", "consent_required":
		return &oauth.Error{Code: oauth.CodeAccessDenied, Description: "the login was not finished", Cause: cause}
	case oauth.CodeTemporarilyUnavailable:
		return loginUnavailable(cause)
	}
	return &oauth.Error{Code: oauth.CodeServerError, Description: "the identity provider refused the login", Cause: cause}
}

// grant writes down what the user has approved and may have, and sends the code.
func (h *Handler) grant(w http.ResponseWriter, r *http.Request, login pendingLogin, who *upstream.Identity) {
	req, user := login.Request, policy.User{Upstream: login.Upstream, Claims: who.Claims}
	judge := h.Policy(r.Context())
	rule, err := judge.Allowed(user)
	//rule:no-rule-at-login
	if errors.Is(err, policy.ErrDenied) {
		h.deny(w, r, login, who, "no access rule is true for this user")
		return
	}
	//rule:unnamed-upstream-at-login
	if err != nil {
		h.redirectError(w, r, req, oauth.AsError(err))
		return
	}
	//rule:scopes-of-others-at-login
	scopes := judge.MayHave(req.Scopes, user)
	if scopes.Empty() && !oauth.Scopes(req.Scopes).Empty() {
		h.deny(w, r, login, who, "the user may have none of the requested scopes")
		return
	}
	proof, err := h.Clients.Proof(r.Context(), req.ClientID)
	if err != nil {
		h.redirectError(w, r, req, &oauth.Error{
			Code: oauth.CodeTemporarilyUnavailable, Description: "the client's metadata document cannot be read now; try again later", Cause: err,
		})
		return
	}
	code, err := h.Grants.Create(r.Context(), grants.Approval{
		Holder: grants.Holder{
			ClientID: req.ClientID, Upstream: login.Upstream, Issuer: who.Issuer, Subject: who.Subject, Name: who.Name,
		},
		Claims: who.Claims, Sources: who.Sources, Tokens: who.Tokens, MaxAge: h.upstream(login.Upstream).MaxAge(),
		Scopes: scopes, Resource: req.Resource, RedirectURI: req.RedirectURI, Challenge: req.Challenge,
		Proof: proof,
	})
	if err != nil {
		h.redirectError(w, r, req, h.notStored(r, err))
		return
	}
	h.Audit.Record(r, audit.Approved, append(facts(login, who),
		slog.String("scope", scopes.String()), slog.String("resource", req.Resource), slog.String("rule", rule))...)
	h.redirect(w, r, req, url.Values{"code": {code}})
}

func facts(login pendingLogin, who *upstream.Identity) []slog.Attr {
	return []slog.Attr{
		slog.String("client_id", login.Request.ClientID), slog.String("upstream", login.Upstream), slog.String("subject", who.Subject),
	}
}

// deny tells somebody who has logged in that they may not go on, and as whom:
// they may have another account. The client is answered when they leave the page.
func (h *Handler) deny(w http.ResponseWriter, r *http.Request, login pendingLogin, who *upstream.Identity, reason string) {
	h.Audit.Record(r, audit.Denied, append(facts(login, who), slog.String("reason", reason))...)
	pages.WriteDenied(w, pages.Denied{
		Name: who.Name, Upstream: h.upstream(login.Upstream).Title(), Resource: login.Request.Resource, Contact: h.Policy(r.Context()).Contact(),
		Back: h.answer(login.Request, url.Values{
			"error": {oauth.CodeAccessDenied}, "error_description": {"this user may not use this server"},
		}),
	})
}

// notStored is the answer to a grant that was not written: the store may take
// it later, but not what is wrong with the grant itself.
func (h *Handler) notStored(r *http.Request, err error) *oauth.Error {
	if !errors.Is(err, store.ErrUnavailable) && !errors.Is(err, store.ErrFull) {
		return oauth.AsError(err)
	}
	h.Log.ErrorContext(r.Context(), "a grant cannot be written", "error", err)
	return &oauth.Error{
		Code: oauth.CodeTemporarilyUnavailable, Description: "the grant cannot be stored now; try again later", Cause: err,
	}
}
