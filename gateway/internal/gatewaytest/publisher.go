package gatewaytest

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"vestibule.dev/vestibule/gateway/config"
)

// Publisher is the https host of clients that name themselves by a URL.
type Publisher struct {
	URL string
	// Bundle is the path of the certificate that its own leads to.
	Bundle string

	server *httptest.Server
	mu     sync.Mutex
	pages  map[string]http.HandlerFunc
	asked  map[string]int
}

// NewPublisher starts a host on loopback that ends with the test.
func NewPublisher(t testing.TB) *Publisher {
	t.Helper()
	p := &Publisher{pages: map[string]http.HandlerFunc{}, asked: map[string]int{}, Bundle: filepath.Join(t.TempDir(), "publisher.crt")}
	p.server = httptest.NewTLSServer(p)
	t.Cleanup(p.server.Close)
	p.URL = p.server.URL
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.server.Certificate().Raw})
	if err := os.WriteFile(p.Bundle, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *Publisher) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.asked[r.URL.Path]++
	page := p.pages[r.URL.Path]
	p.mu.Unlock()
	if page == nil {
		page = http.NotFound
	}
	page(w, r)
}

// Allow lets a gateway fetch from the host.
func (p *Publisher) Allow(c *config.Config) {
	c.ClientIDMetadataDocuments = config.ClientIDMetadataDocuments{
		Enabled: true, AllowedHosts: []string{strings.TrimPrefix(p.URL, "https://")}, AllowedCIDRs: []string{"127.0.0.0/8"}, CABundleFile: p.Bundle,
	}
}

// Stop takes the host off the network.
func (p *Publisher) Stop() { p.server.Close() }

// Asked counts the requests for a path.
func (p *Publisher) Asked(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked[path]
}

// Serve serves a path, or nothing there if page is nil.
func (p *Publisher) Serve(path string, page http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pages[path] = page
}

// Publish serves v as JSON at a path, and returns its URL.
func (p *Publisher) Publish(t testing.TB, path string, v any) string {
	t.Helper()
	body, ok := v.([]byte)
	if !ok {
		var err error
		if body, err = json.Marshal(v); err != nil {
			t.Fatal(err)
		}
	}
	p.Serve(path, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, "%s", body)
	})
	return p.URL + path
}

// Document is that of a public client, with members in place of or besides its
// own; a nil one takes one away. It is published at path.
func (p *Publisher) Document(t testing.TB, path string, members map[string]any) string {
	t.Helper()
	document := map[string]any{
		"client_id": p.URL + path, "client_name": "Published client", "redirect_uris": []string{RedirectURI},
		"grant_types": []string{"authorization_code", "refresh_token"}, "token_endpoint_auth_method": "none",
	}
	for k, v := range members {
		if document[k] = v; v == nil {
			delete(document, k)
		}
	}
	return p.Publish(t, path, document)
}

// ClientAt is the client that names itself by a URL.
func (s *Server) ClientAt(url string) *Client {
	return &Client{Server: s, ID: url, http: s.HTTP(0)}
}
