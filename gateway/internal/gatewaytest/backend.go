package gatewaytest

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"vestibule.dev/vestibule/gateway/config"
)

// StartBackend serves a backend until the test ends, and returns how it is called.
func StartBackend(t testing.TB, handler http.Handler, withTLS, http2 bool) config.Backend {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	t.Cleanup(server.Close)
	// Fewer than a gateway's clients may have streams open.
	server.Config.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: 20}
	if !withTLS {
		if http2 {
			server.Config.Protocols = &http.Protocols{}
			server.Config.Protocols.SetUnencryptedHTTP2(true)
		}
		server.Start()
		return config.Backend{URL: server.URL, H2C: http2}
	}
	server.EnableHTTP2 = http2
	server.StartTLS()
	bundle := filepath.Join(t.TempDir(), "backend-ca.crt")
	if err := os.WriteFile(bundle, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.Backend{URL: server.URL, CABundleFile: bundle}
}
