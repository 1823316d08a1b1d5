package grants

import (
	"context"
	"slices"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/internal/oauth"
)

func scopes(s ...string) func(*Refreshing) { return func(r *Refreshing) { r.Scopes = s } }

func TestARefreshMayNarrowTheAccessTokenNotTheGrant(t *testing.T) {
	w := newWorld(t)
	first := w.a.redeem(w.a.login())
	narrow := w.a.refresh(first.RefreshToken, scopes("read"))
	if got := w.b.passes(narrow.AccessToken).Scopes.String(); got != "read" || narrow.Scopes.String() != "read" {
		t.Errorf("the token's scopes are %q, the answer says %q", got, narrow.Scopes)
	}
	if got := w.b.passes(first.AccessToken).Scopes.String(); got != "read write" {
		t.Errorf("the older token's scopes are now %q", got)
	}
	// Clients that name no scope mean the same as at login.
	same := w.a.refresh(narrow.RefreshToken)
	if got := w.b.passes(same.AccessToken).Scopes.String(); got != "read write" || same.Scopes.String() != "read write" {
		t.Errorf("the token's scopes are %q, the answer says %q", got, same.Scopes)
	}
}

func TestARefreshDoesNotWiden(t *testing.T) {
	w := newWorld(t)
	all := w.chain(1)
	for name, asked := range map[string]oauth.Scopes{
		"one that exists":    {"read", "admin"},
		"one that does not":  {"unknown"},
		"one that is almost": {"READ"},
	} {
		t.Run(name, func(*testing.T) {
			w.unharmed(func() {
				w.a.refreshFails(all[0].RefreshToken, oauth.CodeInvalidScope, scopes(asked...)) // as a retry
				w.b.refreshFails(all[1].RefreshToken, oauth.CodeInvalidScope, scopes(asked...))
			})
		})
	}
	w.b.refresh(all[1].RefreshToken)
}

// Two processes may share a refresh token and still want different scopes.
func TestARetryForOtherScopesGetsAnAccessTokenOfItsOwn(t *testing.T) {
	w := newWorld(t)
	first := w.a.redeem(w.a.login())
	second := w.a.refresh(first.RefreshToken)
	narrow := w.b.refresh(first.RefreshToken, scopes("write"))
	if narrow.RefreshToken != second.RefreshToken || narrow.AccessToken == second.AccessToken {
		t.Error("it got the other's access token, or another refresh token")
	}
	if got := w.a.passes(narrow.AccessToken).Scopes.String(); got != "write" {
		t.Errorf("its scopes are %q", got)
	}
	w.b.retry(first.RefreshToken, second)
}

func TestARetryForAnotherResourceGetsNothing(t *testing.T) {
	w := newWorld(t)
	all := w.chain(1)
	elsewhere := func(r *Refreshing) { r.Resources = []string{"https://weather.example.com/sse"} }
	w.unharmed(func() {
		w.a.refreshFails(all[0].RefreshToken, oauth.CodeInvalidTarget, elsewhere)
		w.a.refreshFails(all[1].RefreshToken, oauth.CodeInvalidTarget, elsewhere)
	})
	w.a.refresh(all[1].RefreshToken, func(r *Refreshing) { r.Resources = []string{"HTTPS://weather.example.com:443/mcp/"} })
}

func TestARetryIsToldTheTimeThatIsLeft(t *testing.T) {
	w := newWorld(t)
	first := w.a.redeem(w.a.login())
	w.a.refresh(first.RefreshToken)
	w.clock.Advance(100*time.Second + 500*time.Millisecond)
	if got := w.b.refresh(first.RefreshToken).ExpiresIn; got != 3499 {
		t.Errorf("expires_in is %d", got)
	}
}

func TestARetryAfterTheAccessTokenHasExpiredGetsANewOne(t *testing.T) {
	w := newWorld(t)
	g := w.gateway(func(o *Options) { o.AccessTokenTTL = time.Minute })
	first := g.redeem(g.login())
	second := g.refresh(first.RefreshToken)
	w.clock.Advance(time.Minute)
	g.checkFails(second.AccessToken, oauth.CodeInvalidToken)
	got := g.refresh(first.RefreshToken)
	if got.RefreshToken != second.RefreshToken || got.ExpiresIn != 60 {
		t.Errorf("expires_in is %d", got.ExpiresIn)
	}
	g.passes(got.AccessToken)
}

