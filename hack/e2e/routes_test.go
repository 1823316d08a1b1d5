//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A second MCP server in the same namespace, which serves whom the gateway introduces
// alone, and a Service by which the first one is open to everybody.
const introduced = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: introduced, namespace: %[1]s}
spec:
  selector: {matchLabels: {app: introduced}}
  template:
    metadata: {labels: {app: introduced}}
    spec:
      automountServiceAccountToken: false
      securityContext: {runAsNonRoot: true, runAsUser: 65532, seccompProfile: {type: RuntimeDefault}}
      containers:
      - name: weather
        image: %[2]s
        args: [-keys-url, "http://weather-gateway.%[1]s.svc/.well-known/jwks.json", -issuer, "%[3]s", -audience, introduced]
        imagePullPolicy: IfNotPresent
        ports: [{name: http, containerPort: 8080}]
        readinessProbe: {tcpSocket: {port: http}, periodSeconds: 2}
        securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
---
apiVersion: v1
kind: Service
metadata: {name: introduced, namespace: %[1]s}
spec:
  selector: {app: introduced}
  ports: [{port: 80, targetPort: http}]
---
apiVersion: v1
kind: Service
metadata: {name: weather-open, namespace: %[1]s}
spec:
  selector: {app: weather}
  ports: [{name: http, port: 80, targetPort: http}]
`

const (
	manyRoutes = `{"spec":{
  "routes": [
    {"name":"mcp","path":"/mcp","requiredScopes":["weather:read"]},
    {"name":"told","path":"/told","backendPath":"/mcp","mcpObject":{"type":"Service","service":{"name":"introduced","port":80},
      "identity":{"assertion":{"audience":"introduced","claims":["email"]}}}},
    {"name":"open","path":"/open","transport":"HTTP","authentication":"None","backendPath":"/",
      "mcpObject":{"type":"Service","service":{"name":"weather-open","port":"http"}}}],
  "oauth": {"scopes": [
    {"name":"weather:read","description":"Read the forecast"},
    {"name":"weather:write","description":"Change weather alerts","tools":["set_*"],"onDemand":true}]}}}`
	oneRoute = `{"spec":{
  "routes": [{"name":"mcp","path":"/mcp","requiredScopes":["weather:read"]}],
  "oauth": {"scopes": [
    {"name":"weather:read","description":"Read the forecast"},
    {"name":"weather:write","description":"Change weather alerts"}]}}}`
)

func TestRoutesWithRulesAndServersOfTheirOwn(t *testing.T) {
	image, err := cluster.Load(t.Context(), "weather")
	must(t, err)
	must(t, cluster.Apply(t.Context(), fmt.Sprintf(introduced, two.Namespace, image, two.PublicURL())))
	kubectl(t, "rollout", "status", "-n", two.Namespace, "deployment/introduced", "--timeout=180s") // The cluster may be about to recover.
	set := func(patch, routes string) {
		t.Helper()
		kubectl(t, "patch", "mcpserver", "weather", "-n", two.Namespace, "--type=merge", "-p", patch)
		eventually(t, "the configuration has the routes", func() bool {
			config := kubectl(t, "get", "deployment", "weather-gateway", "-n", two.Namespace, "-o", `jsonpath={.spec.template.metadata.annotations.mcp\.vestibule\.dev/config}`)
			document := kubectl(t, "get", "configmap", config, "-n", two.Namespace, "-o", "jsonpath={.data}")
			return strings.Contains(document, "introduced.") == (routes == "many")
		})
		gatewayPods(t, two)
		becomes(t, two, "Ready", "True", "")
	}
	set(manyRoutes, "many")
	defer func() {
		set(oneRoute, "one")
		kubectl(t, "delete", "-n", two.Namespace, "deployment/introduced", "service/introduced", "service/weather-open", "--wait=false")
	}()

	t.Run("a tool that needs more is allowed on demand", func(t *testing.T) {
		logins := 0
		c, err := two.Client("alice", func(step string) {
			if strings.HasPrefix(step, "allowed it") {
				logins++
			}
		})
		must(t, err)
		must(t, c.Connect(t.Context()))
		must(t, c.Forecast(t.Context()))
		if logins != 1 {
			t.Fatalf("alice was asked %d times before", logins)
		}
		result, err := c.Session.CallTool(t.Context(), &mcp.CallToolParams{Name: "set_alert", Arguments: map[string]any{"city": "Utrecht", "text": "Wind"}})
		must(t, err)
		if result.IsError || logins != 2 {
			t.Errorf("after %d logins the tool says %+v", logins, result)
		}
		must(t, c.Session.Close())
	})
	t.Run("a server knows who calls", func(t *testing.T) {
		for _, user := range []string{"alice", "bob"} {
			c, err := two.Client(user, nil)
			must(t, err)
			c.Endpoint = two.PublicURL() + "/told"
			must(t, c.Connect(t.Context()))
			result, err := c.Session.CallTool(t.Context(), &mcp.CallToolParams{Name: "whoami"})
			must(t, err)
			who, _ := result.StructuredContent.(map[string]any)
			if who["email"] != user+"@example.com" {
				t.Errorf("to the server, %s is %v", user, who)
			}
			must(t, c.Session.Close())
		}
	})
	t.Run("an open route", func(t *testing.T) {
		resp, err := http.Get(two.PublicURL() + "/open/mcp")
		must(t, err)
		defer resp.Body.Close()
		// It is the MCP server itself that asks for another request than this.
		if resp.StatusCode == http.StatusUnauthorized || resp.Header.Get("Content-Security-Policy") == "" {
			t.Errorf("it answers %s %v", resp.Status, resp.Header)
		}
	})
}
