package config

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// GrantType names a way to a token.
type GrantType string

// The grant types of clients that an administrator has provisioned.
const (
	GrantAuthorizationCode GrantType = "AuthorizationCode" // and refresh tokens with it
	GrantClientCredentials GrantType = "ClientCredentials" //nolint:gosec // RFC 6749 section 4.4: a name
	GrantJWTBearer         GrantType = "JWTBearer"         // RFC 7523 section 4
)

// Client is a client that an administrator has provisioned. At most one of
// SecretFile, JWKSFile and JWKSURL is set; without any, the client is public.
type Client struct {
	// ID is the client_id.
	ID string `json:"id"`
	// Name is what users read.
	Name string `json:"name,omitempty"`
	// RedirectURIs are where the client may be answered.
	RedirectURIs []string `json:"redirectURIs,omitempty"`
	// SecretFile holds the client's secret.
	SecretFile string `json:"secretFile,omitempty"`
	// JWKSFile holds the client's public keys, and JWKSURL is where they are published.
	JWKSFile string `json:"jwksFile,omitempty"`
	JWKSURL  string `json:"jwksURL,omitempty"`
	// GrantTypes are what the client may use. At least one.
	GrantTypes []GrantType `json:"grantTypes"`
	// Scopes bound what the client may have; without any, nothing does.
	Scopes []string `json:"scopes,omitempty"`
}

// Public says that the client proves nothing.
func (c Client) Public() bool { return c.SecretFile == "" && c.JWKSFile == "" && c.JWKSURL == "" }

// TrustedIssuer is an identity provider whose signed word is as good as a login.
type TrustedIssuer struct {
	// Name is in grants and logs.
	Name string `json:"name"`
	// IssuerURL is the iss of its assertions, and JWKSURL is where its keys are.
	IssuerURL string `json:"issuerURL"`
	JWKSURL   string `json:"jwksURL"`
	// CABundleFile, when set, holds roots besides the system's.
	CABundleFile string `json:"caBundleFile,omitempty"`
}

// May says whether any client may use a grant type.
func (c *Config) May(grant GrantType) bool {
	return slices.ContainsFunc(c.Clients, func(client Client) bool { return slices.Contains(client.GrantTypes, grant) })
}

var visible = regexp.MustCompile(`^[\x21-\x7e]{1,128}$`)

func (v *validator) clients(cs []Client) {
	ids := map[string]bool{}
	for i, c := range cs {
		field := fmt.Sprintf("clients[%d]", i)
		v.check(visible.MatchString(c.ID) && !strings.HasPrefix(c.ID, "https://") && !strings.HasPrefix(c.ID, "vst_cl_"),
			field+".id", "must be 1 to 128 visible characters that begin with neither https:// nor vst_cl_")
		v.check(!ids[c.ID], field+".id", "stands twice")
		ids[c.ID] = true
		proofs := 0
		for _, proof := range []string{c.SecretFile, c.JWKSFile, c.JWKSURL} {
			if proof != "" {
				proofs++
			}
		}
		v.check(proofs <= 1, field, "must have at most one of secretFile, jwksFile and jwksURL")
		v.check(len(c.GrantTypes) > 0, field+".grantTypes", "must not be empty")
		for _, g := range c.GrantTypes {
			switch g {
			case GrantAuthorizationCode:
				v.check(len(c.RedirectURIs) > 0, field+".redirectURIs", "must not be empty with AuthorizationCode")
			case GrantClientCredentials, GrantJWTBearer:
				v.check(proofs > 0, field+".grantTypes", "must not name "+string(g)+" for a client that proves nothing")
			default:
				v.check(false, field+".grantTypes", "must be AuthorizationCode, ClientCredentials or JWTBearer")
			}
		}
		v.httpsURL(field+".jwksURL", c.JWKSURL, true)
	}
}

func (v *validator) trustedIssuers(is []TrustedIssuer) {
	names, urls := map[string]bool{}, map[string]bool{}
	for i, t := range is {
		field := fmt.Sprintf("trustedIssuers[%d]", i)
		v.check(upstreamName.MatchString(t.Name) && !names[t.Name], field+".name", "must be set, to a name of its own of lower-case letters, digits and dashes")
		v.check(t.IssuerURL != "" && !urls[t.IssuerURL], field+".issuerURL", "must be set, to another one than the others'")
		names[t.Name], urls[t.IssuerURL] = true, true
		v.httpsURL(field+".jwksURL", t.JWKSURL, false)
	}
}

func (v *validator) httpsURL(field, s string, optional bool) {
	u, err := url.Parse(s)
	v.check(optional && s == "" || err == nil && u.Scheme == "https" && u.Host != "" && u.User == nil, field, "must be an https URL")
}
