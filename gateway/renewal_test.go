package gateway_test

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
)

// renewing is a server of two replicas whose upstream is asked again.
func renewing(t *testing.T) (*gatewaytest.Server, *gatewaytest.Client) {
	t.Helper()
	gw := gatewaytest.New(t, gatewaytest.Setup{Replicas: 2, Configure: func(c *config.Config) {
		u := &c.Upstreams[0]
		u.RenewTokens, u.OIDC.Scopes = true, []string{"email", "offline_access"}
		c.Scopes = []config.Scope{{Name: "read"}, {Name: "write", Allow: `"ops" in claims.groups`}}
		c.AccessRules = []config.AccessRule{{Name: "staff", Expression: `claims.email.endsWith("@example.com")`}}
	}})
	gw.IdP.LoginAs("alice", map[string]any{"groups": []string{"ops"}})
	client := gw.Register(t, nil)
	return gw, client
}

func TestARefreshAsksTheUpstreamAgain(t *testing.T) { // A56
	t.Parallel()
	gw, client := renewing(t)
	first := client.Redeem(t, client.Login(t))
	gw.Clock.Advance(time.Hour)
	gw.IdP.LoginAs("alice", map[string]any{"groups": []string{"dev"}})
	second := client.Refresh(t, first.Refresh)
	if first.Scope != "read write" || second.Scope != "read" || gw.IdP.Renewals() != 1 {
		t.Errorf("granted is %q, then %q after %d renewals", first.Scope, second.Scope, gw.IdP.Renewals())
	}
	if again := client.On(1).Refresh(t, first.Refresh); again.Refresh != second.Refresh || again.Access != second.Access || gw.IdP.Renewals() != 1 {
		t.Errorf("a retry at the other replica got something else, after %d renewals", gw.IdP.Renewals())
	}
	for i := range 3 { // each of them with the refresh token that the one before got
		gw.Clock.Advance(time.Hour)
		second = client.On(i%2).Refresh(t, second.Refresh)
	}
	gw.Clock.Advance(time.Hour)
	gw.IdP.LoginAs("alice", map[string]any{"email_verified": false})
	client.Token(t, gatewaytest.RefreshParams(second.Refresh)).Fails(t, http.StatusBadRequest, "invalid_grant")
	client.On(1).Token(t, gatewaytest.RefreshParams(second.Refresh)).Fails(t, http.StatusBadRequest, "invalid_grant")
}

// Groups that only userinfo names are withdrawn there, where a refresh brings no id token.
func TestAttackWithdrawnGroups(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name     string
		withdraw func(*gatewaytest.IdP)
	}{
		{"userinfo does not name them", func(p *gatewaytest.IdP) {
			p.UserInfo(func(c map[string]any) map[string]any { return map[string]any{"sub": c["sub"]} })
		}},
		{"userinfo refuses", func(p *gatewaytest.IdP) { p.BreakUserInfo(http.StatusForbidden) }},
	} {
		t.Run(row.name, func(t *testing.T) {
			gw, client := renewing(t)
			gw.IdP.LoginAs("alice", nil)
			gw.IdP.UserInfo(func(c map[string]any) map[string]any {
				return map[string]any{"sub": c["sub"], "groups": []string{"ops"}}
			})
			first := client.Redeem(t, client.Login(t))
			gw.IdP.BreakIDToken(func(string) string { return "" })
			gw.Clock.Advance(time.Hour)
			gw.IdP.BreakUserInfo(http.StatusServiceUnavailable)
			client.Token(t, gatewaytest.RefreshParams(first.Refresh)).Fails(t, http.StatusServiceUnavailable, "temporarily_unavailable")
			gw.IdP.BreakUserInfo(0)
			second := client.On(1).Refresh(t, first.Refresh) // the outage has cost nothing
			gw.Clock.Advance(time.Hour)
			row.withdraw(gw.IdP)
			third := client.Refresh(t, second.Refresh)
			if first.Scope != "read write" || second.Scope != "read write" || third.Scope != "read" {
				t.Errorf("granted is %q, then %q, then %q", first.Scope, second.Scope, third.Scope)
			}
		})
	}
	t.Run("userinfo of another user", func(t *testing.T) {
		gw, client := renewing(t)
		gw.IdP.UserInfo(func(c map[string]any) map[string]any { return map[string]any{"sub": c["sub"]} })
		first := client.Redeem(t, client.Login(t))
		gw.IdP.BreakIDToken(func(string) string { return "" })
		gw.Clock.Advance(time.Hour)
		gw.IdP.UserInfo(func(map[string]any) map[string]any { return map[string]any{"sub": "sub-bob"} })
		client.Token(t, gatewaytest.RefreshParams(first.Refresh)).Fails(t, http.StatusBadRequest, "invalid_grant")
		gw.IdP.UserInfo(func(c map[string]any) map[string]any { return map[string]any{"sub": c["sub"]} })
		client.Token(t, gatewaytest.RefreshParams(first.Refresh)).Fails(t, http.StatusBadRequest, "invalid_grant")
	})
}

