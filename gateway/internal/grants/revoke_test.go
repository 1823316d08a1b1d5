package grants

import (
	"testing"

	"vestibule.dev/vestibule/gateway/internal/oauth"
)

func (g *gateway) revoke(token, client string, ends bool) {
	g.w.t.Helper()
	holder, err := g.Revoke(g.w.t.Context(), token, client)
	if err != nil || (holder != nil) != ends {
		g.w.t.Errorf("revoking: holder %v, error %v", holder, err)
	}
}

func TestRevokingARefreshTokenEndsItsGrant(t *testing.T) {
	w := newWorld(t)
	all := w.chain(2)
	w.b.revoke(all[2].RefreshToken, w.client, true)
	w.ended(all...)
	w.b.revoke(all[2].RefreshToken, w.client, false)
}

func TestRevokingAnAccessTokenEndsItAlone(t *testing.T) {
	w := newWorld(t)
	all := w.chain(1)
	w.b.revoke(all[0].AccessToken, w.client, true)
	w.a.checkFails(all[0].AccessToken, oauth.CodeInvalidToken)
	w.a.passes(all[1].AccessToken)
	w.a.refresh(all[1].RefreshToken)
	w.b.revoke(all[0].AccessToken, w.client, false)
}

func TestARetryDoesNotBringARevokedAccessTokenBack(t *testing.T) {
	w := newWorld(t)
	all := w.chain(1)
	w.a.revoke(all[1].AccessToken, w.client, true)
	got := w.a.refresh(all[0].RefreshToken)
	if got.AccessToken == all[1].AccessToken || got.RefreshToken != all[1].RefreshToken {
		t.Error("the retry got the revoked token, or another refresh token")
	}
	w.a.passes(got.AccessToken)
	w.a.checkFails(all[1].AccessToken, oauth.CodeInvalidToken)
}

func TestNobodyRevokesAnothersToken(t *testing.T) {
	w := newWorld(t)
	first := w.a.redeem(w.a.login())
	other := w.a.register()
	w.unharmed(func() {
		for _, token := range []string{
			first.RefreshToken, first.AccessToken, "nonsense", "",
			tampered(first.RefreshToken), tampered(first.AccessToken),
		} {
			w.b.revoke(token, other, false)
		}
		w.b.revoke(tampered(first.RefreshToken), w.client, false)
	})
	w.a.passes(first.AccessToken)
	w.a.refresh(first.RefreshToken)
}

func TestARevocationThatTheStoreDoesNotTakeIsNoSuccess(t *testing.T) {
	w := newWorld(t)
	first := w.a.redeem(w.a.login())
	w.a.view.Fail(true)
	for _, token := range []string{first.RefreshToken, first.AccessToken} {
		_, err := w.a.Revoke(t.Context(), token, w.client)
		w.wantError(err, oauth.CodeTemporarilyUnavailable)
	}
}

func TestATokenThatTheCopyDoesNotKnowIsRevokedInTheStore(t *testing.T) {
	w := newWorld(t)
	first := w.a.redeem(w.a.login())
	w.b.view.Pause()
	second := w.a.refresh(first.RefreshToken)
	w.b.revoke(second.AccessToken, w.client, true)
	w.a.checkFails(second.AccessToken, oauth.CodeInvalidToken)
}
