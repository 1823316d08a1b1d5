package gateway_test

import (
	"bytes"
	"net/http"
	"testing"

	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
	"vestibule.dev/vestibule/gateway/internal/grants"
	"vestibule.dev/vestibule/gateway/internal/store"
)

// Who can write to the store, but does not have the keys, changes records, moves
// them, or makes up their own. None of it opens; nobody is let in by it, and
// nobody is told for good that they have lost what they have.
func TestAttackRecordsInTheStore(t *testing.T) {
	t.Parallel()
	vault := &gatewaytest.Vault{}
	gw := gatewaytest.New(t, gatewaytest.Setup{Options: vault.Use})
	client := gw.Register(t, nil)
	gw.IdP.LoginAs("mallory", nil)
	mallory := client.Redeem(t, client.Login(t))
	var mallorys []byte
	vault.Edit(store.Grant, func(_ store.ID, value []byte) []byte { mallorys = value; return value })
	gw.IdP.LoginAs("alice", nil)
	alice := client.Redeem(t, client.Login(t))
	untouched := vault.Snapshot()

	changed := func(at func(value []byte) int) func(store.ID, []byte) []byte {
		return func(_ store.ID, value []byte) []byte {
			value = bytes.Clone(value)
			value[at(value)] ^= 1
			return value
		}
	}
	for name, edit := range map[string]func(store.ID, []byte) []byte{
		"its format changed":     changed(func([]byte) int { return 0 }),
		"its expiry changed":     changed(func([]byte) int { return store.HeaderLen - 1 }),
		"its key's id changed":   changed(func([]byte) int { return store.HeaderLen }),
		"its middle changed":     changed(func(v []byte) int { return len(v) / 2 }),
		"its end changed":        changed(func(v []byte) int { return len(v) - 1 }),
		"cut off":                func(_ store.ID, v []byte) []byte { return v[:len(v)/2] },
		"nothing but its header": func(_ store.ID, v []byte) []byte { return v[:store.HeaderLen] },
		"longer":                 func(_ store.ID, v []byte) []byte { return append(bytes.Clone(v), 0) },
		"in the clear":           func(_ store.ID, v []byte) []byte { return append(bytes.Clone(v[:store.HeaderLen+1]), 0xa0) },
		"mallory's, everywhere":  func(_ store.ID, _ []byte) []byte { return mallorys },
		"one byte":               func(_ store.ID, _ []byte) []byte { return []byte{1} },
	} {
		t.Run(name, func(t *testing.T) {
			defer vault.Restore(untouched)
			before := len(gw.Backend.Requests())
			vault.Edit(store.Grant, edit)
			client.Call(t, alice.Access).Fails(t, http.StatusServiceUnavailable, "temporarily_unavailable")
			client.Token(t, gatewaytest.RefreshParams(alice.Refresh)).Fails(t, http.StatusServiceUnavailable, "temporarily_unavailable")
			if n := len(gw.Backend.Requests()); n != before {
				t.Error("the backend saw a request")
			}
		})
		t.Run("a client, "+name, func(t *testing.T) {
			defer vault.Restore(untouched)
			vault.Edit(store.Client, edit)
			client.Token(t, gatewaytest.RefreshParams(alice.Refresh)).Fails(t, http.StatusServiceUnavailable, "temporarily_unavailable")
			isPage(t, client.Browser(t).Get(t, gw.AuthorizeURL(client.AuthorizationRequest())), http.StatusServiceUnavailable, "This does not work right now")
		})
	}
	unharmed(t, client, mallory)
	unharmed(t, client, alice)
}

// What remains: an old record is a genuine one. Who can bring it back revives what
// was revoked, as long as it has not expired; but not what a client holds that
// went on since then, and nobody loses a grant by it.
func TestAttackRollbackOfTheStore(t *testing.T) {
	t.Parallel()
	vault := &gatewaytest.Vault{}
	gw := gatewaytest.New(t, gatewaytest.Setup{Options: vault.Use})
	client := gw.Register(t, nil)
	revoked, going := client.Redeem(t, client.Login(t)), client.Redeem(t, client.Login(t))
	backup := vault.Snapshot()
	client.Form(t, "/revoke", map[string][]string{"token": {revoked.Refresh}})
	next := client.Refresh(t, going.Refresh)
	newer := vault.Snapshot()
	vault.Restore(backup)
	if a := client.Call(t, revoked.Access); a.Status != http.StatusOK {
		t.Errorf("docs/security.md says that a record can be brought back: %d", a.Status)
	}
	client.Call(t, next.Access).Fails(t, http.StatusUnauthorized, "invalid_token")
	client.Token(t, gatewaytest.RefreshParams(next.Refresh)).Fails(t, http.StatusBadRequest, "invalid_grant")
	vault.Restore(newer)
	client.Call(t, revoked.Access).Fails(t, http.StatusUnauthorized, "invalid_token")
	client.Refresh(t, next.Refresh)
	gw.Clock.Advance(grants.RetryWindow)
	vault.Restore(backup)
	client.Refresh(t, going.Refresh)
}
