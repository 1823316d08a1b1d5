package devidp

import (
	"slices"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// login is one authorization request: waiting for a password first, for its
// code to be redeemed then. It does not change; its next stage is a copy.
type login struct {
	id      string
	browser string // the browser that it was started in
	request oidc.AuthRequest
	expires time.Time

	// Set once the password was right.
	subject  string
	authTime time.Time
}

// admit refuses what the library would let pass and this provider does not do.
// The refusal goes back in the query, whatever way was asked for.
func admit(r *oidc.AuthRequest) error {
	mode := r.ResponseMode
	r.ResponseMode = oidc.ResponseModeQuery
	switch {
	case !slices.Contains(r.Scopes, oidc.ScopeOpenID):
		return oidc.ErrInvalidScope().WithDescription("scope must contain openid")
	case r.CodeChallenge == "" || r.CodeChallengeMethod != oidc.CodeChallengeMethodS256:
		return oidc.ErrInvalidRequest().WithDescription("a code_challenge with code_challenge_method S256 is required")
	case mode != "" && mode != oidc.ResponseModeQuery:
		return oidc.ErrInvalidRequest().WithDescription("response_mode must be query")
	case slices.Contains(r.Prompt, oidc.PromptNone):
		// Nobody stays logged in, which also is all that prompt=login and max_age ask for.
		return oidc.ErrLoginRequired()
	}
	return nil
}

func (l *login) GetID() string                      { return l.id }
func (l *login) GetACR() string                     { return "" }
func (l *login) GetAMR() []string                   { return []string{"pwd"} } // RFC 8176
func (l *login) GetAudience() []string              { return []string{l.request.ClientID} }
func (l *login) GetAuthTime() time.Time             { return l.authTime }
func (l *login) GetClientID() string                { return l.request.ClientID }
func (l *login) GetNonce() string                   { return l.request.Nonce }
func (l *login) GetRedirectURI() string             { return l.request.RedirectURI }
func (l *login) GetResponseType() oidc.ResponseType { return l.request.ResponseType }
func (l *login) GetResponseMode() oidc.ResponseMode { return l.request.ResponseMode }
func (l *login) GetScopes() []string                { return l.request.Scopes }
func (l *login) GetState() string                   { return l.request.State }
func (l *login) GetSubject() string                 { return l.subject }
func (l *login) Done() bool                         { return l.subject != "" }

func (l *login) GetCodeChallenge() *oidc.CodeChallenge {
	return &oidc.CodeChallenge{Challenge: l.request.CodeChallenge, Method: l.request.CodeChallengeMethod}
}
