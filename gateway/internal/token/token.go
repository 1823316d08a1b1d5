// Package token serves the token endpoint (RFC 6749 section 3.2).
package token

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/audit"
	"vestibule.dev/vestibule/gateway/internal/clients"
	"vestibule.dev/vestibule/gateway/internal/grants"
	"vestibule.dev/vestibule/gateway/internal/oauth"
	"vestibule.dev/vestibule/gateway/policy"
)

// Path is under the public URL.
const Path = "/token"

// The grant types, as the request names them.
const (
	grantCode    = "authorization_code"
	grantRefresh = "refresh_token"
	grantClient  = "client_credentials"
	grantBearer  = "urn:ietf:params:oauth:grant-type:jwt-bearer" //nolint:gosec // a name
)

// touchFor is how long an answer waits for its client to be renewed.
const touchFor = 2 * time.Second

// Clients authenticates clients.
type Clients interface {
	Authenticate(r *http.Request, p oauth.Params) (*clients.Client, *oauth.Error)
	// Touch records that the client has got a token.
	Touch(ctx context.Context, c *clients.Client) error
}

// Grants issues tokens. All return an *oauth.Error.
type Grants interface {
	Redeem(ctx context.Context, r grants.Redemption) (*grants.Issued, error)
	Refresh(ctx context.Context, r grants.Refreshing) (*grants.Issued, error)
	Issue(ctx context.Context, u grants.Unattended) (*grants.Issued, error)
}

// Handler serves the endpoint.
type Handler struct {
	// PublicURL is the issuer, and Resources are those that tokens can be for; the
	// first is the default.
	PublicURL string
	Resources []string
	// Paths are those of the resources' routes.
	Paths map[string]string
	// Policy returns what a request is judged by: the same throughout the request.
	Policy     func(ctx context.Context) Policy
	Clients    Clients
	Grants     Grants
	Assertions Assertions
	Audit      *audit.Log
	Log        *slog.Logger
}

// Policy is what grants without a login are judged by. It is immutable.
type Policy interface {
	// Scopes are those that can be granted, and Suggested those for a request that
	// names none, on the route at a path.
	Scopes() oauth.Scopes
	Suggested(path string) oauth.Scopes
	// Allowed says by which rule a user who has logged in elsewhere may have a grant. The
	// error is policy.ErrDenied, or that nobody can say. MayHave returns those of the
	// scopes that they may have.
	Allowed(u policy.User) (rule string, err error)
	MayHave(scopes oauth.Scopes, u policy.User) oauth.Scopes
}

// response is RFC 6749 section 5.1.
type response struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"`
	RefreshToken string `json:"refresh_token,omitempty"`
	Scope        string `json:"scope,omitempty"`
}

// ServeHTTP issues tokens. The client is authenticated before anything of the
// request is looked at: a library that tries one way to authenticate, and then
// another, must not spend its code on the first.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p, e := oauth.ParseForm(r)
	if e != nil {
		h.refuse(w, r, e)
		return
	}
	client, e := h.Clients.Authenticate(r, p)
	if e != nil {
		// What a client calls itself is not who it is: this one may be anybody.
		h.refuse(w, r, e, slog.String("claimed_client_id", audit.Claimed(clients.Claimed(r, p))))
		return
	}
	about := slog.String("client_id", client.ID())
	issued, event, err := h.issue(r.Context(), client, p)
	if err != nil {
		h.refuse(w, r, oauth.AsError(err), about)
		return
	}
	touching, cancel := context.WithTimeout(r.Context(), touchFor)
	defer cancel()
	if err := h.Clients.Touch(touching, client); err != nil {
		// The tokens are good, and must not wait. The next request renews the client.
		h.Log.WarnContext(r.Context(), "a client cannot be renewed", "client_id", client.ID(), "error", err)
	}
	//rule:token-logged
	h.Audit.Record(r, event, about,
		slog.String("upstream", issued.Upstream), slog.String("subject", issued.Subject), slog.String("grant", issued.GrantID),
		slog.String("scope", issued.Scopes.String()), slog.String("resource", issued.Resource), slog.Bool("retried", issued.Retried))
	oauth.WriteJSON(w, http.StatusOK, response{
		AccessToken: issued.AccessToken, TokenType: "Bearer", ExpiresIn: issued.ExpiresIn,
		RefreshToken: issued.RefreshToken, Scope: issued.Scopes.String(),
	})
}

func (h *Handler) issue(ctx context.Context, client *clients.Client, p oauth.Params) (*grants.Issued, audit.Event, error) {
	grantType, e := p.Need("grant_type")
	if e != nil {
		return nil, "", e
	}
	switch grantType {
	case grantCode:
		issued, err := h.redeem(ctx, client, p)
		return issued, audit.Issued, err
	case grantRefresh:
		issued, err := h.renew(ctx, client, p)
		return issued, audit.Refreshed, err
	case grantClient:
		issued, err := h.clientCredentials(ctx, client, p)
		return issued, audit.Issued, err
	case grantBearer:
		issued, err := h.jwtBearer(ctx, client, p)
		return issued, audit.Issued, err
	}
	e = oauth.InvalidRequest("grant_type is not one of those that the metadata lists")
	e.Code = oauth.CodeUnsupportedGrantType
	return nil, "", e
}

func (h *Handler) redeem(ctx context.Context, client *clients.Client, p oauth.Params) (*grants.Issued, error) {
	if e := may(client, config.GrantAuthorizationCode); e != nil {
		return nil, e
	}
	code, e := p.Need("code")
	if e != nil {
		return nil, e
	}
	verifier, e := p.Need("code_verifier")
	if e != nil {
		return nil, e
	}
	//rule:form-verifier
	if !oauth.IsCodeVerifier(verifier) {
		return nil, oauth.InvalidRequest("code_verifier must be 43 to 128 unreserved characters")
	}
	return h.Grants.Redeem(ctx, grants.Redemption{
		Code: code, Verifier: verifier, ClientID: client.ID(),
		RedirectURI: p.Get("redirect_uri"), Resources: p["resource"],
	})
}

func (h *Handler) renew(ctx context.Context, client *clients.Client, p oauth.Params) (*grants.Issued, error) {
	if e := may(client, config.GrantAuthorizationCode); e != nil {
		return nil, e
	}
	refreshToken, e := p.Need("refresh_token")
	if e != nil {
		return nil, e
	}
	r := grants.Refreshing{RefreshToken: refreshToken, ClientID: client.ID(), Resources: p["resource"]}
	if scope := p.Get("scope"); scope != "" {
		var err error
		if r.Scopes, err = oauth.ParseScopes(scope); err != nil {
			return nil, oauth.InvalidScope("scope is not a list of scope tokens").Because(err)
		}
	}
	return h.Grants.Refresh(ctx, r)
}

func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, e *oauth.Error, facts ...slog.Attr) {
	if e.Code == oauth.CodeServerError {
		h.Log.ErrorContext(r.Context(), "a token request failed", "error", e.Cause)
	}
	h.Audit.Record(r, audit.Refused, e.Facts(append(facts, slog.String("endpoint", Path))...)...)
	oauth.WriteError(w, e)
}
