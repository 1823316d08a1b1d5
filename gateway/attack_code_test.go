package gateway_test

import (
	"net/http"
	"net/url"
	"testing"

	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
)

func TestAttackReplayedCode(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{})
	client := gw.Register(t, nil)
	code := client.Login(t)
	tokens := client.Redeem(t, code)
	client.Token(t, gatewaytest.RedeemParams(code)).Fails(t, http.StatusBadRequest, "invalid_grant")
	client.Call(t, tokens.Access).Fails(t, http.StatusUnauthorized, "invalid_token")
	client.Token(t, gatewaytest.RefreshParams(tokens.Refresh)).Fails(t, http.StatusBadRequest, "invalid_grant")
}

func TestAttackInjectedCode(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{})
	client, evil := gw.Register(t, nil), gw.Register(t, nil)
	gw.IdP.LoginAs("mallory", nil)
	mallorys := client.Login(t)
	gw.IdP.LoginAs("alice", nil)
	alices := client.Login(t)
	fails := func(what string, by *gatewaytest.Client, code gatewaytest.Code) {
		t.Helper()
		t.Log(what)
		by.Token(t, gatewaytest.RedeemParams(code)).Fails(t, http.StatusBadRequest, "invalid_grant")
	}
	fails("mallory's code, put into alice's browser", client, gatewaytest.Code{Code: mallorys.Code, Verifier: alices.Verifier})
	fails("alice's code, stolen on its way, in mallory's client", client, gatewaytest.Code{Code: alices.Code, Verifier: mallorys.Verifier})
	fails("alice's code, even with its verifier, by another client", evil, alices)
	// None of it was a way to keep alice out.
	unharmed(t, client, client.Redeem(t, alices))
}

func TestAttackPKCEDowngrade(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{})
	secret := map[string]any{"token_endpoint_auth_method": "client_secret_post"}
	for kind, client := range map[string]*gatewaytest.Client{"public": gw.Register(t, nil), "confidential": gw.Register(t, secret)} {
		verifier := client.AuthorizationRequest().Verifier
		for name, edit := range map[string]func(gatewaytest.AuthorizationRequest){
			"no challenge":              func(r gatewaytest.AuthorizationRequest) { r.Del("code_challenge") },
			"no challenge, no method":   func(r gatewaytest.AuthorizationRequest) { r.Del("code_challenge"); r.Del("code_challenge_method") },
			"an empty challenge":        func(r gatewaytest.AuthorizationRequest) { r.Set("code_challenge", "") },
			"no method, which is plain": func(r gatewaytest.AuthorizationRequest) { r.Del("code_challenge_method") },
			"plain":                     func(r gatewaytest.AuthorizationRequest) { r.Set("code_challenge_method", "plain") },
			"plain of a verifier": func(r gatewaytest.AuthorizationRequest) {
				r.Set("code_challenge", verifier[:43])
				r.Set("code_challenge_method", "plain")
			},
			"s256":               func(r gatewaytest.AuthorizationRequest) { r.Set("code_challenge_method", "s256") },
			"both methods":       func(r gatewaytest.AuthorizationRequest) { r.Add("code_challenge_method", "plain") },
			"a second challenge": func(r gatewaytest.AuthorizationRequest) { r.Add("code_challenge", verifier[:43]) },
		} {
			t.Run(kind+" "+name, func(t *testing.T) {
				request := client.AuthorizationRequest()
				edit(request)
				redirectsWith(t, client.Browser(t).Get(t, gw.AuthorizeURL(request)), request, gw.URL, "invalid_request")
			})
		}
		request := client.AuthorizationRequest()
		code := client.LoginWith(t, request)
		for name, row := range map[string]struct {
			edit func(url.Values)
			want string
		}{
			"no verifier":               {func(p url.Values) { p.Del("code_verifier") }, "invalid_request"},
			"an empty verifier":         {func(p url.Values) { p.Set("code_verifier", "") }, "invalid_request"},
			"the challenge as verifier": {func(p url.Values) { p.Set("code_verifier", request.Get("code_challenge")) }, "invalid_grant"},
			"a method at the end": {func(p url.Values) {
				p.Set("code_verifier", request.Get("code_challenge"))
				p.Set("code_challenge_method", "plain")
			}, "invalid_grant"},
		} {
			t.Run(kind+" redeemed with "+name, func(t *testing.T) {
				params := gatewaytest.RedeemParams(code)
				row.edit(params)
				client.Token(t, params).Fails(t, http.StatusBadRequest, row.want)
			})
		}
		unharmed(t, client, client.Redeem(t, code))
	}
}
