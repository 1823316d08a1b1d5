// Package grants keeps what users have approved: for each approval one record
// that holds its code, its family of refresh tokens and its access tokens. All
// that must be atomic about a grant is in that record, so each step of the
// protocol is one compare-and-swap.
package grants

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"slices"
	"time"

	"vestibule.dev/vestibule/gateway/internal/clients"
	"vestibule.dev/vestibule/gateway/internal/keys"
	"vestibule.dev/vestibule/gateway/internal/oauth"
	"vestibule.dev/vestibule/gateway/internal/tokens"
)

const (
	// CodeTTL is how long an authorization code is good (RFC 6749 section 4.1.2).
	CodeTTL = 60 * time.Second
	// RetryWindow is how long after its first use a refresh token still gets
	// what that use got: parallel processes and lost answers are common, and
	// must not sign users out.
	RetryWindow = 120 * time.Second
	// maxRotations is how many rotations back a retry may reach.
	maxRotations = 8
	// maxAccessTokens is how many access tokens of one grant live at once.
	maxAccessTokens = 16
	// MaxPerUser is how many grants one user keeps with one client.
	MaxPerUser = 20
	// MaxUnattended is how many grants one client keeps for itself. It is more,
	// since many workers may share a client, and each gets a token of its own; and
	// no more, since each is a record of some 500 bytes.
	MaxUnattended = 256
	// MaxData bounds what is kept of a user's claims, in bytes.
	MaxData = 16 << 10
)

// grant is the record. Its members' numbers are its format: a number is never
// used again for anything else. Times are in seconds since 1970.
type grant struct {
	ClientID string   `cbor:"1,keyasint"`
	Upstream string   `cbor:"2,keyasint"`
	Issuer   string   `cbor:"3,keyasint"`
	Subject  string   `cbor:"4,keyasint"`
	Name     string   `cbor:"5,keyasint,omitempty"`
	Scopes   []string `cbor:"6,keyasint,omitempty"`
	Resource string   `cbor:"7,keyasint"`

	CreatedAt   int64 `cbor:"8,keyasint"`
	ExpiresAt   int64 `cbor:"9,keyasint"`
	RefreshedAt int64 `cbor:"10,keyasint,omitempty"`

	Code *code `cbor:"11,keyasint,omitempty"`

	// Generation counts the refresh tokens; 0 before the code is redeemed.
	Generation uint32 `cbor:"12,keyasint,omitempty"`
	// Newest is the refresh token of this generation.
	Newest heldToken `cbor:"13,keyasint,omitempty"`
	// Rotations lead to Newest, the last one last.
	Rotations []rotation `cbor:"14,keyasint,omitempty"`
	// Access are the access tokens that may be alive.
	Access []accessToken `cbor:"15,keyasint,omitempty"`

	// Data is sealed under the grant's data key, which only its live tokens unwrap.
	Data []byte `cbor:"16,keyasint,omitempty"`

	// Proof is how the client authenticated when the user approved it, kept for a
	// client that is itself no record.
	Proof *clients.Proof `cbor:"17,keyasint,omitempty"`

	// UpstreamGeneration counts the upstream's tokens in Data; 0 if it has none.
	UpstreamGeneration uint32 `cbor:"18,keyasint,omitempty"`
	// Lease says who renews these now.
	Lease *lease `cbor:"19,keyasint,omitempty"`
	// Refused is which of them was refused last, by who got it with a request.
	Refused *refusal `cbor:"20,keyasint,omitempty"`
	// Unattended says that nobody logged in here for this grant.
	Unattended bool `cbor:"30,keyasint,omitempty"`
}

// heldToken is a token as the record knows it.
type heldToken struct {
	Hash []byte `cbor:"1,keyasint"`
	// DataKey is the grant's data key, wrapped under the token.
	DataKey []byte `cbor:"2,keyasint"`
}

type code struct {
	heldToken
	// Challenge is the SHA-256 of the code verifier (RFC 7636, S256).
	Challenge   []byte `cbor:"3,keyasint"`
	RedirectURI string `cbor:"4,keyasint"`
	ExpiresAt   int64  `cbor:"5,keyasint"`
	Spent       bool   `cbor:"6,keyasint,omitempty"`
}

// rotation is the step from one refresh token to its successor.
type rotation struct {
	// Parent and Child are generations.
	Parent uint32 `cbor:"1,keyasint"`
	Child  uint32 `cbor:"2,keyasint"`
	// KeyID and Nonce derive the child from the parent.
	KeyID uint8  `cbor:"3,keyasint"`
	Nonce []byte `cbor:"4,keyasint"`
	At    int64  `cbor:"5,keyasint"`
	// ParentDataKey is the data key under the parent, kept for the newest
	// rotation only: its parent may have to rotate again.
	ParentDataKey []byte `cbor:"6,keyasint,omitempty"`
}

type accessToken struct {
	heldToken
	ExpiresAt int64 `cbor:"3,keyasint"`
	// Child is the generation whose rotation derived this token; 0 for one that
	// was made at random.
	Child uint32 `cbor:"4,keyasint,omitempty"`
	// Scopes are set if they are fewer than the grant's.
	Scopes   []string `cbor:"5,keyasint,omitempty"`
	Narrowed bool     `cbor:"6,keyasint,omitempty"`
}

func (g *grant) expires() time.Time {
	if g.Generation == 0 && g.Code != nil {
		// Nobody came for the code. A minute more tells a replay from a guess.
		return time.Unix(g.Code.ExpiresAt, 0).Add(time.Minute)
	}
	return time.Unix(g.ExpiresAt, 0)
}

// user is under which name the grants of one user with one client are found.
func (g *grant) user() string { return g.ClientID + "\x00" + g.Issuer + "\x00" + g.Subject }

func (g *grant) holder() Holder {
	return Holder{ClientID: g.ClientID, Upstream: g.Upstream, Issuer: g.Issuer, Subject: g.Subject, Name: g.Name}
}

// accessToken returns the access token with this hash, or nil.
func (g *grant) accessToken(hash []byte) *accessToken {
	for i := range g.Access {
		//rule:access-hash
		if keys.Equal(g.Access[i].Hash, hash) {
			return &g.Access[i]
		}
	}
	return nil
}

// scopesOf returns what an access token may do: at most what the grant may.
func (g *grant) scopesOf(a *accessToken) oauth.Scopes {
	//rule:narrow-token-is-wide
	if a.Narrowed {
		return a.Scopes
	}
	return g.Scopes
}

// addAccess adds a token and drops those that are dead, then the oldest.
func (g *grant) addAccess(a accessToken, now time.Time) {
	g.Access = slices.DeleteFunc(g.Access, func(o accessToken) bool { return o.ExpiresAt <= now.Unix() })
	g.Access = append(g.Access, a)
	if over := len(g.Access) - maxAccessTokens; over > 0 {
		g.Access = g.Access[over:]
	}
}

// verifies says whether verifier is what the challenge was made of (RFC 7636
// section 4.6).
func verifies(challenge []byte, verifier string) bool {
	return keys.Equal(tokens.Hash(verifier), challenge)
}

// ParseChallenge reads an S256 code challenge (RFC 7636 section 4.2).
func ParseChallenge(s string) ([]byte, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != sha256.Size || len(s) != base64.RawURLEncoding.EncodedLen(sha256.Size) {
		return nil, errors.New("not the base64url of a SHA-256")
	}
	return b, nil
}
