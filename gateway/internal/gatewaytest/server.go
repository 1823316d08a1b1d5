// Package gatewaytest runs assembled gateways for tests, and what belongs to
// them: an identity provider, a backend, a browser and a client. All of it
// speaks HTTP on loopback, as strangers would.
package gatewaytest

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway"
	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/store"
)

// Clock is the gateways' time: the real one, and what the test adds to it. The clock
// of a server that New started stands still: nothing depends on how long a test takes.
type Clock struct {
	ahead   atomic.Int64
	stopped atomic.Pointer[time.Time]
}

// Now returns the time.
func (c *Clock) Now() time.Time {
	now := time.Now()
	if at := c.stopped.Load(); at != nil {
		now = *at
	}
	return now.Add(time.Duration(c.ahead.Load()))
}

// Stop lets no time pass any more but what the test adds.
func (c *Clock) Stop() {
	now := time.Now()
	c.stopped.CompareAndSwap(nil, &now)
}

// Advance makes it later.
func (c *Clock) Advance(d time.Duration) { c.ahead.Add(int64(d)) }

// Setup is what a test wants to be different.
type Setup struct {
	// Configure changes the configuration.
	Configure func(*config.Config)
	// Keys are those of another server; unset, new ones.
	Keys *config.KeySet
	// Replicas is how many gateways share one store; unset, one.
	Replicas int
	// Reconfigure changes the configuration of the last replica alone: so it is
	// while a new configuration rolls out.
	Reconfigure func(*config.Config)
	// Options change how each gateway is made.
	Options func(*gateway.Options)
	// Intervals are the gateways'.
	Intervals gateway.Intervals
	// Backend serves MCP; unset, the Recorder does.
	Backend http.Handler
	// HTTP2 has everybody speak HTTP/2, clients to the gateways and these to the backend.
	HTTP2 bool
	// TLS has the backend called with TLS.
	TLS bool
}

// Server is a public URL with the gateways that serve it.
type Server struct {
	URL     string
	Config  *config.Config
	Keys    *config.KeySet
	IdP     *IdP
	Backend *Recorder
	Secrets *Secrets
	Clock   *Clock
	// Store is what the replicas share, where there are several.
	Store store.Store
	// Addrs are where the replicas listen. Whoever asks for the host of URL is
	// sent to one of them.
	Addrs []string
	// Gateways are the replicas.
	Gateways []*gateway.Gateway

	http2 bool
	// options are those of the next gateway.
	options    func() gateway.Options
	transports sync.Map // replica → *http.Transport
}

// New starts a server that ends with the test: without scopes of its own, with
// a route at /mcp, and a store in memory with a file.
func New(t testing.TB, setup Setup) *Server {
	t.Helper()
	l := Listen(t)
	s := Describe(t, "http://"+l.Addr().String(), setup)
	s.Clock.Stop()
	if setup.Replicas > 1 {
		s.Store = share(t, s.Config.Store.Memory.File, s.Clock.Now)
	}
	s.options = func() gateway.Options {
		o := gateway.Options{Log: s.Log(), Now: s.Clock.Now, Store: s.Store, Intervals: setup.Intervals}
		if setup.Options != nil {
			setup.Options(&o)
		}
		return o
	}
	for n := range max(setup.Replicas, 1) {
		cfg := *s.Config
		if n > 0 {
			l = Listen(t)
			cfg.KeysFile = s.keysFile(n)
			s.WriteKeys(t, n, s.Keys)
		}
		if n > 0 && n == setup.Replicas-1 && setup.Reconfigure != nil {
			setup.Reconfigure(&cfg)
		}
		g, err := gateway.New(&cfg, s.Keys, s.options())
		if err != nil {
			t.Fatal(err)
		}
		s.serve(t, g, l)
	}
	return s
}

// Join starts one more replica, with a configuration that is changed for it, and
// returns its number. The server must have had several to begin with, or a Vault.
func (s *Server) Join(t testing.TB, change func(*config.Config)) int {
	t.Helper()
	changed := *s.Config
	change(&changed)
	g, err := gateway.New(&changed, s.Keys, s.options())
	if err != nil {
		t.Fatal(err)
	}
	s.serve(t, g, Listen(t))
	return len(s.Addrs) - 1
}