func TestAnotherClientsRefreshTokenIsOfNoUse(t *testing.T) {
	w := newWorld(t)
	all := w.chain(2)
	other := w.a.register()
	asOther := func(r *Refreshing) { r.ClientID = other }
	w.unharmed(func() {
		for _, issued := range all {
			w.b.refreshFails(issued.RefreshToken, oauth.CodeInvalidGrant, asOther)
		}
	})
	w.a.refresh(all[2].RefreshToken)
}

func TestAGrantEndsAMonthAfterLoginHoweverOftenItIsRefreshed(t *testing.T) {
	w := newWorld(t)
	last := w.a.redeem(w.a.login())
	for range 29 {
		w.clock.Advance(24 * time.Hour)
		last = w.a.refresh(last.RefreshToken)
	}
	w.clock.Advance(24*time.Hour - 10*time.Minute)
	last = w.a.refresh(last.RefreshToken)
	if last.ExpiresIn != 600 {
		t.Errorf("the last access token is good for %d s, longer than its grant", last.ExpiresIn)
	}
	w.clock.Advance(10 * time.Minute)
	w.a.refreshFails(last.RefreshToken, oauth.CodeInvalidGrant)
	w.b.checkFails(last.AccessToken, oauth.CodeInvalidToken)
}

func TestWhoIsNotLetInAnyMoreLosesTheGrantAtRefresh(t *testing.T) {
	for name, step := range map[string]func(*world, []*Issued) string{
		"newest": func(_ *world, all []*Issued) string { return all[1].RefreshToken },
		"retry":  func(_ *world, all []*Issued) string { return all[0].RefreshToken },
		"late retry": func(w *world, all []*Issued) string {
			w.clock.Advance(RetryWindow)
			return all[0].RefreshToken
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			all := w.chain(1)
			token := step(w, all)
			w.rejected = "alice@example.com"
			w.b.refreshFails(token, oauth.CodeInvalidGrant)
			w.ended(all...)
		})
	}
}

func TestARemovedUpstreamEndsWhatItLetIn(t *testing.T) {
	for name, now := range map[string]map[string]string{
		"removed":        {},
		"another issuer": {"corp": "https://evil.example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			first := w.a.redeem(w.a.login())
			w.issuers = now
			w.b.checkFails(first.AccessToken, oauth.CodeInvalidToken)
			w.b.refreshFails(first.RefreshToken, oauth.CodeInvalidGrant)
			w.ended(first)
		})
	}
}

func TestAScopeThatIsNoLongerConfiguredIsLost(t *testing.T) {
	w := newWorld(t)
	first := w.a.redeem(w.a.login())
	g := w.gateway(func(o *Options) { o.Policy = func(context.Context) Policy { return onlyRead{w} } })
	if got := g.passes(first.AccessToken).Scopes.String(); got != "read" {
		t.Errorf("the old token's scopes are %q", got)
	}
	second := g.refresh(first.RefreshToken)
	if got := g.passes(second.AccessToken).Scopes.String(); got != "read" || second.Scopes.String() != "read" {
		t.Errorf("the new token's scopes are %q, the answer says %q", got, second.Scopes)
	}
	g.retry(first.RefreshToken, second)
}

// onlyRead knows one scope.
type onlyRead struct{ Policy }

func (onlyRead) Grantable() oauth.Scopes { return oauth.Scopes{"read"} }

func TestAGrantKeepsItsSixteenNewestAccessTokens(t *testing.T) {
	w := newWorld(t)
	all := w.chain(maxAccessTokens) // one more than is kept
	w.b.checkFails(all[0].AccessToken, oauth.CodeInvalidToken)
	for _, issued := range all[1:] {
		w.b.passes(issued.AccessToken)
	}
}

func TestDeadAccessTokensMakeRoomFirst(t *testing.T) {
	w := newWorld(t)
	all := w.chain(maxAccessTokens - 2)
	w.clock.Advance(time.Hour)
	last := w.a.refresh(all[len(all)-1].RefreshToken)
	for _, issued := range all {
		w.a.checkFails(issued.AccessToken, oauth.CodeInvalidToken)
	}
	w.a.passes(last.AccessToken)
	for _, g := range w.a.table.ByIndex((&grant{ClientID: w.client, Issuer: issuer, Subject: "alice"}).user()) {
		if len(g.Access) != 1 || slices.ContainsFunc(g.Rotations[:len(g.Rotations)-1], func(r rotation) bool { return r.ParentDataKey != nil }) {
			t.Errorf("the record keeps %d access tokens, or data keys of spent tokens", len(g.Access))
		}
	}
}
