package clients

import (
	"context"
	"errors"
	"time"

	"vestibule.dev/vestibule/gateway/internal/documents"
	"vestibule.dev/vestibule/gateway/internal/oauth"
)

// Documents finds clients that name themselves by the URL of a document.
type Documents interface {
	// Find returns the document, or a *documents.Error.
	Find(ctx context.Context, clientID string) (*documents.Document, error)
	// Last returns the document as it was last read, or nil.
	Last(clientID string) *documents.Document
	// Allowed says why no client may have this client_id, or returns nil.
	Allowed(clientID string) *documents.Error
}

// Proof is what authenticates a client that is no record: its grants keep it, for
// when the client's own host is down. Its members' numbers are its format.
type Proof struct {
	Method string `cbor:"1,keyasint"`
	// JWKS is the client's JWK Set: its own, or what its JWKSURI last had. It may be
	// missing with a JWKSURI.
	JWKS       []byte `cbor:"2,keyasint,omitempty"`
	JWKSURI    string `cbor:"3,keyasint,omitempty"`
	SigningAlg string `cbor:"4,keyasint,omitempty"`
}

// documentPatience is how long a token request waits for a document. What is
// known of the client already will do.
const documentPatience = 2 * time.Second

func (s *Service) isDocument(clientID string) bool {
	return s.opts.Documents != nil && documents.Names(clientID)
}

func (s *Service) findDocument(ctx context.Context, clientID string) (*Client, error) {
	d, err := s.opts.Documents.Find(ctx, clientID)
	if err != nil {
		return nil, err
	}
	return fromDocument(d), nil
}

func fromDocument(d *documents.Document) *Client {
	return &Client{
		url: d.ClientID, Name: d.Name, URI: d.URI, RedirectURIs: d.RedirectURIs,
		Method: d.Method, JWKS: d.JWKS, JWKSURI: d.JWKSURI, SigningAlg: d.SigningAlg,
	}
}

// fromProof is a client of which no more is known than what proves it.
func fromProof(clientID string, p *Proof) *Client {
	c := &Client{url: clientID, Method: p.Method, JWKSURI: p.JWKSURI, SigningAlg: p.SigningAlg}
	if c.JWKSURI == "" {
		c.JWKS = p.JWKS
	}
	return c
}

// knownDocument is a client that has grants: it is there as long as the
// configuration lets it in. Whether its host answers just now is no part of that.
func (s *Service) knownDocument(clientID string) *Client {
	if s.opts.Documents.Allowed(clientID) != nil {
		return nil
	}
	return &Client{url: clientID}
}

// lookUpDocument finds the client of a token request. Where its document cannot
// be had, it is as it was last seen on this replica, or else as it was when its
// user approved it: a client's host that is down costs nobody a login.
func (s *Service) lookUpDocument(ctx context.Context, clientID string, p oauth.Params) (*Client, *oauth.Error) {
	waiting, cancel := context.WithTimeout(ctx, documentPatience)
	defer cancel()
	c, err := s.findDocument(waiting, clientID)
	if err == nil {
		return c, nil
	}
	bad, ok := errors.AsType[*documents.Error](err)
	if ok && bad.Kind == documents.NotAllowed {
		return nil, oauth.InvalidClient("clients that name themselves by this URL may not be used here").Because(err)
	}
	if d := s.opts.Documents.Last(clientID); d != nil {
		return fromDocument(d), nil
	}
	proof, unknown := s.remembered(ctx, clientID, p)
	switch {
	case unknown != nil:
		return nil, oauth.Unavailable(unknown)
	case proof != nil:
		return fromProof(clientID, proof), nil
	case ok && bad.Kind == documents.Invalid:
		return nil, oauth.InvalidClient("the client's metadata document %s", bad.Reason)
	}
	return nil, oauth.Unavailable(err)
}

// remembered asks the grant that the request is about, if it names one.
func (s *Service) remembered(ctx context.Context, clientID string, p oauth.Params) (*Proof, error) {
	for _, name := range []string{"refresh_token", "code", "token"} {
		if token := p.Get(name); token != "" && s.opts.Remembered != nil {
			return s.opts.Remembered(ctx, token, clientID)
		}
	}
	return nil, nil //nolint:nilnil // nothing is remembered, which is no error
}

// Proof returns what a grant for this client has to keep of it: nothing for a
// client that is a record. The error is a *documents.Error. Keys that the client
// publishes are kept if they can be read now: without them the grant is as good,
// as long as the client's host is up.
func (s *Service) Proof(ctx context.Context, clientID string) (*Proof, error) {
	if !s.isDocument(clientID) {
		return nil, nil //nolint:nilnil // nothing to keep, which is no error
	}
	c, err := s.findDocument(ctx, clientID)
	if err != nil {
		return nil, err
	}
	p := &Proof{Method: c.Method, JWKS: c.JWKS, JWKSURI: c.JWKSURI, SigningAlg: c.SigningAlg}
	if p.JWKSURI != "" && s.opts.KeySets != nil {
		waiting, cancel := context.WithTimeout(ctx, documentPatience)
		defer cancel()
		if keys, err := s.opts.KeySets.Keys(waiting, p.JWKSURI, ""); err == nil {
			if p.JWKS, err = keys.Marshal(); err != nil {
				return nil, err
			}
		}
	}
	return p, nil
}
