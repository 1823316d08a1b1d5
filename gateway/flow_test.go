package gateway_test

import (
	"net/http"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
)

func TestAClientGoesTheWholeWay(t *testing.T) {
	for _, method := range []string{"none", "client_secret_post"} {
		t.Run(method, func(t *testing.T) {
			gw := gatewaytest.New(t, gatewaytest.Setup{})
			client := gw.Register(t, map[string]any{"token_endpoint_auth_method": method})
			if (client.Secret == "") != (method == "none") {
				t.Fatalf("a client with method %s got the secret %q", method, client.Secret)
			}
			tokens := client.Redeem(t, client.Login(t))
			if a := client.Call(t, tokens.Access); a.Status != http.StatusOK {
				t.Fatalf("a good token gets %d: %s", a.Status, a.Body)
			}
			next := client.Refresh(t, tokens.Refresh)
			if next.Refresh == tokens.Refresh || next.Access == tokens.Access {
				t.Error("the refresh did not rotate")
			}
			client.Call(t, next.Access)
			revoked := client.Form(t, "/revoke", map[string][]string{"token": {next.Refresh}})
			if revoked.Status != http.StatusOK {
				t.Errorf("revocation answers %d: %s", revoked.Status, revoked.Body)
			}
			client.Call(t, next.Access).Fails(t, http.StatusUnauthorized, "invalid_token")
			client.Call(t, tokens.Access).Fails(t, http.StatusUnauthorized, "invalid_token")
			client.Token(t, gatewaytest.RefreshParams(next.Refresh)).Fails(t, http.StatusBadRequest, "invalid_grant")
		})
	}
}

func TestAReplayedCodeEndsWhatItGot(t *testing.T) {
	gw := gatewaytest.New(t, gatewaytest.Setup{})
	client := gw.Register(t, nil)
	code := client.Login(t)
	tokens := client.Redeem(t, code)
	client.Token(t, gatewaytest.RedeemParams(code)).Fails(t, http.StatusBadRequest, "invalid_grant")
	client.Call(t, tokens.Access).Fails(t, http.StatusUnauthorized, "invalid_token")
	client.Token(t, gatewaytest.RefreshParams(tokens.Refresh)).Fails(t, http.StatusBadRequest, "invalid_grant")
}

func TestTheThiefAndTheVictimBothLoseTheGrant(t *testing.T) {
	gw := gatewaytest.New(t, gatewaytest.Setup{})
	client := gw.Register(t, nil)
	stolen := client.Redeem(t, client.Login(t))
	victim := client.Refresh(t, stolen.Refresh)
	gw.Clock.Advance(3 * time.Minute)
	// The victim's answer may have been lost, so the stale token still works ...
	thief := client.Refresh(t, stolen.Refresh)
	if thief.Refresh == victim.Refresh {
		t.Fatal("a stale token gets what the first use of it got")
	}
	// ... but whoever holds the one that it replaced gives both away.
	client.Token(t, gatewaytest.RefreshParams(victim.Refresh)).Fails(t, http.StatusBadRequest, "invalid_grant")
	client.Token(t, gatewaytest.RefreshParams(thief.Refresh)).Fails(t, http.StatusBadRequest, "invalid_grant")
	client.Call(t, thief.Access).Fails(t, http.StatusUnauthorized, "invalid_token")
}
