package register

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/clients"
	"vestibule.dev/vestibule/gateway/internal/oauth"
)

// Anybody may send anything to be registered: what is kept of it is bounded, and
// fit to be shown and to be redirected to.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{"client_name":"Claude","redirect_uris":["https://claude.ai/api/mcp/auth_callback"],"grant_types":["authorization_code","refresh_token"],"response_types":["code"],"token_endpoint_auth_method":"none","scope":"read"}`,
		`{"client_name":"Visual Studio Code","client_uri":"https://code.visualstudio.com","redirect_uris":["https://vscode.dev/redirect","http://127.0.0.1/","http://127.0.0.1:33418/"],"token_endpoint_auth_method":"none","grant_types":["authorization_code","refresh_token","urn:ietf:params:oauth:grant-type:device_code"]}`,
		`{"redirect_uris":["cursor://anysphere.cursor-mcp/oauth/callback"]}`, `{"redirect_uris":["javascript:alert(1)","https://a.example/"],"client_uri":"javascript:alert(1)"}`,
		`{"redirect_uris":["https://a.example/"],"redirect_uris":["https://b.example/"],"Redirect_URIs":["https://c.example/"]}`, `{"redirect_uris":null}`, `null`, `[]`, ``, `{"client_name":"\ud800","redirect_uris":["https://a.example/\u0000"]}`,
		strings.Repeat("[", 11_000), `{"redirect_uris":[` + strings.Repeat(`"https://a.example/",`, 20) + `""]}`,
	} {
		f.Add([]byte(seed))
	}
	h := &Handler{
		Settings: config.Registration{Enabled: true}, Scopes: func() oauth.Scopes { return oauth.Scopes{"read"} },
		Redirects: oauth.RedirectPolicy{Schemes: []string{"cursor", oauth.AnyReverseDomain}},
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		members, e := parseMembers(body)
		var c clients.Client
		if e == nil {
			c, e = h.parse(members)
		}
		if e != nil {
			if e.Code != oauth.CodeInvalidClientMetadata && e.Code != oauth.CodeInvalidRedirectURI {
				t.Errorf("the error is %v", e)
			}
			return
		}
		if !json.Valid(body) || c.Public() || !slices.Contains(methods, c.Method) || len(c.Name) > maxText || kept(c) > maxKept || len(c.RedirectURIs) == 0 || len(c.RedirectURIs) > maxRedirectURIs {
			t.Errorf("registered is %+v", c)
		}
		for i, u := range c.RedirectURIs {
			if err := h.Redirects.Check(u); err != nil || slices.Contains(c.RedirectURIs[:i], u) {
				t.Errorf("%q: %v", u, err)
			}
		}
		if u, err := url.Parse(c.URI); c.URI != "" && (err != nil || u.Scheme != "https" && u.Scheme != "http") {
			t.Errorf("its page is %q", c.URI)
		}
	})
}
