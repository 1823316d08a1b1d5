package gateway_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
)

const sessionID = "Mcp-Session-Id"

// startsSessions is a backend that begins one with each request that has none.
func startsSessions(w http.ResponseWriter, r *http.Request) {
	id := r.Header.Get(sessionID)
	if id == "" {
		id = "the-backends-own"
	}
	w.Header().Set(sessionID, id)
}

func TestTheBackendChangesASession(t *testing.T) {
	t.Parallel()
	gw, _, token := loggedIn(t, gatewaytest.Setup{})
	id := "one"
	gw.Backend.Respond(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set(sessionID, id) })
	one := call(t, gw, "POST", "/mcp", token, nil).Header.Get(sessionID)
	id = "two"
	two := call(t, gw, "POST", "/mcp", token, http.Header{sessionID: {one}}).Header.Get(sessionID)
	call(t, gw, "POST", "/mcp", token, http.Header{sessionID: {two}})
	seen := gw.Backend.Requests()
	if one == two || seen[1].Header.Get(sessionID) != "one" || seen[2].Header.Get(sessionID) != "two" {
		t.Errorf("the backend saw the sessions %v, %v", seen[1].Header, seen[2].Header)
	}
	id = strings.Repeat("x", 1025)
	isGatewayError(t, call(t, gw, "POST", "/mcp", token, nil), http.StatusBadGateway)
	// T21: what the backend says of a dead session comes through.
	gw.Backend.Respond(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "dead", http.StatusNotFound) })
	if a := call(t, gw, "POST", "/mcp", token, http.Header{sessionID: {two}}); a.Status != http.StatusNotFound || a.Body != "dead\n" {
		t.Errorf("a dead session gets %d: %s", a.Status, a.Body)
	}
}

func TestSessionsLapse(t *testing.T) {
	t.Parallel()
	gw, client, _ := loggedIn(t, gatewaytest.Setup{})
	gw.Backend.Respond(startsSessions)
	session := call(t, gw, "POST", "/mcp", client.Redeem(t, client.Login(t)).Access, nil).Header.Get(sessionID)
	gw.Clock.Advance(30 * 24 * time.Hour)
	isGatewayError(t, call(t, gw, "POST", "/mcp", client.Redeem(t, client.Login(t)).Access, http.Header{sessionID: {session}}), http.StatusNotFound)
}
