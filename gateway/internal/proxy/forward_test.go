package proxy

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

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

func TestAnAnswerThatBeginsEarlyIsNotCutOff(t *testing.T) {
	h := bare(t, lateReader{})
	begun := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.forward(w, r.WithContext(context.WithValue(r.Context(), begunKey{}, begun)), &call{})
	}))
	defer server.Close()
	resp, err := http.Post(server.URL+"/mcp", "application/json", strings.NewReader(`{"jsonrpc":"2.0"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	close(begun)
	if _, err := io.ReadAll(resp.Body); err != nil {
		t.Errorf("the answer is cut off: %v", err)
	}
}
