package gateway_test

import (
	"bufio"
	"encoding/json"
	"strings"
	"testing"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
)

// auditLines are the audit lines so far, each one JSON object.
func auditLines(t *testing.T, gw *gatewaytest.Server) []map[string]any {
	t.Helper()
	var lines []map[string]any
	for s := bufio.NewScanner(strings.NewReader(gw.Secrets.Written())); s.Scan(); {
		if !strings.HasPrefix(s.Text(), `{"time"`) {
			continue // an error page or answer, which the harness collects there too
		}
		var line map[string]any
		if err := json.Unmarshal(s.Bytes(), &line); err != nil {
			t.Fatalf("a log line is no JSON: %v: %s", err, s.Text())
		}
		if line["audit"] == true {
			lines = append(lines, line)
		}
	}
	return lines
}

func TestTheAuditLogTellsWhatHappened(t *testing.T) { // R23
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{Configure: func(c *config.Config) {
		c.TrustedProxies = []string{"127.0.0.0/8"}
		c.Scopes = []config.Scope{{Name: "read"}}
		c.AccessRules = []config.AccessRule{{Name: "staff", Expression: `claims.email.endsWith("@example.com")`}}
	}})
	const name = "Evil\n{\"time\":\"1\",\"audit\":true,\"msg\":\"token revoked\"}\r\u2028x"
	client := gw.RegisterFrom(t, "198.51.100.1", map[string]any{"client_name": name})
	code := client.Login(t)
	tokens := client.Redeem(t, code)
	next := client.Refresh(t, tokens.Refresh)
	client.Token(t, gatewaytest.RefreshParams(forged(next.Refresh))).Fails(t, 400, "invalid_grant")
	client.Call(t, forged(next.Access)).Fails(t, 401, "invalid_token")
	client.Form(t, "/revoke", map[string][]string{"token": {next.Refresh}})
	gw.IdP.LoginAs("mallory", map[string]any{"email": "mallory@evil.example"})
	b, _, back := approved(t, client)
	b.Get(t, back)
	b.Press(t, b.Get(t, gw.AuthorizeURL(client.AuthorizationRequest())), "deny")
	stranger := &gatewaytest.Client{Server: gw, ID: "x"}
	post(t, gw, "/token", map[string][]string{"client_id": {strings.Repeat("n", 500)}}).Fails(t, 401, "invalid_client")
	stranger.Browser(t).Get(t, gw.AuthorizeURL(stranger.AuthorizationRequest()))
	gw.TryRegister(t, map[string]any{"redirect_uris": []string{"javascript:alert(1)"}}).Fails(t, 400, "invalid_redirect_uri")
	client.Form(t, "/revoke", nil).Fails(t, 400, "invalid_request")

	alice := map[string]any{"client_id": client.ID, "subject": "sub-alice", "upstream": "corp", "source": "127.0.0.1"}
	with := func(facts map[string]any) map[string]any {
		all := map[string]any{}
		for _, m := range []map[string]any{alice, facts} {
			for k, v := range m {
				all[k] = v
			}
		}
		return all
	}
	lines := auditLines(t, gw)
	for i, want := range []map[string]any{
		{"msg": "client registered", "client_id": client.ID, "client_name": name, "source": "198.51.100.1", "method": "none", "redirect_uris": gatewaytest.RedirectURI},
		with(map[string]any{"msg": "grant approved", "scope": "read", "resource": gw.URL + "/mcp", "rule": "staff"}),
		with(map[string]any{"msg": "tokens issued", "scope": "read", "resource": gw.URL + "/mcp"}),
		with(map[string]any{"msg": "tokens refreshed", "retried": false}),
		{"msg": "request refused", "level": "WARN", "client_id": client.ID, "endpoint": "/token", "error": "invalid_grant", "reason": "forged"},
		{"msg": "request refused", "route": "/mcp", "error": "invalid_token", "reason": "forged"},
		with(map[string]any{"msg": "token revoked"}),
		{"msg": "grant denied", "client_id": client.ID, "subject": "sub-mallory", "reason": "no access rule is true for this user"},
		{"msg": "grant denied", "client_id": client.ID, "reason": "the user said no"},
		{"msg": "request refused", "claimed_client_id": strings.Repeat("n", 128) + "…", "error": "invalid_client", "reason": "no such record"},
		{"msg": "request refused", "error": "invalid_client"},
		{"msg": "request refused", "endpoint": "/register", "error": "invalid_redirect_uri", "reason": "its scheme is not an app's"},
		{"msg": "request refused", "endpoint": "/revoke", "client_id": client.ID, "error": "invalid_request"},
	} {
		if i >= len(lines) {
			t.Fatalf("there are only %d audit lines, and none for %v", len(lines), want)
		}
		for k, v := range want {
			if lines[i][k] != v {
				t.Errorf("audit line %d has %s %q, not %q: %v", i, k, lines[i][k], v, lines[i])
			}
		}
	}
	if len(lines) != 13 {
		t.Errorf("there are %d audit lines", len(lines))
	}
}
