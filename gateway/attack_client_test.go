package gateway_test

import (
	"net/http"
	"net/url"
	"testing"

	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
)

// Somebody has stolen a refresh token, a code and its verifier, and knows the
// client's id, which is no secret. Without the client's secret it is of no use.
func TestAttackClientImpersonation(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{})
	victim := gw.Register(t, map[string]any{"token_endpoint_auth_method": "client_secret_basic"})
	public, evil := gw.Register(t, nil), gw.Register(t, map[string]any{"token_endpoint_auth_method": "client_secret_post"})
	tokens, code := victim.Redeem(t, victim.Login(t)), victim.Login(t)
	type form = url.Values
	for _, row := range []struct {
		name   string
		query  string
		form   form
		header []string
		status int
		code   string
	}{
		{"as if it had no secret", "", form{"client_id": {victim.ID}}, nil, 401, "invalid_client"},
		{"with an empty secret", "", form{"client_id": {victim.ID}, "client_secret": {""}}, nil, 401, "invalid_client"},
		{"with an empty Basic secret", "", nil, []string{basic(victim.ID, "")}, 401, "invalid_client"},
		{"with a guessed secret", "", form{"client_id": {victim.ID}, "client_secret": {"vst_cs_"}}, nil, 401, "invalid_client"},
		{"with the thief's own secret", "", form{"client_id": {victim.ID}, "client_secret": {evil.Secret}}, nil, 401, "invalid_client"},
		{"with the thief's own Basic", "", form{"client_id": {victim.ID}}, []string{basic(evil.ID, evil.Secret)}, 400, "invalid_request"},
		{"in both ways", "", form{"client_id": {victim.ID}, "client_secret": {evil.Secret}}, []string{basic(victim.ID, evil.Secret)}, 400, "invalid_request"},
		{"two ids", "", form{"client_id": {victim.ID, evil.ID}, "client_secret": {evil.Secret}}, nil, 400, "invalid_request"},
		{"the id in the query", "?client_id=" + victim.ID, form{"client_id": {evil.ID}, "client_secret": {evil.Secret}}, nil, 400, "invalid_grant"},
		{"an id in brackets", "", form{"client_id[]": {victim.ID}, "client_id": {evil.ID}, "client_secret": {evil.Secret}}, nil, 400, "invalid_grant"},
		{"an assertion", "", form{
			"client_id": {victim.ID}, "client_assertion": {"eyJhbGciOiJub25lIn0.e30."},
			"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		}, nil, 401, "invalid_client"},
		{"as a public client", "", form{"client_id": {public.ID}}, nil, 400, "invalid_grant"},
		{"as another with a secret", "", form{"client_id": {evil.ID}, "client_secret": {evil.Secret}}, nil, 400, "invalid_grant"},
		{"as nobody", "", nil, nil, 401, "invalid_client"},
		{"with an access token", "", nil, []string{"Bearer " + tokens.Access}, 401, "invalid_client"},
	} {
		for what, stolen := range map[string]url.Values{
			"refresh token": gatewaytest.RefreshParams(tokens.Refresh), "code": gatewaytest.RedeemParams(code),
		} {
			t.Run(row.name+", "+what, func(t *testing.T) {
				for k, v := range row.form {
					stolen[k] = v
				}
				post(t, gw, "/token"+row.query, stolen, row.header...).Fails(t, row.status, row.code)
			})
		}
		t.Run(row.name+", to sign the user out", func(t *testing.T) {
			params := url.Values{"token": {tokens.Refresh}}
			for k, v := range row.form {
				params[k] = v
			}
			// To revoke what is another's, or what does not exist, are answered alike.
			if a := post(t, gw, "/revoke"+row.query, params, row.header...); a.Status != http.StatusOK {
				a.Fails(t, row.status, row.code)
			}
		})
	}
	t.Run("a secret in the query", func(t *testing.T) { // where logs would keep it
		params := gatewaytest.RefreshParams(tokens.Refresh)
		params.Set("client_id", victim.ID)
		post(t, gw, "/token?client_secret="+victim.Secret, params).Fails(t, 401, "invalid_client")
	})
	unharmed(t, victim, tokens)
	victim.Redeem(t, code)
}
