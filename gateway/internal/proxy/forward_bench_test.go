package proxy

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/identity"
	"vestibule.dev/vestibule/gateway/internal/oauth"
	"vestibule.dev/vestibule/gateway/internal/quota"
	"vestibule.dev/vestibule/gateway/internal/source"
)

// everybody has a good token.
type everybody struct{}

func (everybody) Check(context.Context, string, string) (identity.Identity, error) {
	return identity.Identity{ClientID: "c", Issuer: "https://idp.example.com", Subject: "alice"}, nil
}

// stub is a backend that costs nothing.
type stub struct{}

const stubAnswer = `{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"Sunny"}]}}`

func (stub) RoundTrip(r *http.Request) (*http.Response, error) {
	_, _ = io.Copy(io.Discard, r.Body)
	_ = r.Body.Close()
	return &http.Response{
		StatusCode: http.StatusOK, Request: r, ContentLength: int64(len(stubAnswer)),
		Header: http.Header{"Content-Type": {"application/json"}, "Content-Length": {"82"}, "Date": {"Sat, 28 Nov 2026 00:00:00 GMT"}},
		Body:   io.NopCloser(strings.NewReader(stubAnswer)),
	}, nil
}

// sink is a client that costs nothing.
type sink struct{ header http.Header }

func (s *sink) Header() http.Header             { return s.header }
func (s *sink) Write(p []byte) (int, error)     { return len(p), nil }
func (s *sink) WriteHeader(int)                 {}
func (s *sink) FlushError() error               { return nil }
func (s *sink) SetReadDeadline(time.Time) error { return nil }

// BenchmarkForward compares the handler of a route, but for the check of the token, with
// the reverse proxy that it is made of.
func BenchmarkForward(b *testing.B) {
	backend, err := url.Parse("http://backend.example/mcp")
	if err != nil {
		b.Fatal(err)
	}
	sources, err := source.NewResolver([]string{"10.0.0.0/8"})
	if err != nil {
		b.Fatal(err)
	}
	public, err := url.Parse("https://weather.example.com")
	if err != nil {
		b.Fatal(err)
	}
	for name, h := range map[string]http.Handler{
		"ReverseProxy": &httputil.ReverseProxy{
			Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(backend) }, Transport: stub{}, BufferPool: buffers,
		},
		"route": New(Options{
			PublicURL: public, Path: "/mcp", Resource: "https://weather.example.com/mcp", Backend: backend, Transport: stub{}, Sources: sources,
			Policy: func(context.Context) (Policy, *oauth.Error) { return Policy{}, nil },
			Quotas: quota.New(func() config.Quotas { return config.Quotas{} }, time.Now), Checker: everybody{}, Patience: time.Second,
			Draining: context.Background(), Log: slog.New(slog.DiscardHandler),
		}),
	} {
		b.Run(name, func(b *testing.B) {
			body := []byte(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_forecast","arguments":{"city":"Utrecht"}}}`)
			b.ReportAllocs()
			for b.Loop() {
				r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, "/mcp", bytes.NewReader(body))
				if err != nil {
					b.Fatal(err)
				}
				r.Host, r.RemoteAddr = "weather.example.com", "192.0.2.1:40000"
				r.Header = http.Header{
					"Authorization": {"Bearer token"}, "Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"},
					"Mcp-Protocol-Version": {"2025-11-25"}, "User-Agent": {"bench"}, "Content-Length": {"110"},
				}
				h.ServeHTTP(&sink{http.Header{}}, r)
			}
		})
	}
}
