package gateway_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
	"vestibule.dev/vestibule/gateway/internal/grants"
	"vestibule.dev/vestibule/gateway/internal/store"
)

func TestAttackStolenRefreshToken(t *testing.T) {
	t.Parallel()
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
	client.Redeem(t, client.Login(t)) // the victim logs in again, and the thief cannot
}

// What remains of a stolen refresh token: a thief who calls each time within the
// same two minutes as its owner is not told from another process of the owner's.
// It is seen in the audit log, and it does not outlast the login.
func TestAttackLockstepRefresh(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{})
	client := gw.Register(t, nil)
	newest := client.Redeem(t, client.Login(t))
	for range 5 {
		gw.Clock.Advance(time.Hour)
		victim := client.Refresh(t, newest.Refresh)
		gw.Clock.Advance(grants.RetryWindow - time.Second)
		if thief := client.Refresh(t, newest.Refresh); thief.Refresh != victim.Refresh {
			t.Fatal("a retry gets another token than what it repeats")
		}
		newest = victim
	}
	if n := strings.Count(gw.Secrets.Written(), `"retried":true`); n != 5 {
		t.Errorf("the audit log speaks of %d answers given again, not of 5", n)
	}
	// The first time that they are out of step, both lose it.
	victim := client.Refresh(t, newest.Refresh)
	victim = client.Refresh(t, victim.Refresh)
	gw.Clock.Advance(grants.RetryWindow)
	client.Token(t, gatewaytest.RefreshParams(newest.Refresh)).Fails(t, http.StatusBadRequest, "invalid_grant")
	dead(t, client, victim)

	// In step for ever, they still end with the login.
	newest = client.Redeem(t, client.Login(t))
	gw.Clock.Advance(29 * 24 * time.Hour)
	newest = client.Refresh(t, newest.Refresh)
	client.Refresh(t, newest.Refresh)
	gw.Clock.Advance(24 * time.Hour)
	client.Token(t, gatewaytest.RefreshParams(newest.Refresh)).Fails(t, http.StatusBadRequest, "invalid_grant")
}

// A replica whose watch has stopped knows what was good when it last heard of it.
// An attacker may look for such a one, but has 90 seconds there, and for reading
// only: whatever is written is decided on the store.
func TestAttackLaggingReplica(t *testing.T) {
	t.Parallel()
	vault := &gatewaytest.Vault{}
	gw := gatewaytest.New(t, gatewaytest.Setup{Replicas: 2, Options: vault.Use})
	client := gw.Register(t, nil)
	deaf := client.On(1)
	login := func(t *testing.T) gatewaytest.Tokens {
		t.Helper()
		tokens := client.Redeem(t, client.Login(t))
		vault.Watches[1].Pause()
		t.Cleanup(vault.Watches[1].Resume)
		return tokens
	}
	// known insists that the replica still takes a token, and stops to in time.
	known := func(t *testing.T, access string) {
		t.Helper()
		if a := deaf.Call(t, access); a.Status != http.StatusOK {
			t.Fatalf("the replica has not been left behind: %d", a.Status)
		}
		gw.Clock.Advance(90 * time.Second)
		deaf.Call(t, access).Fails(t, http.StatusUnauthorized, "invalid_token")
	}
	t.Run("a revoked token", func(t *testing.T) {
		tokens := login(t)
		client.Form(t, "/revoke", map[string][]string{"token": {tokens.Refresh}})
		deaf.Token(t, gatewaytest.RefreshParams(tokens.Refresh)).Fails(t, http.StatusBadRequest, "invalid_grant")
		known(t, tokens.Access)
	})
	t.Run("a spent code", func(t *testing.T) {
		vault.Watches[1].Pause()
		defer vault.Watches[1].Resume()
		code := client.Login(t)
		tokens := client.Redeem(t, code)
		deaf.Token(t, gatewaytest.RedeemParams(code)).Fails(t, http.StatusBadRequest, "invalid_grant")
		dead(t, client, tokens)
	})
	t.Run("a rotated refresh token", func(t *testing.T) {
		tokens := login(t)
		second := client.Refresh(t, tokens.Refresh)
		if got := deaf.Refresh(t, tokens.Refresh); got.Refresh != second.Refresh {
			t.Error("the token has two successors")
		}
		third := client.Refresh(t, second.Refresh)
		gw.Clock.Advance(grants.RetryWindow)
		deaf.Token(t, gatewaytest.RefreshParams(tokens.Refresh)).Fails(t, http.StatusBadRequest, "invalid_grant")
		dead(t, client, third)
	})
	t.Run("a deleted client", func(t *testing.T) {
		client = gw.Register(t, nil)
		deaf = client.On(1)
		tokens := login(t)
		bystander := gw.Register(t, nil)
		vault.Edit(store.Client, func(id store.ID, value []byte) []byte {
			if strings.HasSuffix(client.ID, id.String()) {
				return nil
			}
			return value
		})
		client.Call(t, tokens.Access).Fails(t, http.StatusUnauthorized, "invalid_token")
		client.Token(t, gatewaytest.RefreshParams(tokens.Refresh)).Fails(t, http.StatusUnauthorized, "invalid_client")
		known(t, tokens.Access)
		deaf.Token(t, gatewaytest.RefreshParams(tokens.Refresh)).Fails(t, http.StatusUnauthorized, "invalid_client")
		bystander.Call(t, bystander.Redeem(t, bystander.Login(t)).Access)
	})
}
