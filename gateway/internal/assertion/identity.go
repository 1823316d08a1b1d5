package assertion

import (
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
)

// typeIdentity is what an identity assertion says that it is.
const typeIdentity = "oauth-id-jag+jwt"

// Identity is an Identity Assertion Authorization Grant
// (draft-ietf-oauth-identity-assertion-authz-grant) that somebody sent, as it
// says of itself: who a user is, for one client, at one server. Nothing of it is
// to be believed before Verify.
type Identity struct {
	// Issuer and Subject are iss and sub, ClientID is client_id. None is empty.
	Issuer, Subject, ClientID string
	// KeyID is kid, which may be empty.
	KeyID string
	// Resources are resource, and Scope is scope; both may be empty.
	Resources []string
	Scope     string
	// Claims are all that it says of the user. email is among them only if the
	// issuer has verified it.
	Claims map[string]any

	algorithm jose.SignatureAlgorithm
	claims    identityClaims
	signed    *jose.JSONWebSignature
}

type identityClaims struct {
	Issuer    string    `json:"iss"`
	Subject   string    `json:"sub"`
	Audience  audience  `json:"aud"`
	ClientID  string    `json:"client_id"`
	ExpiresAt *unixTime `json:"exp"`
	IssuedAt  *unixTime `json:"iat"`
	NotBefore *unixTime `json:"nbf"`
	ID        string    `json:"jti"`
	Resource  texts     `json:"resource"`
	Scope     string    `json:"scope"`
}

// texts are a string, or an array of them.
type texts []string

func (t *texts) UnmarshalJSON(b []byte) error {
	var one string
	if err := json.Unmarshal(b, &one); err == nil {
		*t = texts{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(t))
}

// ParseIdentity reads an identity assertion in its compact form. The error says
// what is wrong with it, and quotes nothing of it. One that is bound to a key
// (cnf), or speaks of more than scopes (authorization_details), is refused: to
// overlook that would give more than its issuer meant.
func ParseIdentity(compact string) (*Identity, error) {
	signed, err := jose.ParseSignedCompact(compact, Algorithms)
	if err != nil || len(signed.Signatures) != 1 {
		return nil, errors.New("it is not a JWT that is signed with one of the algorithms that are supported")
	}
	header := signed.Signatures[0].Protected
	//rule:id-jag-typ
	if header.ExtraHeaders[jose.HeaderType] != typeIdentity {
		return nil, errors.New("its typ is not " + typeIdentity)
	}
	i := &Identity{KeyID: header.KeyID, algorithm: jose.SignatureAlgorithm(header.Algorithm), signed: signed}
	// This decoder tells cases apart, and refuses a member that stands twice.
	payload := signed.UnsafePayloadWithoutVerification()
	if json.Unmarshal(payload, &i.claims) != nil || json.Unmarshal(payload, &i.Claims) != nil {
		return nil, errors.New("its claims are not those of an identity assertion")
	}
	c := &i.claims
	switch {
	case c.Issuer == "" || c.Subject == "" || c.Audience == "" || c.ClientID == "":
		return nil, errors.New("it lacks iss, sub, aud or client_id")
	case c.ExpiresAt == nil || c.IssuedAt == nil:
		return nil, errors.New("it lacks exp or iat")
	case c.ID == "" || len(c.ID) > maxID:
		return nil, fmt.Errorf("it lacks a jti of at most %d bytes", maxID)
	}
	for _, name := range []string{"cnf", "authorization_details"} {
		//rule:id-jag-bound
		if _, there := i.Claims[name]; there {
			return nil, errors.New("it has " + name + ", which is not supported")
		}
	}
	//rule:id-jag-email
	if i.Claims["email_verified"] != true {
		delete(i.Claims, "email")
	}
	i.Issuer, i.Subject, i.ClientID, i.Resources, i.Scope = c.Issuer, c.Subject, c.ClientID, c.Resource, c.Scope
	return i, nil
}

// Verify says why the assertion is not one of this issuer's, signed with one of
// its keys, for this client and this audience, and good now; or it returns nil.
func (i *Identity) Verify(issuer, clientID, audience string, keys Keys, now time.Time) error {
	c, expires := i.claims, i.claims.ExpiresAt.time()
	switch {
	//rule:id-jag-issuer
	case c.Issuer != issuer:
		return errors.New("its iss is not the issuer")
	//rule:id-jag-client
	case c.ClientID != clientID:
		return errors.New("it is for another client")
	//rule:id-jag-aud
	case string(c.Audience) != audience:
		return errors.New("its aud is not this server")
	//rule:id-jag-expired
	case !now.Before(expires.Add(Skew)):
		return errors.New("it has expired")
	//rule:id-jag-long
	case expires.After(now.Add(MaxLifetime+Skew)) || expires.After(c.IssuedAt.time().Add(MaxLifetime)):
		return fmt.Errorf("it lives for more than %s", MaxLifetime)
	case c.NotBefore != nil && c.NotBefore.time().After(now.Add(Skew)):
		return errors.New("it is not good yet")
	case c.IssuedAt.time().After(now.Add(Skew)):
		return errors.New("it was issued in the future")
	}
	key, err := keys.choose(i.KeyID, i.algorithm)
	if err != nil {
		return err
	}
	//rule:id-jag-unsigned
	if _, err := i.signed.Verify(key); err != nil {
		return errors.New("its signature is wrong")
	}
	return nil
}
