package config

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// good is a configuration with everything in it.
func good() *Config {
	return &Config{
		Version: Version, ServerUID: "6f1c", PublicURL: "https://weather.example.com", KeysFile: "/etc/keys.json",
		Backend: Backend{URL: "http://weather.demo.svc:8080", Identity: &Identity{
			Assertion:           &IdentityAssertion{Audience: "https://weather.internal", Claims: []string{"email", "https://example.com/roles"}},
			Headers:             []IdentityHeader{{Name: "X-User-Email", Claim: "email"}, {Name: "x-forwarded-user", Claim: "sub"}},
			UpstreamTokenHeader: "X-Upstream-Token",
		}},
		Store: Store{Type: StoreKubernetes, Kubernetes: &KubernetesStore{
			Kind: "Secret", Namespace: "demo", Name: "weather-gateway", ClientShards: 4, GrantShards: 16, Replicas: 2,
		}},
		Routes: []Route{
			{Name: "mcp", Path: "/mcp", Transport: TransportStreamableHTTP, BackendPath: "/mcp"},
			{Name: "admin", Path: "/admin/mcp", Transport: TransportStreamableHTTP, BackendPath: "/admin"},
		},
		Registration: Registration{Enabled: true, TTLSeconds: 7776000, UnusedTTLSeconds: 86400, PublicClients: true},
		ClientIDMetadataDocuments: ClientIDMetadataDocuments{
			Enabled: true, AllowedHosts: []string{"claude.ai", "*.example.com", "clients.tools.svc:8443", "[fd00::1]:8443", "10.0.0.1"},
			DeniedCIDRs: []string{"198.51.100.0/24"}, AllowedCIDRs: []string{"10.0.0.0/8"}, CABundleFile: "/etc/ca.crt",
		},
		AccessTokenTTLSeconds: 3600, RefreshTokenTTLSeconds: 2592000, OutageToleranceSeconds: 600, KeepAliveSeconds: 25,
		Upstreams: []Upstream{{Name: "corp", Type: UpstreamOIDC, OIDC: &OIDCUpstream{
			IssuerURL: "https://idp.example.com", UpstreamClient: UpstreamClient{ClientID: "vestibule", ClientSecretFile: "/etc/secret", Scopes: []string{"email"}},
		}}},
		TrustedProxies: []string{"10.0.0.0/8", "fd00::/8"},
		Metrics:        true, Tracing: &Tracing{Endpoint: "http://otel-collector.demo.svc:4318", SamplePercent: 10},
		Rules: Rules{
			Scopes:         []Scope{{Name: "weather:read", Description: "Read the forecast"}},
			AccessRules:    []AccessRule{{Name: "staff", Expression: "claims.email_verified"}},
			RequiredScopes: map[string][]string{"mcp": {"weather:read"}},
			AllowedOrigins: []string{"https://claude.ai"},
		},
	}
}

// inEtcd moves the store to an etcd.
func inEtcd(change func(*EtcdStore), from ...Store) func(*Config) {
	return func(c *Config) {
		c.Store = Store{Type: StoreEtcd, Etcd: &EtcdStore{
			Endpoints: []string{"https://etcd-0:2379", "https://etcd-1:2379"}, Prefix: "/vestibule/demo/weather/6f1c",
			CABundleFile: "/etc/ca.crt", CertFile: "/etc/tls.crt", KeyFile: "/etc/tls.key", UserFile: "/etc/user", PasswordFile: "/etc/password",
		}}
		for i := range from {
			c.MigrateFrom = &from[i]
		}
		change(c.Store.Etcd)
	}
}

// naming changes what a scope names.
func naming(change func(*Scope)) func(*Config) {
	return func(c *Config) {
		s := &c.Scopes[0]
		s.Tools, s.Prompts = []string{"*", "set_*"}, []string{"plan"}
		s.Resources, s.Methods = []string{"file:///a/*", "*", "x:..a"}, []string{"tasks/*", "logging/setLevel"}
		change(s)
	}
}

