package manifest_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/cmd/internal/manifest"
	"vestibule.dev/vestibule/controllers"
	"vestibule.dev/vestibule/gateway/config"
)

const secret = `
apiVersion: v1
kind: Secret
metadata: {name: weather-oidc, labels: {mcp.vestibule.dev/allowed-for: weather}}
data: {client-secret: aHVudGVyMg==, old: bm9uZQ==}
stringData: {old: newer}
`

const configMap = `
apiVersion: v1
kind: ConfigMap
metadata: {name: corp-ca}
data: {ca.crt: pem}
binaryData: {ca.der: AAEC}
`

// stream makes a file of documents.
func stream(documents ...string) []byte { return []byte(strings.Join(documents, "\n---\n")) }

// minimal has nothing that can be left out.
const minimal = `
apiVersion: mcp.vestibule.dev/v1alpha1
kind: MCPServer
metadata: {name: weather}
spec:
  publicURL: https://weather.example.com
  bindings:
    mcpObject: {type: Service, service: {name: weather, port: 8080}}
    oauthKV: {type: Kubernetes, kubernetes: {}}
  routes: [{name: mcp, path: /mcp}]
  upstreams: [{name: corp, type: OIDC, oidc: {issuerURL: https://idp.example.com, clientID: vestibule}}]
`

// What the defaults are. That the API server has the same, TestBothJudgesAgree tests.
func TestEverySampleLoads(t *testing.T) {
	samples, err := filepath.Glob("../../../config/samples/*.yaml")
	if err != nil || len(samples) == 0 {
		t.Fatalf("no samples: %v", err)
	}
	for _, sample := range samples {
		data, err := os.ReadFile(sample)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := manifest.Load(data); err != nil {
			t.Errorf("%s:\n%v", sample, err)
		}
	}
}

func TestDefaults(t *testing.T) {
	m, err := manifest.Load([]byte(minimal))
	if err != nil {
		t.Fatal(err)
	}
	const want = `
publicURL: https://weather.example.com
bindings:
  mcpObject: {type: Service, service: {name: weather, port: 8080}, sessionAffinity: Session}
  oauthKV: {type: Kubernetes, kubernetes: {kind: Secret, minShards: 2, maxShards: 256}}
routes: [{name: mcp, path: /mcp, transport: StreamableHTTP, authentication: Required, unlistedTools: Allow}]
oauth:
  clientRegistration:
    {policy: Enabled, ttlSeconds: 7776000, unusedTTLSeconds: 86400, publicClients: Allow,
    privateUseSchemes: [cursor, vscode, vscode-insiders, vscodium, windsurf, zed, claude, raycast, warp, "*.*"]}
  clientIDMetadataDocuments: {policy: Enabled}
  accessTokenTTLSeconds: 3600
  refreshTokenTTLSeconds: 2592000
  outageToleranceSeconds: 600
  keys: {rotationPeriodSeconds: 7776000}
upstreams: [{name: corp, type: OIDC, tokenRenewal: Disabled, oidc: {issuerURL: https://idp.example.com, clientID: vestibule}}]
gateway: {replicas: 2, streamKeepAliveSeconds: 25, metrics: Enabled, profiling: Disabled}
deletionPolicy: Delete
`
	var spec v1alpha1.MCPServerSpec
	if err := yaml.UnmarshalStrict([]byte(want), &spec); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(spec, m.Server.Spec); diff != "" {
		t.Errorf("the defaults have changed (-want +got):\n%s", diff)
	}
	none := strings.Replace(minimal, "  routes:", "  oauth: {clientRegistration: {privateUseSchemes: []}}\n  routes:", 1)
	if m, err := manifest.Load([]byte(none)); err != nil || len(m.Server.Spec.OAuth.ClientRegistration.PrivateUseSchemes) != 0 {
		t.Errorf("a list that is set to be empty becomes the default: %v", err)
	}
	if m.Server.Namespace != "default" {
		t.Errorf("namespace %q, want default", m.Server.Namespace)
	}
}

func TestLoadReadsWhatTheServerRefersTo(t *testing.T) {
	m, err := manifest.Load(stream("# Only a comment.", secret, minimal, "# Only a comment.", configMap, ""))
	if err != nil {
		t.Fatal(err)
	}
	value := func(read func(v1alpha1.KeyReference) ([]byte, error), name, key, want, wantErr string) {
		t.Helper()
		got, err := read(v1alpha1.KeyReference{Name: name, Key: key})
		if string(got) != want || (err == nil) != (wantErr == "") || err != nil && err.Error() != wantErr {
			t.Errorf("%s of %s is %q, %v; want %q, %s", key, name, got, err, want, wantErr)
		}
	}
	value(m.SecretKey, "weather-oidc", "client-secret", "hunter2", "")
	value(m.SecretKey, "weather-oidc", "old", "newer", "")
	value(m.SecretKey, "weather-oidc", "absent", "", "the file's Secret weather-oidc has no key absent")
	value(m.SecretKey, "corp-ca", "ca.crt", "", "the file holds no Secret corp-ca in namespace default")
	value(m.ConfigMapKey, "corp-ca", "ca.crt", "pem", "")
	value(m.ConfigMapKey, "corp-ca", "ca.der", "\x00\x01\x02", "")
	value(m.ConfigMapKey, "corp-ca", "absent", "", "the file's ConfigMap corp-ca has no key absent")
	value(m.ConfigMapKey, "absent", "ca.crt", "", "the file holds no ConfigMap absent in namespace default")
}

