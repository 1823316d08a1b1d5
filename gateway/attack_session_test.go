package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
)

func TestAttackStolenSession(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{Configure: twoRoutes, Replicas: 2})
	gw.Backend.Respond(startsSessions)
	client := gw.Register(t, nil)
	login := func(user, resource string) string {
		gw.IdP.LoginAs(user, nil)
		request := client.AuthorizationRequest()
		request.Set("resource", gw.URL+resource)
		return client.Redeem(t, client.LoginWith(t, request)).Access
	}
	alice, again, bob, elsewhere := login("alice", "/mcp"), login("alice", "/mcp"), login("bob", "/mcp"), login("alice", "/two")
	in := func(session ...string) http.Header { return http.Header{sessionID: session} }

	started := call(t, gw, "POST", "/mcp", alice, nil)
	session := started.Header.Get(sessionID)
	if session == "" || strings.Contains(session, "backend") || len(started.Header[sessionID]) != 1 {
		t.Fatalf("the session is %q", started.Header[sessionID])
	}
	for _, method := range []string{"POST", "GET", "DELETE"} {
		a := call(t, gw, method, "/mcp", alice, in(session))
		if a.Status != http.StatusOK || a.Header.Get(sessionID) != session {
			t.Errorf("%s in the session gets %d, and the id %q", method, a.Status, a.Header.Get(sessionID))
		}
		seen := gw.Backend.Requests()
		if last := seen[len(seen)-1]; last.Method != method || last.Header.Get(sessionID) != "the-backends-own" {
			t.Errorf("the backend saw %s in %q", last.Method, last.Header.Get(sessionID))
		}
	}
	if a := call(t, gw, "POST", "/mcp", again, in(session)); a.Status != http.StatusOK {
		t.Errorf("the same user with another token gets %d", a.Status)
	}
	r := gw.Request(t, "POST", "/mcp", nil, map[string]string{sessionID: session, "Authorization": "Bearer " + alice})
	if a := gw.Do(t, gw.HTTP(1), r); a.Status != http.StatusOK || a.Header.Get(sessionID) != session {
		t.Errorf("the other replica answers %d in %q", a.Status, a.Header.Get(sessionID))
	}

	before := len(gw.Backend.Requests())
	for _, row := range []struct {
		name, path, token string
		header            http.Header
		status            int
	}{
		{"another user's", "/mcp", bob, in(session), 404},
		{"another route's", "/two", elsewhere, in(session), 404},
		{"the backend's own", "/mcp", alice, in("the-backends-own"), 404},
		{"a forged one", "/mcp", alice, in(forged(session)), 404},
		{"an empty one", "/mcp", alice, in(""), 404},
		{"two", "/mcp", alice, in(session, session), 400},
		{"without a token", "/mcp", "", in(session), 401},
	} {
		t.Run(row.name, func(t *testing.T) {
			for _, method := range []string{"POST", "GET", "DELETE"} {
				a := call(t, gw, method, row.path, row.token, row.header)
				if row.status == http.StatusUnauthorized {
					a.Fails(t, row.status, "unauthorized")
					continue
				}
				isGatewayError(t, a, row.status)
			}
		})
	}
	if n := len(gw.Backend.Requests()); n != before {
		t.Errorf("the backend saw %d of the refused requests", n-before)
	}
	if log := gw.Secrets.Written(); !strings.Contains(log, `"error":"unknown session"`) {
		t.Error("the log does not say why")
	}
}