// Describe returns a server that nobody serves yet: its configuration, with
// the identity provider and the backend that it names.
func Describe(t testing.TB, publicURL string, setup Setup) *Server {
	t.Helper()
	secrets := NewSecrets(t)
	s := &Server{
		http2: setup.HTTP2,
		URL:   publicURL, Secrets: secrets, Clock: &Clock{},
		IdP: NewIdP(t, secrets), Backend: &Recorder{}, Keys: setup.Keys,
	}
	if s.Keys == nil {
		s.Keys = config.NewKeySet(time.Now())
	}
	handler := setup.Backend
	if handler == nil {
		handler = s.Backend
	}
	dir := t.TempDir()
	secretFile := filepath.Join(dir, "client-secret")
	if err := os.WriteFile(secretFile, []byte(s.IdP.ClientSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	storeFile := filepath.Join(dir, "store.db")
	s.Config = &config.Config{
		Version: config.Version, ServerUID: "test-uid", PublicURL: publicURL, KeysFile: filepath.Join(dir, "keys.json"),
		Backend: StartBackend(t, handler, setup.TLS, setup.HTTP2),
		Store:   config.Store{Type: config.StoreMemory, Memory: &config.MemoryStore{File: storeFile}},
		Routes:  []config.Route{{Name: "mcp", Path: "/mcp", Transport: config.TransportStreamableHTTP, BackendPath: "/backend"}},
		Registration: config.Registration{
			Enabled: true, PublicClients: true, TTLSeconds: 90 * 86400, UnusedTTLSeconds: 86400,
			PrivateUseSchemes: []string{"cursor", "vscode", "*.*"},
		},
		AccessTokenTTLSeconds: 3600, RefreshTokenTTLSeconds: 30 * 86400, OutageToleranceSeconds: 600,
		Upstreams: []config.Upstream{{Name: "corp", Type: config.UpstreamOIDC, OIDC: &config.OIDCUpstream{
			IssuerURL: s.IdP.URL, UpstreamClient: config.UpstreamClient{
				ClientID: s.IdP.ClientID, ClientSecretFile: secretFile, Scopes: []string{"email"},
			},
		}}},
	}
	if setup.Configure != nil {
		setup.Configure(s.Config)
	}
	s.URL = s.Config.PublicURL
	if err := s.Config.Validate(); err != nil {
		t.Fatal(err)
	}
	s.WriteKeys(t, 0, s.Keys)
	t.Cleanup(func() { s.dump(t, storeFile) })
	return s
}

// dump has the store's file searched for secrets.
func (s *Server) dump(t testing.TB, file string) {
	f, err := os.Open(file)
	if errors.Is(err, os.ErrNotExist) {
		return // another store
	}
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = f.Close() }()
	if _, err := io.Copy(s.Secrets, f); err != nil {
		t.Error(err)
	}
}

// Log writes every line to where secrets are searched for.
func (s *Server) Log() *slog.Logger {
	return slog.New(slog.NewJSONHandler(s.Secrets, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (s *Server) serve(t testing.TB, g *gateway.Gateway, l net.Listener) {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Serve(ctx, l, nil, gateway.Timing{Finish: 5 * time.Second}) }()
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-done, g.Close()); err != nil {
			t.Error(err)
		}
	})
	select {
	case <-g.Synced():
	case <-time.After(30 * time.Second):
		t.Fatal("the gateway does not become ready")
	}
	s.Addrs = append(s.Addrs, l.Addr().String())
	s.Gateways = append(s.Gateways, g)
}

// Listen returns a listener on a free port of the loopback interface.
func Listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// Recorder is a backend that answers 200, and remembers what it was asked.
type Recorder struct {
	mu       sync.Mutex
	requests []Request
	respond  http.HandlerFunc
}

// Request is what arrived at the backend.
type Request struct {
	Method string
	URL    *url.URL
	Host   string
	Header http.Header
	Body   string
	// Trailer is what came behind the body.
	Trailer http.Header
	// Proto is the version of HTTP.
	Proto string
}

// Respond answers the requests to come.
func (b *Recorder) Respond(f http.HandlerFunc) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.respond = f
}

// Requests are those so far.
func (b *Recorder) Requests() []Request {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]Request(nil), b.requests...)
}

func (b *Recorder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body) // the test sees what arrived
	b.mu.Lock()
	b.requests = append(b.requests, Request{r.Method, r.URL, r.Host, r.Header.Clone(), string(body), r.Trailer.Clone(), r.Proto})
	respond := b.respond
	b.mu.Unlock()
	if respond != nil {
		respond(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":1,"result":{}}`)
}
