package gateway_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/assertion/assertiontest"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
)

// What well-known clients send, and what of it they are told again besides what
// the server issues.
func TestRegistrationsOfRealClients(t *testing.T) { // A10, A11, A12, A13
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{Configure: func(c *config.Config) {
		c.Scopes = []config.Scope{{Name: "read"}, {Name: "write"}}
	}})
	key := assertiontest.New(t, "k1", jose.RS256)
	jwks := string(assertiontest.JWKS(t, key))
	for _, row := range []struct{ name, sends, told string }{
		{
			"Cursor", `{"client_name":"Cursor","redirect_uris":["cursor://anysphere.cursor-mcp/oauth/callback","https://www.cursor.com/agents/mcp/oauth/callback","http://localhost:8787/callback"],
				"grant_types":["authorization_code","refresh_token"],"response_types":["code"],"token_endpoint_auth_method":"none"}`,
			`{"client_name":"Cursor","redirect_uris":["cursor://anysphere.cursor-mcp/oauth/callback","https://www.cursor.com/agents/mcp/oauth/callback","http://localhost:8787/callback"],"token_endpoint_auth_method":"none"}`,
		},
		{
			"VS Code", `{"client_name":"Visual Studio Code","client_uri":"https://code.visualstudio.com","grant_types":["authorization_code","refresh_token","urn:ietf:params:oauth:grant-type:device_code"],
				"response_types":["code"],"redirect_uris":["https://insiders.vscode.dev/redirect","https://vscode.dev/redirect","http://127.0.0.1/","http://127.0.0.1:33418/"],
				"scope":"read write","token_endpoint_auth_method":"none","application_type":"native"}`,
			`{"client_name":"Visual Studio Code","client_uri":"https://code.visualstudio.com","redirect_uris":["https://insiders.vscode.dev/redirect","https://vscode.dev/redirect","http://127.0.0.1/","http://127.0.0.1:33418/"],
				"scope":"read write","token_endpoint_auth_method":"none","application_type":"native"}`,
		},
		{
			"Claude", `{"client_name":"Claude","grant_types":["authorization_code","refresh_token"],"response_types":["code"],"token_endpoint_auth_method":"none","scope":"claudeai read",
				"redirect_uris":["https://claude.ai/api/mcp/auth_callback","https://claude.com/api/mcp/auth_callback"]}`,
			`{"client_name":"Claude","token_endpoint_auth_method":"none","scope":"read","redirect_uris":["https://claude.ai/api/mcp/auth_callback","https://claude.com/api/mcp/auth_callback"]}`,
		},
		{
			"Claude Code", `{"client_name":"Claude Code (weather)","redirect_uris":["http://localhost:54545/callback"],"grant_types":["authorization_code","refresh_token"],"response_types":["code"],
				"token_endpoint_auth_method":"none","scope":"offline_access read"}`,
			`{"client_name":"Claude Code (weather)","redirect_uris":["http://localhost:54545/callback"],"token_endpoint_auth_method":"none","scope":"offline_access read"}`,
		},
		{
			"MCP Inspector", `{"redirect_uris":["http://localhost:6274/oauth/callback"],"token_endpoint_auth_method":"none","grant_types":["authorization_code","refresh_token"],"response_types":["code"],
				"client_name":"MCP Inspector","client_uri":"https://github.com/modelcontextprotocol/inspector","scope":"","application_type":"native"}`,
			`{"redirect_uris":["http://localhost:6274/oauth/callback"],"token_endpoint_auth_method":"none","client_name":"MCP Inspector","client_uri":"https://github.com/modelcontextprotocol/inspector","application_type":"native"}`,
		},
		{
			"mcp-remote", `{"redirect_uris":["http://localhost:3335/oauth/callback"],"token_endpoint_auth_method":"none","grant_types":["authorization_code","refresh_token"],"response_types":["code"],
				"client_name":"MCP CLI Proxy","client_uri":"https://github.com/modelcontextprotocol/mcp-cli","software_id":"2e6dc280-f3c3-4e01-99a7-8181dbd1d23d","software_version":"0.15.1"}`,
			`{"redirect_uris":["http://localhost:3335/oauth/callback"],"token_endpoint_auth_method":"none","client_name":"MCP CLI Proxy","client_uri":"https://github.com/modelcontextprotocol/mcp-cli",
				"software_id":"2e6dc280-f3c3-4e01-99a7-8181dbd1d23d","software_version":"0.15.1"}`,
		},
		{
			"MCP Manager", `{"client_name":"MCP Manager","redirect_uris":["https://manager.example.com/oauth/callback"],"grant_types":["authorization_code","refresh_token"],"response_types":["code"]}`,
			`{"client_name":"MCP Manager","redirect_uris":["https://manager.example.com/oauth/callback"],"token_endpoint_auth_method":"client_secret_basic"}`,
		},
		{
			"ChatGPT", `{"client_name":"ChatGPT","redirect_uris":["https://chatgpt.com/connector_platform_oauth_redirect"],"grant_types":["authorization_code","refresh_token"],"response_types":["code"],
				"token_endpoint_auth_method":"private_key_jwt","token_endpoint_auth_signing_alg":"RS256","jwks":` + jwks + `}`,
			`{"client_name":"ChatGPT","redirect_uris":["https://chatgpt.com/connector_platform_oauth_redirect"],"token_endpoint_auth_method":"private_key_jwt","token_endpoint_auth_signing_alg":"RS256","jwks":` + jwks + `}`,
		},
		{
			"all that there is", `{"redirect_uris":["https://client.example/cb"],"token_endpoint_auth_method":"none","client_name":"Wetter","client_name#de":"Das Wetter","client_name#ja-Jpan-JP":"天気","client_name#not a tag":"x",
				"client_uri#de":"https://client.example/de","logo_uri":"https://client.example/logo.png","logo_uri#de":"javascript:x","tos_uri":"https://client.example/tos","tos_uri#fr":"http://client.example/tos/fr","policy_uri":"ftp://client.example/",
				"contacts":["ops@client.example",""],"software_statement":"eyJhbGciOiJub25lIn0.e30.","application_type":"desktop","jwks_uri":"https://client.example/jwks","id_token_signed_response_alg":"RS256","require_pushed_authorization_requests":false,
				"software_id":"4","software_version":"","client_id":"admin","client_secret":"mine","client_id_issued_at":1}`,
			`{"redirect_uris":["https://client.example/cb"],"token_endpoint_auth_method":"none","client_name":"Wetter","client_name#de":"Das Wetter","client_name#ja-Jpan-JP":"天気",
				"client_uri#de":"https://client.example/de","logo_uri":"https://client.example/logo.png","tos_uri":"https://client.example/tos","tos_uri#fr":"http://client.example/tos/fr",
				"contacts":["ops@client.example"],"jwks_uri":"https://client.example/jwks","software_id":"4"}`,
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			a := register(t, gw, row.sends)
			if a.Status != http.StatusCreated {
				t.Fatalf("the answer is %d: %s", a.Status, a.Body)
			}
			v := a.JSON(t)
			told := members(t, v)
			var want map[string]any
			if err := json.Unmarshal([]byte(row.told), &want); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, told); diff != "" {
				t.Errorf("(-want +told):\n%s", diff)
			}
			confidential := strings.HasPrefix(v["token_endpoint_auth_method"].(string), "client_secret")
			if _, ok := v["client_secret"]; ok != confidential {
				t.Errorf("it has a secret: %v", ok)
			}
			// Its configuration endpoint says the same.
			shown := manage(t, gw, 0, http.MethodGet, v["client_id"].(string), v["registration_access_token"].(string), "")
			if diff := cmp.Diff(told, members(t, shown.JSON(t))); diff != "" {
				t.Errorf("(-told +shown):\n%s", diff)
			}
			// And takes back what it shows.
			again := want
			again["client_id"] = v["client_id"]
			put := manage(t, gw, 0, http.MethodPut, v["client_id"].(string), v["registration_access_token"].(string), encode(t, again))
			if diff := cmp.Diff(told, members(t, put.JSON(t))); diff != "" {
				t.Errorf("(-told +put):\n%s", diff)
			}
		})
	}
}

