package gateway_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
)

func basic(id, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))
}

// post sends a form with nothing but what the test says.
func post(t *testing.T, gw *gatewaytest.Server, path string, form url.Values, authorization ...string) gatewaytest.Answer {
	t.Helper()
	r := gw.Request(t, http.MethodPost, path, strings.NewReader(form.Encode()), map[string]string{"Content-Type": "application/x-www-form-urlencoded"})
	if len(authorization) > 0 {
		r.Header["Authorization"] = authorization
	}
	return gw.Do(t, gw.HTTP(0), r)
}

// percent encodes every character, as a client may.
func percent(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		b.WriteString("%" + strings.ToUpper(string("0123456789abcdef"[c>>4])+string("0123456789abcdef"[c&15])))
	}
	return b.String()
}

func TestClientAuthentication(t *testing.T) { // A50, A51, A52
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{})
	public, secret := gw.Register(t, nil), gw.Register(t, map[string]any{"token_endpoint_auth_method": "client_secret_basic"})
	other := gw.Register(t, map[string]any{"token_endpoint_auth_method": "client_secret_post"})
	unknown := "vst_cl_" + strings.Repeat("A", len(public.ID)-7)
	type form = url.Values
	for _, row := range []struct {
		name   string
		client *gatewaytest.Client
		form   form
		header []string
		status int
		want   string
	}{
		{"A52 raw Basic", secret, nil, []string{basic(secret.ID, secret.Secret)}, 200, ""},
		{"A52 form-encoded Basic", secret, nil, []string{basic(percent(secret.ID), percent(secret.Secret))}, 200, ""},
		{"A52 basic in lower case", secret, nil, []string{"basic" + strings.TrimPrefix(basic(secret.ID, secret.Secret), "Basic")}, 200, ""},
		{"A52 Basic with client_id", secret, form{"client_id": {secret.ID}}, []string{basic(secret.ID, secret.Secret)}, 200, ""},
		{"A52 post", secret, form{"client_id": {secret.ID}, "client_secret": {secret.Secret}}, nil, 200, ""},
		{"A52 Basic of one registered for post", other, nil, []string{basic(other.ID, other.Secret)}, 200, ""},
		{"A52 none", public, form{"client_id": {public.ID}}, nil, 200, ""},
		{"A52 none, with an empty secret", public, form{"client_id": {public.ID}, "client_secret": {""}}, nil, 200, ""},
		{"A52 none, as Basic without a secret", public, nil, []string{basic(public.ID, "")}, 200, ""},

		{"A51 unknown client by Basic", secret, nil, []string{basic(unknown, "x")}, 401, "invalid_client"},
		{"A51 wrong secret by Basic", secret, nil, []string{basic(secret.ID, "x")}, 401, "invalid_client"},
		{"A51 no secret by Basic", secret, nil, []string{basic(secret.ID, "")}, 401, "invalid_client"},
		{"A51 secret of another", secret, nil, []string{basic(secret.ID, other.Secret)}, 401, "invalid_client"},
		{"A51 Basic that is not base64", secret, nil, []string{"Basic !"}, 401, "invalid_client"},
		{"A51 Basic without a colon", secret, nil, []string{"Basic " + base64.StdEncoding.EncodeToString([]byte(secret.ID))}, 401, "invalid_client"},
		{"A51 Basic with nothing", secret, nil, []string{"Basic"}, 401, "invalid_client"},
		{"A51 bad percent encoding", secret, nil, []string{basic(secret.ID, "%zz")}, 401, "invalid_client"},
		{"A51 another scheme", secret, form{"client_id": {secret.ID}, "client_secret": {secret.Secret}}, []string{"Bearer x"}, 401, "invalid_client"},
		{"A52 a secret of a public client by Basic", public, nil, []string{basic(public.ID, "x")}, 401, "invalid_client"},

		{"A51 wrong secret by post", secret, form{"client_id": {secret.ID}, "client_secret": {"x"}}, nil, 401, "invalid_client"},
		{"A52 none, of one with a secret", secret, form{"client_id": {secret.ID}}, nil, 401, "invalid_client"},
		{"A51 nobody", secret, nil, nil, 401, "invalid_client"},
		{"A51 a secret alone", secret, form{"client_secret": {secret.Secret}}, nil, 401, "invalid_client"},
		{
			"A52 two ways at once", secret, form{"client_id": {secret.ID}, "client_secret": {secret.Secret}},
			[]string{basic(secret.ID, secret.Secret)}, 400, "invalid_request",
		},
		{
			"A52 two ways at once, one empty", secret, form{"client_id": {secret.ID}, "client_secret": {secret.Secret}},
			[]string{basic(secret.ID, "")}, 400, "invalid_request",
		},
		{"A52 two names", secret, form{"client_id": {public.ID}}, []string{basic(secret.ID, secret.Secret)}, 400, "invalid_request"},
		{"A52 two headers", secret, nil, []string{basic(secret.ID, secret.Secret), basic(secret.ID, secret.Secret)}, 400, "invalid_request"},
		{"A52 two secrets", secret, form{"client_id": {secret.ID}, "client_secret": {secret.Secret, "x"}}, nil, 400, "invalid_request"},
		{"A52 a long secret", secret, form{"client_id": {secret.ID}, "client_secret": {strings.Repeat("x", 3000)}}, nil, 400, "invalid_request"},
		{"A52 a secret that is not UTF-8", secret, form{"client_id": {secret.ID}, "client_secret": {"\xff"}}, nil, 400, "invalid_request"},
	} {
		for _, path := range []string{"/token", "/revoke"} {
			t.Run(row.name+" at "+path, func(t *testing.T) {
				good := gatewaytest.RedeemParams(row.client.Login(t))
				params := url.Values{}
				for _, from := range []url.Values{good, row.form, {"token": {"unknown"}}} {
					for k, v := range from {
						params[k] = v
					}
				}
				a := post(t, gw, path, params, row.header...)
				if row.status == http.StatusOK {
					if a.Status != http.StatusOK {
						t.Fatalf("the answer is %d: %s", a.Status, a.Body)
					}
					if path == "/token" {
						row.client.Tokens(t, a)
					}
					return
				}
				a.Fails(t, row.status, row.want)
				asked := a.Header.Get("WWW-Authenticate") != ""
				if tried := len(row.header) > 0 && row.status == http.StatusUnauthorized; asked != tried || asked && !strings.HasPrefix(a.Header.Get("WWW-Authenticate"), "Basic ") {
					t.Errorf("WWW-Authenticate is %q", a.Header.Get("WWW-Authenticate"))
				}
				// A library that tries one way after the other keeps its code.
				row.client.Tokens(t, row.client.Token(t, good))
			})
		}
	}
}

