//go:build e2e

package e2e

import (
	"strings"
	"testing"
)

// Each thing that can go wrong is named within 30 seconds, and so is that it is
// right again.
func TestConditionsNameWhatIsWrong(t *testing.T) {
	patch := func(document string) func(*testing.T) {
		return func(t *testing.T) {
			kubectl(t, "patch", "mcpserver", "weather", "-n", "one", "--type=json", "-p", document)
		}
	}
	scale := func(replicas string) func(*testing.T) {
		return func(t *testing.T) { kubectl(t, "scale", "-n", "one", "deployment/weather", "--replicas="+replicas) }
	}
	for _, tc := range []struct {
		name, condition, reason string
		spoil, mend             func(*testing.T)
	}{
		{"the backend is scaled to zero", "MCPObjectBound", "NoReadyEndpoints", scale("0"), scale("2")},
		{
			"the backend speaks another transport", "MCPObjectBound", "BackendNotMCP",
			patch(`[{"op":"add","path":"/spec/routes/0/backendPath","value":"/nothing"}]`),
			patch(`[{"op":"remove","path":"/spec/routes/0/backendPath"}]`),
		},
		{
			"the issuer is wrong", "UpstreamReady", "UpstreamUnreachable",
			patch(`[{"op":"replace","path":"/spec/upstreams/0/oidc/issuerURL","value":"` + login.Issuer() + `/other"}]`),
			patch(`[{"op":"replace","path":"/spec/upstreams/0/oidc/issuerURL","value":"` + login.Issuer() + `"}]`),
		},
		withObject("the upstream's Secret is away", "UpstreamReady", "SecretMissing", "secret/weather-oidc"),
		withObject("an object of the store is away", "OAuthKVBound", "StoreObjectLost", "secret/weather-gateway-grants-1"),
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.spoil(t)
			becomesWithin(t, one, patience, tc.condition, "False", tc.reason)
			becomesWithin(t, one, patience, "Ready", "False", tc.reason)
			tc.mend(t)
			becomesWithin(t, one, patience, tc.condition, "True", "")
			becomesWithin(t, one, patience, "Ready", "True", "")
		})
	}
	must(t, connect(t, one).Forecast(t.Context()))
}

type wrong = struct {
	name, condition, reason string
	spoil, mend             func(*testing.T)
}

// withObject deletes an object, and brings it back as it was.
func withObject(name, condition, reason, object string) wrong {
	kept := ""
	return wrong{
		name, condition, reason,
		func(t *testing.T) {
			kept = kubectl(t, "get", object, "-n", "one", "-o", "yaml")
			kubectl(t, "delete", object, "-n", "one")
		},
		func(t *testing.T) {
			// Without what the API server gave it, as a backup would have it.
			var lines []string
			for line := range strings.Lines(kept) {
				if !strings.HasPrefix(line, "  uid:") && !strings.HasPrefix(line, "  resourceVersion:") && !strings.HasPrefix(line, "  creationTimestamp:") {
					lines = append(lines, line)
				}
			}
			if _, err := cluster.Kubectl(t.Context(), strings.Join(lines, ""), "create", "-f", "-"); err != nil {
				t.Fatal(err)
			}
		},
	}
}
