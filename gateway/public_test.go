package gateway_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
)

// withPages has pages for everybody, an MCP endpoint for everybody, and what is not MCP
// for who has a token.
func withPages(c *config.Config) {
	c.Routes = append(c.Routes,
		config.Route{Name: "docs", Path: "/docs", Transport: config.TransportHTTP, Public: true, BackendPath: "/pages/"},
		config.Route{Name: "open", Path: "/open", Transport: config.TransportStreamableHTTP, Public: true, BackendPath: "/open-mcp"},
		config.Route{Name: "api", Path: "/api", Transport: config.TransportHTTP, BackendPath: "/api"},
	)
}

// saw is the path of the last request at the backend, which is its nth.
func saw(t *testing.T, gw *gatewaytest.Server, n int) gatewaytest.Request {
	t.Helper()
	seen := gw.Backend.Requests()
	if len(seen) != n {
		t.Fatalf("the backend saw %d requests, not %d", len(seen), n)
	}
	return seen[n-1]
}

func TestAPublicRoute(t *testing.T) {
	t.Parallel()
	gw, client, token := loggedIn(t, gatewaytest.Setup{Configure: withPages})
	for n, row := range []struct{ method, path, want string }{
		{"GET", "/docs", "/pages/"},
		{"GET", "/docs/", "/pages/"},
		{"PUT", "/docs/a/b.html?c=%2F", "/pages/a/b.html?c=%2F"},
		{"PATCH", "/docs/%C3%BC%20x/", "/pages/%C3%BC%20x/"},
		{"POST", "/open", "/open-mcp"},
	} {
		if a := call(t, gw, row.method, row.path, "", nil); a.Status != http.StatusOK {
			t.Errorf("%s %s gets %d: %s", row.method, row.path, a.Status, a.Body)
		}
		if got := saw(t, gw, n+1); got.Method != row.method || got.URL.RequestURI() != row.want {
			t.Errorf("%s %s arrives as %s %s", row.method, row.path, got.Method, got.URL.RequestURI())
		}
	}
	isGatewayError(t, call(t, gw, "POST", "/open/below", "", nil), http.StatusNotFound)
	// It is no resource.
	for _, path := range []string{"/.well-known/oauth-protected-resource/docs", "/.well-known/oauth-protected-resource/open"} {
		fetch(t, gw, "GET", path, nil).Fails(t, http.StatusNotFound, "not_found")
	}
	if body := fetch(t, gw, "GET", "/.well-known/oauth-authorization-server", nil).Body; strings.Contains(body, "/docs") || strings.Contains(body, "/open") {
		t.Errorf("it is among the resources: %s", body)
	}
	request := client.AuthorizationRequest()
	request.Set("resource", gw.URL+"/docs")
	if a := client.Browser(t).Get(t, gw.AuthorizeURL(request)); !strings.Contains(a.Header.Get("Location"), "error=invalid_target") {
		t.Errorf("a token for it is asked for, and the answer is %d %s", a.Status, a.Header.Get("Location"))
	}
	// The others are as they were, and so is what is not MCP with a token.
	call(t, gw, "GET", "/api/x", "", nil).Fails(t, http.StatusUnauthorized, "unauthorized")
	call(t, gw, "GET", "/api/x", token, nil).Fails(t, http.StatusUnauthorized, "invalid_token")
	if a := call(t, gw, "DELETE", "/api/x", at(t, gw, "/api"), nil); a.Status != http.StatusOK || saw(t, gw, 6).URL.Path != "/api/x" {
		t.Errorf("with a token it gets %d", a.Status)
	}
	if a := call(t, gw, "OPTIONS", "/docs/x", "", nil); !strings.Contains(a.Header.Get("Access-Control-Allow-Methods"), "PATCH") {
		t.Errorf("a preflight gets %v", a.Header)
	}
}

// On a route that is not MCP's, a 401 is the backend's to say, where nobody could take
// it for the gateway's.
func TestThe401OfAPage(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{Configure: withPages})
	gw.Backend.Respond(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", "Basic")
		w.Header().Set(sessionID, "the-backends-own")
		w.WriteHeader(http.StatusUnauthorized)
	})
	if a := call(t, gw, "POST", "/docs/hook", "", nil); a.Status != http.StatusUnauthorized || a.Header.Get("WWW-Authenticate") != "" || a.Header.Get(sessionID) != "" {
		t.Errorf("the client sees %d %v", a.Status, a.Header)
	}
	isGatewayError(t, call(t, gw, "POST", "/open", "", nil), http.StatusBadGateway)
	isGatewayError(t, call(t, gw, "POST", "/api", at(t, gw, "/api"), nil), http.StatusBadGateway)
}

