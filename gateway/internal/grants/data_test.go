package grants

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vestibule.dev/vestibule/gateway/internal/oauth"
	"vestibule.dev/vestibule/gateway/internal/store"
	"vestibule.dev/vestibule/gateway/internal/tokens"
	"vestibule.dev/vestibule/gateway/policy"
)

// record is the only grant of the world, as the server reads it.
func (w *world) record() (store.ID, *grant) {
	w.t.Helper()
	for key := range w.store.Snapshot() {
		if key.Kind == store.Grant {
			g, err := w.a.table.Get(w.t.Context(), key.ID)
			if err != nil {
				w.t.Fatal(err)
			}
			return key.ID, g
		}
	}
	w.t.Fatal("there is no grant")
	return store.ID{}, nil
}

// claims opens the record's data with a token, or fails.
func (w *world) claims(token string) (map[string]any, error) {
	id, g := w.record()
	wrapped := [][]byte{g.Newest.DataKey}
	if g.Code != nil {
		wrapped = append(wrapped, g.Code.DataKey)
	}
	for _, a := range g.Access {
		wrapped = append(wrapped, a.DataKey)
	}
	for _, r := range g.Rotations {
		wrapped = append(wrapped, r.ParentDataKey)
	}
	err := errData
	for _, one := range wrapped {
		var key []byte
		if key, err = unwrap(id, token, one); err == nil {
			d, err := openData(id, key, g.Data)
			return d.Claims, err
		}
	}
	return nil, err
}

func TestClaimsOpenWithALiveTokenAlone(t *testing.T) {
	w := newWorld(t)
	claims := map[string]any{
		"email": "alice@example.com", "email_verified": true, "level": 3.5, "nothing": nil,
		"groups": []any{"ops", "dev"}, "realm": map[string]any{"roles": []any{map[string]any{"id": 1.0}}},
	}
	code := w.a.login(func(a *Approval) { a.Claims = claims })
	opens := func(token string, want bool) {
		t.Helper()
		got, err := w.claims(token)
		if !want && err == nil {
			t.Error("the claims open with a dead token")
		} else if diff := cmp.Diff(claims, got); want && (err != nil || diff != "") {
			t.Errorf("error %v (-want +got):\n%s", err, diff)
		}
	}
	opens(code, true)
	first := w.a.redeem(code)
	opens(code, false)
	opens(first.RefreshToken, true)
	opens(first.AccessToken, true)
	second := w.a.refresh(first.RefreshToken)
	opens(first.RefreshToken, true) // it may have to rotate again
	third := w.a.refresh(second.RefreshToken)
	opens(first.RefreshToken, false)
	w.a.revoke(second.AccessToken, w.client, true)
	opens(second.AccessToken, false)
	opens(third.AccessToken, true)
	w.clock.Advance(RetryWindow)
	other := w.a.refresh(second.RefreshToken)
	opens(third.RefreshToken, false)
	opens(other.RefreshToken, true)
}

func TestDataIsTiedToItsGrant(t *testing.T) {
	here, there, token := store.NewID(0), store.NewID(0), "vst_rt_some"
	key := newDataKey()
	sealed, err := sealData(here, key, data{Claims: map[string]any{"a": "b"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openData(there, key, sealed); err == nil {
		t.Error("data of one grant opens as another's")
	}
	held, err := hold(here, token, key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unwrap(there, token, held.DataKey); err == nil {
		t.Error("a data key of one grant opens as another's")
	}
	if _, err := unwrap(here, token+"x", held.DataKey); err == nil {
		t.Error("a data key opens with another token")
	}
	if bytes.Equal(newDataKey(), key) {
		t.Error("two grants have the same data key")
	}
}

func TestTooManyClaimsAreRefusedAtLogin(t *testing.T) {
	w := newWorld(t)
	long := map[string]any{"groups": strings.Repeat("g", MaxData)}
	if code, err := w.a.Create(t.Context(), Approval{Claims: long}); err == nil || code != "" {
		t.Errorf("Create = %q, %v", code, err)
	}
	w.a.login(func(a *Approval) { a.Claims = map[string]any{"groups": strings.Repeat("g", MaxData-64)} })
}

func TestNoTokenIsInTheStore(t *testing.T) {
	w := newWorld(t)
	code := w.a.login()
	secrets := []string{code, verifier, "alice@example.com"}
	first := w.a.redeem(code)
	second := w.a.refresh(first.RefreshToken)
	for _, issued := range []*Issued{first, second} {
		secrets = append(secrets, issued.AccessToken, issued.RefreshToken)
	}
	id, g := w.record()
	// Not even in what the server reads: the claims stay closed, tokens are hashes.
	plain, err := w.a.table.Get(t.Context(), id)
	if err != nil || plain.Subject != "alice" {
		t.Fatal(err)
	}
	dumps := [][]byte{g.Data, g.Newest.Hash, g.Newest.DataKey}
	for _, value := range w.store.Snapshot() {
		dumps = append(dumps, value)
	}
	for _, secret := range secrets {
		raw, _ := base64.RawURLEncoding.DecodeString(secret[min(len(secret), len(tokens.Code)):])
		for _, dump := range dumps {
			if bytes.Contains(dump, []byte(secret)) || len(raw) > 32 && bytes.Contains(dump, raw[len(raw)-48:]) {
				t.Errorf("%.8s… is in the store", secret)
			}
		}
	}
}

func TestWithoutClaimsAGrantWorksToo(t *testing.T) {
	w := newWorld(t)
	g := w.gateway(func(o *Options) { o.Policy = func(context.Context) Policy { return withoutClaims{w} } })
	first := g.redeem(g.login(func(a *Approval) { a.Claims, a.Scopes = nil, nil }))
	second := g.refresh(first.RefreshToken)
	if len(second.Scopes) != 0 {
		t.Errorf("scopes: %v", second.Scopes)
	}
	g.retry(first.RefreshToken, second)
	g.refreshFails(second.RefreshToken, oauth.CodeInvalidScope, scopes("read"))
}

// withoutClaims lets those in of whom nothing is known.
type withoutClaims struct{ Policy }

func (withoutClaims) Allowed(u policy.User) (string, error) {
	if len(u.Claims) > 0 {
		return "", policy.ErrDenied
	}
	return "", nil
}

func FuzzParseChallenge(f *testing.F) {
	for _, seed := range []string{"", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cN", strings.Repeat("A", 43), strings.Repeat("A", 42) + "=", strings.Repeat("A", 44), strings.Repeat("+", 43), strings.Repeat("A", 21) + "\n" + strings.Repeat("A", 22)} {
		f.Add(seed, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
	}
	f.Fuzz(func(t *testing.T, s, verifier string) {
		challenge, err := ParseChallenge(s)
		if err != nil {
			return
		}
		if again := base64.RawURLEncoding.EncodeToString(challenge); again != s {
			t.Errorf("%q is taken for %q", s, again)
		}
		// No other verifier, above all not the challenge itself, which was on its way.
		sum := sha256.Sum256([]byte(verifier))
		if verifies(challenge, verifier) != bytes.Equal(sum[:], challenge) || verifies(challenge, s) {
			t.Errorf("%q: a verifier passes that is none", s)
		}
	})
}
