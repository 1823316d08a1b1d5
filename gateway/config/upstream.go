package config

import (
	"fmt"
	"strings"
	"time"
)

// Upstream is one identity provider: the member that Type names is set.
type Upstream struct {
	// Name is in the callback's path, /callback/<name>, and in grants.
	Name string `json:"name"`
	// DisplayName is what people read; empty, Name.
	DisplayName string          `json:"displayName,omitempty"`
	Type        string          `json:"type"`
	OIDC        *OIDCUpstream   `json:"oidc,omitempty"`
	GitHub      *GitHubUpstream `json:"github,omitempty"`
	// RenewTokens says that the upstream is asked again about a user when their
	// grant is refreshed, with the refresh token that it gave at login.
	RenewTokens bool `json:"renewTokens,omitempty"`
	// MaxAgeSeconds, if positive, is how long a grant lives whose user the
	// upstream cannot be asked about again.
	MaxAgeSeconds int64 `json:"maxAgeSeconds,omitempty"`
}

// The protocols that an upstream speaks. What else sets providers apart, the
// members of these say.
const (
	UpstreamOIDC   = "OIDC"
	UpstreamGitHub = "GitHub"
)

// UpstreamClient is what the gateway is at an upstream.
type UpstreamClient struct {
	ClientID string `json:"clientID"`
	// ClientSecretFile is empty for a public client.
	ClientSecretFile string `json:"clientSecretFile,omitempty"`
	// CABundleFile, when set, replaces the system's roots for this upstream.
	CABundleFile string `json:"caBundleFile,omitempty"`
	// Scopes are asked for; openid always is of a provider of type OIDC.
	Scopes []string `json:"scopes,omitempty"`
}

// OIDCUpstream is an OpenID Connect provider.
type OIDCUpstream struct {
	// IssuerURL is what the discovery document names as the issuer.
	IssuerURL string `json:"issuerURL"`
	UpstreamClient
	// DiscoveryURL is where the discovery document is; empty, below IssuerURL.
	DiscoveryURL string `json:"discoveryURL,omitempty"`
	// Issuers are those whose id tokens are taken; empty, IssuerURL alone.
	Issuers []string `json:"issuers,omitempty"`
	// AuthorizeParams are sent with each authorization request.
	AuthorizeParams map[string]string `json:"authorizeParams,omitempty"`
	// RequiredClaims are claims of which each must have one of the values.
	RequiredClaims map[string][]string `json:"requiredClaims,omitempty"`
	// EmailProof is the claim that says whether email is the user's; empty,
	// email_verified.
	EmailProof string `json:"emailProof,omitempty"`
	// IDTokenOnly says that the id token has all claims: userinfo is not asked.
	IDTokenOnly bool `json:"idTokenOnly,omitempty"`
}

// GitHubUpstream is GitHub or a GitHub Enterprise Server.
type GitHubUpstream struct {
	// BaseURL is where people log in, and the issuer in grants.
	BaseURL string `json:"baseURL"`
	// APIURL is the base of its REST API.
	APIURL string `json:"apiURL"`
	UpstreamClient
}

// Issuer is what the upstream, which has passed Validate, is called.
func (u *Upstream) Issuer() string {
	if u.GitHub != nil {
		return u.GitHub.BaseURL
	}
	return u.OIDC.IssuerURL
}

// Client is what the gateway is at the upstream, which has passed Validate.
func (u *Upstream) Client() *UpstreamClient {
	if u.GitHub != nil {
		return &u.GitHub.UpstreamClient
	}
	return &u.OIDC.UpstreamClient
}

// Title is what people read of the upstream.
func (u *Upstream) Title() string {
	if u.DisplayName != "" {
		return u.DisplayName
	}
	return u.Name
}

// MaxAge is MaxAgeSeconds as a duration.
func (u *Upstream) MaxAge() time.Duration { return seconds(u.MaxAgeSeconds) }

func (v *validator) upstreams(us []Upstream) {
	v.check(len(us) > 0, "upstreams", "must not be empty")
	names := map[string]bool{}
	for i, u := range us {
		field := fmt.Sprintf("upstreams[%d]", i)
		v.check(upstreamName.MatchString(u.Name), field+".name", "must be set, to lower-case letters, digits and dashes")
		v.check(!names[u.Name], field+".name", "stands twice")
		names[u.Name] = true
		v.check(u.MaxAgeSeconds >= 0, field+".maxAgeSeconds", "must not be negative")
		switch {
		case u.Type == UpstreamOIDC && u.OIDC != nil && u.GitHub == nil:
			v.check(u.OIDC.IssuerURL != "", field+".oidc.issuerURL", "must be set")
			v.upstreamURL(field+".oidc.issuerURL", u.OIDC.IssuerURL)
			v.upstreamURL(field+".oidc.discoveryURL", u.OIDC.DiscoveryURL)
			v.check(u.OIDC.ClientID != "", field+".oidc.clientID", "must be set")
			for name, values := range u.OIDC.RequiredClaims {
				v.check(len(values) > 0, field+".oidc.requiredClaims["+name+"]", "must not be empty")
			}
		case u.Type == UpstreamGitHub && u.GitHub != nil && u.OIDC == nil:
			v.check(u.GitHub.BaseURL != "" && u.GitHub.APIURL != "", field+".github", "baseURL and apiURL must be set")
			v.upstreamURL(field+".github.baseURL", u.GitHub.BaseURL)
			v.upstreamURL(field+".github.apiURL", u.GitHub.APIURL)
			v.check(u.GitHub.ClientID != "", field+".github.clientID", "must be set")
		default:
			v.check(false, field, "type must be OIDC or GitHub, and the one member of that name set")
		}
	}
}

// upstreamURL refuses a URL that carries users' tokens in the clear.
func (v *validator) upstreamURL(field, s string) {
	//rule:insecure-issuer
	v.check(s == "" || strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "http://") && isLoopbackURL(s),
		field, "must be https; http is for loopback hosts only")
}