func TestSessionsOfNobody(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{Configure: withPages})
	gw.Backend.Respond(startsSessions)
	session := call(t, gw, "POST", "/open", "", nil).Header.Get(sessionID)
	if session == "" || strings.Contains(session, "backend") {
		t.Fatalf("the session is %q", session)
	}
	if a := call(t, gw, "POST", "/open", "", http.Header{sessionID: {session}}); a.Status != http.StatusOK || saw(t, gw, 2).Header.Get(sessionID) != "the-backends-own" {
		t.Errorf("in the session, the answer is %d", a.Status)
	}
	// It is of no other route, nor is another's good here.
	isGatewayError(t, call(t, gw, "POST", "/mcp", at(t, gw, "/mcp"), http.Header{sessionID: {session}}), http.StatusNotFound)
	theirs := call(t, gw, "POST", "/mcp", at(t, gw, "/mcp"), nil).Header.Get(sessionID)
	isGatewayError(t, call(t, gw, "POST", "/open", "", http.Header{sessionID: {theirs}}), http.StatusNotFound)
	call(t, gw, "POST", "/docs", "", http.Header{sessionID: {theirs}})
	if got := saw(t, gw, 4).Header.Get(sessionID); got != "" {
		t.Errorf("a page is asked for in the session %q", got)
	}
}

// Nobody has a scope where there are no tokens, so what scopes name is shut.
func TestToolsOnAPublicRoute(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{Configure: func(c *config.Config) {
		withPages(c)
		c.Scopes = []config.Scope{{Name: "write", Tools: []string{"set_*"}}}
	}})
	send := func(path, tool string) gatewaytest.Answer {
		body := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"` + tool + `"}}`
		return gw.Do(t, gw.HTTP(0), gw.Request(t, "POST", path, strings.NewReader(body), map[string]string{"Content-Type": "application/json"}))
	}
	isGatewayError(t, send("/open", "set_alert"), http.StatusForbidden)
	if a := send("/open", "get_weather"); a.Status != http.StatusOK || !strings.Contains(saw(t, gw, 1).Body, "get_weather") {
		t.Errorf("what no scope names gets %d: %s", a.Status, a.Body)
	}
	// What is not MCP names nothing, whatever it looks like.
	if a := send("/docs", "set_alert"); a.Status != http.StatusOK {
		t.Errorf("what is not MCP gets %d: %s", a.Status, a.Body)
	}
}

// A stranger's body must arrive in time; the answer may take longer.
func TestTimeOnAPublicRoute(t *testing.T) {
	t.Parallel()
	const patience = time.Second
	inEachVersion(t, func(t *testing.T, setup gatewaytest.Setup) {
		backend := newStreams()
		setup.Backend, setup.Configure, setup.Intervals.Answer = backend, withPages, patience
		gw := gatewaytest.New(t, setup)
		for _, method := range []string{"GET", "POST"} {
			r := gw.Request(t, method, "/docs/stream", strings.NewReader("{}"), map[string]string{"Accept": "text/event-stream"})
			if method == "GET" {
				r = gw.Request(t, method, "/docs/stream", nil, nil)
			}
			resp, err := gw.HTTP(0).Do(r)
			if err != nil {
				t.Fatal(err)
			}
			receive(t, backend.arrived, "the request")
			<-time.After(patience + patience/2)
			const event = "data: late\n\n"
			backend.send(t, event)
			got := make([]byte, len(event))
			if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != event {
				t.Errorf("%s: %q arrives, and %v", method, got, err)
			}
			backend.send(t, "")
			_ = resp.Body.Close()
		}
		body, w := io.Pipe()
		t.Cleanup(func() { _ = w.Close() })
		r := gw.Request(t, "POST", "/docs/upload", body, nil)
		r.ContentLength = 10
		go func() { _, _ = io.WriteString(w, "{") }()
		client := gw.HTTP(0)
		client.Timeout = soon
		isGatewayError(t, gw.Do(t, client, r), http.StatusRequestTimeout)
	})
}

// Nobody's token ends a stream that needed none.
func TestAStreamWithoutAToken(t *testing.T) {
	t.Parallel()
	backend := newStreams()
	gw := gatewaytest.New(t, gatewaytest.Setup{Backend: backend, Configure: withPages})
	resp, err := gw.HTTP(0).Do(gw.Request(t, "GET", "/open", nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	receive(t, backend.arrived, "the request")
	<-time.After(6 * time.Second) // tokens are looked at every 5
	const event = "data: late\n\n"
	backend.send(t, event)
	got := make([]byte, len(event))
	if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != event {
		t.Errorf("%q arrives, and %v", got, err)
	}
}
