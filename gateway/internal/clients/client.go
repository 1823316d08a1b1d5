// Package clients keeps the registered clients: who they are, how they prove
// it, and how long they are remembered.
package clients

import (
	"net/url"
	"slices"
	"time"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/keys"
	"vestibule.dev/vestibule/gateway/internal/oauth"
	"vestibule.dev/vestibule/gateway/internal/store"
	"vestibule.dev/vestibule/gateway/internal/tokens"
)

// Methods of client authentication (RFC 7591 section 2).
const (
	MethodNone          = "none"
	MethodBasic         = "client_secret_basic"
	MethodPost          = "client_secret_post"
	MethodPrivateKeyJWT = "private_key_jwt"
)

// idPrefix makes client ids recognisable, and unlike the https URLs that name
// metadata documents.
const idPrefix = "vst_cl_"

// Client is the record of one registered client. Its members' numbers are its
// format: a number is never used again for anything else.
type Client struct {
	// SecretHash is nil for a public client.
	SecretHash   []byte   `cbor:"1,keyasint,omitempty"`
	Method       string   `cbor:"2,keyasint"`
	RedirectURIs []string `cbor:"3,keyasint"`
	// Name is what the client calls itself: unverified, and any text.
	Name string `cbor:"4,keyasint,omitempty"`
	// URI is the client's page, as unverified as its name.
	URI string `cbor:"5,keyasint,omitempty"`
	// CreatedAt and ExpiresAt are in seconds since 1970.
	CreatedAt int64 `cbor:"6,keyasint"`
	ExpiresAt int64 `cbor:"7,keyasint"`
	// Used says that a token request has succeeded.
	Used bool `cbor:"8,keyasint,omitempty"`

	// JWKS is the JWK Set that the client's assertions are verified with, as
	// assertion.Keys writes it, and JWKSURI where it is published instead. At most
	// one is set. A client that is public and has keys may use them, but need not.
	JWKS    []byte `cbor:"10,keyasint,omitempty"`
	JWKSURI string `cbor:"11,keyasint,omitempty"`
	// SigningAlg, when set, is the only algorithm of its assertions.
	SigningAlg string `cbor:"12,keyasint,omitempty"`

	// Metadata is a JSON object of what else was registered. It means nothing here,
	// and is told again to who asks.
	Metadata []byte `cbor:"20,keyasint,omitempty"`
	// ManagementHash is that of the registration access token (RFC 7592). Clients
	// that registered before there were any have none.
	ManagementHash []byte `cbor:"21,keyasint,omitempty"`

	id store.ID
	// url is the client_id of a client that names itself by its document.
	url string
	// config is set if an administrator has provisioned the client.
	config *config.Client
}

// ID is the client_id.
func (c *Client) ID() string {
	switch {
	case c.url != "":
		return c.url
	case c.config != nil:
		return c.config.ID
	}
	return idPrefix + c.id.String()
}

// Host is the host that vouches for a client which names itself by a URL: it has
// its document there. It is "" for every other.
func (c *Client) Host() string {
	u, err := url.Parse(c.url)
	if err != nil {
		return ""
	}
	return u.Host
}

// Public says whether the client need not prove who it is.
func (c *Client) Public() bool { return c.Method == MethodNone }

// hasSecret says whether the client shares a secret with this server.
func (c *Client) hasSecret() bool { return c.Method == MethodBasic || c.Method == MethodPost }

// signs says whether the client may prove who it is by an assertion.
func (c *Client) signs() bool {
	return c.Method == MethodPrivateKeyJWT || c.Public() && (len(c.JWKS) > 0 || c.JWKSURI != "")
}

// recorded says whether the client is a record in the store.
func (c *Client) recorded() bool { return c.url == "" && c.config == nil }

// Provisioned says whether an administrator has named the client in the
// configuration. It is trusted as far as that says, and never lapses.
func (c *Client) Provisioned() bool { return c.config != nil }

// May says whether the client may use a grant type. Who registers itself is there
// for users to log in with, and for nothing else.
func (c *Client) May(grant config.GrantType) bool {
	if c.config == nil {
		//rule:client-credentials-for-all
		return grant == config.GrantAuthorizationCode
	}
	return slices.Contains(c.config.GrantTypes, grant)
}

// Narrow returns those of the scopes that the client may have at all.
func (c *Client) Narrow(scopes oauth.Scopes) oauth.Scopes {
	if c.config == nil || len(c.config.Scopes) == 0 {
		return scopes
	}
	return slices.DeleteFunc(slices.Clone(scopes), func(s string) bool {
		//rule:provisioned-scopes
		return s != oauth.ScopeOfflineAccess && !slices.Contains(c.config.Scopes, s)
	})
}

// MayRedirectTo says whether the client registered this redirect URI.
func (c *Client) MayRedirectTo(uri string) bool {
	return oauth.MatchRedirectURI(c.RedirectURIs, uri)
}

// provesSecret says whether secret is this client's.
func (c *Client) provesSecret(secret string) bool {
	return len(c.SecretHash) > 0 && keys.Equal(tokens.Hash(secret), c.SecretHash)
}

// managedBy says whether token is this client's registration access token.
func (c *Client) managedBy(token string) bool {
	//rule:managed-by-anybody managed-by-client
	return len(c.ManagementHash) > 0 && keys.Equal(tokens.Hash(token), c.ManagementHash)
}

func (c *Client) expires() time.Time { return time.Unix(c.ExpiresAt, 0) }

// index separates the clients that may be forgotten from those that may not.
func (c *Client) index() string {
	if c.Used {
		return indexUsed
	}
	return indexUnused
}

const (
	indexUsed   = "used"
	indexUnused = "unused"
)
