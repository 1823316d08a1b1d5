package grants

import (
	"fmt"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/keys"
	"vestibule.dev/vestibule/gateway/internal/oauth"
)

func TestParallelRefreshesGetOneAndTheSameToken(t *testing.T) {
	for _, paused := range []bool{false, true} {
		t.Run(fmt.Sprint("watch paused ", paused), func(t *testing.T) {
			w := newWorld(t)
			first := w.a.redeem(w.a.login())
			if paused {
				w.b.view.Pause()
			}
			issued, errs := w.raceAll(16, func(g *gateway) (*Issued, error) { return g.tryRefresh(first.RefreshToken) })
			if len(errs) > 0 {
				t.Fatalf("%d refreshes failed: %v", len(errs), errs[0])
			}
			news := 0
			for _, got := range issued {
				if got.RefreshToken != issued[0].RefreshToken || got.AccessToken != issued[0].AccessToken {
					t.Fatal("two of them got different tokens")
				}
				if !got.Retried {
					news++
				}
			}
			if issued[0].RefreshToken == first.RefreshToken || news != 1 {
				t.Errorf("%d refreshes rotated", news)
			}
			w.a.passes(issued[0].AccessToken)
			w.b.passes(issued[0].AccessToken)
			w.b.refresh(issued[0].RefreshToken)
		})
	}
}

func TestLateRetriesInParallelAgreeToo(t *testing.T) { // (c)
	w := newWorld(t)
	all := w.chain(1)
	w.clock.Advance(RetryWindow)
	issued, errs := w.raceAll(16, func(g *gateway) (*Issued, error) { return g.tryRefresh(all[0].RefreshToken) })
	if len(errs) > 0 {
		t.Fatal(errs[0])
	}
	for _, got := range issued {
		if got.RefreshToken != issued[0].RefreshToken {
			t.Fatal("two of them got different tokens")
		}
	}
	w.b.refresh(issued[0].RefreshToken)
}

func TestGrantsRefreshSideBySide(t *testing.T) {
	w := newWorld(t)
	refreshTokens := make(chan string, 32)
	for i := range cap(refreshTokens) {
		user := func(a *Approval) { a.Subject = fmt.Sprint("user-", i) }
		refreshTokens <- w.a.redeem(w.a.login(user)).RefreshToken
	}
	if _, errs := w.raceAll(32, func(g *gateway) (*Issued, error) { return g.tryRefresh(<-refreshTokens) }); len(errs) > 0 {
		t.Errorf("%d refreshes failed: %v", len(errs), errs[0])
	}
}

// interleave has act run once, just before the next write of g reaches the store.
func (g *gateway) interleave(act func()) {
	done := false
	g.view.Before(func(op string) {
		if op == "swap" && !done {
			done = true
			act()
		}
	})
}

func TestWhoComesSecondGetsWhatTheFirstGot(t *testing.T) {
	w := newWorld(t)
	first := w.a.redeem(w.a.login())
	var onB *Issued
	w.a.interleave(func() { onB = w.b.refresh(first.RefreshToken) })
	onA := w.a.refresh(first.RefreshToken)
	if onA.RefreshToken != onB.RefreshToken || onA.AccessToken != onB.AccessToken || !onA.Retried {
		t.Error("they got different tokens")
	}
}

func TestARefreshThatMeetsARevocationBringsNothingBack(t *testing.T) {
	w := newWorld(t)
	first := w.a.redeem(w.a.login())
	w.a.interleave(func() {
		if holder, err := w.b.Revoke(t.Context(), first.RefreshToken, w.client); holder == nil || err != nil {
			t.Errorf("revoking: %v, %v", holder, err)
		}
	})
	w.a.refreshFails(first.RefreshToken, oauth.CodeInvalidGrant)
	w.ended(first)
}

func TestAReplayThatMeetsARefreshEndsItAllTheSame(t *testing.T) {
	w := newWorld(t)
	code := w.a.login()
	first := w.a.redeem(code)
	var second *Issued
	w.a.interleave(func() { second = w.b.refresh(first.RefreshToken) })
	w.a.redeemFails(code, oauth.CodeInvalidGrant)
	w.ended(first, second)
}

// Keys are added while tokens live: what an old key has made stays good, and a
// retry finds its way from one key's token to the next's.
func TestRefreshingGoesOnThroughANewKey(t *testing.T) {
	w := newWorld(t)
	set := config.NewKeySet(w.clock.Now())
	if err := set.Append(w.clock.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	var err error
	if w.ring, err = keys.NewRing(set); err != nil {
		t.Fatal(err)
	}
	g := w.gateway()
	w.client = g.register()
	first := g.redeem(g.login())
	second := g.refresh(first.RefreshToken)
	w.clock.Advance(time.Minute)
	third := g.refresh(second.RefreshToken)
	g.retry(first.RefreshToken, third)
	g.retry(second.RefreshToken, third)
	g.passes(first.AccessToken)
	g.refresh(third.RefreshToken)
}
