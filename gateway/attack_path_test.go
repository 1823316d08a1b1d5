package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
)

func TestAttackPathConfusion(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{})
	for _, path := range []string{"//", "//mcp", "/mcp//", "/./mcp", "/x/../mcp", "/mcp/..", "/%2e%2e/mcp", "/x/%2e%2e/mcp", "/mcp/%2e", "/", "/nothing", "/token/", "/authorize/"} {
		t.Run(path, func(t *testing.T) {
			a := fetch(t, gw, "GET", path, nil)
			a.Fails(t, http.StatusNotFound, "not_found")
			if a.Header.Get("Location") != "" {
				t.Errorf("it redirects to %s", a.Header.Get("Location"))
			}
		})
	}
}

// Paths that a proxy in front might take for something else than the gateway does.
// Whatever they are taken for, without a token there is no way to the backend, and
// with one it sees nothing but its own path.
func TestAttackPathsPastTheToken(t *testing.T) {
	t.Parallel()
	gw, client, token := loggedIn(t, gatewaytest.Setup{Configure: twoRoutes})
	for _, path := range []string{
		"/mcp/../token", "/token/../mcp", "/%2e%2e/mcp", "/mcp/%2e%2e/two", "/mcp%2F..%2Ftwo", "/mcp%2Ftwo", "/mcp%5Ctwo", "/mcp\\two", "//mcp", "/mcp//", "/./mcp", "/MCP", "/Mcp", "/mcp;x", "/mcp;/two", "/mcp;jsessionid=1",
		"/mcp%00", "/mcp%00/two", "/mcp%0d%0a", "/mcp%20", "/%20mcp", "/mcp.", "/mcp.json", "/mcp~", "/mcp%ff", "/%6dcp/x", "/m%63p/..%2ftwo", "/%2Fmcp", "/mcp%23", "/mcp%3Fa=b", "/.well-known/../mcp", "/.well-known/%2e%2e/mcp",
		"/backend", "/mcp/backend", "/mcp/..;/two", "/mcp/.;/two", "/callback/../mcp", "/callback/%2e%2e%2fmcp", "/static/../mcp", "/mcp/x/../../two", "/healthz", "/readyz", "/metrics", "/debug/pprof/",
	} {
		for _, bearer := range []string{"", "Authorization: Bearer " + token + "\r\n"} {
			answer := raw(t, gw, "POST "+path+" HTTP/1.1\r\nHost: "+gw.Addrs[0]+"\r\nConnection: close\r\n"+bearer+"Content-Length: 0\r\n\r\n")
			switch got := strings.Join(statuses(answer), " "); {
			case strings.Contains(answer, "\r\nLocation:"):
				t.Errorf("%s redirects: %q", path, answer)
			case got != "404" && got != "400" && (got != "401" || bearer != ""):
				t.Errorf("%s (with a token: %v) answers %s", path, bearer != "", got)
			}
		}
	}
	if n := len(gw.Backend.Requests()); n != 0 {
		t.Errorf("the backend saw %d requests", n)
	}
	// An encoded letter is the letter: the token is asked for, and the path is the backend's own.
	for _, path := range []string{"/mcp", "/%6dcp", "/mc%70"} {
		r := "POST " + path + " HTTP/1.1\r\nHost: " + gw.Addrs[0] + "\r\nConnection: close\r\nContent-Length: 0\r\n"
		if got := statuses(raw(t, gw, r+"\r\n")); got[0] != "401" {
			t.Errorf("%s without a token answers %v", path, got)
		}
		if got := statuses(raw(t, gw, r+"Authorization: Bearer "+token+"\r\n\r\n")); got[0] != "200" {
			t.Errorf("%s answers %v", path, got)
		}
	}
	for _, r := range gw.Backend.Requests() {
		if r.URL.Path != "/backend" {
			t.Errorf("the backend is asked for %s", r.URL.Path)
		}
	}
	if a := client.Call(t, token); a.Status != http.StatusOK {
		t.Errorf("the victim gets %d", a.Status)
	}
}
