package grants

import (
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/internal/oauth"
	"vestibule.dev/vestibule/gateway/internal/store"
	"vestibule.dev/vestibule/gateway/internal/tokens"
)

// chain is the tokens of a login and n refreshes, all within a second.
func (w *world) chain(n int) []*Issued {
	w.t.Helper()
	all := []*Issued{w.a.redeem(w.a.login())}
	for i := range n {
		all = append(all, w.a.refresh(all[i].RefreshToken))
	}
	return all
}

func TestEachRefreshRotates(t *testing.T) { // (a)
	w := newWorld(t)
	seen := map[string]bool{}
	for i, issued := range w.chain(12) {
		if seen[issued.RefreshToken] || seen[issued.AccessToken] {
			t.Fatalf("refresh %d gave a token a second time", i)
		}
		seen[issued.RefreshToken], seen[issued.AccessToken] = true, true
		w.b.passes(issued.AccessToken) // the older ones live on until they expire
	}
}

func TestARetryGetsTheNewestPair(t *testing.T) { // (b)
	w := newWorld(t)
	all := w.chain(maxRotations)
	newest := all[maxRotations]
	for _, old := range all[:maxRotations] {
		w.a.retry(old.RefreshToken, newest)
		w.b.retry(old.RefreshToken, newest)
	}
	w.b.refresh(newest.RefreshToken)
}

func TestARetryReachesNoFurtherThanTheRotationsKept(t *testing.T) { // (d)
	w := newWorld(t)
	all := w.chain(maxRotations + 1)
	w.a.retry(all[1].RefreshToken, all[maxRotations+1])
	w.a.refreshFails(all[0].RefreshToken, oauth.CodeInvalidGrant)
	w.ended(all...)
}

func TestRetriesDoNotExtendTheirWindow(t *testing.T) { // (b), then (c)
	w := newWorld(t)
	all := w.chain(1)
	for range 2 {
		w.clock.Advance(RetryWindow/2 - time.Second)
		w.b.retry(all[0].RefreshToken, all[1])
	}
	w.clock.Advance(2 * time.Second)
	if got := w.b.refresh(all[0].RefreshToken); got.RefreshToken == all[1].RefreshToken || got.Retried {
		t.Error("after the window a retry still gets the old successor")
	}
}

// A late retry whose answer was lost goes on, and who holds the replaced token
// gives the theft away, whichever of the two is the thief.
func TestALateRetryReplacesAnUnusedSuccessor(t *testing.T) { // (c)
	w := newWorld(t)
	all := w.chain(2)
	parent, replaced := all[1], all[2]
	w.clock.Advance(RetryWindow)
	other := w.b.refresh(parent.RefreshToken)
	if other.RefreshToken == replaced.RefreshToken || other.AccessToken == replaced.AccessToken {
		t.Fatal("the late retry got the tokens that it replaces")
	}
	w.a.passes(other.AccessToken)
	w.a.retry(parent.RefreshToken, other) // a new rotation has a window of its own
	last := w.a.refresh(other.RefreshToken)
	w.b.retry(parent.RefreshToken, last)
	w.b.refreshFails(replaced.RefreshToken, oauth.CodeInvalidGrant)
	w.ended(append(all, other, last)...)
}

func TestTheReplacedTokenEndsTheGrantAtOnce(t *testing.T) { // (c), (d)
	w := newWorld(t)
	all := w.chain(1)
	w.clock.Advance(RetryWindow)
	other := w.a.refresh(all[0].RefreshToken)
	w.b.refreshFails(all[1].RefreshToken, oauth.CodeInvalidGrant)
	w.ended(append(all, other)...)
}

func TestALateRetryMayComeAgainAndAgain(t *testing.T) { // (c)
	w := newWorld(t)
	first := w.a.redeem(w.a.login())
	seen := map[string]bool{}
	for range 4 {
		got := w.a.refresh(first.RefreshToken)
		if seen[got.RefreshToken] {
			t.Fatal("a late retry got a token for the second time")
		}
		seen[got.RefreshToken] = true
		w.clock.Advance(RetryWindow)
	}
}

func TestASpentTokenEndsTheGrantOnceItsSuccessorWasUsed(t *testing.T) { // (d)
	for name, c := range map[string]struct {
		rotations int
		between   time.Duration
	}{
		"at once":           {rotations: 2},
		"later":             {rotations: 2, between: RetryWindow / 2},
		"out of the window": {rotations: 3, between: RetryWindow},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			all := []*Issued{w.a.redeem(w.a.login())}
			for i := range c.rotations {
				all = append(all, w.a.refresh(all[i].RefreshToken))
				w.clock.Advance(c.between)
			}
			w.clock.Advance(RetryWindow)
			w.b.refreshFails(all[0].RefreshToken, oauth.CodeInvalidGrant)
			w.ended(all...)
		})
	}
}

