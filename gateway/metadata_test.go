package gateway_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
)

// fetch sends a request to a path of the origin, as a client in a browser would.
func fetch(t *testing.T, gw *gatewaytest.Server, method, path string, header map[string]string) gatewaytest.Answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, gw.Origin()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		if r.Header.Set(k, v); k == "Host" {
			r.Host = v
		}
	}
	return gw.Do(t, gw.HTTP(0), r)
}

// metadataServer has two routes under a path, or under none.
func metadataServer(t *testing.T, prefix string) *gatewaytest.Server {
	t.Helper()
	return gatewaytest.New(t, gatewaytest.Setup{Configure: func(c *config.Config) {
		c.PublicURL += prefix
		twoRoutes(c)
		c.Scopes = []config.Scope{{Name: "read"}, {Name: "write"}}
	}})
}

func TestMetadata(t *testing.T) {
	t.Parallel()
	const server, resource = "/.well-known/oauth-authorization-server", "/.well-known/oauth-protected-resource"
	for _, site := range []struct {
		prefix              string
		servers, mcps, twos []string // where the documents are
		absent              []string
	}{
		{
			"", []string{server}, []string{resource, resource + "/mcp"}, []string{resource + "/two"},
			[]string{"/.well-known/openid-configuration", server + "/mcp", resource + "/three", "/mcp.well-known", "/.well-known/x"},
		},
		{
			"/team/a", []string{server + "/team/a", "/team/a" + server},
			[]string{resource + "/team/a/mcp", resource + "/team/a", "/team/a" + resource}, []string{resource + "/team/a/two"},
			// At the root of the host, somebody else may be at home.
			[]string{server, resource, "/.well-known/openid-configuration/team/a", "/team/a/.well-known/openid-configuration", server + "/team"},
		},
	} {
		gw := metadataServer(t, site.prefix)
		for _, path := range site.servers { // A1, A2, A3, A5, A6, A7
			t.Run(path, func(t *testing.T) {
				v := isDocument(t, gw, path)
				for name, want := range map[string]string{
					"issuer": gw.URL, "authorization_endpoint": gw.URL + "/authorize", "token_endpoint": gw.URL + "/token",
					"registration_endpoint": gw.URL + "/register", "revocation_endpoint": gw.URL + "/revoke",
				} {
					if v[name] != want {
						t.Errorf("%s is %v, not %s", name, v[name], want)
					}
				}
				for name, want := range map[string][]string{
					"code_challenge_methods_supported": {"S256"}, "response_types_supported": {"code"}, "response_modes_supported": {"query"},
					"grant_types_supported":                                 {"authorization_code", "refresh_token"},
					"token_endpoint_auth_methods_supported":                 {"client_secret_basic", "client_secret_post", "private_key_jwt", "none"},
					"token_endpoint_auth_signing_alg_values_supported":      {"RS256", "PS256", "ES256", "ES384", "EdDSA"},
					"revocation_endpoint_auth_signing_alg_values_supported": {"RS256", "PS256", "ES256", "ES384", "EdDSA"},
					"revocation_endpoint_auth_methods_supported":            {"client_secret_basic", "client_secret_post", "private_key_jwt", "none"},
					"scopes_supported":                                      {"read", "write", "offline_access"},
					"protected_resources":                                   {gw.URL + "/mcp", gw.URL + "/two"},
				} {
					isList(t, v, name, want)
				}
				if v["authorization_response_iss_parameter_supported"] != true {
					t.Error("iss is sent but not advertised")
				}
				if v["client_id_metadata_document_supported"] != false {
					t.Error("documents that are not read are advertised")
				}
			})
		}
		for name, paths := range map[string][]string{"/mcp": site.mcps, "/two": site.twos} { // R1, R2, R3
			for _, path := range paths {
				t.Run(path, func(t *testing.T) {
					v := isDocument(t, gw, path)
					if v["resource"] != gw.URL+name || v["resource_name"] != strings.TrimPrefix(name, "/") {
						t.Errorf("resource is %v, named %v", v["resource"], v["resource_name"])
					}
					isList(t, v, "authorization_servers", []string{gw.URL})
					isList(t, v, "bearer_methods_supported", []string{"header"})
					isList(t, v, "scopes_supported", []string{"read", "write"})
				})
			}
		}
		for _, path := range site.absent { // A1, R21
			t.Run("no "+path, func(t *testing.T) {
				a := fetch(t, gw, "GET", path, nil)
				a.Fails(t, http.StatusNotFound, "not_found")
				if !strings.Contains(path, "/.well-known/") {
					return
				}
				if a.Header.Get("Access-Control-Allow-Origin") != "*" || fetch(t, gw, "OPTIONS", path, nil).Status != http.StatusNoContent {
					t.Error("a browser client cannot learn that there is nothing")
				}
			})
		}
		t.Run("what the challenge names", func(t *testing.T) { // R4
			_, url, _ := strings.Cut(fetch(t, gw, "POST", site.prefix+"/two", nil).Header.Get("WWW-Authenticate"), `resource_metadata="`)
			path, ok := strings.CutPrefix(strings.TrimSuffix(url, `"`), gw.Origin())
			if v := isDocument(t, gw, path); !ok || v["resource"] != gw.URL+"/two" {
				t.Errorf("%s is of %v", url, v["resource"])
			}
		})
		t.Run("the whole way", func(t *testing.T) {
			client := gw.Register(t, nil)
			b, request := client.Browser(t), client.AuthorizationRequest()
			redirectsWith(t, b.Press(t, b.Get(t, gw.AuthorizeURL(request)), "deny"), request, gw.URL, "access_denied") // A2: iss is the issuer
			if a := client.Call(t, client.Redeem(t, client.Login(t)).Access); a.Status != http.StatusOK {
				t.Errorf("the call gets %d: %s", a.Status, a.Body)
			}
		})
	}
}

