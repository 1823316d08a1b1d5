package gateway_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
)

// On a route that needs no token the backend learns of nobody who they are, neither
// from the gateway nor from the client.
func TestAttackSpoofingOnAPublicRoute(t *testing.T) {
	t.Parallel()
	gw, client, token := loggedIn(t, gatewaytest.Setup{Configure: withPages})
	claims := http.Header{
		"Authorization": {"Bearer " + token}, "Cookie": {"a=b"}, "X-Vestibule-User": {"root"}, "X_Vestibule_User": {"root"},
		"X-Forwarded-User": {"root"}, "X-Forwarded-For": {"6.6.6.6"}, "Remote-User": {"root"}, "Forwarded": {"for=6.6.6.6"}, "X-Original-Url": {"/backend"},
	}
	for n, path := range []string{"/docs/x", "/open"} {
		if a := call(t, gw, "POST", path, "", claims); a.Status != http.StatusOK {
			t.Fatalf("%s gets %d", path, a.Status)
		}
		got := saw(t, gw, n+1).Header
		for name := range claims {
			if name != "X-Forwarded-For" && got[name] != nil {
				t.Errorf("%s arrives as %q", name, got[name])
			}
		}
		if !slices.Equal(got["X-Forwarded-For"], []string{"127.0.0.1"}) {
			t.Errorf("it comes from %q", got["X-Forwarded-For"])
		}
		call(t, gw, "POST", path+"?access_token="+token, "", nil).Fails(t, http.StatusBadRequest, "invalid_request")
		for name, header := range map[string]http.Header{
			"a page of another origin": {"Origin": {"https://evil.example"}},
			"a sandboxed page":         {"Origin": {"null"}},
			"a name of another":        {"Host": {"evil.example"}},
		} {
			if a := call(t, gw, "POST", path, "", header); a.Status != http.StatusForbidden {
				t.Errorf("%s: %s gets %d", path, name, a.Status)
			}
		}
		saw(t, gw, n+1)
	}
	if a := client.Call(t, token); a.Status != http.StatusOK {
		t.Errorf("the victim gets %d", a.Status)
	}
}

// A page of the backend has the origin of the authorization server. Its scripts must
// not have what that origin may.
func TestAttackPageOfTheBackend(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{Configure: withPages})
	ofAll := []string{
		"Set-Cookie", "Access-Control-Allow-Origin", "Alt-Svc", "Clear-Site-Data", "NEL", "Report-To", "Service-Worker-Allowed", "Strict-Transport-Security",
	}
	for name, header := range map[string]http.Header{
		"with no policy":     {"Content-Type": {"text/html"}},
		"with one of itself": {"Content-Type": {"text/html"}, "Content-Security-Policy": {"sandbox allow-same-origin allow-scripts"}},
		"that says nothing":  {},
		"that is a picture":  {"Content-Type": {"image/svg+xml"}},
	} {
		gw.Backend.Respond(func(w http.ResponseWriter, _ *http.Request) {
			maps.Copy(w.Header(), header)
			for _, name := range ofAll {
				w.Header().Set(name, "x")
			}
			w.WriteHeader(http.StatusTeapot)
		})
		for _, path := range []string{"/docs", "/docs/x", "/open"} {
			a := call(t, gw, "GET", path, "", nil)
			policies := a.Header["Content-Security-Policy"]
			if !slices.ContainsFunc(policies, func(p string) bool {
				return strings.HasPrefix(p, "sandbox ") && !strings.Contains(p, "allow-same-origin")
			}) {
				t.Errorf("%s %s: its policies are %q", path, name, policies)
			}
			for _, name := range ofAll {
				if a.Header.Get(name) != "" {
					t.Errorf("%s: it sets %s for the whole origin", path, name)
				}
			}
		}
	}
}

// Paths that lead out of a public route, as one server or another reads them.
func TestAttackPathsOutOfAPublicRoute(t *testing.T) {
	t.Parallel()
	for name, root := range map[string]bool{"docs": false, "root": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gw := gatewaytest.New(t, gatewaytest.Setup{Configure: func(c *config.Config) {
				withPages(c)
				if root { // of another backend, or it would be refused
					other := c.Backend
					other.URL = strings.Replace(other.URL, "127.0.0.1", "localhost", 1)
					c.Routes[1].Path, c.Routes[1].BackendPath, c.Routes[1].Backend = "/", "/", &other
				}
			}})
			base := map[bool]string{false: "/docs", true: ""}[root]
			for _, path := range []string{
				"/../mcp", "/%2e%2e/mcp", "/%2E%2e/mcp", "/..%2fmcp", "/..%2Fbackend", "/%2e%2e%2fbackend", "/%252e%252e/backend", "/..;/backend", "/a;/../backend", "/.;/backend", "/a;b",
				"/..\\backend", "/..%5cbackend", "/%5c..%5cbackend", "//backend", "/a//b", "/./backend", "/%2fbackend", "/a%2fb", "/a%00", "/a%0d%0ab", "/a%7f", "/%c0%ae%c0%ae/backend", "/a%ff", "/%25",
			} {
				answer := raw(t, gw, "GET "+base+path+" HTTP/1.1\r\nHost: "+gw.Addrs[0]+"\r\nConnection: close\r\n\r\n")
				if got := strings.Join(statuses(answer), " "); got != "404" && got != "400" && (got != "401" || !strings.HasSuffix(path, "/mcp")) {
					t.Errorf("%s answers %s", base+path, got)
				}
			}
			if seen := gw.Backend.Requests(); len(seen) > 0 {
				t.Errorf("the backend saw %v", seen[0].URL)
			}
		})
	}
}

// A route at / has what nobody else has: not the gateway's own paths, nor anything
// below them.
func TestAttackShadowedPaths(t *testing.T) {
	t.Parallel()
	for _, prefix := range []string{"", "/team/a"} {
		gw, client, token := loggedIn(t, gatewaytest.Setup{Configure: func(c *config.Config) {
			c.PublicURL += prefix
			other := c.Backend
			other.URL = strings.Replace(other.URL, "127.0.0.1", "localhost", 1)
			c.Routes = append(c.Routes, config.Route{Name: "root", Path: "/", Transport: config.TransportHTTP, Public: true, BackendPath: "/", Backend: &other})
		}})
		for _, path := range []string{
			"/authorize", "/authorize/", "/authorize/x", "/consent", "/consent/x", "/callback", "/callback/", "/callback/corp", "/callback/corp/x", "/token", "/token/", "/token/x",
			"/register", "/register/x", "/register/x/y", "/revoke", "/revoke/x", "/.well-known", "/.well-known/", "/.well-known/x", "/.well-known/oauth-authorization-server", "/mcp", "/mcp/x",
		} {
			for _, method := range []string{"GET", "POST"} {
				call(t, gw, method, path, "", nil)
			}
		}
		if seen := gw.Backend.Requests(); len(seen) > 0 {
			t.Fatalf("the backend saw %s %s", seen[0].Method, seen[0].URL)
		}
		for _, path := range []string{"/", "/tokens", "/a/token", "/favicon.ico"} {
			if a := call(t, gw, "GET", path, "", nil); a.Status != http.StatusOK {
				t.Errorf("%s%s gets %d", prefix, path, a.Status)
			}
		}
		if a := client.Call(t, token); a.Status != http.StatusOK {
			t.Errorf("a client of the other route gets %d", a.Status)
		}
		if prefix != "" {
			fetch(t, gw, "GET", "/", nil).Fails(t, http.StatusNotFound, "not_found")
			fetch(t, gw, "GET", "/elsewhere", nil).Fails(t, http.StatusNotFound, "not_found")
		}
	}
}
