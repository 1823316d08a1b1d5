package gateway_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
)

const upstreamHeader = "X-Upstream-Token"

// demanding is a server of two replicas whose backend takes a request only with the
// token that takes says is good.
func demanding(t *testing.T, takes func(token string) bool) (*gatewaytest.Server, *gatewaytest.Client) {
	t.Helper()
	gw := gatewaytest.New(t, gatewaytest.Setup{Replicas: 2, Configure: func(c *config.Config) {
		c.Backend.Identity = &config.Identity{UpstreamTokenHeader: upstreamHeader}
		c.Upstreams[0].RenewTokens, c.Upstreams[0].OIDC.Scopes = true, []string{"offline_access"}
	}})
	gw.Backend.Respond(func(w http.ResponseWriter, r *http.Request) {
		if !takes(r.Header.Get(upstreamHeader)) {
			w.Header().Set("WWW-Authenticate", "Bearer")
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	client := gw.Register(t, nil)
	return gw, client
}

// anything is what a backend takes that does not look.
func anything(string) bool { return true }

func TestTheUpstreamsTokenIsRenewedInTime(t *testing.T) {
	t.Parallel()
	gw, client := demanding(t, anything)
	tokens := client.Redeem(t, client.Login(t))
	first := callTold(t, client, tokens.Access).Get(upstreamHeader)
	if gw.Secrets.What(first) != "upstream access token" {
		t.Fatalf("the backend is sent %q", first)
	}
	gw.Clock.Advance(260 * time.Second)
	if again := callTold(t, client.On(1), tokens.Access).Get(upstreamHeader); again != first || gw.IdP.Renewals() != 0 {
		t.Error("a token was renewed that is good still")
	}
	gw.Clock.Advance(15 * time.Second)
	gw.IdP.BeforeRenewal(func() { time.Sleep(50 * time.Millisecond) }) // the others come meanwhile
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() {
			if a := client.On(i%2).Call(t, tokens.Access); a.Status != http.StatusOK {
				t.Errorf("while it is renewed, a call gets %d: %s", a.Status, a.Body)
			}
		})
	}
	all.Wait()
	if gw.IdP.Renewals() != 1 {
		t.Errorf("the upstream was asked %d times", gw.IdP.Renewals())
	}
	seen := gw.Backend.Requests()
	second := seen[len(seen)-1].Header.Get(upstreamHeader)
	for _, r := range seen[2:] {
		if got := r.Header.Get(upstreamHeader); got == first || got != second {
			t.Error("after the renewal, the backend is sent different tokens")
		}
	}
	client.Refresh(t, tokens.Refresh) // what the upstream gave last is good for it
}

// An upstream that does not answer costs a 503, one that has ended the login the grant.
func TestAnUpstreamsTokenThatCannotBeRenewed(t *testing.T) {
	t.Parallel()
	gw, client := demanding(t, anything)
	tokens := client.Redeem(t, client.Login(t))
	gw.Clock.Advance(30 * time.Minute)
	gw.IdP.BreakToken(func(w http.ResponseWriter) bool {
		w.WriteHeader(http.StatusBadGateway)
		return true
	})
	for i := range 3 {
		a := client.On(i%2).Call(t, tokens.Access)
		if a.Fails(t, http.StatusServiceUnavailable, "temporarily_unavailable"); a.Header.Get("Retry-After") == "" {
			t.Error("the answer does not say when to try again")
		}
	}
	if n := len(gw.Backend.Requests()); n > 0 {
		t.Errorf("the backend saw %d requests", n)
	}
	gw.IdP.BreakToken(nil)
	callTold(t, client, tokens.Access) // it has cost nothing
	gw.IdP.EndSessions()
	gw.Clock.Advance(5 * time.Minute)
	mustLogIn(t, client, tokens)
}

// mustLogIn insists that a call sends the client to log in again, and nothing else does.
func mustLogIn(t *testing.T, client *gatewaytest.Client, tokens gatewaytest.Tokens) {
	t.Helper()
	for i := range 2 {
		a := client.On(i).Call(t, tokens.Access)
		if a.Fails(t, http.StatusUnauthorized, "invalid_token"); !strings.Contains(a.Header.Get("WWW-Authenticate"), `error="invalid_token"`) {
			t.Errorf("the challenge is %q", a.Header.Get("WWW-Authenticate"))
		}
	}
	client.Token(t, gatewaytest.RefreshParams(tokens.Refresh)).Fails(t, http.StatusBadRequest, "invalid_grant")
}

// A token that the backend does not take is renewed once for all that were sent with
// it, and the next request has the new one.
func TestAnUpstreamsTokenThatIsRefused(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	bad := map[string]bool{}
	gw, client := demanding(t, func(token string) bool {
		mu.Lock()
		defer mu.Unlock()
		return !bad[token]
	})
	refuse := func(token string) {
		mu.Lock()
		defer mu.Unlock()
		bad[token] = true
	}
	gw.IdP.BeforeRenewal(func() { time.Sleep(20 * time.Millisecond) }) // the others come meanwhile
	tokens := client.Redeem(t, client.Login(t))
	for range 3 {
		refuse(callTold(t, client, tokens.Access).Get(upstreamHeader))
		before := gw.IdP.Renewals()
		var all sync.WaitGroup
		for i := range 4 {
			all.Go(func() {
				if a := client.On(i%2).Call(t, tokens.Access); a.Status != http.StatusOK {
					isGatewayError(t, a, http.StatusBadGateway)
				}
			})
		}
		all.Wait()
		if got := gw.IdP.Renewals() - before; got != 1 {
			t.Fatalf("the upstream was asked %d times", got)
		}
		for i := range 2 {
			callTold(t, client.On(i), tokens.Access)
		}
		gw.Clock.Advance(6 * time.Minute)
	}
}

// One that is refused though it is new is what the user has to settle with the upstream:
// they are sent there, and not left with a server that never answers.
func TestAnUpstreamsTokenThatIsRefusedAgain(t *testing.T) {
	t.Parallel()
	gw, client := demanding(t, func(string) bool { return false })
	tokens := client.Redeem(t, client.Login(t))
	a := client.Call(t, tokens.Access)
	if isGatewayError(t, a, http.StatusBadGateway); !strings.Contains(a.Body, "try again") || gw.IdP.Renewals() != 1 {
		t.Errorf("after %d renewals the client is told %s", gw.IdP.Renewals(), a.Body)
	}
	mustLogIn(t, client, tokens)
	if gw.IdP.Renewals() != 1 {
		t.Errorf("the upstream was asked %d times", gw.IdP.Renewals())
	}
	gw.Backend.Respond(nil)
	callTold(t, client, client.Redeem(t, client.Login(t)).Access)
}

// Who has logged in where nothing can be renewed is introduced without a token; that the
// backend wants one is the administrator's to change, and no login's.
func TestAUserWithoutAnUpstreamsToken(t *testing.T) {
	t.Parallel()
	gw, client := demanding(t, func(token string) bool { return token != "" })
	noTokens := gw.Join(t, func(c *config.Config) {
		c.Upstreams = []config.Upstream{c.Upstreams[0]}
		c.Upstreams[0].RenewTokens = false
	})
	client = client.On(noTokens)
	tokens := client.Redeem(t, client.Login(t))
	isGatewayError(t, client.Call(t, tokens.Access), http.StatusBadGateway)
	isGatewayError(t, client.Call(t, tokens.Access), http.StatusBadGateway)
	if got := lastSeen(t, gw).Values(upstreamHeader); got != nil {
		t.Errorf("the backend is sent %q", got)
	}
}
