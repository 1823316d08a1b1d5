//go:build e2e

package e2e

import (
	"net/http"
	"strings"
	"testing"

	"vestibule.dev/vestibule/hack/mcpclient"
	"vestibule.dev/vestibule/hack/realcluster"
)

func TestAClientGoesTheWholeWay(t *testing.T) {
	for _, s := range []*realcluster.Server{one, two} {
		t.Run(s.Namespace, func(t *testing.T) {
			c := connect(t, s)
			must(t, c.Forecast(t.Context()))
			must(t, c.Refresh(t.Context()))
			must(t, c.Forecast(t.Context()))
			must(t, c.Revoke(t.Context()))
			if status, err := c.Status(t.Context()); err != nil || status != http.StatusUnauthorized {
				t.Errorf("a revoked token gets %d: %v", status, err)
			}
		})
	}
}

func TestATokenIsGoodAtItsOwnServerAlone(t *testing.T) {
	c := connect(t, one)
	elsewhere := &mcpclient.Client{Endpoint: two.Endpoint(), HTTP: c.HTTP, Token: c.Token}
	if status, err := elsewhere.Status(t.Context()); err != nil || status != http.StatusUnauthorized {
		t.Errorf("a token of one server gets %d at the other: %v", status, err)
	}
}

func TestWhoIsNotLetInIsRefused(t *testing.T) {
	c, err := one.Client("mallory", nil)
	must(t, err)
	if err := c.Connect(t.Context()); err == nil || !strings.Contains(err.Error(), "access_denied") {
		t.Errorf("mallory, whose address is not verified: %v", err)
	}
}

func TestAGatewayCanReadNothingButItsOwn(t *testing.T) {
	const account = "system:serviceaccount:one:weather-gateway"
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"get", "secret/weather-gateway-grants-0", "-n", "one"}, "yes"},
		{[]string{"patch", "secret/weather-gateway-clients-0", "-n", "one"}, "yes"},
		{[]string{"get", "configmap/weather-gateway-policy", "-n", "one"}, "yes"},
		{[]string{"get", "secret/weather-oidc", "-n", "one"}, "no"},
		{[]string{"get", "secret/weather-gateway-keys", "-n", "one"}, "no"}, // mounted, not read
		{[]string{"get", "configmap/login-ca", "-n", "one"}, "no"},
		{[]string{"patch", "configmap/weather-gateway-policy", "-n", "one"}, "no"},
		{[]string{"list", "secrets", "-n", "one"}, "no"},
		{[]string{"list", "configmaps", "-n", "one"}, "no"},
		{[]string{"delete", "secret/weather-gateway-grants-0", "-n", "one"}, "no"},
		{[]string{"get", "secret/weather-gateway-grants-0", "-n", "two"}, "no"},
		{[]string{"get", "pods", "-n", "one"}, "no"},
	} {
		// can-i says no by its exit status too.
		out, _ := cluster.Kubectl(t.Context(), "", append([]string{"auth", "can-i", "--as=" + account}, tc.args...)...)
		if out != tc.want {
			t.Errorf("may the gateway %s? %q, not %q", strings.Join(tc.args, " "), out, tc.want)
		}
	}
}
