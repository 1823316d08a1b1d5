package clients

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"vestibule.dev/vestibule/gateway/internal/assertion"
	"vestibule.dev/vestibule/gateway/internal/assertion/assertiontest"
	"vestibule.dev/vestibule/gateway/internal/documents"
	"vestibule.dev/vestibule/gateway/internal/oauth"
)

const issuer = "https://mcp.example.com"

// registerSigner registers a client with the keys of a signer.
func (r *replica) registerSigner(c Client) *Client {
	r.t.Helper()
	registered, issued, err := r.Register(r.t.Context(), c)
	if err != nil || issued.Secret != "" || len(registered.SecretHash) > 0 {
		r.t.Fatalf("registering: %v, with the secret %q", err, issued.Secret)
	}
	return registered
}

func signed(compact string, others ...string) url.Values {
	v := form("client_assertion_type", assertion.Type, "client_assertion", compact)
	for i := 0; i < len(others); i += 2 {
		v.Set(others[i], others[i+1])
	}
	return v
}

func (r *replica) passes(a attempt, want *Client) {
	r.t.Helper()
	if c, e := r.try(a); e != nil || c.ID() != want.ID() {
		r.t.Errorf("it is refused: %v", e)
	}
}

func (r *replica) fails(a attempt, code string) {
	r.t.Helper()
	if _, e := r.try(a); e == nil || e.Code != code {
		r.t.Errorf("got %v, want %s", e, code)
	}
}

func TestHowClientsAuthenticateWithKeys(t *testing.T) {
	w := newWorld(t)
	s, stranger := assertiontest.New(t, "k", jose.ES256), assertiontest.New(t, "k", jose.ES256)
	c := w.a.registerSigner(Client{Method: MethodPrivateKeyJWT, JWKS: assertiontest.JWKS(t, s)})
	other := w.a.registerSigner(Client{Method: MethodPrivateKeyJWT, JWKS: assertiontest.JWKS(t, stranger)})
	public := w.a.registerSigner(Client{Method: MethodNone})
	either := w.a.registerSigner(Client{Method: MethodNone, JWKS: assertiontest.JWKS(t, s)})
	rsaOnly := w.a.registerSigner(Client{Method: MethodPrivateKeyJWT, JWKS: assertiontest.JWKS(t, s), SigningAlg: "RS256"})
	secretive, secret := w.a.register(MethodBasic)
	of := func(c *Client, others map[string]any) string {
		return s.Sign(t, assertiontest.Claims(c.ID(), issuer, w.clock.Now(), others), nil)
	}

	w.b.passes(attempt{nil, signed(of(c, nil))}, c)
	w.b.passes(attempt{nil, signed(of(c, map[string]any{"aud": issuer + "/token"}), "client_id", c.ID())}, c)
	w.b.passes(attempt{nil, signed(of(either, nil))}, either)
	w.b.passes(attempt{nil, form("client_id", either.ID())}, either)

	for name, row := range map[string]struct {
		attempt attempt
		code    string
	}{
		"no proof":                    {attempt{nil, form("client_id", c.ID())}, oauth.CodeInvalidClient},
		"a secret":                    {attempt{nil, form("client_id", c.ID(), "client_secret", secret)}, oauth.CodeInvalidClient},
		"basic, an empty secret":      {attempt{basic(c.ID(), ""), nil}, oauth.CodeInvalidClient},
		"another's key":               {attempt{nil, signed(of(other, nil))}, oauth.CodeInvalidClient},
		"another's assertion":         {attempt{nil, signed(of(c, nil), "client_id", other.ID())}, oauth.CodeInvalidRequest},
		"no keys, public":             {attempt{nil, signed(of(public, nil))}, oauth.CodeInvalidClient},
		"no keys, a secret":           {attempt{nil, signed(of(secretive, nil))}, oauth.CodeInvalidClient},
		"another algorithm":           {attempt{nil, signed(of(rsaOnly, nil))}, oauth.CodeInvalidClient},
		"expired":                     {attempt{nil, signed(of(c, map[string]any{"exp": w.clock.Now().Add(-time.Hour).Unix()}))}, oauth.CodeInvalidClient},
		"for another server":          {attempt{nil, signed(of(c, map[string]any{"aud": "https://other.example"}))}, oauth.CodeInvalidClient},
		"an unknown client":           {attempt{nil, signed(of(&Client{url: "vst_cl_AAAAAAAAAAAAAAAAAAAAAAAA"}, nil))}, oauth.CodeInvalidClient},
		"and a secret":                {attempt{nil, signed(of(c, nil), "client_secret", secret)}, oauth.CodeInvalidRequest},
		"and basic":                   {attempt{basic(c.ID(), secret), signed(of(c, nil))}, oauth.CodeInvalidRequest},
		"and basic, an empty secret":  {attempt{basic(c.ID(), ""), signed(of(c, nil))}, oauth.CodeInvalidRequest},
		"no type":                     {attempt{nil, form("client_assertion", of(c, nil))}, oauth.CodeInvalidRequest},
		"another type":                {attempt{nil, form("client_assertion", of(c, nil), "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer")}, oauth.CodeInvalidRequest},
		"a type alone":                {attempt{nil, form("client_id", public.ID(), "client_assertion_type", assertion.Type)}, oauth.CodeInvalidRequest},
		"what is no assertion":        {attempt{nil, signed("x.y.z", "client_id", c.ID())}, oauth.CodeInvalidClient},
		"for a public client, broken": {attempt{nil, signed("x.y.z", "client_id", public.ID())}, oauth.CodeInvalidClient},
	} {
		t.Run(name, func(t *testing.T) {
			_, e := w.b.try(row.attempt)
			if e == nil || e.Code != row.code || e.Code == oauth.CodeInvalidClient && e.Status != http.StatusUnauthorized {
				t.Errorf("got %v, want %s", e, row.code)
			}
		})
	}
}