func TestAReferenceStaysInTheNamespace(t *testing.T) {
	elsewhere := strings.Replace(minimal, "{name: weather}", "{name: weather, namespace: forecasts}", 1)
	m, err := manifest.Load(stream(elsewhere, secret))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.SecretKey(v1alpha1.KeyReference{Name: "weather-oidc", Key: "old"}); err == nil ||
		err.Error() != "the file holds no Secret weather-oidc in namespace forecasts" {
		t.Errorf("a Secret of another namespace is read: %v", err)
	}
}

func TestASecretMustBeAllowed(t *testing.T) {
	for label, allowed := range map[string]bool{"weather": true, "any": true, "forecast": false, "": false} {
		m, err := manifest.Load(stream(minimal, strings.Replace(secret, "allowed-for: weather", "allowed-for: "+strconv.Quote(label), 1)))
		if err != nil {
			t.Fatal(err)
		}
		value, err := m.SecretKey(v1alpha1.KeyReference{Name: "weather-oidc", Key: "old"})
		const want = "the file's Secret weather-oidc has no label mcp.vestibule.dev/allowed-for: weather, without which this MCPServer may not use it"
		if allowed && err != nil || !allowed && (err == nil || err.Error() != want || value != nil) {
			t.Errorf("with the label %q the Secret is %q, %v", label, value, err)
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	const deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: weather}"
	for _, test := range []struct {
		name string
		file []byte
		want []string // the lines of the error
	}{
		{"an empty file", nil, []string{"the file holds no MCPServer"}},
		{"only comments", stream("# a", "# b"), []string{"the file holds no MCPServer"}},
		{"no MCPServer", stream(secret), []string{"the file holds no MCPServer"}},
		{"two MCPServers", stream(minimal, minimal), []string{"document 2 (MCPServer weather): the file holds a second MCPServer; weather is the first"}},
		{"another kind", stream(minimal, deployment), []string{
			"document 2 (Deployment weather): apps/v1 is not read: the file may hold one MCPServer of mcp.vestibule.dev/v1alpha1 and Secrets and ConfigMaps of v1",
		}},
		{"another version", []byte(strings.Replace(minimal, "v1alpha1", "v1", 1)), []string{
			"document 1 (MCPServer weather): mcp.vestibule.dev/v1 is not read: the file may hold one MCPServer of mcp.vestibule.dev/v1alpha1 and Secrets and ConfigMaps of v1",
		}},
		{"something else", []byte("hello"), []string{"document 1: not an object of the Kubernetes API, which has apiVersion and kind"}},
		{"no kind", []byte("a: b"), []string{"document 1: not an object of the Kubernetes API, which has apiVersion and kind"}},
		{"no YAML", []byte("a: [b"), []string{"document 1: yaml: line 1: did not find expected ',' or ']'"}},
		{"text after the separator", []byte("a: b\n--- c\n"), []string{"document 1: invalid Yaml document separator: c"}},
		{"no name", []byte(strings.Replace(minimal, "name: weather}", "generateName: weather-}", 1)), []string{
			"document 1: MCPServer: metadata.name: Required value",
		}},
		{"a Secret with a field of its own", stream(minimal, secret+"colour: red"), []string{`document 2 (Secret weather-oidc): unknown field "colour"`}},
		{"a ConfigMap with a key twice", stream(minimal, configMap+"data: {}"), []string{
			`document 2 (ConfigMap corp-ca): yaml: unmarshal errors: line 7: key "data" already set in map`,
		}},
		{"a Secret that no cluster would take", stream(minimal, strings.Replace(secret, "weather-oidc", "weather_oidc", 1)), []string{
			`document 2 (Secret weather_oidc): metadata.name: Invalid value: "weather_oidc": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', ` +
				`and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')`,
		}},
		{"a Secret that is not base64, without quoting it", stream(minimal, strings.Replace(secret, "aHVudGVyMg==", "hunter2!", 1)), []string{
			"document 2 (Secret weather-oidc): illegal base64 data at input byte 7",
		}},
		{"all mistakes at once", stream(strings.Replace(strings.Replace(minimal, "/mcp", "/token", 1), "https://w", "http://w", 1), deployment), []string{
			"document 1 (MCPServer weather): spec.publicURL: Invalid value: \"http://weather.example.com\": publicURL must be https; http is for localhost, 127.0.0.1 and [::1] only, such as http://127.0.0.1:8788.",
			"document 1 (MCPServer weather): spec.routes[0].path: Invalid value: \"/token\": routes[].path must not be one of the gateway's own paths, /authorize, /consent, /callback, /token, /register, /revoke and /.well-known, or below one.",
			"document 2 (Deployment weather): apps/v1 is not read: the file may hold one MCPServer of mcp.vestibule.dev/v1alpha1 and Secrets and ConfigMaps of v1",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := manifest.Load(test.file)
			if err == nil {
				t.Fatal("accepted")
			}
			if diff := cmp.Diff(test.want, strings.Split(err.Error(), "\n")); diff != "" {
				t.Errorf("another error (-want +got):\n%s", diff)
			}
		})
	}
}

// From the file that users start with to a gateway that starts with it.
func TestTheSampleIsRenderedAndLoaded(t *testing.T) {
	m, err := manifest.Load(sample(t, edits{"metadata.uid": "0d2a4a3c-5a0e-4a6e-9d5e-0f6f6f6f6f6f"}))
	if err != nil {
		t.Fatal(err)
	}
	rendered, err := json.Marshal(controllers.GatewayConfig(m.Server, controllers.GatewayInputs{
		Ports:     map[v1alpha1.ServicePort]controllers.GatewayPort{*m.Server.Spec.Bindings.MCPObject.Service: {Number: 8080}},
		Directory: "/etc/vestibule", ClientShards: 16, GrantShards: 16,
	}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := config.Parse(rendered); err != nil {
		t.Errorf("the gateway does not load what is rendered from the sample: %v", err)
	}
}
