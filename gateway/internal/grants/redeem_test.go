package grants

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vestibule.dev/vestibule/gateway/internal/oauth"
	"vestibule.dev/vestibule/gateway/internal/store"
)

func TestACodeIsRedeemedForTokensThatWork(t *testing.T) {
	w := newWorld(t)
	got := w.b.redeem(w.a.login())
	if got.ExpiresIn != 3600 || got.Scopes.String() != "read write" || got.Resource != resource || got.Subject != "alice" || got.Retried {
		t.Errorf("issued: %+v", got)
	}
	id := w.a.passes(got.AccessToken)
	want := w.b.passes(got.AccessToken)
	if diff := cmp.Diff(want, id); diff != "" {
		t.Errorf("the gateways disagree (-b +a):\n%s", diff)
	}
	if id.ClientID != w.client || id.Issuer != issuer || id.Subject != "alice" || id.Upstream != "corp" {
		t.Errorf("identity: %+v", id)
	}
	w.a.refresh(got.RefreshToken)
}

func TestAReplayedCodeEndsTheGrant(t *testing.T) {
	w := newWorld(t)
	code := w.a.login()
	first := w.a.redeem(code)
	w.b.redeemFails(code, oauth.CodeInvalidGrant)
	w.ended(first)
	w.a.redeemFails(code, oauth.CodeInvalidGrant)
}

func TestAReplayEndsTheGrantAfterARefreshToo(t *testing.T) {
	w := newWorld(t)
	code := w.a.login()
	first := w.a.redeem(code)
	second := w.b.refresh(first.RefreshToken)
	w.a.redeemFails(code, oauth.CodeInvalidGrant)
	w.ended(first, second)
}

// Else whoever finds a code in a log could sign its user out.
func TestAWrongRequestNeitherSpendsTheCodeNorEndsTheGrant(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Redemption)
		want   string
	}{
		"verifier":     {func(r *Redemption) { r.Verifier += "x" }, oauth.CodeInvalidGrant},
		"no verifier":  {func(r *Redemption) { r.Verifier = "" }, oauth.CodeInvalidGrant},
		"client":       {func(r *Redemption) { r.ClientID = "vst_cl_other" }, oauth.CodeInvalidGrant},
		"redirect_uri": {func(r *Redemption) { r.RedirectURI = "http://127.0.0.1:7001/callback" }, oauth.CodeInvalidGrant},
		"resource":     {func(r *Redemption) { r.Resources = []string{"https://other.example.com/mcp"} }, oauth.CodeInvalidTarget},
		"one of two resources": {func(r *Redemption) {
			r.Resources = append(r.Resources, "https://weather.example.com/sse")
		}, oauth.CodeInvalidTarget},
		"tampered code": {func(r *Redemption) { r.Code = tampered(r.Code) }, oauth.CodeInvalidGrant},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			code := w.a.login()
			w.unharmed(func() { w.b.redeemFails(code, c.want, c.change) })
			first := w.a.redeem(code)
			w.unharmed(func() { w.b.redeemFails(code, c.want, c.change) })
			w.b.passes(first.AccessToken)
			w.b.refresh(first.RefreshToken)
		})
	}
}

func TestRedirectURIAndResourceMayBeLeftOut(t *testing.T) {
	w := newWorld(t)
	w.a.redeem(w.a.login(), func(r *Redemption) { r.RedirectURI, r.Resources = "", nil })
}

// Older clients name the origin in each request of a flow, the last one included.
func TestThePublicURLStandsForTheGrantsResource(t *testing.T) {
	w := newWorld(t)
	origin := []string{"https://weather.example.com/"}
	w.a.redeemFails(w.a.login(), oauth.CodeInvalidTarget, func(r *Redemption) { r.Resources = origin })

	g := w.gateway(func(o *Options) { o.PublicURL = "https://weather.example.com" })
	first := g.redeem(g.login(), func(r *Redemption) { r.Resources = origin })
	g.refresh(first.RefreshToken, func(r *Refreshing) { r.Resources = origin })
	g.redeemFails(g.login(), oauth.CodeInvalidTarget, func(r *Redemption) { r.Resources = []string{"https://example.com"} })
}

func TestACodeLivesForAMinute(t *testing.T) {
	w := newWorld(t)
	late, early := w.a.login(), w.a.login()
	w.clock.Advance(CodeTTL - time.Second)
	w.b.redeem(early)
	w.clock.Advance(time.Second)
	w.b.view.Counts()
	w.unharmed(func() { w.b.redeemFails(late, oauth.CodeInvalidGrant) })
	if gets, writes := w.b.view.Counts(); gets+writes > 0 {
		t.Errorf("the expired code cost %d reads and %d writes", gets, writes)
	}
}

func TestNoTokenTakesTheCodesPlace(t *testing.T) {
	w := newWorld(t)
	first := w.a.redeem(w.a.login())
	w.unharmed(func() {
		w.a.redeemFails(first.AccessToken, oauth.CodeInvalidGrant)
		w.a.redeemFails(first.RefreshToken, oauth.CodeInvalidGrant)
		w.a.refreshFails(first.AccessToken, oauth.CodeInvalidGrant)
		w.a.checkFails(first.RefreshToken, oauth.CodeInvalidToken)
	})
}

// raceAll calls f n times at once, on both gateways in turns.
func (w *world) raceAll(n int, f func(*gateway) (*Issued, error)) (issued []*Issued, errs []error) {
	var group sync.WaitGroup
	var mu sync.Mutex
	start := make(chan struct{})
	for i := range n {
		g := []*gateway{w.a, w.b}[i%2]
		group.Go(func() {
			<-start
			got, err := f(g)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				errs = append(errs, err)
			} else {
				issued = append(issued, got)
			}
		})
	}
	close(start)
	group.Wait()
	return issued, errs
}

