package grants

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/clients"
	"vestibule.dev/vestibule/gateway/internal/identity"
	"vestibule.dev/vestibule/gateway/internal/keys"
	"vestibule.dev/vestibule/gateway/internal/oauth"
	"vestibule.dev/vestibule/gateway/internal/records/recordstest"
	"vestibule.dev/vestibule/gateway/internal/store"
	"vestibule.dev/vestibule/gateway/internal/upstream"
	"vestibule.dev/vestibule/gateway/policy"
)

const (
	resource    = "https://weather.example.com/mcp"
	redirectURI = "http://127.0.0.1:7000/callback"
	issuer      = "https://idp.example.com"
	verifier    = "a-verifier-of-at-least-forty-three-characters"
)

// world is two gateways over one store, and what can be changed under them.
type world struct {
	t        testing.TB
	clock    *recordstest.Clock
	store    *recordstest.Store
	ring     *keys.Ring
	client   string
	a, b     *gateway
	issuers  map[string]string
	rejected string // whose claims are not let in any more
	// upstream answers when it is asked again.
	upstream func(t upstream.Tokens, was upstream.Identity) (*upstream.Renewed, error)
}

// Serves makes the world the gateways' upstreams.
func (w *world) Serves(name, issuer string) bool { return w.issuers[name] == issuer }

func (w *world) Renew(_ context.Context, _ string, t upstream.Tokens, was upstream.Identity) (*upstream.Renewed, error) {
	return w.upstream(t, was)
}

// Grantable, Allowed and MayHave are the policy.
func (w *world) Grantable() oauth.Scopes { return oauth.Scopes{"read", "write", "admin"} }

func (w *world) Allowed(u policy.User) (string, error) {
	if w.rejected != "" && u.Claims["email"] == w.rejected {
		return "", policy.ErrDenied
	}
	return "", nil
}

// MayHave lets those write who are in the group ops.
func (w *world) MayHave(scopes oauth.Scopes, u policy.User) oauth.Scopes {
	groups, _ := u.Claims["groups"].([]any)
	return slices.DeleteFunc(slices.Clone(scopes), func(s string) bool { return s == "write" && !slices.Contains(groups, any("ops")) })
}

func newWorld(t testing.TB) *world {
	clock := recordstest.NewClock()
	ring, err := keys.NewRing(config.NewKeySet(clock.Now()))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		t: t, clock: clock, store: recordstest.New(clock), ring: ring,
		issuers: map[string]string{"corp": issuer},
	}
	w.a, w.b = w.gateway(), w.gateway()
	w.client = w.a.register()
	return w
}

// gateway is one replica. Its methods fail the test on any error but the one
// they name.
type gateway struct {
	*Service
	w       *world
	view    *recordstest.Replica
	clients *clients.Service
}

func (w *world) gateway(with ...func(*Options)) *gateway {
	g := &gateway{w: w, view: w.store.Replica()}
	log := slog.New(slog.DiscardHandler)
	g.clients = clients.New(clients.Options{
		Store: g.view, Ring: w.ring, ServerUID: "uid", FreshFor: 90 * time.Second, Now: w.clock.Now, Log: log,
		Registration: config.Registration{TTLSeconds: 90 * 86400, UnusedTTLSeconds: 60 * 86400},
	})
	opts := Options{
		Store: g.view, Ring: w.ring, ServerUID: "uid", Clients: g.clients, FreshFor: 90 * time.Second,
		OutageTolerance: 10 * time.Minute, AccessTokenTTL: time.Hour, RefreshTokenTTL: 30 * 24 * time.Hour,
		Policy:    func(context.Context) Policy { return w },
		Upstreams: w,
		Now:       w.clock.Now, Log: log,
	}
	for _, change := range with {
		change(&opts)
	}
	g.Service = New(opts)
	g.view.Attach(func(kind store.Kind, id store.ID, value []byte) {
		switch kind {
		case store.Client:
			g.clients.Observe(id, value)
		case store.Grant:
			g.Observe(id, value)
		}
	})
	return g
}

func (g *gateway) register() string {
	g.w.t.Helper()
	c, _, err := g.clients.Register(g.w.t.Context(), clients.Client{Method: clients.MethodNone, RedirectURIs: []string{redirectURI}})
	if err != nil {
		g.w.t.Fatal(err)
	}
	return c.ID()
}