// members are those of a registration that the client has sent itself.
func members(t *testing.T, v map[string]any) map[string]any {
	t.Helper()
	isList(t, v, "grant_types", []string{"authorization_code", "refresh_token"})
	isList(t, v, "response_types", []string{"code"})
	own := map[string]any{}
	for name, value := range v {
		if !slices.Contains([]string{
			"client_id", "client_id_issued_at", "client_secret", "client_secret_expires_at",
			"registration_access_token", "registration_client_uri", "grant_types", "response_types",
		}, name) {
			own[name] = value
		}
	}
	return own
}

func encode(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// manage sends a request to a client's configuration endpoint at one replica.
func manage(t *testing.T, gw *gatewaytest.Server, replica int, method, clientID, token, body string) gatewaytest.Answer {
	t.Helper()
	header := map[string]string{}
	if token != "" {
		header["Authorization"] = "Bearer " + token
	}
	if body != "" {
		header["Content-Type"] = "application/json"
	}
	a := gw.Do(t, gw.HTTP(replica), gw.Request(t, method, "/register/"+clientID, strings.NewReader(body), header))
	if a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("%s answers with %v", method, a.Header)
	}
	return a
}

func TestKeysOfARegistration(t *testing.T) { // A23
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{})
	key := assertiontest.New(t, "k", jose.ES256)
	set := string(assertiontest.JWKS(t, key))
	private := encode(t, map[string]any{"keys": []any{jose.JSONWebKey{Key: key.Private, KeyID: "k"}}})
	var many []*assertiontest.Signer
	for range 16 {
		many = append(many, assertiontest.New(t, strings.Repeat("k", 200), jose.ES256))
	}
	const signs = `"token_endpoint_auth_method":"private_key_jwt"`
	for _, row := range []struct {
		name, body string
		status     int
	}{
		{"keys", signs + `,"jwks":` + set, 201},
		{"a URL of keys", signs + `,"jwks_uri":"https://client.example/jwks"`, 201},
		{"an algorithm", signs + `,"jwks":` + set + `,"token_endpoint_auth_signing_alg":"ES256"`, 201},
		{"no keys", signs, 400},
		{"null for keys", signs + `,"jwks":null`, 400},
		{"no usable key", signs + `,"jwks":{"keys":[]}`, 400},
		{"keys in a string", signs + `,"jwks":"` + "{}" + `"`, 400},
		{"both", signs + `,"jwks_uri":"https://client.example/jwks","jwks":` + set, 400},
		{"http", signs + `,"jwks_uri":"http://client.example/jwks"`, 400},
		{"a user in the URL", signs + `,"jwks_uri":"https://a@client.example/jwks"`, 400},
		{"a private key", signs + `,"jwks":` + private, 400},
		{"a private key that is not needed", `"token_endpoint_auth_method":"none","jwks":` + private, 400},
		{"an unknown algorithm", signs + `,"jwks":` + set + `,"token_endpoint_auth_signing_alg":"HS256"`, 400},
		{"more than is kept", signs + `,"jwks":` + string(assertiontest.JWKS(t, many...)), 400},
	} {
		t.Run(row.name, func(t *testing.T) {
			a := register(t, gw, `{"redirect_uris":["`+gatewaytest.RedirectURI+`"],`+row.body+`}`)
			if row.status != http.StatusCreated {
				a.Fails(t, row.status, "invalid_client_metadata")
			} else if a.Status != row.status {
				t.Errorf("the answer is %d: %s", a.Status, a.Body)
			}
		})
	}
}

