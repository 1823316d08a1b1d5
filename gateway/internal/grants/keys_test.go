package grants

import (
	"errors"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/keys"
	"vestibule.dev/vestibule/gateway/internal/oauth"
	"vestibule.dev/vestibule/gateway/internal/records"
	"vestibule.dev/vestibule/gateway/internal/store"
	"vestibule.dev/vestibule/gateway/internal/tokens"
)

// handed returns a replica that has been handed these keys.
func (w *world) handed(set *config.KeySet) *gateway {
	w.t.Helper()
	var err error
	if w.ring, err = keys.NewRing(set); err != nil {
		w.t.Fatal(err)
	}
	return w.gateway()
}

// A replica that has not heard of a key decides nothing about what is under it.
func TestTokensWhoseKeyIsOnItsWayAreUnavailable(t *testing.T) {
	w := newWorld(t)
	set := config.NewKeySet(w.clock.Now())
	late := w.handed(set)
	w.client = late.register()
	if err := set.Append(w.clock.Now()); err != nil {
		t.Fatal(err)
	}
	g := w.handed(set)
	code := g.login()
	first := g.redeem(g.login())
	w.unharmed(func() {
		late.redeemFails(code, oauth.CodeTemporarilyUnavailable)
		late.refreshFails(first.RefreshToken, oauth.CodeTemporarilyUnavailable)
		late.checkFails(first.AccessToken, oauth.CodeTemporarilyUnavailable)
		for _, token := range []string{first.RefreshToken, first.AccessToken} {
			if holder, err := late.Revoke(t.Context(), token, w.client); holder != nil || oauth.AsError(err).Code != oauth.CodeTemporarilyUnavailable {
				t.Errorf("a revocation: %v, %v", holder, err)
			}
		}
		for _, token := range []string{first.RefreshToken, first.AccessToken, code} {
			if _, err := late.ProofOf(t.Context(), token, w.client); !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("what proves the client: %v", err)
			}
		}
	})
	g.passes(first.AccessToken)
	g.refresh(first.RefreshToken)
	g.redeem(code)
}

// A retry whose way leads over such a key must not be taken for a theft.
func TestARetryOverAKeyThatIsOnItsWayEndsNothing(t *testing.T) {
	w := newWorld(t)
	all := w.chain(1)
	id := w.grantOf(all[0].RefreshToken)
	over := func(key uint8) {
		if err := w.b.table.Update(t.Context(), id, func(g *grant) (records.Verdict, error) {
			g.Rotations[0].KeyID = key
			return records.Write, nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	over(2)
	w.a.refreshFails(all[0].RefreshToken, oauth.CodeTemporarilyUnavailable)
	over(1)
	w.a.retry(all[0].RefreshToken, all[1])
}

func (w *world) grantOf(refreshToken string) store.ID {
	w.t.Helper()
	token, err := tokens.Parse(w.ring, tokens.Refresh, refreshToken, w.clock.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	return token.Record
}

// What is under a dropped key is refused for good, and a client that was registered
// under one is not known any more.
func TestTokensWhoseKeyWasDroppedHaveEnded(t *testing.T) {
	w := newWorld(t)
	set := config.NewKeySet(w.clock.Now())
	g := w.handed(set)
	w.client = g.register()
	code, first := g.login(), g.redeem(g.login())
	w.clock.Advance(time.Second)
	if _, err := set.Drop(w.clock.Now(), w.clock.Now()); err != nil {
		t.Fatal(err)
	}
	if err := w.ring.Replace(set); err != nil {
		t.Fatal(err)
	}
	g.Rekey()
	g.clients.Rekey()
	g.redeemFails(code, oauth.CodeInvalidGrant)
	g.refreshFails(first.RefreshToken, oauth.CodeInvalidGrant)
	g.checkFails(first.AccessToken, oauth.CodeInvalidToken)
	g.revoke(first.RefreshToken, w.client, false)
	if _, err := g.clients.Find(t.Context(), w.client); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the client: %v", err)
	}
	g.Sweep(t.Context())
	g.clients.Sweep(t.Context())
	if n := len(w.store.Snapshot()); n != 0 {
		t.Errorf("%d records are left", n)
	}
}
