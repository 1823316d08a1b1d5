package gateway_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
	"vestibule.dev/vestibule/gateway/internal/pods"
)

func legacy(set *pods.Set) gatewaytest.Setup {
	setup := withPods(set)
	setup.Configure = func(c *config.Config) {
		c.Routes = []config.Route{{Name: "sse", Path: "/sse", Transport: config.TransportSSE, BackendPath: "/events"}}
	}
	return setup
}

// atSSE logs a user in who may use the route.
func atSSE(t *testing.T, gw *gatewaytest.Server, user string) string {
	t.Helper()
	gw.IdP.LoginAs(user, nil)
	client := gw.Register(t, nil)
	request := client.AuthorizationRequest()
	request.Set("resource", gw.URL+"/sse")
	return client.Redeem(t, client.LoginWith(t, request)).Access
}

// bearer adds a token to requests, and sends them to one replica after the other.
type bearer struct {
	gw    *gatewaytest.Server
	token string

	mu   sync.Mutex
	next int
}

func (b *bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	b.mu.Lock()
	b.next++
	n := b.next % len(b.gw.Addrs)
	b.mu.Unlock()
	return b.gw.HTTP(n).Transport.RoundTrip(r)
}

func TestTheOlderTransport(t *testing.T) { // T30, T31
	t.Parallel()
	set := pods.New()
	var endpoints []pods.Endpoint
	for _, name := range []string{"a", "b", "c"} {
		server := mcp.NewServer(&mcp.Implementation{Name: name, Version: "1"}, nil)
		mcp.AddTool(server, &mcp.Tool{Name: "who"}, func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: name}}}, nil, nil
		})
		mux := http.NewServeMux()
		mux.Handle("/events", mcp.NewSSEHandler(func(*http.Request) *mcp.Server { return server }, nil))
		pod := httptest.NewServer(mux)
		t.Cleanup(pod.Close)
		endpoints = append(endpoints, pods.Endpoint{UID: "uid-" + name, Addr: pod.Listener.Addr().String(), Ready: true})
	}
	set.Replace(endpoints)
	gw := gatewaytest.New(t, legacy(set))
	token := atSSE(t, gw, "alice")
	met := map[string]bool{}
	for range 12 {
		session, err := mcp.NewClient(&mcp.Implementation{Name: "client", Version: "1"}, nil).Connect(t.Context(),
			&mcp.SSEClientTransport{Endpoint: gw.URL + "/sse", HTTPClient: &http.Client{Transport: &bearer{gw: gw, token: token}}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for range 4 { // at both replicas
			result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "who"})
			if err != nil || result.IsError {
				t.Fatalf("%+v, %v", result, err)
			}
			met[result.Content[0].(*mcp.TextContent).Text] = true
		}
		if err := session.Close(); err != nil {
			t.Error(err)
		}
	}
	if len(met) < 2 {
		t.Errorf("all streams went to %v", met)
	}
}

// stream opens one, and returns where its messages go, and what came before that.
func stream(t *testing.T, gw *gatewaytest.Server, token string) (endpoint, before string) {
	t.Helper()
	r := gw.Request(t, "GET", "/sse", nil, map[string]string{"Authorization": "Bearer " + token})
	resp, err := gw.HTTP(0).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	if resp.StatusCode != http.StatusOK {
		return "", resp.Status
	}
	lines, named := bufio.NewScanner(resp.Body), false
	for lines.Scan() {
		switch line := lines.Text(); {
		case line == "event: endpoint":
			named = true
		case named && strings.HasPrefix(line, "data: "):
			return strings.TrimPrefix(line, "data: "), before
		default:
			before += line + "\n"
		}
	}
	return "", before
}

