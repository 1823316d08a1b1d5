package gateway_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/assertion/assertiontest"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
)

// inside is something that only the gateway can reach. Whoever reaches it anyway
// through the gateway has won.
func inside(t *testing.T) (target string, reached *atomic.Int32) {
	t.Helper()
	reached = &atomic.Int32{}
	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	t.Cleanup(s.Close)
	return s.URL, reached
}

// visit opens the authorization endpoint with a client_id.
func visit(t *testing.T, gw *gatewaytest.Server, clientID string) gatewaytest.Answer {
	t.Helper()
	c := gw.ClientAt(clientID)
	return c.Browser(t).Get(t, gw.AuthorizeURL(c.AuthorizationRequest()))
}

// A client_id is a URL that anybody may write, and the gateway stands inside.
func TestAttackURLsThatLeadInside(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{Configure: func(c *config.Config) {
		c.ClientIDMetadataDocuments = config.ClientIDMetadataDocuments{Enabled: true}
	}})
	target, reached := inside(t)
	port := target[strings.LastIndex(target, ":"):]
	for _, clientID := range []string{
		target + "/c", "https://localhost" + port + "/c", "https://127.0.0.1/c", "https://[::1]" + port + "/c", "https://[::ffff:127.0.0.1]" + port + "/c",
		"https://0.0.0.0" + port + "/c", "https://2130706433" + port + "/c", "https://0x7f.1" + port + "/c", "https://127.1/c", "https://localhost./c",
		"https://169.254.169.254/latest/meta-data/", "https://metadata.google.internal/computeMetadata/v1/", "https://kubernetes.default.svc/api",
		"https://kubernetes.default.svc.cluster.local/api", "https://kubernetes/api", "https://user@127.0.0.1" + port + "/c",
		"https://app.example.com@127.0.0.1" + port + "/c", "https://app.example.com" + port + "/c", "https://app.example.com/../c", "https://app.example.com/c?x",
		"https://app.example.com/c#f", "https://app.example.com",
	} {
		if page := visit(t, gw, clientID); page.Status != http.StatusBadRequest || !strings.Contains(page.Body, "may not be used here") {
			t.Errorf("%s gets %d: %s", clientID, page.Status, page.Body)
		}
		gw.ClientAt(clientID).Token(t, gatewaytest.RefreshParams("x")).Fails(t, http.StatusUnauthorized, "invalid_client")
	}
	for _, clientID := range []string{"http://127.0.0.1" + port + "/c", "file:///etc/passwd", "gopher://127.0.0.1/", "HTTPS://127.0.0.1" + port + "/c"} {
		if page := visit(t, gw, clientID); page.Status != http.StatusBadRequest || !strings.Contains(page.Body, "not registered here") {
			t.Errorf("%s gets %d: %s", clientID, page.Status, page.Body)
		}
	}
	if reached.Load() > 0 {
		t.Error("what is inside was reached")
	}
}

// A host may be allowed by name, and its address still lead inside.
func TestAttackNamesThatLeadInside(t *testing.T) {
	t.Parallel()
	p := gatewaytest.NewPublisher(t)
	gw := gatewaytest.New(t, gatewaytest.Setup{Configure: func(c *config.Config) {
		p.Allow(c)
		c.ClientIDMetadataDocuments.AllowedCIDRs = nil
	}})
	page := visit(t, gw, p.Document(t, "/client.json", nil))
	if page.Status != http.StatusServiceUnavailable || p.Asked("/client.json") != 0 {
		t.Errorf("it gets %d, after %d requests", page.Status, p.Asked("/client.json"))
	}
	for _, tell := range []string{"public", "private", "address", "refused"} { // which would map what is inside
		if strings.Contains(page.Body, tell) {
			t.Errorf("the page tells what the network is like: %s", page.Body)
		}
	}
}

