package probe

import (
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/upstream"
)

func TestUpstream(t *testing.T) {
	provider := func(issuer string) *httptest.Server {
		s := httptest.NewUnstartedServer(nil)
		s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			named := issuer
			if named == "" {
				named = "https://" + r.Host
			}
			w.Header().Set("Content-Type", "application/json")
			document := map[string]any{
				"issuer": named, "authorization_endpoint": named + "/a", "token_endpoint": named + "/t", "jwks_uri": named + "/j",
				"id_token_signing_alg_values_supported": []string{"ES256"},
			}
			if endpoint, ok := strings.CutPrefix(r.URL.Path, "/insecure/"); ok {
				document[strings.TrimSuffix(endpoint, "/.well-known/openid-configuration")] = "http://idp.example.com"
				document["issuer"] = named + strings.TrimSuffix(r.URL.Path, "/.well-known/openid-configuration")
			}
			_ = json.NewEncoder(w).Encode(document) // the test sees what arrives
		})
		s.StartTLS()
		t.Cleanup(s.Close)
		return s
	}
	good, other := provider(""), provider("https://other.example.com")
	ca := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: good.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	gone := httptest.NewServer(nil)
	gone.Close()
	for name, tc := range map[string]struct {
		config config.OIDCUpstream
		reason string
	}{
		"good":             {config.OIDCUpstream{IssuerURL: good.URL, UpstreamClient: config.UpstreamClient{CABundleFile: ca}}, ""},
		"without its CA":   {config.OIDCUpstream{IssuerURL: good.URL}, config.ReasonUpstreamUntrusted},
		"another issuer":   {config.OIDCUpstream{IssuerURL: other.URL, UpstreamClient: config.UpstreamClient{CABundleFile: ca}}, config.ReasonUpstreamIssuerDiffers},
		"a trailing slash": {config.OIDCUpstream{IssuerURL: good.URL + "/", UpstreamClient: config.UpstreamClient{CABundleFile: ca}}, config.ReasonUpstreamIssuerDiffers},
		"gone":             {config.OIDCUpstream{IssuerURL: gone.URL}, config.ReasonUpstreamUnreachable},
		"no secret file":   {config.OIDCUpstream{IssuerURL: good.URL, UpstreamClient: config.UpstreamClient{ClientSecretFile: "/nowhere"}}, config.ReasonUpstreamFiles},
		"no CA file":       {config.OIDCUpstream{IssuerURL: good.URL, UpstreamClient: config.UpstreamClient{CABundleFile: "/nowhere"}}, config.ReasonUpstreamFiles},
		"not a CA":         {config.OIDCUpstream{IssuerURL: good.URL, UpstreamClient: config.UpstreamClient{CABundleFile: os.Args[0]}}, config.ReasonUpstreamFiles},
		"http":             {config.OIDCUpstream{IssuerURL: good.URL + "/insecure/token_endpoint", UpstreamClient: config.UpstreamClient{CABundleFile: ca}}, config.ReasonUpstreamInsecure},
	} {
		t.Run(name, func(t *testing.T) {
			tc.config.ClientID = "id"
			u := upstream.New(config.Upstream{Name: "corp", Type: config.UpstreamOIDC, OIDC: &tc.config}, "http://127.0.0.1/callback/corp", time.Now)
			message, failure := Upstream(u)(t.Context())
			reason := ""
			if failure != nil {
				reason, message = failure.Reason, failure.Message
			}
			if reason != tc.reason || message == "" {
				t.Errorf("the check says %q: %s", reason, message)
			}
			if reason == config.ReasonUpstreamInsecure && !strings.Contains(message, "token_endpoint") {
				t.Errorf("the message does not name the endpoint: %s", message)
			}
		})
	}
}
