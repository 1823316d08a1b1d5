package probe

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"vestibule.dev/vestibule/gateway/config"
)

func mcpServer(stateless bool) http.Handler {
	server := mcp.NewServer(&mcp.Implementation{Name: "any", Version: "1"}, nil)
	return mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, &mcp.StreamableHTTPOptions{Stateless: stateless})
}

func TestBackend(t *testing.T) {
	for name, tc := range map[string]struct {
		backend http.Handler // nil: nobody listens
		reason  string       // empty: it is good
		message string
	}{
		"with sessions":   {mcpServer(false), "", "speaks MCP, 2025-11-25"},
		"without":         {mcpServer(true), "", "speaks MCP, 2026-07-28"},
		"nobody listens":  {nil, config.ReasonBackendUnreachable, "connection refused"},
		"no such path":    {http.NotFoundHandler(), config.ReasonBackendNotMCP, "with 404"},
		"a web page":      {answer(200, "text/html", "<h1>hello</h1>"), config.ReasonBackendNotMCP, "with 200"},
		"asks for a key":  {answer(401, "application/json", `{"secret": "hush"}`), config.ReasonBackendUnauthorized, "answers 401"},
		"forbids":         {answer(403, "text/plain", "no"), config.ReasonBackendUnauthorized, "answers 403"},
		"legacy SSE only": {legacySSE(), config.ReasonBackendNotMCP, "with 405"},
		"broken":          {answer(500, "text/plain", "oops"), config.ReasonBackendNotMCP, "with 500"},
		"says nothing": {http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // or the server would not notice that the client goes
			<-r.Context().Done()
		}), config.ReasonBackendUnreachable, "in time"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			message, failure := Backend(Endpoint{URL: endpoint(t, tc.backend)}, http.DefaultTransport)(ctx)
			reason := ""
			if failure != nil {
				reason, message = failure.Reason, failure.Message
			}
			if reason != tc.reason || !strings.Contains(message, tc.message) {
				t.Errorf("the probe says %q: %s", reason, message)
			}
			if strings.Contains(message, "hush") || strings.Contains(message, "<h1>") {
				t.Errorf("the probe quotes the backend: %s", message)
			}
		})
	}
}

func TestABackendWithTLS(t *testing.T) {
	secure, plain := httptest.NewTLSServer(mcpServer(true)), httptest.NewServer(mcpServer(true))
	t.Cleanup(secure.Close)
	t.Cleanup(plain.Close)
	for name, tc := range map[string]struct {
		url, reason, message string
		transport            http.RoundTripper
	}{
		"good":             {secure.URL, "", "speaks MCP", secure.Client().Transport},
		"not trusted":      {secure.URL, config.ReasonBackendUntrusted, "is not trusted", http.DefaultTransport},
		"that has no TLS":  {strings.Replace(plain.URL, "http:", "https:", 1), config.ReasonBackendUnreachable, "there is no TLS", http.DefaultTransport},
		"called without":   {strings.Replace(secure.URL, "https:", "http:", 1), config.ReasonBackendNotMCP, "with 400", http.DefaultTransport},
		"that is not MCP":  {secure.URL, "", "answers with 405", secure.Client().Transport},
		"that is not here": {"https://127.0.0.1:1", config.ReasonBackendUnreachable, "connection refused", http.DefaultTransport},
	} {
		t.Run(name, func(t *testing.T) {
			u, err := url.Parse(tc.url)
			if err != nil {
				t.Fatal(err)
			}
			transport := config.TransportStreamableHTTP
			if name == "that is not MCP" {
				transport = config.TransportHTTP
			}
			message, failure := Backend(Endpoint{URL: u, Transport: transport}, tc.transport)(t.Context())
			reason := ""
			if failure != nil {
				reason, message = failure.Reason, failure.Message
			}
			if reason != tc.reason || !strings.Contains(message, tc.message) {
				t.Errorf("the probe says %q: %s", reason, message)
			}
		})
	}
}

// A backend that is told who calls may refuse a check, which nobody makes; and what is
// wrong with it otherwise is said as of any other.
func TestABackendThatAsksWhoCalls(t *testing.T) {
	for name, tc := range map[string]struct {
		backend http.Handler
		reason  string
		message string
	}{
		"refuses":       {answer(401, "text/plain", "who?"), "", "answers 401 to an MCP client, since nobody is introduced"},
		"forbids":       {answer(403, "text/plain", "who?"), "", "answers 403"},
		"does not care": {mcpServer(false), "", "speaks MCP"},
		"no such path":  {http.NotFoundHandler(), config.ReasonBackendNotMCP, "with 404"},
	} {
		t.Run(name, func(t *testing.T) {
			message, failure := Backend(Endpoint{URL: endpoint(t, tc.backend), Transport: config.TransportStreamableHTTP, Guarded: true}, http.DefaultTransport)(t.Context())
			reason := ""
			if failure != nil {
				reason, message = failure.Reason, failure.Message
			}
			if reason != tc.reason || !strings.Contains(message, tc.message) {
				t.Errorf("the probe says %q: %s", reason, message)
			}
		})
	}
}

// TestTheProbeLeavesNoSession behind: it comes every few seconds.
func TestTheProbeLeavesNoSession(t *testing.T) {
	var mu sync.Mutex
	opened, ended := map[string]bool{}, map[string]bool{}
	var underWay sync.WaitGroup
	sessions := mcpServer(false)
	backend := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		underWay.Add(1)
		defer underWay.Done()
		sessions.ServeHTTP(w, r)
		mu.Lock()
		defer mu.Unlock()
		if id := w.Header().Get("Mcp-Session-Id"); id != "" {
			opened[id] = true
		}
		if r.Method == http.MethodDelete {
			ended[r.Header.Get("Mcp-Session-Id")] = true
		}
	})
	if _, failure := Backend(Endpoint{URL: endpoint(t, backend)}, http.DefaultTransport)(t.Context()); failure != nil {
		t.Fatal(failure)
	}
	// The client has its answers, and may be ahead of those who gave them.
	underWay.Wait()
	for id := range ended {
		delete(opened, id)
	}
	if len(opened) > 0 {
		t.Errorf("%d sessions are left", len(opened))
	}
}

func answer(status int, contentType, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
}

// legacySSE is a server of revision 2024-11-05, which takes no POST there.
func legacySSE() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /mcp", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "event: endpoint\ndata: /messages\n\n")
	})
	return mux
}

func endpoint(t *testing.T, backend http.Handler) *url.URL {
	t.Helper()
	host := ""
	if backend == nil {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		host = l.Addr().String()
		_ = l.Close()
	} else {
		s := httptest.NewServer(backend)
		t.Cleanup(s.Close)
		host = s.Listener.Addr().String()
	}
	return &url.URL{Scheme: "http", Host: host, Path: "/mcp"}
}