func TestTwoReplicasAskTheUpstreamOnce(t *testing.T) {
	t.Parallel()
	gw, client := renewing(t)
	tokens := client.Redeem(t, client.Login(t))
	for round := 1; round <= 3; round++ {
		gw.Clock.Advance(time.Hour)
		asked, others := make(chan struct{}), make(chan struct{})
		gw.IdP.BeforeRenewal(func() { close(asked); <-others })
		var all sync.WaitGroup
		got := make([]gatewaytest.Tokens, 6)
		for i := range got {
			all.Go(func() { got[i] = client.On(i%2).Refresh(t, tokens.Refresh) })
		}
		<-asked
		time.AfterFunc(50*time.Millisecond, func() { close(others) }) // most are waiting by then
		all.Wait()
		if gw.IdP.Renewals() != round {
			t.Fatalf("the upstream was asked %d times in %d rounds", gw.IdP.Renewals(), round)
		}
		if slices.ContainsFunc(got, func(g gatewaytest.Tokens) bool { return g.Refresh != got[0].Refresh }) {
			t.Error("the requests got different tokens")
		}
		tokens = got[0]
	}
}

func TestUpstreamsThatCannotSayAnything(t *testing.T) { // A56
	t.Parallel()
	answers := func(status int, body string) func(http.ResponseWriter) bool {
		return func(w http.ResponseWriter) bool {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
			return true
		}
	}
	for name, spoil := range map[string]func(*gatewaytest.IdP){
		"500":            func(p *gatewaytest.IdP) { p.BreakToken(answers(500, "secret-of-the-upstream")) },
		"invalid_client": func(p *gatewaytest.IdP) { p.BreakToken(answers(401, `{"error":"invalid_client"}`)) },
		"something else": func(p *gatewaytest.IdP) { p.BreakToken(answers(400, `{"error":"invalid_request"}`)) },
		"a bad id token": func(p *gatewaytest.IdP) { p.BreakIDToken(func(string) string { return "a.b.c" }) },
		"an unsigned one": func(p *gatewaytest.IdP) {
			p.BreakIDToken(func(s string) string { return s[:strings.LastIndexByte(s, '.')+1] })
		},
		"another audience": func(p *gatewaytest.IdP) { p.BreakClaims(func(c map[string]any) { c["aud"] = "another" }) },
		"another login's":  func(p *gatewaytest.IdP) { p.BreakClaims(func(c map[string]any) { c["nonce"] = "another" }) },
		"another issuer's": func(p *gatewaytest.IdP) { p.BreakClaims(func(c map[string]any) { c["iss"] = "https://evil.example" }) },
		"one that is gone": func(p *gatewaytest.IdP) { p.BreakToken(answers(503, "")) },
	} {
		t.Run(name, func(t *testing.T) {
			gw, client := renewing(t)
			tokens := client.Redeem(t, client.Login(t))
			gw.Clock.Advance(time.Hour)
			spoil(gw.IdP)
			for i := range 3 {
				a := client.On(i%2).Token(t, gatewaytest.RefreshParams(tokens.Refresh))
				if a.Fails(t, http.StatusServiceUnavailable, "temporarily_unavailable"); a.Header.Get("Retry-After") == "" {
					t.Error("the answer does not say when to try again")
				}
			}
			gw.IdP.BreakToken(nil)
			gw.IdP.BreakIDToken(nil)
			gw.IdP.BreakClaims(nil)
			client.Refresh(t, tokens.Refresh) // it has cost nothing
			if strings.Contains(gw.Secrets.Written(), "secret-of-the-upstream") {
				t.Error("the upstream's words are in the log")
			}
		})
	}
}

func TestWhatEndsAtTheUpstreamEndsHere(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*gatewaytest.IdP){
		"the login ends":      (*gatewaytest.IdP).EndSessions,
		"it is somebody else": func(p *gatewaytest.IdP) { p.LoginAs("bob", nil) },
	} {
		t.Run(name, func(t *testing.T) {
			gw, client := renewing(t)
			tokens := client.Redeem(t, client.Login(t))
			gw.Clock.Advance(10 * time.Minute)
			if a := client.Call(t, tokens.Access); a.Status != http.StatusOK {
				t.Fatalf("a call gets %d", a.Status)
			}
			end(gw.IdP)
			client.On(1).Token(t, gatewaytest.RefreshParams(tokens.Refresh)).Fails(t, http.StatusBadRequest, "invalid_grant")
			if a := client.Call(t, tokens.Access); a.Status != http.StatusUnauthorized {
				t.Errorf("a call after that gets %d", a.Status)
			}
		})
	}
}

func TestMaxAgeOfALogin(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{Configure: func(c *config.Config) { c.Upstreams[0].MaxAgeSeconds = 7200 }})
	client := gw.Register(t, nil)
	tokens := client.Redeem(t, client.Login(t))
	gw.Clock.Advance(90 * time.Minute)
	if tokens = client.Refresh(t, tokens.Refresh); tokens.ExpiresIn > 1800 {
		t.Errorf("an access token is good for %d seconds, longer than its grant", tokens.ExpiresIn)
	}
	gw.Clock.Advance(30 * time.Minute)
	client.Token(t, gatewaytest.RefreshParams(tokens.Refresh)).Fails(t, http.StatusBadRequest, "invalid_grant")
}
