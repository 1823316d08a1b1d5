package proxy

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/audit"
	"vestibule.dev/vestibule/gateway/internal/oauth"
	"vestibule.dev/vestibule/gateway/internal/quota"
	"vestibule.dev/vestibule/gateway/internal/source"
)

// lateReader is a transport as it is when the backend is quick: it looks for the
// end of the request's body once more when the answer has begun.
type lateReader struct{}

func (lateReader) RoundTrip(r *http.Request) (*http.Response, error) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return nil, err
	}
	answer, w := io.Pipe()
	go func() {
		_, _ = io.WriteString(w, "data: first\n\n")
		<-r.Context().Value(begunKey{}).(chan struct{})
		_, err := r.Body.Read(make([]byte, 1))
		_ = w.CloseWithError(err)
	}()
	return &http.Response{
		StatusCode: http.StatusOK, Request: r, Body: answer, ContentLength: -1,
		Header: http.Header{"Content-Type": {"text/event-stream"}},
	}, nil
}

// begunKey finds what the client closes when the answer has begun.
type begunKey struct{}

// bare returns a handler of which only forward is called.
func bare(t *testing.T, backend http.RoundTripper) *Handler {
	t.Helper()
	u, err := url.Parse("http://backend.example/mcp")
	if err != nil {
		t.Fatal(err)
	}
	sources, err := source.NewResolver(nil)
	if err != nil {
		t.Fatal(err)
	}
	return New(Options{
		PublicURL: &url.URL{Scheme: "http", Host: "localhost"}, Path: "/mcp", Backend: u, Transport: backend, Sources: sources, Checker: everybody{},
		Draining: t.Context(), Stagger: func() time.Duration { return 0 }, Log: slog.New(slog.DiscardHandler),
	})
}

// Of two policies that each refuse a request, none of both is made.
func TestThePolicyIsAskedForOnce(t *testing.T) {
	h := bare(t, stub{})
	h.Quotas = quota.New(func() config.Quotas { return config.Quotas{} }, time.Now)
	asked := 0
	h.Policy = func(context.Context) (Policy, *oauth.Error) {
		if asked++; asked > 1 {
			return Policy{}, nil
		}
		return Policy{Required: oauth.Scopes{"a"}}, nil
	}
	h.Audit = audit.New(h.Log, h.Sources.Of)
	r := httptest.NewRequest(http.MethodPost, "/mcp", strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"ping"}`))
	r.Host = "localhost"
	r.Header.Set("Authorization", "Bearer token")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusForbidden || asked != 1 {
		t.Errorf("the answer is %d, and the policy was asked for %d times", w.Code, asked)
	}
}

func TestAnAnswerThatBeginsEarlyIsNotCutOff(t *testing.T) {
	h := bare(t, lateReader{})
	begun := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.forward(w, r.WithContext(context.WithValue(r.Context(), begunKey{}, begun)), &call{})
	}))
	defer server.Close()
	large := `{"jsonrpc":"2.0","method":"` + strings.Repeat("x", smallBody) + `"}` // a small one is read before
	resp, err := http.Post(server.URL+"/mcp", "application/json", strings.NewReader(large))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	close(begun)
	if _, err := io.ReadAll(resp.Body); err != nil {
		t.Errorf("the answer is cut off: %v", err)
	}
}

// counting counts the writes to a connection.
type counting struct {
	net.Conn
	writes *atomic.Int32
}

func (c counting) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

func TestHeadAndBodyOfASmallCallLeaveTogether(t *testing.T) {
	const request = `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, _ := io.ReadAll(r.Body) // all of it first: this server does not read and write at once
		_, _ = w.Write(data)
	}))
	defer backend.Close()
	var writes atomic.Int32
	transport := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, backend.Listener.Addr().String())
		return counting{conn, &writes}, err
	}}
	defer transport.CloseIdleConnections()
	h := bare(t, transport)
	for _, tc := range []struct {
		what, body string
		together   bool
	}{
		{"small", request, true},
		{"as large as small ones are", strings.Repeat("x", smallBody), false}, // more than the transport's buffer
		{"none", "", true},
	} {
		writes.Store(0)
		w := httptest.NewRecorder()
		h.forward(w, httptest.NewRequest(http.MethodPost, "/mcp", strings.NewReader(tc.body)), &call{})
		if w.Code != http.StatusOK || w.Body.String() != tc.body {
			t.Errorf("%s: the answer is %d with %d bytes, not the body", tc.what, w.Code, w.Body.Len())
		}
		if n := writes.Load(); tc.together && n != 1 {
			t.Errorf("%s: head and body left in %d writes", tc.what, n)
		}
	}
}

func TestABodyThatEndsEarlyReachesNobody(t *testing.T) {
	h := bare(t, nil) // which would panic
	r := httptest.NewRequest(http.MethodPost, "/mcp", strings.NewReader("{"))
	r.ContentLength = 2
	w := httptest.NewRecorder()
	h.forward(w, r, &call{})
	if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "did not arrive whole") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
