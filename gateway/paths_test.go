package gateway_test

import (
	"bufio"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"testing"

	"vestibule.dev/vestibule/gateway"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
)

// Whatever the first line of a request says, without a token nothing reaches the
// backend, nobody is sent to another path, and nothing fails.
func FuzzRequestLine(f *testing.F) {
	for _, line := range []string{
		"GET /mcp HTTP/1.1", "POST /mcp/../token HTTP/1.1", "GET //mcp HTTP/1.1", "GET /%2e%2e/mcp HTTP/1.1", "GET /mcp%2F..%2Ftoken HTTP/1.1", "GET /mcp;x HTTP/1.1", "GET /mcp%00 HTTP/1.1", "GET /%6dcp HTTP/1.1", "OPTIONS * HTTP/1.1",
		"CONNECT evil.example:443 HTTP/1.1", "GET http://evil.example/mcp HTTP/1.1", "GET /authorize?client_id=x&redirect_uri=https://evil.example HTTP/1.1", "GET /callback/corp?state=AAAAAAAAAAAAAAAA&code=x HTTP/1.1", "PUT /register HTTP/1.0",
		"DELETE /.well-known/oauth-authorization-server/../../mcp HTTP/1.1", "HEAD /two/ HTTP/1.1", "GET /mcp/. HTTP/1.1", "PRI * HTTP/2.0", "GET /callback/%2e%2e%2fmcp HTTP/1.1", "GET /consent?decision=approve HTTP/1.1", "POST /token HTTP/1.1",
	} {
		f.Add(line)
	}
	server := gatewaytest.Describe(f, "http://127.0.0.1:8080", gatewaytest.Setup{Backend: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		f.Error("a request without a token reaches the backend")
	})})
	g, err := gateway.New(server.Config, server.Keys, gateway.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = g.Close() })
	f.Fuzz(func(t *testing.T, line string) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(line + "\r\nHost: 127.0.0.1:8080\r\nContent-Type: application/json\r\n\r\n")))
		if err != nil || r.ContentLength != 0 {
			return // net/http has answered
		}
		r.RemoteAddr = "198.51.100.1:1234"
		w := httptest.NewRecorder()
		gateway.Handler(g).ServeHTTP(w, r)
		if to := w.Header().Get("Location"); to != "" || w.Code >= 500 {
			t.Errorf("%q gets %d, and goes to %q", line, w.Code, to)
		}
		if p := r.URL.Path; path.Clean(p) != strings.TrimSuffix(p, "/") && p != "*" && w.Code != http.StatusNotFound {
			t.Errorf("%q, whose path is %q, gets %d", line, p, w.Code)
		}
	})
}
