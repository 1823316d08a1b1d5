package grants

import (
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/internal/oauth"
	"vestibule.dev/vestibule/gateway/internal/store"
	"vestibule.dev/vestibule/gateway/internal/tokens"
)

// costs says how many reads of the store a step takes.
func (g *gateway) costs(want int, step func()) {
	g.w.t.Helper()
	g.view.Counts()
	step()
	if gets, writes := g.view.Counts(); gets != want || writes != 0 {
		g.w.t.Errorf("it cost %d reads and %d writes, want %d reads", gets, writes, want)
	}
}

func TestAKnownTokenCostsNoRead(t *testing.T) {
	w := newWorld(t)
	first := w.a.redeem(w.a.login())
	w.b.costs(0, func() { w.b.passes(first.AccessToken) })
}

func TestForgedAndExpiredTokensCostNoRead(t *testing.T) {
	w := newWorld(t)
	first := w.a.redeem(w.a.login())
	id, err := tokens.Parse(w.ring, tokens.Access, first.AccessToken, w.clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	w.b.costs(0, func() {
		for _, bad := range []string{"", "Bearer", first.RefreshToken, tampered(first.AccessToken), first.AccessToken + "="} {
			w.b.checkFails(bad, oauth.CodeInvalidToken)
		}
		w.clock.Advance(time.Hour)
		w.b.checkFails(first.AccessToken, oauth.CodeInvalidToken)
	})
	// One under the right MAC that was never issued is looked up, once.
	id.Expires = w.clock.Now().Add(time.Hour)
	fake := tokens.Mint(w.ring.Current(w.clock.Now()), id, tokens.NewSecret())
	w.b.costs(1, func() {
		for range 10 {
			w.b.checkFails(fake, oauth.CodeInvalidToken)
		}
	})
	w.clock.Advance(deadFor)
	w.b.costs(1, func() { w.b.checkFails(fake, oauth.CodeInvalidToken) })
}

func TestATokenIsGoodAtItsResourceAlone(t *testing.T) {
	w := newWorld(t)
	first := w.a.redeem(w.a.login())
	for _, elsewhere := range []string{"", "https://weather.example.com/sse", "https://weather.example.com", resource + "/", "https://other.example.com/mcp"} {
		_, err := w.b.Check(t.Context(), first.AccessToken, elsewhere)
		w.wantError(err, oauth.CodeInvalidToken)
	}
	w.b.passes(first.AccessToken) // none of the refusals stuck
}

func TestAStaleCopyAsksTheStore(t *testing.T) {
	w := newWorld(t)
	first := w.a.redeem(w.a.login())
	w.b.view.Pause()
	w.clock.Advance(90*time.Second - time.Nanosecond)
	w.b.costs(0, func() { w.b.passes(first.AccessToken) })
	w.clock.Advance(time.Nanosecond)
	w.b.costs(2, func() { w.b.passes(first.AccessToken) }) // grant and client
}

func TestARevocationIsSeenOnceTheCopyIsStale(t *testing.T) {
	w := newWorld(t)
	first := w.a.redeem(w.a.login())
	w.b.view.Pause()
	if _, err := w.a.Revoke(t.Context(), first.RefreshToken, w.client); err != nil {
		t.Fatal(err)
	}
	w.b.passes(first.AccessToken) // the bound that the documentation states
	w.clock.Advance(90 * time.Second)
	w.b.checkFails(first.AccessToken, oauth.CodeInvalidToken)
}

func TestATokenThatTheCopyDoesNotKnowIsLookedUp(t *testing.T) {
	w := newWorld(t)
	w.b.view.Pause()
	first := w.a.redeem(w.a.login())
	second := w.a.refresh(first.RefreshToken)
	w.b.passes(second.AccessToken) // no grant in the copy
	w.b.view.Resume()
	w.b.view.Pause()
	third := w.a.refresh(second.RefreshToken)
	w.b.passes(third.AccessToken) // a grant without this token
}

func TestAClientThatTheCopyDoesNotKnowIsLookedUp(t *testing.T) {
	w := newWorld(t)
	w.b.view.Pause(store.Client)
	w.client = w.a.register()
	first := w.a.redeem(w.a.login())
	w.b.costs(2, func() { w.b.passes(first.AccessToken) })
	w.b.view.Fail(true)
	w.b.checkFails(first.AccessToken, oauth.CodeTemporarilyUnavailable)
}

func (w *world) deleteClients() {
	without := w.store.Snapshot()
	for key := range without {
		if key.Kind == store.Client {
			delete(without, key)
		}
	}
	w.store.Restore(without)
}

// The copy of a token's grant may be fresh, and that of its client not.
func TestADeletedClientIsSeenOnceItsCopyIsStale(t *testing.T) {
	w := newWorld(t)
	first := w.a.redeem(w.a.login())
	w.b.view.Pause(store.Client)
	w.deleteClients()
	w.b.passes(first.AccessToken)
	w.clock.Advance(90 * time.Second)
	w.b.checkFails(first.AccessToken, oauth.CodeInvalidToken)
}

func TestADeletedClientsTokensAreDead(t *testing.T) {
	w := newWorld(t)
	first := w.a.redeem(w.a.login())
	w.deleteClients()
	w.a.checkFails(first.AccessToken, oauth.CodeInvalidToken)
	w.b.view.Fail(true) // and nobody says so without the store
	w.b.checkFails(first.AccessToken, oauth.CodeTemporarilyUnavailable)
}

func TestALapsedClientsTokensAreDead(t *testing.T) {
	w := newWorld(t)
	g := w.gateway(func(o *Options) {
		o.AccessTokenTTL, o.RefreshTokenTTL = 120*24*time.Hour, 120*24*time.Hour
	})
	first := g.redeem(g.login())
	w.clock.Advance(60 * 24 * time.Hour) // nobody renewed the client
	g.checkFails(first.AccessToken, oauth.CodeInvalidToken)
}

func TestKnownTokensOutliveAnOutageForAWhile(t *testing.T) {
	w := newWorld(t)
	first := w.a.redeem(w.a.login())
	w.b.view.Pause()
	w.b.view.Fail(true)
	second := w.a.refresh(first.RefreshToken)

	w.clock.Advance(10*time.Minute - time.Nanosecond)
	w.b.passes(first.AccessToken)
	w.b.checkFails(second.AccessToken, oauth.CodeTemporarilyUnavailable) // never heard of
	w.clock.Advance(time.Nanosecond)
	w.b.checkFails(first.AccessToken, oauth.CodeTemporarilyUnavailable)

	w.b.view.Fail(false)
	w.b.passes(first.AccessToken)
	w.b.passes(second.AccessToken)
}

// What the copy says against a token counts for nothing, outage or not.
func TestAnOutageRefusesNobody(t *testing.T) {
	w := newWorld(t)
	first := w.a.redeem(w.a.login())
	w.b.view.Fail(true)
	_, err := w.b.Check(t.Context(), first.AccessToken, "https://weather.example.com/sse")
	w.wantError(err, oauth.CodeTemporarilyUnavailable)
	w.issuers = nil
	w.b.checkFails(first.AccessToken, oauth.CodeTemporarilyUnavailable)
}

func TestDeadTokensAreForgottenBeforeTheyFillTheMemory(t *testing.T) {
	d, now := newDeadTokens(), time.Unix(0, 0)
	for i := range 3 * maxDead {
		d.add(presented{hash: tokens.Sum(string(rune(i))), now: now})
	}
	if len(d.until) > maxDead {
		t.Errorf("%d are kept", len(d.until))
	}
	last := presented{hash: tokens.Sum("last"), now: now}
	d.add(last)
	if !d.has(last) || d.has(presented{hash: tokens.Sum("last"), resource: "other", now: now}) {
		t.Error("a refusal is for one token at one resource")
	}
}
