package register

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/clients"
	"vestibule.dev/vestibule/gateway/internal/oauth"
)

// Whatever a client sends, what is kept of it is bounded, is what may be, and is
// told again without a member that has no value.
func FuzzReplacement(f *testing.F) {
	const id = "vst_cl_AAAAAAAAAAAAAAAAAAAAAAAA"
	for _, seed := range []string{
		`{"client_id":"` + id + `","redirect_uris":["https://a.example/cb","javascript:x"],"client_name":"A","client_name#de":"B","contacts":["x",""]}`,
		`{"client_id":"` + id + `","redirect_uris":["http://localhost/cb"],"scope":"read write","grant_types":["client_credentials","authorization_code"],"client_secret":"s"}`,
		`{"client_id":"` + id + `","redirect_uris":["cursor://x"],"token_endpoint_auth_method":"private_key_jwt","jwks_uri":"https://a.example/k","logo_uri":null}`,
		`{"client_id":"` + id + `","registration_access_token":"x"}`, `[]`, `{"jwks":{"keys":[{"kty":"oct","k":"AA"}]}}`,
	} {
		f.Add([]byte(seed))
	}
	h := &Handler{
		PublicURL: "https://mcp.example.com", Settings: config.Registration{Enabled: true, PublicClients: true},
		Redirects: oauth.RedirectPolicy{Schemes: []string{"cursor"}},
		Scopes:    func() oauth.Scopes { return oauth.Scopes{"read"} },
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		sent, e := parseMembers(body)
		if e != nil {
			return
		}
		r, e := h.parseReplacement(sent, id)
		if e != nil {
			if e.Status != 400 || strings.ContainsFunc(e.Description, func(c rune) bool { return c < 0x20 || c > 0x7e || c == '"' || c == '\\' }) {
				t.Fatalf("the error is %v", e)
			}
			return
		}
		if n := kept(r.client); n > maxKept || len(r.client.RedirectURIs) == 0 || r.client.SecretHash != nil || r.client.ManagementHash != nil || r.client.Used {
			t.Fatalf("%d bytes are kept: %+v", n, r.client)
		}
		for _, u := range r.client.RedirectURIs {
			if err := h.Redirects.Check(u); err != nil {
				t.Fatalf("%q may be registered: %v", u, err)
			}
		}
		if !slices.Contains(methods, r.client.Method) || r.client.Method == clients.MethodPrivateKeyJWT && len(r.client.JWKS) == 0 && r.client.JWKSURI == "" {
			t.Fatalf("it is to authenticate by %q", r.client.Method)
		}
		told, err := json.Marshal(h.describe(&r.client, clients.Issued{ManagementToken: "x"}))
		if err != nil {
			t.Fatal(err)
		}
		var v map[string]any
		if err := json.Unmarshal(told, &v); err != nil {
			t.Fatal(err)
		}
		for name, value := range v {
			if value == nil || value == "" {
				t.Fatalf("%s is told without a value", name)
			}
		}
		if v["client_secret"] != nil || v["software_statement"] != nil || len(v["grant_types"].([]any)) != 2 {
			t.Fatalf("it is told %s", told)
		}
	})
}