func TestManagingARegistration(t *testing.T) { // A15
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{Replicas: 2})
	client := gw.Register(t, nil)
	tokens := client.Redeem(t, client.Login(t))
	other := gw.Register(t, nil)
	const moved = "https://client.example/moved"
	change := func(more map[string]any) string {
		body := map[string]any{"client_id": client.ID, "redirect_uris": []string{moved}, "token_endpoint_auth_method": "none"}
		for k, v := range more {
			body[k] = v
		}
		return encode(t, body)
	}

	t.Run("refused", func(t *testing.T) {
		for _, row := range []struct {
			name, method, id, token, body string
			status                        int
			want                          string
		}{
			{"no token", "GET", client.ID, "", "", 401, "invalid_token"},
			{"another's token", "GET", client.ID, other.Management, "", 401, "invalid_token"},
			{"an access token", "GET", client.ID, tokens.Access, "", 401, "invalid_token"},
			{"another's token for PUT", "PUT", client.ID, other.Management, change(nil), 401, "invalid_token"},
			{"another's token for DELETE", "DELETE", client.ID, other.Management, "", 401, "invalid_token"},
			{"nobody", "GET", "vst_cl_" + strings.Repeat("A", 24), client.Management, "", 401, "invalid_token"},
			{"an escaped slash", "GET", "vst_cl%2Fx", client.Management, "", 401, "invalid_token"},
			{"a method", "POST", client.ID, client.Management, change(nil), 405, "invalid_request"},
			{"another client_id", "PUT", client.ID, client.Management, change(map[string]any{"client_id": other.ID}), 400, "invalid_client_metadata"},
			{"no client_id", "PUT", client.ID, client.Management, change(map[string]any{"client_id": nil}), 400, "invalid_client_metadata"},
			{"a secret of its own making", "PUT", client.ID, client.Management, change(map[string]any{"client_secret": "mine"}), 400, "invalid_client_metadata"},
			{"a token", "PUT", client.ID, client.Management, change(map[string]any{"registration_access_token": client.Management}), 400, "invalid_client_metadata"},
			{"a URL", "PUT", client.ID, client.Management, change(map[string]any{"registration_client_uri": gw.URL}), 400, "invalid_client_metadata"},
			{"a time of issue", "PUT", client.ID, client.Management, change(map[string]any{"client_id_issued_at": 1}), 400, "invalid_client_metadata"},
			{"a time of expiry", "PUT", client.ID, client.Management, change(map[string]any{"client_secret_expires_at": 0}), 400, "invalid_client_metadata"},
			{"a bad redirect URI", "PUT", client.ID, client.Management, change(map[string]any{"redirect_uris": []string{"javascript:x"}}), 400, "invalid_redirect_uri"},
			{"no redirect URI", "PUT", client.ID, client.Management, change(map[string]any{"redirect_uris": nil}), 400, "invalid_redirect_uri"},
			{"a grant that widens", "PUT", client.ID, client.Management, change(map[string]any{"grant_types": []string{"client_credentials"}}), 400, "invalid_client_metadata"},
			{"too much", "PUT", client.ID, client.Management, change(map[string]any{"client_name#de": strings.Repeat("a", 257)}), 400, "invalid_client_metadata"},
			{"no object", "PUT", client.ID, client.Management, "[]", 400, "invalid_client_metadata"},
		} {
			t.Run(row.name, func(t *testing.T) {
				a := manage(t, gw, 0, row.method, row.id, row.token, row.body)
				a.Fails(t, row.status, row.want)
				if row.status == http.StatusUnauthorized && !strings.HasPrefix(a.Header.Get("WWW-Authenticate"), "Bearer") {
					t.Errorf("the challenge is %q", a.Header.Get("WWW-Authenticate"))
				}
			})
		}
	})
	if shown := manage(t, gw, 1, "GET", client.ID, client.Management, "").JSON(t); shown["client_name"] != "Test client" {
		t.Errorf("what was refused has changed it: %v", shown)
	}

	// A PUT replaces everything, and every replica knows it at once.
	put := manage(t, gw, 0, "PUT", client.ID, client.Management, change(map[string]any{
		"grant_types": []string{"authorization_code", "client_credentials"}, "client_uri": "https://client.example/",
	}))
	for _, v := range []map[string]any{put.JSON(t), manage(t, gw, 1, "GET", client.ID, client.Management, "").JSON(t)} {
		isList(t, v, "redirect_uris", []string{moved})
		isList(t, v, "grant_types", []string{"authorization_code", "refresh_token"})
		if v["client_name"] != nil || v["client_uri"] != "https://client.example/" || v["registration_access_token"] != client.Management {
			t.Errorf("it is now %v", v)
		}
	}
	request := client.AuthorizationRequest()
	isPage(t, client.On(1).Browser(t).Get(t, gw.AuthorizeURL(request)), http.StatusBadRequest, "has not registered")
	request.Set("redirect_uri", moved)
	isPage(t, client.On(1).Browser(t).Get(t, gw.AuthorizeURL(request)), http.StatusOK, "asks for access")
	client.Call(t, tokens.Access) // it has its tokens still
	tokens = client.On(1).Refresh(t, tokens.Refresh)

	// A change to a method with a secret issues one, once.
	secret, _ := manage(t, gw, 0, "PUT", client.ID, client.Management, change(map[string]any{"token_endpoint_auth_method": "client_secret_post"})).JSON(t)["client_secret"].(string)
	if gw.Secrets.Add("client secret", secret) == "" {
		t.Fatal("there is no secret")
	}
	client.On(1).Token(t, gatewaytest.RefreshParams(tokens.Refresh)).Fails(t, http.StatusUnauthorized, "invalid_client")
	confidential := *client
	confidential.Secret = secret
	tokens = confidential.On(1).Refresh(t, tokens.Refresh)
	kept := manage(t, gw, 1, "PUT", client.ID, client.Management, change(map[string]any{"token_endpoint_auth_method": "client_secret_basic", "client_secret": secret})).JSON(t)
	if kept["client_secret"] != nil {
		t.Error("the secret is told a second time")
	}

	if a := manage(t, gw, 0, "DELETE", client.ID, client.Management, ""); a.Status != http.StatusNoContent || a.Body != "" {
		t.Errorf("DELETE answers %d: %s", a.Status, a.Body)
	}
	for replica := range 2 {
		manage(t, gw, replica, "GET", client.ID, client.Management, "").Fails(t, http.StatusUnauthorized, "invalid_token")
		manage(t, gw, replica, "DELETE", client.ID, client.Management, "").Fails(t, http.StatusUnauthorized, "invalid_token")
		if a := confidential.On(replica).Call(t, tokens.Access); a.Status != http.StatusUnauthorized {
			t.Errorf("its token still gets %d", a.Status)
		}
		confidential.On(replica).Token(t, gatewaytest.RefreshParams(tokens.Refresh)).Fails(t, http.StatusUnauthorized, "invalid_client")
	}
}