func marshal(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(path, marshal(t, good()), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(good(), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got.AccessTokenTTL() != time.Hour || got.RefreshTokenTTL() != 720*time.Hour || got.OutageTolerance() != 10*time.Minute ||
		got.Registration.TTL() != 2160*time.Hour || got.Registration.UnusedTTL() != 24*time.Hour {
		t.Error("the durations are not what the seconds say")
	}
}

func TestErrorsNameTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.json")
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a missing file: %v", err)
	}
	if err := os.WriteFile(path, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	for what, load := range map[string]func() error{
		"Load":       func() error { _, err := Load(path); return err },
		"LoadKeySet": func() error { _, err := LoadKeySet(path); return err },
	} {
		if err := load(); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := LoadKeySet(path + "x"); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a missing key set: %v", err)
	}
}

func TestADocumentIsReadStrictly(t *testing.T) {
	whole := string(marshal(t, good()))
	for name, c := range map[string]struct{ data, want string }{
		"nothing":            {"", "not a JSON document"},
		"no object":          {"[]", "not a JSON document"},
		"null":               {"null", "version: this gateway reads version 1, not 0"},
		"no version":         {"{}", "version: this gateway reads version 1, not 0"},
		"a newer version":    {`{"version": 2, "brandNew": true}`, "version: this gateway reads version 1, not 2"},
		"an unknown member":  {strings.Replace(whole, `{`, `{"brandNew": 1,`, 1), "brandNew"},
		"one further inside": {strings.Replace(whole, `"backend":{`, `"backend":{"path":"/",`, 1), "path"},
		"a wrong type":       {strings.Replace(whole, `"accessTokenTTLSeconds":3600`, `"accessTokenTTLSeconds":"1h"`, 1), "accessTokenTTLSeconds"},
		"a second document":  {whole + whole, "not a JSON document"},
		"half a document":    {whole[:len(whole)/2], "not a JSON document"},
	} {
		if _, err := Parse([]byte(c.data)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if _, err := Parse([]byte(whole + "\n")); err != nil {
		t.Errorf("a line break at the end: %v", err)
	}
}

func TestAValueThatCannotWorkIsNamed(t *testing.T) {
	public := func(s string) func(*Config) { return func(c *Config) { c.PublicURL = s } }
	backend := func(s string) func(*Config) { return func(c *Config) { c.Backend.URL = s } }
	const publicForm = "publicURL: must be an absolute URL without user, query, fragment or trailing slash, its path of plain characters"
	const publicScheme = "publicURL: must be https; http is for loopback hosts only"
	const resourceForm = "must be a URI as URL libraries write it: " +
		"of visible ASCII without backslashes and percent signs, without dot segments and empty ones, user and default port"
	const methodForm = "must be a method, or its beginning and a *"
	headers := func(names ...string) func(*Config) {
		return func(c *Config) {
			c.Backend.Identity.Headers = nil
			for _, name := range names {
				c.Backend.Identity.Headers = append(c.Backend.Identity.Headers, IdentityHeader{Name: name, Claim: "email"})
			}
		}
	}
	claim := func(name string) func(*Config) {
		return func(c *Config) { c.Backend.Identity.Assertion.Claims[1] = name }
	}
	const claimForm = "must be the name of a claim that the assertion does not have anyway"
	const headerForm = "must begin with X- and be no header of the gateway or a proxy"
	const backendForm = "backend.url: must be scheme, host and port, without a path"
	for _, c := range []struct {
		change func(*Config)
		want   string // "" for what is good
	}{
		{func(*Config) {}, ""},
		{func(c *Config) { c.ServerUID = "" }, "serverUID: must be set"},
		{func(c *Config) { c.KeysFile = "" }, "keysFile: must be set"},
		{func(c *Config) { c.Tracing.Endpoint = "otel-collector:4318" }, "tracing.endpoint: must be scheme, host and port, without a path"},
		{func(c *Config) { c.Tracing.SamplePercent = 0 }, "tracing.samplePercent: must be 1 to 100"},
		{func(c *Config) { c.Tracing.SamplePercent = 101 }, "tracing.samplePercent: must be 1 to 100"},

		{func(c *Config) { c.Backend.Identity = &Identity{} }, "backend.identity: must not be empty"},
		{func(c *Config) { c.Backend.Identity.Assertion.Audience = "" }, "backend.identity.assertion.audience: must be set"},
		{claim("sub"), "backend.identity.assertion.claims[1]: " + claimForm},
		{claim("cnf"), "backend.identity.assertion.claims[1]: " + claimForm},
		{claim("a b"), "backend.identity.assertion.claims[1]: " + claimForm},
		{claim("sub2"), ""},
		{headers("X-Auth-Request-User", "X-Real-User", "X-Forwarded-Groups"), ""},
		{headers("X-User", "x-user"), "backend.identity.headers[1].name: stands twice"},
		{headers("X-User", "x-UPSTREAM-token"), "backend.identity.upstreamTokenHeader: stands twice"},
		{headers("Authorization"), "backend.identity.headers[0].name: " + headerForm},
		{headers("Mcp-Name"), "backend.identity.headers[0].name: " + headerForm},
		{headers("X_User"), "backend.identity.headers[0].name: " + headerForm},
		{headers("X-Vestibule-Assertion"), "backend.identity.headers[0].name: " + headerForm},
		{headers("x-forwarded-for"), "backend.identity.headers[0].name: " + headerForm},
		{func(c *Config) { c.Backend.Identity.UpstreamTokenHeader = "Cookie" }, "backend.identity.upstreamTokenHeader: " + headerForm},
		{func(c *Config) { c.Backend.Identity.Headers[0].Claim = "exp" }, "backend.identity.headers[0].claim: must be the name of a claim about the user"},
		{func(c *Config) { c.Backend.Identity.Headers[0].Claim = "" }, "backend.identity.headers[0].claim: must be the name of a claim about the user"},

		{public("https://weather.example.com:8443/tools"), ""},
		{public("http://127.0.0.1:8080"), ""},
		{public("http://[::1]:8080"), ""},
		{public("http://localhost"), ""},
		{public(""), publicForm},
		{public("weather.example.com"), publicForm},
		{public("https://"), publicForm},
		{public("https://weather.example.com/"), publicForm},
		{public("https://weather.example.com/tools/"), publicForm},
		{public("https://alice@weather.example.com"), publicForm},
		{public("https://weather.example.com?"), publicForm},
		{public("https://weather.example.com?a=b"), publicForm},
		{public("https://weather.example.com#"), publicForm},
		{public("https://weather.example.com:port"), publicForm},
		{public("https://weather.example.com/a/../b"), publicForm},
		{public("https://weather.example.com/a//b"), publicForm},
		{public("https://weather.example.com/a%2Fb"), publicForm},
		{public("https://weather.example.com/{a}"), publicForm}, // would be a pattern of the mux
		{public("http://weather.example.com"), publicScheme},
		{public("http://localhost.example.com"), publicScheme},
		{public("http://10.0.0.1"), publicScheme},
		{public("http://localho%C5%BFt"), publicScheme}, // a long s is no s
		{public("ftp://weather.example.com"), publicScheme},

		{backend("https://weather:8443"), ""},
		{backend(""), backendForm},
		{backend("weather:8080"), backendForm},
		{backend("unix:///run/socket"), backendForm},
		{backend("http://weather:8080/"), backendForm},
		{backend("http://weather:8080/mcp"), backendForm},
		{backend("http://alice@weather"), backendForm},
		{backend("http://weather?"), backendForm},
		{backend("http://weather#f"), backendForm},

		{func(c *Config) { c.Store = Store{Type: StoreMemory} }, ""},
		{func(c *Config) { c.Store.Type = "Redis" }, "store.type: must be Kubernetes, Etcd or Memory"},
		{func(c *Config) { c.Store.Kubernetes = nil }, "store.kubernetes: must be set for type Kubernetes"},
		{func(c *Config) { c.Store.Kubernetes.Kind = "Pod" }, "store.kubernetes.kind: must be Secret or ConfigMap"},
		{func(c *Config) { c.Store.Kubernetes.Namespace = "" }, "store.kubernetes: namespace and name must be set"},
		{func(c *Config) { c.Store.Kubernetes.GrantShards = 0 }, "store.kubernetes: clientShards and grantShards must be positive"},
		{func(c *Config) { c.Store.Kubernetes.Replicas = 0 }, "store.kubernetes.replicas: must be positive"},

		{inEtcd(func(*EtcdStore) {}), ""},
		{func(c *Config) { c.Store = Store{Type: StoreEtcd} }, "store.etcd: must be set for type Etcd"},
		{inEtcd(func(e *EtcdStore) { e.Endpoints = nil }), "store.etcd.endpoints: must not be empty"},
		{inEtcd(func(e *EtcdStore) { e.Endpoints[1] = "https://etcd-1:2379/a" }), "store.etcd.endpoints[1]: must be scheme, host and port, without a path"},
		{inEtcd(func(e *EtcdStore) { e.Endpoints[1] = "http://etcd-1:2379" }), "store.etcd.endpoints[1]: must be https when there is a password"},
		{inEtcd(func(e *EtcdStore) { e.Endpoints[1] = "http://127.0.0.1:2379" }), ""},
		{inEtcd(func(e *EtcdStore) { e.Endpoints[1], e.UserFile, e.PasswordFile = "http://etcd-1:2379", "", "" }), ""},
		{inEtcd(func(e *EtcdStore) { e.Prefix = "/vestibule/" }), "store.etcd.prefix: must begin with a slash and not end in one, and have plain characters only"},
		{func(c *Config) { c.TLS = &TLS{CertFile: "tls.crt"} }, "tls: certFile and keyFile must be set"},
		{inEtcd(func(e *EtcdStore) { e.KeyFile = "" }), "store.etcd: certFile and keyFile must be set together"},
		{inEtcd(func(e *EtcdStore) { e.UserFile = "" }), "store.etcd: userFile and passwordFile must be set together"},
		{func(c *Config) { c.MigrateFrom = &Store{Type: StoreEtcd} }, "migrateFrom.etcd: must be set for type Etcd"},
		{func(c *Config) { c.MigrateFrom = &c.Store }, "migrateFrom.type: must not be that of store"},
		{inEtcd(func(e *EtcdStore) {}, good().Store), ""},

		{func(c *Config) { c.Routes = nil }, "routes: must not be empty"},
		{func(c *Config) { c.Routes[0].Path = "mcp" }, "routes[0].path: must begin with a slash and not end in one, and have plain characters only"},
		{func(c *Config) { c.Routes[0].Path = "/" }, ""},
		{func(c *Config) { c.Routes[0].Path = "//" }, "routes[0].path: must begin with a slash and not end in one, and have plain characters only"},
		{func(c *Config) { c.Routes[0].Path = "/mcp/{id}" }, "routes[0].path: must begin with a slash and not end in one, and have plain characters only"},
		{func(c *Config) { c.Routes[0].Path = "/./mcp" }, "routes[0].path: must begin with a slash and not end in one, and have plain characters only"},
		{func(c *Config) { c.Routes[0].Path = "/token" }, "routes[0].path: is the gateway's own"},
		{func(c *Config) { c.Routes[0].Path = "/.well-known/mcp" }, "routes[0].path: is the gateway's own"},
		{func(c *Config) { c.Routes[0].Path = "/tokens" }, ""},
		{func(c *Config) { c.Routes[1].Name = "mcp" }, "routes[1].name: must be set, and to a name of its own"},
		{func(c *Config) { c.Routes[1].Path = "/mcp" }, "routes[1].path: stands twice"},
		{func(c *Config) { c.Routes[1].BackendPath = "" }, "routes[1].backendPath: must begin with a slash"},
		{func(c *Config) { c.Routes[1].Transport = "stdio" }, "routes[1].transport: must be StreamableHTTP, SSE or HTTP"},
		{func(c *Config) { c.Scopes = nil }, "requiredScopes[mcp]: names weather:read, which is not in scopes"},

		{func(c *Config) { c.Scopes = append(c.Scopes, Scope{Name: `a"b`}) }, "scopes[1].name: must be a scope token (RFC 6749 section 3.3)"},

		{naming(func(s *Scope) {}), ""},
		{naming(func(s *Scope) { s.Tools[1] = "" }), "scopes[0].tools[1]: must not be empty"},
		{naming(func(s *Scope) { s.Prompts[0] = "" }), "scopes[0].prompts[0]: must not be empty"},
		{naming(func(s *Scope) { s.Resources[1] = "" }), "scopes[0].resources[1]: " + resourceForm},
		{naming(func(s *Scope) { s.Resources[0] = "file:///a%20b" }), "scopes[0].resources[0]: " + resourceForm},
		{naming(func(s *Scope) { s.Resources[0] = `file:///a\b` }), "scopes[0].resources[0]: " + resourceForm},
		{naming(func(s *Scope) { s.Resources[0] = "file:///a/../b" }), "scopes[0].resources[0]: " + resourceForm},
		{naming(func(s *Scope) { s.Resources[0] = "file:///a/." }), "scopes[0].resources[0]: " + resourceForm},
		{naming(func(s *Scope) { s.Resources[0] = "https://example.com:0443/a" }), "scopes[0].resources[0]: " + resourceForm},
		{naming(func(s *Scope) { s.Methods[0] = "" }), "scopes[0].methods[0]: " + methodForm},
		{naming(func(s *Scope) { s.Methods[0] = "*" }), "scopes[0].methods[0]: " + methodForm},
		{naming(func(s *Scope) { s.Methods[0] = "tasks/*/get" }), "scopes[0].methods[0]: " + methodForm},
		{naming(func(s *Scope) { s.Methods[0] = "tasks get" }), "scopes[0].methods[0]: " + methodForm},
		{func(c *Config) { c.Quotas = Quotas{1, 2, 3, 4} }, ""},
		{func(c *Config) { c.Quotas.ConcurrentRequestsPerClient = -1 }, "quotas: must not be negative"},
		{func(c *Config) { c.DenyUnlistedTools = []string{"mcp", "unknown"} }, ""},

		{func(c *Config) { c.AccessTokenTTLSeconds = 0 }, "accessTokenTTLSeconds: must be positive"},
		{func(c *Config) { c.RefreshTokenTTLSeconds = -1 }, "refreshTokenTTLSeconds: must be positive"},
		{func(c *Config) { c.KeepAliveSeconds = -1 }, "keepAliveSeconds: must not be negative"},
		{func(c *Config) { c.Backend.Pods = &BackendPods{} }, "backend.pods.service: must be set\nbackend.pods: must not be set without cluster"},
		{func(c *Config) { c.OutageToleranceSeconds = -1 }, "outageToleranceSeconds: must not be negative"},
		{func(c *Config) { c.OutageToleranceSeconds = 0 }, ""},
		{func(c *Config) { c.Registration.TTLSeconds = 0 }, "registration.ttlSeconds: must be positive"},
		{func(c *Config) { c.Registration.UnusedTTLSeconds = 0 }, "registration.unusedTTLSeconds: must be positive"},

		{func(c *Config) { c.Upstreams = nil }, "upstreams: must not be empty"},
		{func(c *Config) { c.Upstreams[0].Name = "" }, "upstreams[0].name: must be set, to lower-case letters, digits and dashes"},
		{func(c *Config) { c.Upstreams[0].Name = "a/b" }, "upstreams[0].name: must be set, to lower-case letters, digits and dashes"},
		{func(c *Config) { c.Upstreams = append(c.Upstreams, c.Upstreams[0]) }, "upstreams[1].name: stands twice"},
		{func(c *Config) { c.Upstreams[0].Type = "SAML" }, "upstreams[0]: type must be OIDC or GitHub, and the one member of that name set"},
		{func(c *Config) { c.Upstreams[0].OIDC = nil }, "upstreams[0]: type must be OIDC or GitHub, and the one member of that name set"},
		{func(c *Config) { c.Upstreams[0].OIDC.IssuerURL = "" }, "upstreams[0].oidc.issuerURL: must be set"},
		{func(c *Config) { c.Upstreams[0].OIDC.IssuerURL = "http://idp.example.com" }, "upstreams[0].oidc.issuerURL: must be https; http is for loopback hosts only"},
		{func(c *Config) { c.Upstreams[0].OIDC.IssuerURL = "http://127.0.0.1:5556" }, ""},
		{func(c *Config) { c.Upstreams[0].OIDC.IssuerURL = "ftp://127.0.0.1" }, "upstreams[0].oidc.issuerURL: must be https; http is for loopback hosts only"},
		{func(c *Config) { c.Upstreams[0].OIDC.DiscoveryURL = "http://idp.example.com" }, "upstreams[0].oidc.discoveryURL: must be https; http is for loopback hosts only"},
		{func(c *Config) { c.Upstreams[0].OIDC.ClientID = "" }, "upstreams[0].oidc.clientID: must be set"},

		{func(c *Config) { c.ClientIDMetadataDocuments.AllowedHosts[0] = "https://claude.ai" }, "clientIDMetadataDocuments.allowedHosts[0]: must be a host such as claude.ai, *.example.com or clients.example.com:8443"},
		{func(c *Config) { c.ClientIDMetadataDocuments.AllowedHosts[1] = "" }, "clientIDMetadataDocuments.allowedHosts[1]: must be a host such as claude.ai, *.example.com or clients.example.com:8443"},
		{func(c *Config) { c.ClientIDMetadataDocuments.AllowedHosts[1] = "[fd00::1::2]" }, "clientIDMetadataDocuments.allowedHosts[1]: must be a host such as claude.ai, *.example.com or clients.example.com:8443"},
		{func(c *Config) { c.ClientIDMetadataDocuments.DeniedCIDRs[0] = "10.0.0.1" }, "clientIDMetadataDocuments.deniedCIDRs[0]: must be a CIDR such as 10.0.0.0/8"},
		{func(c *Config) { c.ClientIDMetadataDocuments.AllowedCIDRs[0] = "10.0.0.1" }, "clientIDMetadataDocuments.allowedCIDRs[0]: must be a CIDR such as 10.0.0.0/8"},
		{func(c *Config) { c.TrustedProxies[1] = "10.0.0.1" }, "trustedProxies[1]: must be a CIDR such as 10.0.0.0/8"},
		{func(c *Config) {
			c.Rules, c.Cluster = Rules{}, &Cluster{Namespace: "demo", Policy: "weather-gateway-policy", Report: "weather-gateway-report"}
		}, ""},
		{func(c *Config) {
			c.Rules, c.Cluster = Rules{Quotas: Quotas{RequestsPerMinutePerUser: 1}}, &Cluster{Namespace: "demo", Policy: "p", Report: "r"}
		}, "cluster: must not be set together with rules, which are in the policy then"},
		{func(c *Config) {
			c.Rules, c.Cluster = Rules{DenyUnlistedTools: []string{"mcp"}}, &Cluster{Namespace: "demo", Policy: "p", Report: "r"}
		}, "cluster: must not be set together with rules, which are in the policy then"},
		{func(c *Config) { c.Cluster = &Cluster{Namespace: "demo", Policy: "p", Report: "r"} }, "cluster: must not be set together with rules, which are in the policy then"},
		{func(c *Config) { c.Rules, c.Cluster = Rules{}, &Cluster{Namespace: "demo"} }, "cluster: namespace, policy and report must be set"},
		{func(c *Config) { c.ServerUID, c.KeysFile = "", "" }, "serverUID: must be set\nkeysFile: must be set"},
	} {
		isNamed(t, c.change, c.want)
	}
}

// isNamed insists on what is said of a configuration with a change; nothing of a good one.
func isNamed(t *testing.T, change func(*Config), want string) {
	t.Helper()
	doc := good()
	change(doc)
	_, err := Parse(marshal(t, doc))
	got := ""
	if err != nil {
		got = err.Error()
	}
	if got != want {
		t.Errorf("public URL %q, backend %q: got %q, want %q", doc.PublicURL, doc.Backend.URL, got, want)
	}
}

func TestLoopbackHosts(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "LocalHost": true, "127.0.0.1": true, "127.8.9.10": true, "::1": true,
		"": false, "localhost.": false, "localhost.example.com": false, "127.0.0.1.example.com": false, "127.1": false,
		"0.0.0.0": false, "10.0.0.1": false, "::": false, "::2": false, "[::1]": false, "2130706433": false, "localho\u017ft": false,
	} {
		if IsLoopback(host) != want {
			t.Errorf("IsLoopback(%q) = %v", host, !want)
		}
	}
}

// What a document says, it still says when it was read and written again: what two
// readers could understand differently is refused.
func readAgain[T any](t *testing.T, data []byte, parse func([]byte) (*T, error)) {
	t.Helper()
	v, err := parse(data)
	if err != nil {
		return
	}
	written, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	again, err := parse(written)
	if err != nil {
		t.Fatalf("%q is written as %q, which is refused: %v", data, written, err)
	}
	rewritten, err := json.Marshal(again)
	if err != nil || !bytes.Equal(written, rewritten) {
		t.Errorf("%q is written as %q, and then as %q: %v", data, written, rewritten, err)
	}
}

func FuzzParse(f *testing.F) {
	document, err := json.Marshal(good())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(document)
	for _, seed := range []string{"", "{}", `{"version":1}`, `{"version":2,"unknown":1}`, `{"version":1}{}`, `{"Version":1,"publicurl":"https://a"}`, "[", strings.Repeat("[", 11_000)} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) { readAgain(t, data, Parse) })
}

