package clients

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"vestibule.dev/vestibule/gateway/internal/assertion"
	"vestibule.dev/vestibule/gateway/internal/oauth"
	"vestibule.dev/vestibule/gateway/internal/store"
)

// credentials are what a request says of its client.
type credentials struct {
	id, secret string
	// rawSecret is the secret of a Basic header before form decoding: some
	// clients encode it as RFC 6749 section 2.3.1 says, some do not.
	rawSecret string
	basic     bool
	// assertion is set if the client sent one.
	assertion *assertion.Assertion
}

// Authenticate returns the client that makes a request to the token or
// revocation endpoint. The error is an *oauth.Error: invalid_client for one
// that is unknown or does not prove who it is, invalid_request for two proofs
// at once, or temporarily_unavailable.
func (s *Service) Authenticate(r *http.Request, p oauth.Params) (*Client, *oauth.Error) {
	cred, e := readCredentials(r, p)
	if e != nil {
		return nil, e
	}
	c, e := s.authenticate(r, cred, p)
	if e != nil {
		e.Basic = cred.basic
		return nil, e
	}
	return c, nil
}

// Claimed is the id by which a request says who sends it, whether that is true or
// not, or "".
func Claimed(r *http.Request, p oauth.Params) string {
	cred, _ := readCredentials(r, p)
	if cred.id == "" {
		return p.Get("client_id")
	}
	return cred.id
}

func (s *Service) authenticate(r *http.Request, cred credentials, p oauth.Params) (*Client, *oauth.Error) {
	c, e := s.lookUp(r.Context(), cred.id, p)
	if e != nil {
		return nil, e
	}
	if c.Provisioned() {
		var err error
		if c, err = c.withFiles(); err != nil {
			s.opts.Log.ErrorContext(r.Context(), "a provisioned client cannot authenticate", "client_id", cred.id, "error", err)
			return nil, oauth.Unavailable(err)
		}
	}
	e = s.check(r.Context(), c, cred, p)
	if e == nil || e.Code != oauth.CodeInvalidClient || !c.recorded() {
		return c, e
	}
	// Not on the copy: a client can have a new secret, or new keys, since then. But
	// whoever guesses must not have the store read each time.
	if s.opts.TakeFailure != nil {
		//rule:failures-without-number
		if wait, ok := s.opts.TakeFailure(r); !ok {
			return nil, &oauth.Error{
				Code: oauth.CodeTemporarilyUnavailable, Status: http.StatusTooManyRequests,
				Description: "too many failed authentications; try again later", RetryAfter: wait, Cause: e,
			}
		}
	}
	live, err := s.table.Get(r.Context(), c.id)
	if err != nil {
		return nil, unknown(err)
	}
	c = live.withID(c.id)
	return c, s.check(r.Context(), c, cred, p)
}

// check says why the credentials are not this client's, or returns nil.
func (s *Service) check(ctx context.Context, c *Client, cred credentials, p oauth.Params) *oauth.Error {
	why := ""
	switch {
	case cred.assertion != nil:
		return s.prove(ctx, c, cred.assertion, p)
	//rule:secret-of-public-client
	case c.Public() && cred.secret != "":
		why = "a public client sent a secret"
	//rule:no-client-secret
	case c.Public():
		return nil
	case cred.secret == "":
		why = "nothing was sent that proves it"
	//rule:wrong-client-secret
	case !c.provesSecret(cred.secret) && !c.provesSecret(cred.rawSecret):
		why = "wrong secret"
	default:
		return nil
	}
	return oauth.InvalidClient("the client did not authenticate as it registered").Because(errors.New(why))
}

func (s *Service) lookUp(ctx context.Context, clientID string, p oauth.Params) (*Client, *oauth.Error) {
	if s.isDocument(clientID) {
		return s.lookUpDocument(ctx, clientID, p)
	}
	c, err := s.Find(ctx, clientID)
	if err != nil {
		return nil, unknown(err)
	}
	return c, nil
}

// unknown is the answer where no client was found.
func unknown(err error) *oauth.Error {
	if errors.Is(err, store.ErrNotFound) {
		// 401, not 400 or 404: that is by which clients know to register again.
		return oauth.InvalidClient("no such client is registered here; register again").Because(err)
	}
	//rule:outage-unknown-client
	return oauth.Unavailable(err)
}

func twoProofs() *oauth.Error {
	return oauth.InvalidRequest("the client authenticates in two ways at once")
}

func readCredentials(r *http.Request, p oauth.Params) (credentials, *oauth.Error) {
	c := credentials{id: p.Get("client_id"), secret: p.Get("client_secret")}
	c.rawSecret = c.secret
	header := r.Header["Authorization"]
	if p.Get("client_assertion") != "" || p.Get("client_assertion_type") != "" {
		if len(header) > 0 || c.secret != "" {
			return c, twoProofs()
		}
		return readAssertion(c.id, p)
	}
	if len(header) == 0 {
		if c.id == "" {
			return c, oauth.InvalidClient("the request does not say which client sends it")
		}
		return c, nil
	}
	if len(header) > 1 {
		return c, oauth.InvalidRequest("there is more than one Authorization header")
	}
	id, secret, ok := basicAuth(header[0])
	if !ok {
		e := oauth.InvalidClient("the Authorization header is not of the Basic scheme")
		e.Basic = true
		return c, e
	}
	//rule:two-client-proofs
	if c.secret != "" {
		return c, twoProofs()
	}
	decodedID, err := url.QueryUnescape(id)
	if err != nil {
		decodedID = id
	}
	//rule:two-client-ids
	if c.id != "" && c.id != decodedID && c.id != id {
		return c, oauth.InvalidRequest("client_id and the Authorization header name two clients")
	}
	decodedSecret, err := url.QueryUnescape(secret)
	if err != nil {
		decodedSecret = secret
	}
	// A Basic header with an empty secret is how some libraries send no secret
	// at all before they try something else.
	return credentials{id: decodedID, secret: decodedSecret, rawSecret: secret, basic: true}, nil
}

func basicAuth(header string) (user, password string, ok bool) {
	scheme, encoded, found := strings.Cut(header, " ")
	if !found || !strings.EqualFold(scheme, "Basic") {
		return "", "", false
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	if err != nil {
		return "", "", false
	}
	return strings.Cut(string(raw), ":")
}
