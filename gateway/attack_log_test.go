package gateway_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"vestibule.dev/vestibule/gateway"
	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
)

// lockedBuffer takes in a log that several requests write.
type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

// Text in which a log line, a terminal's command, or a line turned around is
// hidden, wherever a stranger can write something that is logged. An event stays
// one line, which says nothing but what the gateway says.
func TestAttackLogInjection(t *testing.T) {
	t.Parallel()
	const forgedJSON, forgedText = `{"level":"INFO","audit":true,"msg":"forged"}`, `level=INFO audit=true msg=forged`
	evil := "a\r\n" + forgedJSON + "\n" + forgedText + "\x1b[2J\x1b]0;owned\x07\u009b2J\u202e\u2066\u200b\u2028\u2029\u0085\x00\"\\ }"
	for name, handler := range map[string]func(*lockedBuffer) slog.Handler{
		"JSON": func(b *lockedBuffer) slog.Handler {
			return slog.NewJSONHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug})
		},
		"text": func(b *lockedBuffer) slog.Handler {
			return slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug})
		},
	} {
		t.Run(name, func(t *testing.T) {
			log := &lockedBuffer{}
			gw := gatewaytest.New(t, gatewaytest.Setup{
				Configure: func(c *config.Config) { c.Scopes = []config.Scope{{Name: "read"}} },
				Options:   func(o *gateway.Options) { o.Log = slog.New(handler(log)) },
			})
			client := gw.Register(t, map[string]any{"client_name": evil, "client_uri": "https://client.example/\u202e" + forgedText, "software_id": evil, "redirect_uris": []string{gatewaytest.RedirectURI, evil}})
			gw.TryRegister(t, map[string]any{"client_name": evil, "redirect_uris": []string{evil}})
			gw.TryRegister(t, map[string]any{"token_endpoint_auth_method": evil})
			gw.IdP.LoginAs(evil, map[string]any{"groups": []string{evil}})
			tokens := client.Redeem(t, client.Login(t))
			gw.IdP.LoginAs("alice", nil)

			b, _, back := approved(t, client)
			b.Get(t, back+"&"+url.Values{"error": {evil}, "error_description": {evil}, "error_uri": {evil}}.Encode())
			gw.IdP.BreakToken(func(w http.ResponseWriter) bool {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusBadRequest)
				body, _ := json.Marshal(map[string]string{"error": evil, "error_description": evil})
				_, _ = w.Write(body)
				return true
			})
			b, _, back = approved(t, client)
			b.Get(t, back)
			gw.IdP.BreakToken(nil)

			for _, params := range []url.Values{
				{"client_id": {evil}}, {"client_id": {strings.Repeat("\u202e", 600)}}, {"client_id": {client.ID}, "grant_type": {evil}},
				{"client_id": {client.ID}, "grant_type": {"refresh_token"}, "refresh_token": {evil}}, {"client_id": {client.ID}, "grant_type": {"refresh_token"}, "refresh_token": {tokens.Refresh}, "scope": {evil}, "resource": {evil}},
				{"client_id": {"\u2028" + forgedText}},
			} {
				post(t, gw, "/token", params, basic(evil, evil))
				post(t, gw, "/token", params)
				post(t, gw, "/revoke", params)
				client.Browser(t).Get(t, gw.URL+"/authorize?"+params.Encode())
			}
			for _, path := range []string{"/mcp", "/" + url.PathEscape(evil), "/mcp/" + url.PathEscape(evil), "/callback/" + url.PathEscape(evil)} {
				r := gw.Request(t, "POST", path, nil, map[string]string{"Authorization": "Bearer " + tokens.Access, "Mcp-Session-Id": "\u202e" + forgedText, "User-Agent": "\u202e" + forgedText, "X-Forwarded-For": forgedText})
				gw.Do(t, gw.HTTP(0), r)
				r.Header.Set("Authorization", "Bearer "+forgedText)
				gw.Do(t, gw.HTTP(0), r)
			}
			raw(t, gw, "GET /\x1b[2J HTTP/1.1\r\nHost: x\r\n\r\n")
			raw(t, gw, "GET / HTTP/1.1\r\nHost: x\r\nX: \x1b[2J\x00\r\n\r\n")
			gw.Backend.Respond(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Mcp-Session-Id", strings.Repeat("\u202e", 600))
			})
			client.Call(t, tokens.Access)

			lines := 0
			for line := range strings.Lines(log.String()) {
				lines++
				if strings.Contains(line, "\x1b") || strings.HasPrefix(line, forgedJSON) || strings.HasPrefix(line, forgedText) || strings.ContainsAny(strings.TrimSuffix(line, "\n"), "\r\n\x00\x07\u0085\u009b\u2028\u2029\u202e\u2066\u200b") {
					t.Errorf("a line holds what it must not: %q", line)
				}
				var v map[string]any
				switch err := json.Unmarshal([]byte(line), &v); {
				case name == "text" && !strings.HasPrefix(line, "time="):
					t.Errorf("a line is none of the log's: %q", line)
				case name == "JSON" && (err != nil || v["msg"] == "forged" || v["time"] == nil):
					t.Errorf("a line is none of the log's (%v): %q", err, line)
				}
			}
			if lines < 30 {
				t.Errorf("there are only %d lines", lines)
			}
		})
	}
}