func TestOfAHundredRedemptionsOneSucceedsAndItsTokensDie(t *testing.T) {
	for _, paused := range []bool{false, true} {
		t.Run(fmt.Sprint("watch paused ", paused), func(t *testing.T) {
			w := newWorld(t)
			code := w.a.login()
			if paused {
				w.b.view.Pause()
			}
			issued, errs := w.raceAll(100, func(g *gateway) (*Issued, error) { return g.tryRedeem(code) })
			if len(issued) != 1 || len(errs) != 99 {
				t.Fatalf("%d redemptions succeeded and %d failed", len(issued), len(errs))
			}
			for _, err := range errs {
				w.wantError(err, oauth.CodeInvalidGrant)
			}
			// What a paused copy still holds is good until it is stale.
			w.clock.Advance(2 * time.Minute)
			w.ended(issued[0])
		})
	}
}

func TestTheStoreDecidesOnAReplayNotTheCopy(t *testing.T) {
	w := newWorld(t)
	code := w.a.login()
	w.b.view.Pause()
	first := w.a.redeem(code)
	// b still thinks that the code is fresh.
	w.b.redeemFails(code, oauth.CodeInvalidGrant)
	w.b.view.Resume()
	w.ended(first)
}

func TestWithoutTheStoreACodeIsNeitherRedeemedNorRefused(t *testing.T) {
	w := newWorld(t)
	code := w.a.login()
	w.a.view.Fail(true)
	w.a.redeemFails(code, oauth.CodeTemporarilyUnavailable)
	w.a.view.Fail(false)
	w.a.redeem(code)
}

func TestAUserKeepsTwentyGrantsWithAClient(t *testing.T) {
	w := newWorld(t)
	var all []*Issued
	for range MaxPerUser {
		all = append(all, w.a.redeem(w.a.login()))
		w.clock.Advance(time.Second)
	}
	// The first is used again, so the second is now the least recently refreshed.
	all[0] = w.b.refresh(all[0].RefreshToken)
	w.clock.Advance(time.Second)

	bob := w.a.redeem(w.a.login(func(a *Approval) { a.Subject = "bob" }))
	code := w.a.login()
	w.a.passes(all[1].AccessToken) // approval alone ends nothing
	all = append(all, w.a.redeem(code))

	w.a.checkFails(all[1].AccessToken, oauth.CodeInvalidToken)
	w.b.refreshFails(all[1].RefreshToken, oauth.CodeInvalidGrant)
	for i, issued := range append(all, bob) {
		if i != 1 {
			w.b.passes(issued.AccessToken)
		}
	}
}

func TestAnApprovalOnItsWayTakesNobodysPlaceAndKeepsItsOwn(t *testing.T) {
	w := newWorld(t)
	var all []*Issued
	for range MaxPerUser - 1 {
		all = append(all, w.a.redeem(w.a.login()))
	}
	one, other := w.a.login(), w.a.login()
	all = append(all, w.a.redeem(one))
	for _, issued := range all {
		w.a.passes(issued.AccessToken)
	}
	w.a.redeem(other)
}

func TestWhichGrantIsTheOldestTheStoreSays(t *testing.T) {
	w := newWorld(t)
	var all []*Issued
	for range MaxPerUser {
		all = append(all, w.a.redeem(w.a.login()))
		w.clock.Advance(time.Second)
	}
	w.b.view.Pause()
	all[0] = w.a.refresh(all[0].RefreshToken) // b does not hear of it
	w.clock.Advance(time.Second)
	w.b.redeem(w.a.login())
	w.a.passes(all[0].AccessToken)
	w.a.checkFails(all[1].AccessToken, oauth.CodeInvalidToken)
}

func TestAnEvictionThatFailsCostsNobodyTheirLogin(t *testing.T) {
	w := newWorld(t)
	for range MaxPerUser {
		w.a.redeem(w.a.login())
	}
	code := w.a.login()
	swaps := 0
	w.a.view.Before(func(op string) {
		if op == "swap" {
			swaps++
			w.a.view.Fail(swaps > 1)
		}
	})
	w.a.redeem(code)
	w.a.view.Before(nil)
	w.a.view.Fail(false)
	// The next redemption makes up for it.
	w.a.redeem(w.a.login())
	if got := len(w.a.table.ByIndex((&grant{ClientID: w.client, Issuer: issuer, Subject: "alice"}).user())); got != MaxPerUser {
		t.Errorf("%d grants are left", got)
	}
}

func TestAGrantNobodyRedeemedIsSweptSoon(t *testing.T) {
	w := newWorld(t)
	code := w.a.login()
	w.clock.Advance(CodeTTL + time.Minute)
	w.a.redeemFails(code, oauth.CodeInvalidGrant)
	for key, value := range w.store.Snapshot() {
		if expires, ok := store.Expires(value); key.Kind == store.Grant && (!ok || expires.After(w.clock.Now())) {
			t.Errorf("the grant may be swept at %v", expires)
		}
	}
}

func TestParseChallenge(t *testing.T) {
	sum := sha256.Sum256([]byte("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"))
	const good = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM" // RFC 7636 appendix B
	got, err := ParseChallenge(good)
	if err != nil || !slices.Equal(got, sum[:]) {
		t.Errorf("ParseChallenge(RFC 7636's) = %x, %v", got, err)
	}
	for _, bad := range []string{"", good[:42], good + "=", good + "A", good[:42] + "N", "+" + good[1:], good + "\n", good[:20] + "\r\n" + good[20:]} {
		if _, err := ParseChallenge(bad); err == nil {
			t.Errorf("ParseChallenge(%q) accepts", bad)
		}
	}
}