func TestAnAssertionIsGoodOnce(t *testing.T) {
	w := newWorld(t)
	s := assertiontest.New(t, "k", jose.ES256)
	c := w.a.registerSigner(Client{Method: MethodPrivateKeyJWT, JWKS: assertiontest.JWKS(t, s)})
	other := w.a.registerSigner(Client{Method: MethodPrivateKeyJWT, JWKS: assertiontest.JWKS(t, s)})
	once := map[string]any{"jti": "once", "exp": w.clock.Now().Add(assertion.MaxLifetime).Unix()}
	sent := signed(s.Sign(t, assertiontest.Claims(c.ID(), issuer, w.clock.Now(), once), nil))

	wrong := signed(assertiontest.New(t, "k", jose.ES256).Sign(t, assertiontest.Claims(c.ID(), issuer, w.clock.Now(), once), nil))
	w.a.fails(attempt{nil, wrong}, oauth.CodeInvalidClient) // and uses up nothing
	w.a.passes(attempt{nil, sent}, c)
	w.a.fails(attempt{nil, sent}, oauth.CodeInvalidClient)
	w.a.passes(attempt{nil, signed(s.Sign(t, assertiontest.Claims(other.ID(), issuer, w.clock.Now(), once), nil))}, other)
	w.clock.Advance(assertion.MaxLifetime + assertion.Skew - time.Second)
	w.a.fails(attempt{nil, sent}, oauth.CodeInvalidClient)
}

func TestWhoFloodsForgetsTheirOwn(t *testing.T) {
	u := newUsedAssertions()
	u.limit = 8
	now := time.Unix(1_800_000_000, 0)
	until := now.Add(time.Minute)
	if !u.add("quiet", "1", until, now) {
		t.Fatal("the first is refused")
	}
	for i := range 100 {
		if !u.add("loud", fmt.Sprint(i), until, now) {
			t.Fatal("a new one is refused")
		}
	}
	if u.add("quiet", "1", until, now) || u.add("loud", "99", until, now) {
		t.Error("one that there was room for is forgotten")
	}
	if u.count > u.limit {
		t.Errorf("%d are remembered", u.count)
	}
	if !u.add("quiet", "2", until.Add(time.Minute), until) || u.count != 1+len(u.byClient["loud"].order) {
		t.Errorf("%d are remembered", u.count)
	}
	for i := range 20 {
		u.add(fmt.Sprint(i), "1", until.Add(time.Minute), until)
	}
	if u.byClient["loud"] != nil || u.count > u.limit || len(u.byClient) > u.limit {
		t.Errorf("what has expired takes room: %d", u.count)
	}
}

// keySets is what clients publish.
type keySets struct {
	keys  assertion.Keys
	err   error
	asked string
}

func (k *keySets) Keys(_ context.Context, uri, keyID string) (assertion.Keys, error) {
	k.asked = uri + " " + keyID
	return k.keys, k.err
}

func TestPublishedKeys(t *testing.T) {
	w := newWorld(t)
	s, next := assertiontest.New(t, "k", jose.ES256), assertiontest.New(t, "next", jose.ES256)
	published := &keySets{}
	w.a.opts.KeySets = published
	const uri = "https://app.example.com/keys"
	c := w.a.registerSigner(Client{Method: MethodPrivateKeyJWT, JWKSURI: uri})
	try := func(s *assertiontest.Signer, c *Client) attempt {
		return attempt{nil, signed(s.Sign(t, assertiontest.Claims(c.ID(), issuer, w.clock.Now(), nil), nil))}
	}
	var err error
	if published.keys, err = assertion.ParseKeys(assertiontest.JWKS(t, next)); err != nil {
		t.Fatal(err)
	}
	w.a.passes(try(next, c), c)
	if published.asked != uri+" next" {
		t.Errorf("asked for %q", published.asked)
	}
	w.a.fails(try(s, c), oauth.CodeInvalidClient)
	published.err = errors.New("unreachable")
	w.a.fails(try(next, c), oauth.CodeTemporarilyUnavailable)
	w.b.fails(try(next, c), oauth.CodeTemporarilyUnavailable)

	// What the grant keeps counts as long as nothing newer can be read.
	w.a.opts.Remembered = func(_ context.Context, token, clientID string) (*Proof, error) {
		if token != "its token" || clientID != c.ID() {
			return nil, nil
		}
		return &Proof{Method: MethodPrivateKeyJWT, JWKSURI: uri, JWKS: assertiontest.JWKS(t, s)}, nil
	}
	with := func(a attempt, token string) attempt {
		a.form.Set("refresh_token", token)
		return a
	}
	w.a.passes(with(try(s, c), "its token"), c)
	w.a.fails(with(try(s, c), "another token"), oauth.CodeTemporarilyUnavailable)
	w.a.fails(with(try(next, c), "its token"), oauth.CodeTemporarilyUnavailable)
	published.err = documents.ErrNoSuchKey // for now: that the grant has it, does not make it good
	w.a.fails(with(try(s, c), "its token"), oauth.CodeTemporarilyUnavailable)
	published.err = nil
	w.a.fails(with(try(s, c), "its token"), oauth.CodeInvalidClient)
}