func TestManagingIsLimited(t *testing.T) { // A16
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{Configure: func(c *config.Config) { c.Registration.PublicClients = false }})
	client := gw.Register(t, map[string]any{"token_endpoint_auth_method": "client_secret_post"})
	manage(t, gw, 0, "PUT", client.ID, client.Management, encode(t, map[string]any{
		"client_id": client.ID, "redirect_uris": []string{gatewaytest.RedirectURI}, "token_endpoint_auth_method": "none",
	})).Fails(t, http.StatusBadRequest, "invalid_client_metadata")
	for range 59 {
		manage(t, gw, 0, "GET", client.ID, "vst_ra_guess", "").Fails(t, http.StatusUnauthorized, "invalid_token")
	}
	manage(t, gw, 0, "GET", client.ID, client.Management, "").Fails(t, http.StatusTooManyRequests, "temporarily_unavailable")
}

func TestRefusalsNameWhoSentThem(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{})
	post(t, gw, "/token", nil, basic("somebody", "x")).Fails(t, http.StatusUnauthorized, "invalid_client")
	post(t, gw, "/revoke", nil, basic("somebody", "x")).Fails(t, http.StatusUnauthorized, "invalid_client")
	for _, line := range auditLines(t, gw) {
		if line["claimed_client_id"] != "somebody" {
			t.Errorf("the audit log has %v", line)
		}
	}
}
