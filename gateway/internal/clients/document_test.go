package clients

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"vestibule.dev/vestibule/gateway/internal/assertion"
	"vestibule.dev/vestibule/gateway/internal/assertion/assertiontest"
	"vestibule.dev/vestibule/gateway/internal/documents"
	"vestibule.dev/vestibule/gateway/internal/oauth"
	"vestibule.dev/vestibule/gateway/internal/store"
)

// published are documents by URL. Those of evil.example are not allowed.
type published struct {
	now, last map[string]*documents.Document
	err       *documents.Error
}

func (p *published) Find(_ context.Context, clientID string) (*documents.Document, error) {
	if d := p.now[clientID]; d != nil {
		return d, nil
	}
	return nil, p.err
}

func (p *published) Last(clientID string) *documents.Document { return p.last[clientID] }

func (p *published) Allowed(clientID string) *documents.Error {
	if strings.HasPrefix(clientID, "https://evil.example/") {
		return &documents.Error{Kind: documents.NotAllowed}
	}
	return nil
}

const published1 = "https://app.example.com/client.json"

func publish(r *replica, d *documents.Document) *published {
	p := &published{now: map[string]*documents.Document{d.ClientID: d}, err: &documents.Error{Kind: documents.Unreachable}}
	r.opts.Documents = p
	return p
}

func TestAClientWithADocument(t *testing.T) {
	w := newWorld(t)
	w.b.view.Fail(true) // the store is not asked
	publish(w.b, &documents.Document{
		ClientID: published1, Name: "App", URI: "https://app.example.com", RedirectURIs: []string{"http://127.0.0.1/cb"}, Method: MethodNone,
	})
	c := w.b.find(published1)
	if c.ID() != published1 || c.Host() != "app.example.com" || c.Name != "App" || !c.Public() || !c.MayRedirectTo("http://127.0.0.1:7/cb") {
		t.Errorf("%+v", c)
	}
	w.b.touch(c)
	w.b.passes(attempt{nil, form("client_id", published1)}, c)
	w.b.passes(attempt{basic(strings.ReplaceAll(published1, ":", "%3A"), ""), nil}, c)
	w.b.fails(attempt{nil, form("client_id", published1, "client_secret", "x")}, oauth.CodeInvalidClient)
	// Whoever has tokens keeps them, whatever its host does, as long as it is let in.
	for id, there := range map[string]bool{published1: true, "https://app.example.com/never-seen": true, "https://evil.example/c": false} {
		known, heard := w.b.Known(id)
		if (known != nil) != there || !heard.Equal(w.clock.Now()) || known != nil && known.ID() != id {
			t.Errorf("%s: known as %+v since %s", id, known, heard)
		}
		if err := w.b.Exists(t.Context(), id); (err == nil) != there || err != nil && !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: %v", id, err)
		}
	}
}

func TestWithoutItsDocumentAClientIsAsItWas(t *testing.T) {
	w := newWorld(t)
	s, changed := assertiontest.New(t, "k", jose.ES256), assertiontest.New(t, "k", jose.ES256)
	document := func(s *assertiontest.Signer) *documents.Document {
		return &documents.Document{ClientID: published1, Method: MethodPrivateKeyJWT, JWKS: assertiontest.JWKS(t, s)}
	}
	p := publish(w.a, document(s))
	c := w.a.find(published1)
	try := func(s *assertiontest.Signer, others ...string) attempt {
		return attempt{nil, signed(s.Sign(t, assertiontest.Claims(published1, issuer, w.clock.Now(), nil), nil), others...)}
	}
	w.a.passes(try(s), c)
	p.now = nil
	w.a.fails(try(s), oauth.CodeTemporarilyUnavailable)
	p.last = map[string]*documents.Document{published1: document(changed)}
	w.a.passes(try(changed), c)
	w.a.fails(try(s), oauth.CodeInvalidClient)
	w.a.fails(attempt{nil, form("client_id", published1)}, oauth.CodeInvalidClient)

	p.last = nil
	var asked []string
	var keeps *Proof
	var down error
	w.a.opts.Remembered = func(_ context.Context, token, clientID string) (*Proof, error) {
		asked = append(asked, token+" "+clientID)
		return keeps, down
	}
	for _, name := range []string{"refresh_token", "code", "token"} {
		w.a.fails(try(s, name, "a-"+name), oauth.CodeTemporarilyUnavailable)
	}
	if got := strings.Join(asked, ","); got != "a-refresh_token "+published1+",a-code "+published1+",a-token "+published1 {
		t.Errorf("asked %s", got)
	}
	keeps = &Proof{Method: MethodPrivateKeyJWT, JWKS: assertiontest.JWKS(t, s)}
	w.a.passes(try(s, "code", "x"), c)
	w.a.fails(attempt{nil, form("client_id", published1, "code", "x")}, oauth.CodeInvalidClient)
	w.a.fails(try(changed, "code", "x"), oauth.CodeInvalidClient)
	keeps = &Proof{Method: MethodNone}
	w.a.passes(attempt{nil, form("client_id", published1, "code", "x")}, c)
	w.a.fails(try(s, "code", "x"), oauth.CodeInvalidClient)
	keeps, down = nil, store.ErrUnavailable
	w.a.fails(try(s, "code", "x"), oauth.CodeTemporarilyUnavailable)

	down = nil
	p.err = &documents.Error{Kind: documents.Invalid, Reason: "has no client_name"}
	w.a.fails(try(s, "code", "x"), oauth.CodeInvalidClient)
	p.err = &documents.Error{Kind: documents.Busy}
	w.a.fails(try(s, "code", "x"), oauth.CodeTemporarilyUnavailable)
	// Who is not let in any more is not remembered either.
	keeps = &Proof{Method: MethodNone}
	p.err = &documents.Error{Kind: documents.NotAllowed}
	w.a.fails(attempt{nil, form("client_id", published1, "code", "x")}, oauth.CodeInvalidClient)
}

func TestWhatAGrantKeepsOfItsClient(t *testing.T) {
	w := newWorld(t)
	s := assertiontest.New(t, "k", jose.ES256)
	registered, _ := w.a.register(MethodNone)
	const uri = "https://app.example.com/keys"
	p := publish(w.a, &documents.Document{ClientID: published1, Method: MethodPrivateKeyJWT, JWKSURI: uri, SigningAlg: "ES256"})
	keys, err := assertion.ParseKeys(assertiontest.JWKS(t, s))
	if err != nil {
		t.Fatal(err)
	}
	reachable := &keySets{keys: keys}
	w.a.opts.KeySets = reachable
	proof := func(id string) *Proof {
		t.Helper()
		proof, err := w.a.Proof(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return proof
	}
	if got := proof(registered.ID()); got != nil {
		t.Errorf("of a record it keeps %+v", got)
	}
	got := proof(published1)
	if got.Method != MethodPrivateKeyJWT || got.JWKSURI != uri || got.SigningAlg != "ES256" {
		t.Errorf("it keeps %+v", got)
	}
	if kept, err := assertion.ParseKeys(got.JWKS); err != nil || !kept.Has("k") {
		t.Errorf("the keys are %s: %v", got.JWKS, err)
	}
	reachable.err = errors.New("down")
	if got := proof(published1); got.JWKSURI != uri || got.JWKS != nil {
		t.Errorf("without the keys it keeps %+v", got)
	}
	p.now = nil
	if got, err := w.a.Proof(t.Context(), published1); err == nil {
		t.Errorf("without the document it keeps %+v", got)
	}
}