// announces is a backend whose streams begin with the given bytes.
func announces(t *testing.T, beginning func() string) (*pods.Set, func() []*http.Request) {
	t.Helper()
	var mu sync.Mutex
	var seen []*http.Request
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			mu.Lock()
			seen = append(seen, r)
			mu.Unlock()
			w.WriteHeader(http.StatusAccepted)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = fmt.Fprint(w, beginning())
		_ = http.NewResponseController(w).Flush()
		if strings.HasSuffix(beginning(), "\n\n") {
			<-r.Context().Done()
		}
	}))
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	set := pods.New()
	set.Replace([]pods.Endpoint{{UID: "one", Addr: server.Listener.Addr().String(), Ready: true}})
	return set, func() []*http.Request {
		mu.Lock()
		defer mu.Unlock()
		return seen
	}
}

func TestAttackStolenMessageURL(t *testing.T) { // T32
	t.Parallel()
	set, seen := announces(t, func() string { return ": hello\n\nevent: endpoint\ndata: /messages/?session_id=42&x=%2F\n\n" })
	gw := gatewaytest.New(t, legacy(set))
	token := atSSE(t, gw, "alice")
	endpoint, before := stream(t, gw, token)
	if !strings.HasPrefix(endpoint, "/sse/message?session=") || strings.Contains(endpoint, "session_id") || before != ": hello\n\n" {
		t.Fatalf("the stream begins with %q, and leads to %q", before, endpoint)
	}
	if a := call(t, gw, "POST", endpoint, token, nil); a.Status != http.StatusAccepted {
		t.Fatalf("a message gets %d: %s", a.Status, a.Body)
	}
	if got := seen(); len(got) != 1 || got[0].RequestURI != "/messages/?session_id=42&x=%2F" {
		t.Fatalf("the backend saw %v", got)
	}
	stolen := atSSE(t, gw, "mallory")
	for _, row := range []struct {
		name, path, token string
		status            int
	}{
		{"another user", endpoint, stolen, 404},
		{"nobody", endpoint, "", 401},
		{"a forged one", forged(endpoint), token, 404},
		{"none", "/sse/message", token, 400},
		{"two", endpoint + "&" + strings.SplitN(endpoint, "?", 2)[1], token, 400},
		{"the backend's own", "/sse/message?session_id=42", token, 400},
		{"another path", strings.Replace(endpoint, "/message", "/other", 1), token, 404},
	} {
		if a := call(t, gw, "POST", row.path, row.token, nil); a.Status != row.status {
			t.Errorf("%s: %d: %s", row.name, a.Status, a.Body)
		}
	}
	set.Replace([]pods.Endpoint{{UID: "two", Addr: "127.0.0.1:9", Ready: true}})
	if a := call(t, gw, "POST", endpoint, token, nil); a.Status != http.StatusNotFound {
		t.Errorf("a message to a pod that is gone gets %d", a.Status)
	}
	if got := seen(); len(got) != 1 {
		t.Errorf("the backend saw %d messages", len(got))
	}
}

func TestStreamsThatLeadElsewhere(t *testing.T) {
	t.Parallel()
	var now atomic.Value
	set, _ := announces(t, func() string { return now.Load().(string) })
	gw := gatewaytest.New(t, legacy(set))
	token := atSSE(t, gw, "alice")
	for _, begin := range []string{
		"event: endpoint\ndata: https://evil.example/messages\n\n",
		"event: endpoint\ndata: //evil.example/messages\n\n",
		"event: endpoint\ndata: http://127.0.0.1:1/messages\n\n",
		"event: endpoint\ndata: ::\x7f\n\n",
		"event: endpoint\ndata: /" + strings.Repeat("x", 1100) + "\n\n",
		"event: endpoint\n" + strings.Repeat("x", 9000) + "\n\n",
		": only a comment",
		"",
	} {
		now.Store(begin)
		if endpoint, before := stream(t, gw, token); endpoint != "" || before != "502 Bad Gateway" {
			t.Errorf("%.60q leads to %q, after %q", begin, endpoint, before)
		}
	}
	now.Store("event:endpoint\r\ndata:messages?id=1\r\n\r\n")
	if endpoint, _ := stream(t, gw, token); !strings.HasPrefix(endpoint, "/sse/message?session=") {
		t.Errorf("a relative URL, and lines that end otherwise, lead to %q", endpoint)
	}
}