func TestAttackDocumentsThatAreNone(t *testing.T) {
	t.Parallel()
	gw, p := newPublished(t)
	target, reached := inside(t)
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, _ = z.Write(make([]byte, 64<<20))
	_ = z.Close()
	asJSON := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(w, "%s", body)
		}
	}
	stop := make(chan struct{})
	t.Cleanup(func() { close(stop) })
	for path, serve := range map[string]http.HandlerFunc{
		"/redirect-inside": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, target, http.StatusFound) },
		"/redirect-metadata": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://169.254.169.254/", http.StatusTemporaryRedirect)
		},
		"/bomb": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(bomb.Bytes())
		},
		"/long": asJSON(`{"client_id":"` + strings.Repeat("a", 11<<10) + `"}`),
		"/endless": func(w http.ResponseWriter, _ *http.Request) {
			for {
				if _, err := w.Write(make([]byte, 4096)); err != nil {
					return
				}
			}
		},
		"/deep":   asJSON(strings.Repeat(`{"jwks":`, 1200)),
		"/deeper": asJSON(strings.Repeat(`[`, 10000)),
		"/html":   func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, "%s", `{"client_id":"x"}<script>`) },
		"/null":   asJSON("null"),
		"/nul":    asJSON("{\"client_name\":\"\x00\"}"),
		"/drops": func(w http.ResponseWriter, r *http.Request) { // never comes to an end
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			select {
			case <-stop:
			case <-r.Context().Done():
			}
		},
	} {
		t.Run(path, func(t *testing.T) {
			p.Serve(path, serve)
			if page := visit(t, gw, p.URL+path); page.Status != http.StatusBadRequest && page.Status != http.StatusServiceUnavailable {
				t.Errorf("it gets %d: %s", page.Status, page.Body)
			}
		})
	}
	if reached.Load() > 0 {
		t.Error("a redirect was followed")
	}
	good := gw.ClientAt(p.Document(t, "/good.json", nil))
	good.Redeem(t, good.Login(t))
}

// A document that is read may still name a place inside for its keys.
func TestAttackKeysFromInside(t *testing.T) {
	t.Parallel()
	gw, p := newPublished(t)
	target, reached := inside(t)
	keyed := func(path, keys string) string {
		return p.Document(t, path, map[string]any{"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": keys})
	}
	for i, keys := range []string{
		target, "https://169.254.169.254/", "https://localhost/keys", "http" + strings.TrimPrefix(p.URL, "https") + "/keys", "file:///etc/passwd", "//x/", "https://[::1]/",
		"https://user@" + strings.TrimPrefix(p.URL, "https://") + "/keys",
	} {
		if page := visit(t, gw, keyed(fmt.Sprintf("/%d.json", i), keys)); page.Status != http.StatusBadRequest || !strings.Contains(page.Body, "does not fetch from") {
			t.Errorf("%s gets %d: %s", keys, page.Status, page.Body)
		}
	}
	p.Serve("/keys", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, target, http.StatusFound) })
	c := signer{gw.ClientAt(keyed("/redirect.json", p.URL+"/keys")), assertiontest.New(t, "k", jose.RS256)}
	c.Token(t, c.signed(t, gatewaytest.RedeemParams(c.Login(t)))).Fails(t, http.StatusServiceUnavailable, "temporarily_unavailable")
	if reached.Load() > 0 {
		t.Error("what is inside was reached")
	}
}

// Whoever publishes a document cannot make it that of another client.
func TestAttackDocumentsOfOthers(t *testing.T) {
	t.Parallel()
	gw, p := newPublished(t)
	victim := gw.ClientAt(p.Document(t, "/client.json", nil))
	tokens, code := victim.Redeem(t, victim.Login(t)), victim.Login(t)
	evil := gw.ClientAt(p.Document(t, "/evil.json", map[string]any{"redirect_uris": []string{"https://evil.example/cb"}}))
	copied := gw.ClientAt(p.Document(t, "/copied.json", map[string]any{"client_id": victim.ID}))
	if page := visit(t, gw, copied.ID); page.Status != http.StatusBadRequest {
		t.Errorf("a document of another client_id gets %d", page.Status)
	}
	for _, params := range []url.Values{gatewaytest.RefreshParams(tokens.Refresh), gatewaytest.RedeemParams(code)} {
		evil.Token(t, params).Fails(t, http.StatusBadRequest, "invalid_grant")
		gw.ClientAt(victim.ID+"/").Token(t, params).Fails(t, http.StatusServiceUnavailable, "temporarily_unavailable")
		gw.ClientAt(strings.Replace(victim.ID, "/client", "//client", 1)).Token(t, params).Fails(t, http.StatusServiceUnavailable, "temporarily_unavailable")
		gw.ClientAt(strings.Replace(victim.ID, "client", "%63lient", 1)).Token(t, params).Fails(t, http.StatusUnauthorized, "invalid_client")
	}
	request := victim.AuthorizationRequest()
	request.Set("redirect_uri", "https://evil.example/cb")
	if page := victim.Browser(t).Get(t, gw.AuthorizeURL(request)); page.Status != http.StatusBadRequest {
		t.Errorf("another client's redirect gets %d", page.Status)
	}
	victim.Redeem(t, code)
	victim.Refresh(t, tokens.Refresh)
}