func FuzzParsePolicy(f *testing.F) {
	for _, seed := range []string{
		`{"version":1,"scopes":[{"name":"read","description":"Read"}],"accessRules":[{"name":"staff","expression":"true"}],"requiredScopes":{"mcp":["read"]},"allowedOrigins":["https://app.example"]}`,
		`{"version":1,"scopes":[{"name":"read","onDemand":true,"tools":["get_*"],"prompts":["*"],"resources":["file:///a/*"],"methods":["tasks/*"]}],"denyUnlistedTools":["mcp"],"quotas":{"requestsPerMinutePerUser":60,"concurrentRequestsPerClient":4}}`,
		`{"version":1}`, `{"version":1,"scopes":[{"name":"a b"}]}`, `{"version":1,"requiredScopes":{"mcp":["x"]}}`, `{"version":1,"scopes":null}`, `{"version":1.0}`, `{"version":1,"version":2}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) { readAgain(t, data, ParsePolicy) })
}

func FuzzParseReport(f *testing.F) {
	for _, seed := range []string{`{"version":1,"config":"a","policy":{"status":"True"},"store":{"status":"False","reason":"StoreForbidden","message":"m"},"upstreams":{"corp":{"status":"Unknown"}},"fillingGrants":true}`, `{"version":9,"later":[1]}`, `null`, `[]`, ``} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) { readAgain(t, data, ParseReport) })
}

func FuzzParseKeySet(f *testing.F) {
	document, err := NewKeySet(time.Unix(1_800_000_000, 0)).Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(document)
	for _, seed := range []string{`{"version":1,"keys":[]}`, `{"version":1,"keys":[{"id":0}]}`, `{"version":1,"keys":[{"id":256,"secret":"AA=="}]}`, strings.Replace(string(document), `"id":1`, `"id":1,"id":2`, 1), `{"version":1,"keys":[null,null]}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		readAgain(t, data, ParseKeySet)
		set, err := ParseKeySet(data)
		if err != nil {
			if len(data) > 8 && strings.Contains(err.Error(), string(data)) {
				t.Errorf("the error quotes the keys: %v", err)
			}
			return
		}
		for _, k := range set.Keys {
			if k.ID == 0 || len(k.Secret) != 32 {
				t.Errorf("a key is %d with %d bytes", k.ID, len(k.Secret))
			}
		}
	})
}
