// Package clients keeps the registered clients: who they are, how they prove
// it, and how long they are remembered.
package clients

import (
	"net/url"
	"time"

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

	id store.ID
	// url is the client_id of a client that is no record.
	url string
}

// ID is the client_id.
func (c *Client) ID() string {
	if c.url != "" {
		return c.url
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

// MayRedirectTo says whether the client registered this redirect URI.
func (c *Client) MayRedirectTo(uri string) bool {
	return oauth.MatchRedirectURI(c.RedirectURIs, uri)
}

// provesSecret says whether secret is this client's.
func (c *Client) provesSecret(secret string) bool {
	return len(c.SecretHash) > 0 && keys.Equal(tokens.Hash(secret), c.SecretHash)
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
