package gateway_test

import (
	"net/http"
	"testing"

	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
)

func TestAClientGoesTheWholeWay(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"none", "client_secret_post"} {
		t.Run(method, func(t *testing.T) {
			gw := gatewaytest.New(t, gatewaytest.Setup{})
			client := gw.Register(t, map[string]any{"token_endpoint_auth_method": method})
			if (client.Secret == "") != (method == "none") {
				t.Fatalf("a client with method %s got the secret %q", method, client.Secret)
			}
			tokens := client.Redeem(t, client.Login(t))
			if a := client.Call(t, tokens.Access); a.Status != http.StatusOK {
				t.Fatalf("a good token gets %d: %s", a.Status, a.Body)
			}
			next := client.Refresh(t, tokens.Refresh)
			if next.Refresh == tokens.Refresh || next.Access == tokens.Access {
				t.Error("the refresh did not rotate")
			}
			client.Call(t, next.Access)
			revoked := client.Form(t, "/revoke", map[string][]string{"token": {next.Refresh}})
			if revoked.Status != http.StatusOK {
				t.Errorf("revocation answers %d: %s", revoked.Status, revoked.Body)
			}
			client.Call(t, next.Access).Fails(t, http.StatusUnauthorized, "invalid_token")
			client.Call(t, tokens.Access).Fails(t, http.StatusUnauthorized, "invalid_token")
			client.Token(t, gatewaytest.RefreshParams(next.Refresh)).Fails(t, http.StatusBadRequest, "invalid_grant")
		})
	}
}