// isDocument insists on metadata as all clients can read it (A8, R20), and returns it.
func isDocument(t *testing.T, gw *gatewaytest.Server, path string) map[string]any {
	t.Helper()
	a := fetch(t, gw, "GET", path, map[string]string{"Origin": "https://app.example", "Mcp-Protocol-Version": "2025-11-25"})
	if a.Status != http.StatusOK || a.Header.Get("Content-Type") != "application/json" || a.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Fatalf("%s answers %d %v: %s", path, a.Status, a.Header, a.Body)
	}
	if strings.Contains(a.Body, "null") || strings.Contains(a.Body, `""`) {
		t.Errorf("there are empty members: %s", a.Body)
	}
	// R2: whatever a request claims, the document is the same.
	lied := fetch(t, gw, "GET", path, map[string]string{
		"Host": "evil.example", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https", "X-Forwarded-Port": "1", "X-Forwarded-Prefix": "/x",
		"Forwarded": "host=evil.example;proto=https",
	})
	if lied.Body != a.Body {
		t.Errorf("the document depends on the request: %s", lied.Body)
	}
	if head := fetch(t, gw, "HEAD", path, nil); head.Status != http.StatusOK || head.Body != "" || head.Header.Get("Content-Type") != "application/json" {
		t.Errorf("HEAD answers %d %v", head.Status, head.Header)
	}
	preflight := fetch(t, gw, "OPTIONS", path, map[string]string{
		"Origin": "https://app.example", "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "mcp-protocol-version",
	})
	if preflight.Status != http.StatusNoContent || !strings.Contains(preflight.Header.Get("Access-Control-Allow-Headers"), "mcp-protocol-version") ||
		preflight.Header.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(preflight.Header.Get("Access-Control-Allow-Methods"), "GET") {
		t.Errorf("the preflight answers %d %v", preflight.Status, preflight.Header)
	}
	post := fetch(t, gw, "POST", path, nil)
	post.Fails(t, http.StatusMethodNotAllowed, "invalid_request")
	if post.Header.Get("Allow") != "GET, HEAD, OPTIONS" {
		t.Errorf("Allow is %q", post.Header.Get("Allow"))
	}
	return a.JSON(t)
}

func isList(t *testing.T, document map[string]any, name string, want []string) {
	t.Helper()
	list, _ := document[name].([]any)
	var got []string
	for _, v := range list {
		s, _ := v.(string)
		got = append(got, s)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s is %v, not %v", name, document[name], want)
	}
}

func TestMetadataSaysWhoMayRegister(t *testing.T) { // A6, A7
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{Configure: func(c *config.Config) {
		c.Registration.Enabled, c.Registration.PublicClients = false, false
	}})
	v := fetch(t, gw, "GET", "/.well-known/oauth-authorization-server", nil).JSON(t)
	if v["registration_endpoint"] != nil {
		t.Errorf("there is a registration_endpoint: %v", v["registration_endpoint"])
	}
	isList(t, v, "token_endpoint_auth_methods_supported", []string{"client_secret_basic", "client_secret_post", "private_key_jwt"})
	// A client that names itself by a URL needs no secret, whoever else may register.
	published, _ := newPublished(t, func(c *config.Config) { c.Registration.PublicClients = false })
	v = fetch(t, published, "GET", "/.well-known/oauth-authorization-server", nil).JSON(t)
	if v["client_id_metadata_document_supported"] != true {
		t.Error("documents are read, but not advertised")
	}
	isList(t, v, "token_endpoint_auth_methods_supported", []string{"client_secret_basic", "client_secret_post", "private_key_jwt", "none"})
	// Without scopes of its own, a resource says nothing of scopes.
	if v := fetch(t, gw, "GET", "/.well-known/oauth-protected-resource", nil).JSON(t); v["scopes_supported"] != nil {
		t.Errorf("scopes_supported is %v", v["scopes_supported"])
	}
}
