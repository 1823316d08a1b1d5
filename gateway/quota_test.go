package gateway_test

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
)

// tooMany insists that a request was refused for now, and did not reach the backend.
func tooMany(t *testing.T, gw *gatewaytest.Server, do func() gatewaytest.Answer) {
	t.Helper()
	before := len(gw.Backend.Requests())
	a := do()
	isGatewayError(t, a, http.StatusTooManyRequests)
	if wait, err := strconv.Atoi(a.Header.Get("Retry-After")); err != nil || wait < 1 || wait > 60 {
		t.Errorf("the client is told to wait %q", a.Header.Get("Retry-After"))
	}
	if n := len(gw.Backend.Requests()) - before; n > 0 {
		t.Errorf("the backend saw %d requests", n)
	}
}

func TestQuotasOfRequests(t *testing.T) { // R22
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{Configure: func(c *config.Config) {
		twoRoutes(c)
		c.AllowedOrigins = []string{"https://app.example"}
		c.Quotas = config.Quotas{RequestsPerMinutePerUser: 3, RequestsPerMinutePerClient: 5}
	}})
	client, other := gw.Register(t, nil), gw.Register(t, nil)
	alice, elsewhere := client.Redeem(t, client.Login(t)).Access, other.Redeem(t, other.Login(t)).Access
	gw.IdP.LoginAs("bob", nil)
	bob := client.Redeem(t, client.Login(t)).Access
	through := func(token string, n int) {
		t.Helper()
		for range n {
			if a := client.Call(t, token); a.Status != http.StatusOK {
				t.Fatalf("the answer is %d: %s", a.Status, a.Body)
			}
		}
	}
	through(alice, 2)
	through(elsewhere, 1) // the same user by another client
	tooMany(t, gw, func() gatewaytest.Answer { return client.Call(t, alice) })
	tooMany(t, gw, func() gatewaytest.Answer { return client.Call(t, elsewhere) })
	tooMany(t, gw, func() gatewaytest.Answer { return call(t, gw, "GET", "/mcp", alice, nil) })
	a := call(t, gw, "POST", "/mcp", alice, http.Header{"Origin": {"https://app.example"}})
	if a.Status != http.StatusTooManyRequests || a.Header.Get("Access-Control-Allow-Origin") != "https://app.example" {
		t.Errorf("a script gets %d with %v", a.Status, a.Header)
	}
	through(bob, 3) // of another user's refusals nothing was counted
	gw.Clock.Advance(20 * time.Second)
	through(alice, 1)
	tooMany(t, gw, func() gatewaytest.Answer { return client.Call(t, alice) })
	gw.Clock.Advance(time.Minute)
	through(alice, 3)
	through(bob, 2) // the client's fifth
	tooMany(t, gw, func() gatewaytest.Answer { return client.Call(t, bob) })
	// Who has no token is told where to get one, and not to wait.
	client.Call(t, forged(alice)).Fails(t, http.StatusUnauthorized, "invalid_token")
}

func TestQuotasOfConcurrentRequests(t *testing.T) { // R22
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{Configure: func(c *config.Config) {
		c.Quotas = config.Quotas{ConcurrentRequestsPerUser: 2, ConcurrentRequestsPerClient: 3}
	}})
	gw.Backend.Respond(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_ = http.NewResponseController(w).Flush()
		select { // bounded, for whoever reads one that should have been refused
		case <-r.Context().Done():
		case <-time.After(5 * time.Second):
		}
	})
	client := gw.Register(t, nil)
	alice := client.Redeem(t, client.Login(t)).Access
	gw.IdP.LoginAs("bob", nil)
	bob := client.Redeem(t, client.Login(t)).Access
	open := func(method, token string) (end func()) {
		t.Helper()
		resp, err := gw.HTTP(0).Do(gw.Request(t, method, "/mcp", nil, map[string]string{"Authorization": "Bearer " + token}))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = resp.Body.Close() })
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("the answer is %d", resp.StatusCode)
		}
		return func() { _ = resp.Body.Close() }
	}
	end := open("GET", alice)
	open("POST", alice) // a stream, too
	tooMany(t, gw, func() gatewaytest.Answer { return client.Call(t, alice) })
	open("GET", bob)
	tooMany(t, gw, func() gatewaytest.Answer { return call(t, gw, "GET", "/mcp", bob, nil) })
	end()
	for started := time.Now(); ; { // until the gateway has noticed
		resp, err := gw.HTTP(0).Do(gw.Request(t, "GET", "/mcp", nil, map[string]string{"Authorization": "Bearer " + bob}))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = resp.Body.Close() })
		if resp.StatusCode == http.StatusOK {
			return
		}
		if time.Since(started) > 4*time.Second {
			t.Fatalf("after a stream has ended the answer is still %d", resp.StatusCode)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
