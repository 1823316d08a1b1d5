package gateway_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
)

func TestAttackDNSRebinding(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{Configure: func(c *config.Config) {
		c.AllowedOrigins = []string{"https://app.example"}
	}})
	client := gw.Register(t, nil)
	tokens := client.Redeem(t, client.Login(t))
	for _, row := range []struct {
		name, token string
		header      http.Header
		status      int
	}{
		{"nothing said", tokens.Access, nil, 200},
		{"our own origin", tokens.Access, http.Header{"Origin": {gw.Origin()}}, 200},
		{"an allowed origin", tokens.Access, http.Header{"Origin": {"https://app.example"}}, 200},
		{"an allowed origin, without a token", "", http.Header{"Origin": {"https://app.example"}}, 401},
		{"another origin", tokens.Access, http.Header{"Origin": {"https://evil.example"}}, 403},
		{"another origin, without a token", "", http.Header{"Origin": {"https://evil.example"}}, 403},
		{"another port", tokens.Access, http.Header{"Origin": {"https://app.example:8443"}}, 403},
		{"another scheme", tokens.Access, http.Header{"Origin": {"http://app.example"}}, 403},
		{"below an allowed origin", tokens.Access, http.Header{"Origin": {"https://x.app.example"}}, 403},
		{"no origin of its own", tokens.Access, http.Header{"Origin": {"null"}}, 403},
		{"an empty origin", tokens.Access, http.Header{"Origin": {""}}, 403},
		{"two origins", tokens.Access, http.Header{"Origin": {"https://app.example", "https://evil.example"}}, 403},
		{"another host", tokens.Access, http.Header{"Host": {"evil.example"}}, 403},
		{"another host, without a token", "", http.Header{"Host": {"evil.example"}}, 403},
		{"another port of the host", tokens.Access, http.Header{"Host": {"127.0.0.1:1"}}, 403},
		{"our host by a stranger's word", tokens.Access, http.Header{"Host": {"evil.example"}, "X-Forwarded-Host": {strings.TrimPrefix(gw.Origin(), "http://")}}, 403},
	} {
		t.Run(row.name, func(t *testing.T) {
			before := len(gw.Backend.Requests())
			a := call(t, gw, "POST", "/mcp", row.token, row.header)
			if a.Status != row.status {
				t.Errorf("the answer is %d: %s", a.Status, a.Body)
			}
			if (len(gw.Backend.Requests()) > before) != (row.status == 200) {
				t.Error("what the backend saw does not fit")
			}
			origin := row.header.Get("Origin")
			if row.status == http.StatusForbidden {
				origin = ""
				if a.Header.Get("Content-Type") != "application/json" || a.Header.Get("Cache-Control") != "no-store" || !strings.Contains(a.Body, `"jsonrpc":"2.0"`) {
					t.Errorf("the refusal is %v: %s", a.Header, a.Body)
				}
			}
			if got := a.Header.Get("Access-Control-Allow-Origin"); got != origin {
				t.Errorf("the answer may be read by %q", got)
			}
			if origin != "" && (!strings.Contains(a.Header.Get("Access-Control-Expose-Headers"), "Mcp-Session-Id") ||
				!strings.Contains(a.Header.Get("Access-Control-Expose-Headers"), "WWW-Authenticate") || a.Header.Get("Vary") != "Origin") {
				t.Errorf("the answer has %v", a.Header)
			}
		})
	}
}

// What a request claims about its host must not get into a document that others
// read, nor into a cache that others are answered from.
func TestAttackPoisonedMetadata(t *testing.T) {
	t.Parallel()
	for _, trusted := range [][]string{nil, {"127.0.0.0/8"}} {
		gw := gatewaytest.New(t, gatewaytest.Setup{Configure: func(c *config.Config) { c.TrustedProxies = trusted }})
		for _, path := range []string{
			"/.well-known/oauth-authorization-server", "/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp",
			"/.well-known/nothing", "/mcp", "/token", "/register", "/authorize", "/callback/corp", "/nothing",
		} {
			honest := fetch(t, gw, "GET", path, nil)
			for name, header := range map[string]map[string]string{
				"Host": {"Host": "evil.example"}, "Host with a port": {"Host": gw.Addrs[0] + "1"}, "Forwarded": {"Forwarded": `host="evil.example";proto=https`},
				"X-Forwarded": {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https", "X-Forwarded-Port": "1", "X-Forwarded-Prefix": "/evil.example", "X-Forwarded-Server": "evil.example"},
				"others":      {"X-Original-Url": "/evil.example", "X-Rewrite-Url": "/evil.example", "X-Host": "evil.example", "X-Forwarded-Scheme": "evil", "Origin": "https://evil.example"},
			} {
				lied := fetch(t, gw, "GET", path, header)
				for what, s := range map[string]string{"body": lied.Body, "header": fmt.Sprint(lied.Header)} {
					if strings.Contains(s, "evil.example") {
						t.Errorf("%s repeats %s in its %s: %s", path, name, what, s)
					}
				}
				cached := strings.Contains(lied.Header.Get("Cache-Control"), "public")
				if cached && lied.Body != honest.Body || !cached && lied.Header.Get("Cache-Control") != "no-store" {
					t.Errorf("%s with %s may be kept as %q: %s", path, name, lied.Header.Get("Cache-Control"), lied.Body)
				}
			}
		}
		client := gw.Register(t, nil)
		client.Redeem(t, client.Login(t))
	}
}
