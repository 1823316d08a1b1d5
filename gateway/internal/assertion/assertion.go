package assertion

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
)

// Type is what client_assertion_type must be (RFC 7523 section 2.2).
const Type = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

const (
	// MaxLifetime bounds how far ahead an assertion may expire, and so how long
	// its id has to be remembered.
	MaxLifetime = 10 * time.Minute
	// Skew is how far a client's clock may be ahead of or behind ours.
	Skew = 30 * time.Second

	maxID = 256
)

// types are what an assertion may say that it is: nothing, as most do, or what
// RFC 7523 and its successor have. One that was made for something else, such as
// an access token, is not an assertion.
var types = []any{nil, "JWT", "jwt", "client-authentication+jwt"}

// Assertion is a JWT that somebody sent, as it says of itself. Nothing of it is
// to be believed before Verify.
type Assertion struct {
	// Issuer, Subject and ID are iss, sub and jti. None is empty.
	Issuer, Subject, ID string
	// KeyID and Algorithm are kid, which may be empty, and alg, which is one of
	// the Algorithms.
	KeyID, Algorithm string
	// ExpiresAt is exp.
	ExpiresAt time.Time

	claims claims
	signed *jose.JSONWebSignature
}

type claims struct {
	Issuer    string    `json:"iss"`
	Subject   string    `json:"sub"`
	Audience  audience  `json:"aud"`
	ExpiresAt *unixTime `json:"exp"`
	IssuedAt  *unixTime `json:"iat"`
	NotBefore *unixTime `json:"nbf"`
	ID        string    `json:"jti"`
}

// audience is a string, or an array with one. An assertion for several servers
// could be used by each of them at the others.
type audience string

func (a *audience) UnmarshalJSON(b []byte) error {
	var one string
	if err := json.Unmarshal(b, &one); err == nil {
		*a = audience(one)
		return nil
	}
	var list []string
	if err := json.Unmarshal(b, &list); err != nil || len(list) != 1 {
		return errors.New("aud must be one string")
	}
	*a = audience(list[0])
	return nil
}

// unixTime is a NumericDate (RFC 7519 section 2), in seconds.
type unixTime float64

func (u unixTime) time() time.Time { return time.Unix(int64(u), 0) }

func (u *unixTime) UnmarshalJSON(b []byte) error {
	var f float64
	if err := json.Unmarshal(b, &f); err != nil || f < 0 || f > 1e11 {
		return errors.New("a time must be a number of seconds")
	}
	*u = unixTime(f)
	return nil
}

// Parse reads a JWT in its compact form. The error says what is wrong with it,
// and quotes nothing of it.
func Parse(compact string) (*Assertion, error) {
	signed, err := jose.ParseSignedCompact(compact, Algorithms)
	if err != nil || len(signed.Signatures) != 1 {
		return nil, errors.New("it is not a JWT that is signed with one of the algorithms that are supported")
	}
	header := signed.Signatures[0].Protected
	if !slices.Contains(types, header.ExtraHeaders[jose.HeaderType]) {
		return nil, errors.New("its typ is that of something else")
	}
	a := &Assertion{KeyID: header.KeyID, Algorithm: header.Algorithm, signed: signed}
	// This decoder tells cases apart, and refuses a member that stands twice.
	if err := json.Unmarshal(signed.UnsafePayloadWithoutVerification(), &a.claims); err != nil {
		return nil, errors.New("its claims are not those of an assertion")
	}
	c := &a.claims
	switch {
	case c.Issuer == "" || c.Subject == "" || c.Audience == "":
		return nil, errors.New("it lacks iss, sub or aud")
	case c.ExpiresAt == nil:
		return nil, errors.New("it lacks exp")
	case c.ID == "" || len(c.ID) > maxID:
		return nil, fmt.Errorf("it lacks a jti of at most %d bytes", maxID)
	}
	a.Issuer, a.Subject, a.ID, a.ExpiresAt = c.Issuer, c.Subject, c.ID, c.ExpiresAt.time()
	return a, nil
}

// Verify says why the assertion is not one of this client's, signed with one of
// its keys, for one of these audiences, and good now; or it returns nil. Whether
// it was used before is for the caller to know.
func (a *Assertion) Verify(clientID string, keys Keys, audiences []string, now time.Time) error {
	c := a.claims
	switch {
	//rule:assertion-of-another-client
	case c.Issuer != clientID || c.Subject != clientID:
		return errors.New("its iss and sub are not both the client")
	//rule:assertion-for-another-server
	case !slices.Contains(audiences, string(c.Audience)):
		return errors.New("its aud is not this server")
	//rule:assertion-expired
	case !now.Before(a.ExpiresAt.Add(Skew)):
		return errors.New("it has expired")
	case a.ExpiresAt.After(now.Add(MaxLifetime + Skew)):
		return fmt.Errorf("it expires more than %s from now", MaxLifetime)
	case c.NotBefore != nil && c.NotBefore.time().After(now.Add(Skew)):
		return errors.New("it is not good yet")
	case c.IssuedAt != nil && c.IssuedAt.time().After(now.Add(Skew)):
		return errors.New("it was issued in the future")
	}
	key, err := keys.choose(a.KeyID, jose.SignatureAlgorithm(a.Algorithm))
	if err != nil {
		return err
	}
	//rule:assertion-unsigned
	if _, err := a.signed.Verify(key); err != nil {
		return errors.New("its signature is wrong")
	}
	return nil
}