func TestBadForms(t *testing.T) { // A50
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{})
	client := gw.Register(t, nil)
	code := client.Login(t)
	good := gatewaytest.RedeemParams(code)
	good.Set("client_id", client.ID)
	tokens := client.Redeem(t, client.Login(t))
	const formType = "application/x-www-form-urlencoded"
	for path, params := range map[string]string{
		"/token":  good.Encode(),
		"/revoke": url.Values{"token": {tokens.Refresh}, "client_id": {client.ID}}.Encode(),
	} {
		for _, row := range []struct {
			name, method, query, contentType, body string
			status                                 int
			want                                   string
		}{
			{"GET", "GET", "?" + params, "", "", 405, "invalid_request"},
			{"PUT", "PUT", "", formType, params, 405, "invalid_request"},
			{"DELETE", "DELETE", "", formType, params, 405, "invalid_request"},
			{"no content type", "POST", "", "", params, 415, "invalid_request"},
			{"JSON", "POST", "", "application/json", `{"grant_type":"authorization_code"}`, 415, "invalid_request"},
			{"multipart", "POST", "", "multipart/form-data; boundary=x", params, 415, "invalid_request"},
			{"text", "POST", "", "text/plain", params, 415, "invalid_request"},
			{"a content type that is none", "POST", "", "application/x-www-form-urlencoded;;", params, 415, "invalid_request"},
			// Without a client in the body, nobody asks: the query does not count.
			{"all in the query", "POST", "?" + params, formType, "", 401, "invalid_client"},
			{"bad percent encoding", "POST", "", formType, params + "&scope=%zz", 400, "invalid_request"},
			{"a semicolon", "POST", "", formType, params + ";a=b", 400, "invalid_request"},
			{"too long", "POST", "", formType, params + "&x=" + strings.Repeat("x", 64<<10), 413, "invalid_request"},
			{"nothing", "POST", "", formType, "", 401, "invalid_client"},
		} {
			t.Run(path+" "+row.name, func(t *testing.T) {
				r := gw.Request(t, row.method, path+row.query, strings.NewReader(row.body), map[string]string{"Content-Type": row.contentType})
				a := gw.Do(t, gw.HTTP(0), r)
				a.Fails(t, row.status, row.want)
				if allow := a.Header.Get("Allow"); row.status == 405 && allow != "POST" {
					t.Errorf("Allow is %q", allow)
				}
				if a.Header.Get("Access-Control-Allow-Origin") != "*" { // R20: browser clients must be able to read why
					t.Error("a browser client cannot read the error")
				}
			})
		}
	}
	t.Run("the secret in the query", func(t *testing.T) { // RFC 6749 section 2.3.1
		secret := gw.Register(t, map[string]any{"token_endpoint_auth_method": "client_secret_post"})
		form := gatewaytest.RefreshParams("x")
		form.Set("client_id", secret.ID)
		post(t, gw, "/token?client_secret="+secret.Secret, form).Fails(t, 401, "invalid_client")
	})
	client.Redeem(t, code)
	client.Refresh(t, tokens.Refresh)
}