// login is what happens until the callback: the code for what alice approved.
func (g *gateway) login(with ...func(*Approval)) string {
	g.w.t.Helper()
	challenge := sha256.Sum256([]byte(verifier))
	a := Approval{
		Holder:      Holder{ClientID: g.w.client, Upstream: "corp", Issuer: issuer, Subject: "alice", Name: "Alice"},
		Claims:      map[string]any{"email": "alice@example.com", "groups": []any{"ops"}, "level": 3.0},
		Scopes:      oauth.Scopes{"read", "write"},
		Resource:    resource,
		RedirectURI: redirectURI,
		Challenge:   challenge[:],
	}
	for _, change := range with {
		change(&a)
	}
	code, err := g.Create(g.w.t.Context(), a)
	if err != nil {
		g.w.t.Fatal(err)
	}
	return code
}

func (g *gateway) tryRedeem(code string, with ...func(*Redemption)) (*Issued, error) {
	r := Redemption{Code: code, Verifier: verifier, ClientID: g.w.client, RedirectURI: redirectURI, Resources: []string{resource}}
	for _, change := range with {
		change(&r)
	}
	return g.Redeem(g.w.t.Context(), r)
}

func (g *gateway) redeem(code string, with ...func(*Redemption)) *Issued {
	g.w.t.Helper()
	issued, err := g.tryRedeem(code, with...)
	if err != nil {
		g.w.t.Fatalf("redeeming: %v", err)
	}
	return issued
}

func (g *gateway) redeemFails(code, want string, with ...func(*Redemption)) {
	g.w.t.Helper()
	_, err := g.tryRedeem(code, with...)
	g.w.wantError(err, want)
}

func (g *gateway) tryRefresh(token string, with ...func(*Refreshing)) (*Issued, error) {
	r := Refreshing{RefreshToken: token, ClientID: g.w.client}
	for _, change := range with {
		change(&r)
	}
	return g.Refresh(g.w.t.Context(), r)
}

func (g *gateway) refresh(token string, with ...func(*Refreshing)) *Issued {
	g.w.t.Helper()
	issued, err := g.tryRefresh(token, with...)
	if err != nil {
		g.w.t.Fatalf("refreshing: %v", err)
	}
	return issued
}

func (g *gateway) refreshFails(token, want string, with ...func(*Refreshing)) {
	g.w.t.Helper()
	_, err := g.tryRefresh(token, with...)
	g.w.wantError(err, want)
}

// retry is a refresh that must get what was issued before, without a write.
func (g *gateway) retry(token string, want *Issued) {
	g.w.t.Helper()
	g.view.Counts()
	got := g.refresh(token)
	if got.RefreshToken != want.RefreshToken || got.AccessToken != want.AccessToken || !got.Retried {
		g.w.t.Errorf("a retry did not get the newest pair: retried %v", got.Retried)
	}
	if _, writes := g.view.Counts(); writes != 0 {
		g.w.t.Errorf("a retry wrote %d times", writes)
	}
}

func (g *gateway) passes(token string) identity.Identity {
	g.w.t.Helper()
	id, err := g.Check(g.w.t.Context(), token, resource)
	if err != nil {
		g.w.t.Errorf("the access token does not pass: %v", err)
	}
	return id
}

func (g *gateway) checkFails(token, want string) {
	g.w.t.Helper()
	_, err := g.Check(g.w.t.Context(), token, resource)
	g.w.wantError(err, want)
}

func (w *world) wantError(err error, code string) {
	w.t.Helper()
	e, ok := errors.AsType[*oauth.Error](err)
	if !ok || e.Code != code {
		w.t.Errorf("got %v, want %s", err, code)
	}
}

// ended says that nothing of these tokens is good on either gateway.
func (w *world) ended(tokens ...*Issued) {
	w.t.Helper()
	// Looked at first, since a refresh that fails may itself end a grant.
	for key := range w.store.Snapshot() {
		if key.Kind == store.Grant {
			w.t.Errorf("grant %s is still in the store", key.ID)
		}
	}
	for _, g := range []*gateway{w.a, w.b} {
		for _, issued := range tokens {
			g.checkFails(issued.AccessToken, oauth.CodeInvalidToken)
			g.refreshFails(issued.RefreshToken, oauth.CodeInvalidGrant)
		}
	}
}

// unharmed says that a step leaves every record as it is.
func (w *world) unharmed(step func()) {
	w.t.Helper()
	before := w.store.Snapshot()
	step()
	after := w.store.Snapshot()
	if len(before) != len(after) {
		w.t.Errorf("there were %d records, now there are %d", len(before), len(after))
	}
	for key, value := range before {
		if string(after[key]) != string(value) {
			w.t.Errorf("%s %s was written to", key.Kind, key.ID)
		}
	}
}

// tampered is a token with one character near its end changed.
func tampered(token string) string {
	i := len(token) - 5
	c := "A"
	if strings.HasPrefix(token[i:], c) {
		c = "B"
	}
	return token[:i] + c + token[i+1:]
}
