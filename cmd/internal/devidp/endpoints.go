package devidp

import (
	"encoding/json"
	"net/http"

	httphelper "github.com/zitadel/oidc/v3/pkg/http"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// maxRequest bounds a request's query and its body.
const maxRequest = 16 << 10

const (
	authorizePath = "/authorize"
	loginPath     = "/login"
	tokenPath     = "/token"
	userinfoPath  = "/userinfo"
	keysPath      = "/keys"
)

// routes are all there are: the library's own router serves more than this
// provider means to offer.
func (p *Provider) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+oidc.DiscoveryEndpoint, p.discovery)
	mux.HandleFunc("GET "+keysPath, p.keys)
	mux.HandleFunc("GET "+authorizePath, p.authorize)
	mux.HandleFunc("POST "+authorizePath, p.authorize) // OpenID Connect Core section 3.1.2.1
	mux.HandleFunc("GET "+loginPath, p.showLogin)
	mux.HandleFunc("POST "+loginPath, p.logIn)
	mux.HandleFunc("POST "+tokenPath, p.token)
	mux.HandleFunc("GET "+userinfoPath, p.userinfo)
	mux.HandleFunc("POST "+userinfoPath, p.userinfo)
	return bounded(op.NewIssuerInterceptor(p.op.IssuerFromRequest).Handler(mux))
}

// bounded refuses what is too long to be a request of OpenID Connect: parts of
// it are remembered until the login expires.
func bounded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.URL.RawQuery) > maxRequest {
			http.Error(w, "the query is too long", http.StatusRequestURITooLong)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxRequest)
		next.ServeHTTP(w, r)
	})
}

func (p *Provider) discovery(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	// The connection is gone if this fails: nobody to tell.
	_ = json.NewEncoder(w).Encode(struct {
		oidc.DiscoveryConfiguration
		// RFC 9207; the library has no field for it.
		Iss bool `json:"authorization_response_iss_parameter_supported"`
	}{
		oidc.DiscoveryConfiguration{
			Issuer:                            p.issuer,
			AuthorizationEndpoint:             p.issuer + authorizePath,
			TokenEndpoint:                     p.issuer + tokenPath,
			UserinfoEndpoint:                  p.issuer + userinfoPath,
			JwksURI:                           p.issuer + keysPath,
			ScopesSupported:                   []string{oidc.ScopeOpenID, oidc.ScopeProfile, oidc.ScopeEmail, scopeGroups},
			ResponseTypesSupported:            []string{string(oidc.ResponseTypeCode)},
			ResponseModesSupported:            []string{string(oidc.ResponseModeQuery)},
			GrantTypesSupported:               []oidc.GrantType{oidc.GrantTypeCode},
			SubjectTypesSupported:             []string{"public"},
			IDTokenSigningAlgValuesSupported:  []string{string(p.storage.key.SignatureAlgorithm())},
			TokenEndpointAuthMethodsSupported: []oidc.AuthMethod{oidc.AuthMethodBasic, oidc.AuthMethodPost},
			ClaimsSupported:                   []string{"sub", "name", "preferred_username", "email", "email_verified", "groups"},
			CodeChallengeMethodsSupported:     []oidc.CodeChallengeMethod{oidc.CodeChallengeMethodS256},
		},
		true,
	})
}

func (p *Provider) keys(w http.ResponseWriter, r *http.Request) { op.Keys(w, r, p.storage) }

// authorize checks the request, begins a login in this browser, and sends it to
// the login page.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	setHeaders(w.Header())
	browser := p.cookie.ensure(w, r)
	op.Authorize(w, r.WithContext(withBrowser(r.Context(), browser)), authorizer{p.op, p.issuer})
}

func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	setHeaders(w.Header())
	r = r.Clone(r.Context())
	r.URL.RawQuery = "" // RFC 6749 section 2.3.1: secrets in a URL end up in logs
	op.Exchange(w, r, p.op)
}

func (p *Provider) userinfo(w http.ResponseWriter, r *http.Request) {
	setHeaders(w.Header())
	op.Userinfo(w, r, p.op)
}

// authorizer is the library's provider, which then says in every authorization
// response whom it is from (RFC 9207).
type authorizer struct {
	*op.Provider
	issuer string
}

func (a authorizer) Encoder() httphelper.Encoder {
	return issuerEncoder{Encoder: a.Provider.Encoder(), issuer: a.issuer}
}

type issuerEncoder struct {
	httphelper.Encoder
	issuer string
}

func (e issuerEncoder) Encode(src any, dst map[string][]string) error {
	dst["iss"] = []string{e.issuer}
	return e.Encoder.Encode(src, dst)
}