// mintedLike is a token under the gateway's own MAC that no gateway has issued.
func (w *world) mintedLike(token string, generation uint32) string {
	genuine, err := tokens.Parse(w.ring, tokens.Refresh, token, w.clock.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	genuine.Generation = generation
	return tokens.Mint(w.ring.Current(w.clock.Now()), genuine, tokens.NewSecret())
}

func TestTheMACAloneIsNotEnough(t *testing.T) { // (d), (e)
	for generation, ends := range map[uint32]bool{0: true, 1: true, 2: true, 3: true, 4: false} {
		w := newWorld(t)
		all := w.chain(2) // generations 1 to 3
		fake := w.mintedLike(all[2].RefreshToken, generation)
		w.a.refreshFails(fake, oauth.CodeInvalidGrant)
		if ends {
			w.ended(all...)
		} else {
			w.b.refresh(all[2].RefreshToken)
		}
	}
}

func TestWhenTheStoreWentBackInTimeNobodyIsTakenForAThief(t *testing.T) { // (e)
	w := newWorld(t)
	first := w.a.redeem(w.a.login())
	backup := w.store.Snapshot()
	second := w.a.refresh(first.RefreshToken)
	w.store.Restore(backup)
	for _, g := range []*gateway{w.a, w.b} {
		w.unharmed(func() { g.refreshFails(second.RefreshToken, oauth.CodeInvalidGrant) })
	}
	if again := w.b.refresh(first.RefreshToken); again.RefreshToken == second.RefreshToken {
		t.Error("a token that the store has forgotten was issued once more")
	}
}

func TestACopyThatIsBehindDecidesNothing(t *testing.T) { // (e)
	w := newWorld(t)
	first := w.a.redeem(w.a.login())
	w.b.view.Pause()
	second := w.a.refresh(first.RefreshToken)
	third := w.a.refresh(second.RefreshToken)
	w.b.passes(third.AccessToken)
	w.b.retry(first.RefreshToken, third)
	fourth := w.b.refresh(third.RefreshToken)
	w.a.retry(second.RefreshToken, fourth)
}

func TestARetryGetsTheNewestPairThoughTheCopyHasAnOlderOne(t *testing.T) { // (b)
	w := newWorld(t)
	all := w.chain(1)
	w.b.view.Pause() // b knows a pair that it could tell
	newest := w.a.refresh(all[1].RefreshToken)
	w.b.retry(all[0].RefreshToken, newest)
}

func TestReuseIsDecidedOnTheStoreNotTheCopy(t *testing.T) { // (c), (d)
	w := newWorld(t)
	first := w.a.redeem(w.a.login())
	backup := w.store.Snapshot()
	second := w.a.refresh(first.RefreshToken)
	w.clock.Advance(RetryWindow)
	w.a.refresh(second.RefreshToken)
	w.b.view.Pause() // its copy says that first is long spent; the store does not
	w.store.Restore(backup)
	w.b.refresh(first.RefreshToken)
}

func TestALostAnswerCostsNothing(t *testing.T) {
	w := newWorld(t)
	first := w.a.redeem(w.a.login())
	w.a.view.LoseAnswer()
	w.a.refreshFails(first.RefreshToken, oauth.CodeTemporarilyUnavailable)
	got := w.b.refresh(first.RefreshToken)
	if !got.Retried || got.RefreshToken == first.RefreshToken {
		t.Errorf("retried: %v", got.Retried)
	}
	w.a.passes(got.AccessToken)
	w.a.refresh(got.RefreshToken)
}

func TestWithoutTheStoreNothingIsRefreshedOrRefused(t *testing.T) {
	w := newWorld(t)
	all := w.chain(1)
	w.a.view.Fail(true)
	for name, token := range map[string]string{
		"newest": all[1].RefreshToken, "retry": all[0].RefreshToken,
		"unknown generation": w.mintedLike(all[1].RefreshToken, 9), "fake": w.mintedLike(all[1].RefreshToken, 1),
	} {
		t.Run(name, func(*testing.T) {
			w.unharmed(func() { w.a.refreshFails(token, oauth.CodeTemporarilyUnavailable) })
		})
	}
	w.a.view.Fail(false)
	w.a.refresh(all[1].RefreshToken)
}

// A gateway that was given the wrong keys must sign nobody out.
func TestARecordThatDoesNotOpenRefusesNobody(t *testing.T) {
	w := newWorld(t)
	first := w.a.redeem(w.a.login())
	broken := w.store.Snapshot()
	for key, value := range broken {
		if key.Kind == store.Grant {
			value = append([]byte{}, value...)
			value[len(value)-1]++
			broken[key] = value
		}
	}
	good := w.store.Snapshot()
	w.store.Restore(broken)
	w.unharmed(func() {
		w.a.checkFails(first.AccessToken, oauth.CodeTemporarilyUnavailable)
		w.a.refreshFails(first.RefreshToken, oauth.CodeTemporarilyUnavailable)
		if holder, err := w.a.Revoke(t.Context(), first.RefreshToken, w.client); holder != nil || err == nil {
			t.Errorf("revoking: %v, %v", holder, err)
		}
	})
	w.store.Restore(good)
	w.a.passes(first.AccessToken)
	w.a.refresh(first.RefreshToken)
}

func TestForgedRefreshTokensAreRefusedWithoutTheStore(t *testing.T) {
	w := newWorld(t)
	first := w.a.redeem(w.a.login())
	w.a.view.Counts()
	for _, bad := range []string{"", "vst_rt_", "nonsense", tampered(first.RefreshToken), first.RefreshToken + "A", first.AccessToken} {
		w.a.refreshFails(bad, oauth.CodeInvalidGrant)
	}
	if gets, writes := w.a.view.Counts(); gets+writes != 0 {
		t.Errorf("they cost %d reads and %d writes", gets, writes)
	}
}
