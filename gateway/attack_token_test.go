package gateway_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
)

func TestAttackTokenOfAnotherRoute(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{Configure: twoRoutes})
	client := gw.Register(t, nil)
	tokens := client.Redeem(t, client.Login(t))
	for _, path := range []string{"/two", "/two/", "/two/../mcp"} {
		if a := call(t, gw, "POST", path, tokens.Access, nil); a.Status != http.StatusUnauthorized && a.Status != http.StatusNotFound {
			t.Errorf("%s takes the token of /mcp: %d", path, a.Status)
		}
	}
	for _, resource := range [][]string{{gw.URL + "/two"}, {gw.URL + "/mcp", gw.URL + "/two"}, {gw.URL + "/mcp/../two"}} {
		params := gatewaytest.RefreshParams(tokens.Refresh)
		params["resource"] = resource
		client.Token(t, params).Fails(t, http.StatusBadRequest, "invalid_target")
	}
	if n := len(gw.Backend.Requests()); n != 0 {
		t.Errorf("the backend saw %d requests", n)
	}
	unharmed(t, client, tokens)
}

// Two servers of one company: what one has issued is nothing at the other, even if
// both keep their records in one place, and even under the same root keys.
func TestAttackTokenOfAnotherServer(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name     string
		sameKeys bool
		sameURL  bool
		// What the other server says: that it is none of its own, or, under the same
		// keys, that it cannot read the record.
		status int
		code   string
	}{
		{"keys of its own", false, false, 401, "invalid_token"},
		{"the same keys", true, false, 503, "temporarily_unavailable"},
		{"the same keys and URL", true, true, 503, "temporarily_unavailable"},
	} {
		t.Run(row.name, func(t *testing.T) {
			vault := &gatewaytest.Vault{}
			one := gatewaytest.New(t, gatewaytest.Setup{Options: vault.Use})
			setup := gatewaytest.Setup{Options: vault.Use, Configure: func(c *config.Config) {
				if c.ServerUID = "evil-uid"; row.sameURL {
					c.PublicURL = one.URL
				}
			}}
			if row.sameKeys {
				setup.Keys = one.Keys
			}
			two := gatewaytest.New(t, setup)
			client := one.Register(t, nil)
			tokens, code := client.Redeem(t, client.Login(t)), client.Login(t)
			there := two.ClientAt(client.ID)
			there.Call(t, tokens.Access).Fails(t, row.status, row.code)
			// Nor is the client one of its own, so nothing can be redeemed.
			for _, params := range []map[string][]string{gatewaytest.RefreshParams(tokens.Refresh), gatewaytest.RedeemParams(code)} {
				there.Token(t, params).Fails(t, http.StatusServiceUnavailable, "temporarily_unavailable")
			}
			native := two.Register(t, nil)
			if a := native.Token(t, gatewaytest.RefreshParams(tokens.Refresh)); a.Status == http.StatusOK {
				t.Error("a client of the other server takes the grant over")
			}
			if n := len(two.Backend.Requests()); n != 0 {
				t.Errorf("the other backend saw %d requests", n)
			}
			unharmed(t, native, native.Redeem(t, native.Login(t)))
			unharmed(t, client, tokens)
			client.Redeem(t, code)
		})
	}
}

func TestAttackTokensOfALapsedClient(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{Configure: func(c *config.Config) { c.Registration.TTLSeconds = 600 }})
	lapsed, alive := gw.Register(t, nil), gw.Register(t, nil)
	stolen := lapsed.Redeem(t, lapsed.Login(t))
	code := lapsed.Login(t)
	tokens := alive.Redeem(t, alive.Login(t))
	gw.Clock.Advance(9 * time.Minute)
	tokens = alive.Refresh(t, tokens.Refresh) // which renews the registration
	gw.Clock.Advance(2 * time.Minute)
	lapsed.Call(t, stolen.Access).Fails(t, http.StatusUnauthorized, "invalid_token")
	lapsed.Token(t, gatewaytest.RefreshParams(stolen.Refresh)).Fails(t, http.StatusUnauthorized, "invalid_client")
	lapsed.Token(t, gatewaytest.RedeemParams(code)).Fails(t, http.StatusUnauthorized, "invalid_client")
	alive.Token(t, gatewaytest.RefreshParams(stolen.Refresh)).Fails(t, http.StatusBadRequest, "invalid_grant")
	unharmed(t, alive, tokens)
}

// A token is one string: what only begins like it, or is of another kind, is none.
func TestAttackForgedToken(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{})
	client := gw.Register(t, nil)
	tokens := client.Redeem(t, client.Login(t))
	body := strings.TrimPrefix(tokens.Access, "vst_at_")
	for name, token := range map[string]string{
		"cut off": tokens.Access[:len(tokens.Access)-1], "longer": tokens.Access + "A", "padded": tokens.Access + "=", "in other letters": strings.ToUpper(tokens.Access),
		"a refresh token by its name": "vst_at_" + strings.TrimPrefix(tokens.Refresh, "vst_rt_"), "without a prefix": body, "two prefixes": "vst_at_vst_at_" + body,
		"a later format": "vst_at_Ag" + body[2:], "an unknown key": "vst_at_Af" + body[2:], "all zeros": "vst_at_" + strings.Repeat("A", len(body)),
		"two tokens": tokens.Access + ", Bearer " + tokens.Access, "two in one": tokens.Access + "," + tokens.Access, "a JWT": "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9.",
		"the bits that no byte needs": body[:len(body)-1] + "B",
	} {
		t.Run(name, func(t *testing.T) { client.Call(t, token).Fails(t, http.StatusUnauthorized, "invalid_token") })
	}
	if n := len(gw.Backend.Requests()); n != 0 {
		t.Errorf("the backend saw %d requests", n)
	}
	unharmed(t, client, tokens)
}
