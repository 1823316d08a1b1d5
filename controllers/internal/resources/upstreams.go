package resources

import (
	"net/url"
	"path"
	"slices"
	"strings"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/gateway/config"
)

// What sets the providers apart, as settings of the two protocols that a gateway
// speaks. A new kind of provider is a new case of preset.

const (
	google     = "https://accounts.google.com"
	github     = "https://github.com"
	githubAPI  = "https://api.github.com"
	entra      = "https://login.microsoftonline.com/"
	entraMany  = entra + "organizations/v2.0/.well-known/openid-configuration"
	entraAny   = entra + "{tenantid}/v2.0" // the issuer in the document for several tenants
	entraProof = "xms_edov"

	scopeOffline = "offline_access"
)

// upstream finds the files of the upstream in directory.
func upstream(u *v1alpha1.Upstream, directory string) config.Upstream {
	renew := u.TokenRenewal == v1alpha1.PolicyEnabled
	_, own, trust := member(u)
	client := config.UpstreamClient{ClientID: own.ClientID, Scopes: own.Scopes}
	if own.ClientSecretRef != nil {
		client.ClientSecretFile = path.Join(directory, secretFile)
	}
	if trust != nil && trust.CABundleRef != nil {
		client.CABundleFile = path.Join(directory, caFile)
	}
	c := config.Upstream{
		Name: u.Name, DisplayName: u.DisplayName, Type: config.UpstreamOIDC, RenewTokens: renew, MaxAgeSeconds: int64(u.MaxAgeSeconds),
	}
	if u.GitHub != nil {
		c.Type, c.GitHub = config.UpstreamGitHub, gitHub(u.GitHub)
		if len(client.Scopes) == 0 {
			client.Scopes = []string{"user:email"}
		}
		c.GitHub.UpstreamClient = client
		return c
	}
	c.OIDC = preset(u, renew)
	if len(client.Scopes) == 0 && u.OIDC == nil {
		client.Scopes = []string{"profile", "email"}
	}
	if renew && u.Google == nil && !slices.Contains(client.Scopes, scopeOffline) {
		client.Scopes = append(slices.Clone(client.Scopes), scopeOffline)
	}
	c.OIDC.UpstreamClient = client
	return c
}

// preset is the provider without the client.
func preset(u *v1alpha1.Upstream, renew bool) *config.OIDCUpstream {
	c := &config.OIDCUpstream{}
	switch {
	case u.OIDC != nil:
		c.IssuerURL = u.OIDC.IssuerURL
		if renew { // OpenID Connect Core section 11
			c.AuthorizeParams = map[string]string{"prompt": "consent"}
		}
	case u.Google != nil:
		c.IssuerURL = google
		presetGoogle(c, u.Google, renew)
	case u.Auth0 != nil:
		c.IssuerURL = "https://" + u.Auth0.Domain + "/" // with the slash
	case u.Stytch != nil:
		c.IssuerURL = "https://" + u.Stytch.Domain
	case u.WorkOS != nil:
		c.IssuerURL = "https://" + u.WorkOS.Domain
	case u.Okta != nil:
		c.IssuerURL = "https://" + u.Okta.Domain
		if id := u.Okta.AuthorizationServerID; id != "" {
			c.IssuerURL += "/oauth2/" + id
		}
	case u.Entra != nil:
		presetEntra(c, u.Entra)
	case u.Keycloak != nil:
		c.IssuerURL = u.Keycloak.URL + "/realms/" + u.Keycloak.Realm
	}
	return c
}

// presetGoogle asks for accounts of one domain, or of any if there are several;
// that is a convenience, and what counts is the claim.
func presetGoogle(c *config.OIDCUpstream, g *v1alpha1.GoogleUpstream, renew bool) {
	c.AuthorizeParams = map[string]string{}
	if renew {
		c.AuthorizeParams["access_type"], c.AuthorizeParams["prompt"] = "offline", "consent"
	}
	if len(g.HostedDomains) > 0 {
		c.RequiredClaims = map[string][]string{"hd": g.HostedDomains}
		c.AuthorizeParams["hd"] = g.HostedDomains[0]
		if len(g.HostedDomains) > 1 {
			c.AuthorizeParams["hd"] = "*"
		}
	}
	if len(c.AuthorizeParams) == 0 {
		c.AuthorizeParams = nil
	}
}

// presetEntra takes everything from the id token: userinfo has no more, and refuses
// access tokens that were asked for another API.
func presetEntra(c *config.OIDCUpstream, e *v1alpha1.EntraUpstream) {
	c.EmailProof, c.IDTokenOnly = entraProof, true
	if len(e.TenantIDs) == 1 {
		c.IssuerURL = entra + e.TenantIDs[0] + "/v2.0"
		return
	}
	c.IssuerURL, c.DiscoveryURL = entraAny, entraMany
	for _, tenant := range e.TenantIDs {
		c.Issuers = append(c.Issuers, entra+tenant+"/v2.0")
	}
}

func gitHub(g *v1alpha1.GitHubUpstream) *config.GitHubUpstream {
	c := &config.GitHubUpstream{BaseURL: g.BaseURL, APIURL: g.BaseURL + "/api/v3"}
	host := ""
	if u, err := url.Parse(g.BaseURL); err == nil {
		host = u.Host
	}
	switch {
	case g.BaseURL == "" || g.BaseURL == github:
		c.BaseURL, c.APIURL = github, githubAPI
	case strings.HasSuffix(host, ".ghe.com"):
		c.APIURL = "https://api." + host
	}
	return c
}

// member is the one that the upstream has: its name, the client in it, and what it
// trusts, or nil for one that is always on the web.
func member(u *v1alpha1.Upstream) (string, *v1alpha1.UpstreamClient, *v1alpha1.UpstreamTrust) {
	switch {
	case u.OIDC != nil:
		return "oidc", &u.OIDC.UpstreamClient, &u.OIDC.UpstreamTrust
	case u.GitHub != nil:
		return "github", &u.GitHub.UpstreamClient, &u.GitHub.UpstreamTrust
	case u.Google != nil:
		return "google", &u.Google.UpstreamClient, nil
	case u.Auth0 != nil:
		return "auth0", &u.Auth0.UpstreamClient, nil
	case u.Stytch != nil:
		return "stytch", &u.Stytch.UpstreamClient, nil
	case u.WorkOS != nil:
		return "workos", &u.WorkOS.UpstreamClient, nil
	case u.Okta != nil:
		return "okta", &u.Okta.UpstreamClient, nil
	case u.Entra != nil:
		return "entra", &u.Entra.UpstreamClient, nil
	case u.Keycloak != nil:
		return "keycloak", &u.Keycloak.UpstreamClient, &u.Keycloak.UpstreamTrust
	}
	return "", &v1alpha1.UpstreamClient{}, nil
}
