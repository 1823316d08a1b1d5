package devidp

import (
	"net/http"
	"net/url"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// showLogin asks for the password.
func (p *Provider) showLogin(w http.ResponseWriter, r *http.Request) {
	l, ok := p.storage.waiting(r.URL.Query().Get("request"), p.cookie.read(r))
	if !ok {
		writeStranded(w)
		return
	}
	writeForm(w, http.StatusOK, formFor(l))
}

// logIn checks the password and sends the browser back with a code. That the
// form is this browser's own is known by two secrets that another site cannot
// read: the login's id in the form, and the cookie.
func (p *Provider) logIn(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		writeStranded(w)
		return
	}
	l, ok := p.storage.waiting(r.PostForm.Get("request"), p.cookie.read(r))
	if !ok {
		writeStranded(w)
		return
	}
	name := r.PostForm.Get("username")
	user, ok := p.storage.users.authenticate(name, r.PostForm.Get("password"))
	if !ok {
		// Without the name: people type passwords into the wrong field.
		p.log.InfoContext(r.Context(), "login refused", "reason", "wrong name or password")
		f := formFor(l)
		f.Username, f.Failed = name, true
		// Not 401, which promises a WWW-Authenticate (RFC 9110 section 15.5.2).
		writeForm(w, http.StatusForbidden, f)
		return
	}
	code, ok := p.storage.complete(l, subject(user.Name))
	if !ok {
		writeStranded(w)
		return
	}
	target, err := op.AuthResponseURL(l.GetRedirectURI(), oidc.ResponseTypeCode, oidc.ResponseModeQuery,
		&op.CodeResponseType{Code: code, State: l.GetState()}, authorizer{p.op, p.issuer}.Encoder())
	if err != nil {
		http.Error(w, "the way back cannot be found", http.StatusInternalServerError)
		return
	}
	p.log.InfoContext(r.Context(), "logged in", "user", user.Name)
	setHeaders(w.Header())
	// 303, since another status could make the browser send the password along.
	http.Redirect(w, r, target, http.StatusSeeOther) //nolint:gosec // to a redirect URI of Options
}

func formFor(l *login) form {
	f := form{Action: loginPath, Request: l.id, Username: l.request.LoginHint}
	if u, err := url.Parse(l.GetRedirectURI()); err == nil {
		f.Destination = u.Host
	}
	return f
}
