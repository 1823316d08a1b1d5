package documents

import (
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"vestibule.dev/vestibule/gateway/internal/assertion/assertiontest"
	"vestibule.dev/vestibule/gateway/internal/oauth"
)

func TestWhatCanBeAClientID(t *testing.T) {
	for id, want := range map[string]string{
		"https://app.example.com/client.json": "", "https://app.example.com/": "", "https://app.example.com:8443/c": "", "https://app.example.com/a/b%20c": "",
		"https://app.example.com/.well-known/c": "", "https://app.example.com/..a": "", "https://app.example.com//c": "",
		"https://app.example.com/" + strings.Repeat("a", MaxClientID-24): "",
		"https://app.example.com/" + strings.Repeat("a", MaxClientID-23): "longer",
		"https://app.example.com":          "no path",
		"http://app.example.com/c":         "not an https URL",
		"HTTPS://app.example.com/c":        "not an https URL",
		"https:///c":                       "not an https URL",
		"https:app.example.com/c":          "not an https URL",
		"https://user@app.example.com/c":   "a user",
		"https://@app.example.com/c":       "a user",
		"https://app.example.com/c?a=1":    "a query",
		"https://app.example.com/c?":       "a query",
		"https://app.example.com/c#f":      "a fragment",
		"https://app.example.com/c#":       "a fragment",
		"https://app.example.com/./c":      "dot segments",
		"https://app.example.com/a/../c":   "dot segments",
		"https://app.example.com/..":       "dot segments",
		"https://app.example.com/%2e%2E/c": "dot segments",
		"https://app.example.com/.%2e":     "dot segments",
		"https://app.example.com/a b":      "characters",
		"https://app.example.com/\x00":     "characters",
		"https://app.example.com/ä":        "characters",
		`https://app.example.com\c`:        "characters",
		`https://app.example.com/"c`:       "characters",
		"https://app.example.com/%":        "not an https URL",
		"https://%D0%B0pp.example.com/c":   "not written as it is looked up",
		"https://[fe80::1%25eth0]/c":       "not written as it is looked up",
	} {
		u, err := CheckClientID(id)
		if want == "" {
			if err != nil || u.String() != id {
				t.Errorf("%.60s: %v", id, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %v, want %s", id, err, want)
		}
	}
}

// The documents of clients that many people use are read as they are.
func TestDocumentsOfPublicClients(t *testing.T) {
	for file, want := range map[string]struct {
		name, method, keys string
		redirect           string
	}{
		"claude.json":      {"Claude", "none", "", "https://claude.ai/api/mcp/auth_callback"},
		"claude-code.json": {"Claude Code", "none", "", "http://localhost:52131/callback"},
		"chatgpt.json":     {"ChatGPT", "private_key_jwt", "https://chatgpt.com/oauth/jwks.json", "https://chatgpt.com/connector_platform_oauth_redirect"},
		"vscode.json":      {"Visual Studio Code", "none", "", "http://127.0.0.1:52131/"},
		"codex.json":       {"Codex", "none", "", "http://127.0.0.1:52131/callback"},
	} {
		t.Run(file, func(t *testing.T) {
			body, err := os.ReadFile(filepath.Join("testdata", file))
			if err != nil {
				t.Fatal(err)
			}
			var head struct {
				ID string `json:"client_id"`
			}
			if err := json.Unmarshal(body, &head); err != nil {
				t.Fatal(err)
			}
			if _, err := CheckClientID(head.ID); err != nil {
				t.Error(err)
			}
			d, err := parse(head.ID, body)
			if err != nil {
				t.Fatal(err)
			}
			if d.Name != want.name || d.Method != want.method || d.JWKSURI != want.keys || !oauth.MatchRedirectURI(d.RedirectURIs, want.redirect) {
				t.Errorf("it is read as %+v", d)
			}
		})
	}
}

const id = "https://app.example.com/client.json"

// document is a good one, with other members.
func document(t testing.TB, others map[string]any) []byte {
	t.Helper()
	m := map[string]any{"client_id": id, "client_name": "App", "redirect_uris": []string{"https://app.example.com/cb"}}
	maps.Copy(m, others)
	maps.DeleteFunc(m, func(_ string, v any) bool { return v == "absent" })
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDocuments(t *testing.T) {
	s := assertiontest.New(t, "k", jose.ES256)
	set := json.RawMessage(assertiontest.JWKS(t, s))
	private, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: s.Private, KeyID: "k"}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name   string
		others map[string]any
		want   string // the error, or method and how it gives keys
	}{
		{"no more than there must be", nil, "none"},
		{"nulls", map[string]any{"client_uri": nil, "grant_types": nil, "jwks": nil, "client_secret": nil, "token_endpoint_auth_method": nil}, "none"},
		{"what means nothing here", map[string]any{"logo_uri": 7, "Client_Secret": "x", "contacts": []int{1}}, "none"},
		{"no client_id", map[string]any{"client_id": "absent"}, "does not name its own URL"},
		{"another client_id", map[string]any{"client_id": id + "/"}, "does not name its own URL"},
		{"a client_id in other letters", map[string]any{"client_id": "https://APP.example.com/client.json"}, "does not name its own URL"},
		{"no name", map[string]any{"client_name": "absent"}, "has no client_name"},
		{"a blank name", map[string]any{"client_name": "  "}, "has no client_name"},
		{"a name that is a number", map[string]any{"client_name": 7}, "has a client_name that is not a string"},
		{"a long name", map[string]any{"client_name": strings.Repeat("a", 257)}, "has a client_name of more than 256 bytes"},
		{"no redirects", map[string]any{"redirect_uris": "absent"}, "has no redirect_uris that may be used"},
		{"none to use", map[string]any{"redirect_uris": []string{"http://app.example.com/cb", "javascript:x"}}, "has no redirect_uris that may be used"},
		{"redirects as text", map[string]any{"redirect_uris": "https://app.example.com/cb"}, "has a redirect_uris that is not an array of strings"},
		{"too many redirects", map[string]any{"redirect_uris": strings.Split("https://a/"+strings.Repeat(" https://a/", 32), " ")}, "has more than 32 redirect_uris"},
		{"a secret", map[string]any{"client_secret": "x"}, "has a client_secret"},
		{"when the secret expires", map[string]any{"client_secret_expires_at": 0}, "has a client_secret"},
		{"grants of others", map[string]any{"grant_types": []string{"client_credentials"}}, "has grant_types without authorization_code"},
		{"response types of others", map[string]any{"response_types": []string{"token"}}, "has response_types without code"},

		{"none", map[string]any{"token_endpoint_auth_method": "none"}, "none"},
		{"none, with keys that it does not speak of", map[string]any{"token_endpoint_auth_method": "none", "jwks": set}, "none"},
		{"basic", map[string]any{"token_endpoint_auth_method": "client_secret_basic"}, "shared secret"},
		{"JWT with a secret", map[string]any{"token_endpoint_auth_method": "client_secret_jwt"}, "shared secret"},
		{"basic, and none as well", map[string]any{"token_endpoint_auth_method": "client_secret_basic", "token_endpoint_auth_methods_supported": []string{"none"}}, "shared secret"},
		{"TLS", map[string]any{"token_endpoint_auth_method": "tls_client_auth"}, "neither none nor private_key_jwt"},
		{"TLS, and none as well", map[string]any{"token_endpoint_auth_method": "tls_client_auth", "token_endpoint_auth_methods_supported": []string{"tls_client_auth", "none"}}, "none"},
		{"keys", map[string]any{"token_endpoint_auth_method": "private_key_jwt", "jwks": set}, "private_key_jwt jwks"},
		{"keys elsewhere", map[string]any{"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://app.example.com/keys"}, "private_key_jwt jwks_uri"},
		{"keys preferred", map[string]any{"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_methods_supported": []string{"none", "private_key_jwt"}, "jwks": set}, "private_key_jwt jwks"},
		{"keys or nothing", map[string]any{"token_endpoint_auth_methods_supported": []string{"private_key_jwt", "none"}, "jwks": set}, "none jwks"},
		{"a list with keys alone", map[string]any{"token_endpoint_auth_methods_supported": []string{"private_key_jwt"}, "jwks": set}, "private_key_jwt jwks"},
		{"a list of others", map[string]any{"token_endpoint_auth_methods_supported": []string{"tls_client_auth"}}, "neither none nor private_key_jwt"},
		{"no keys", map[string]any{"token_endpoint_auth_method": "private_key_jwt"}, "neither jwks nor jwks_uri"},
		{"keys twice", map[string]any{"token_endpoint_auth_method": "private_key_jwt", "jwks": set, "jwks_uri": "https://app.example.com/keys"}, "both jwks and jwks_uri"},
		{"private keys", map[string]any{"token_endpoint_auth_method": "private_key_jwt", "jwks": json.RawMessage(private)}, "holds a key that is not public"},
		{"an algorithm", map[string]any{"token_endpoint_auth_method": "private_key_jwt", "jwks": set, "token_endpoint_auth_signing_alg": "ES256"}, "private_key_jwt jwks"},
		{"an algorithm with secrets", map[string]any{"token_endpoint_auth_method": "private_key_jwt", "jwks": set, "token_endpoint_auth_signing_alg": "HS256"}, "signing_alg that is not supported"},
	} {
		t.Run(row.name, func(t *testing.T) {
			d, err := parse(id, document(t, row.others))
			got := ""
			if err != nil {
				if !strings.Contains(err.Error(), row.want) {
					t.Errorf("got %v, want %s", err, row.want)
				}
				return
			}
			got = d.Method
			if len(d.JWKS) > 0 {
				got += " jwks"
			}
			if d.JWKSURI != "" {
				got += " jwks_uri"
			}
			if got != row.want {
				t.Errorf("got %s, want %s", got, row.want)
			}
		})
	}
	for _, body := range []string{"", "null", "[]", `"x"`, "{}{}", string(document(t, nil)) + "x", `{"client_id":"` + id + `",` + string(document(t, nil))[1:]} {
		if _, err := parse(id, []byte(body)); err == nil {
			t.Errorf("%.40q is taken", body)
		}
	}
	d, err := parse(id, document(t, map[string]any{"redirect_uris": []string{"ftp://a/", "http://localhost/cb", "https://a/cb", "https://a/cb"}, "client_uri": "javascript:x"}))
	if err != nil || len(d.RedirectURIs) != 2 || d.URI != "" {
		t.Errorf("%+v, %v", d, err)
	}
}

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		f.Fatal("no seeds", err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	s := assertiontest.New(f, "k", jose.ES256)
	f.Add(document(f, map[string]any{"token_endpoint_auth_method": "private_key_jwt", "jwks": json.RawMessage(assertiontest.JWKS(f, s))}))
	f.Add([]byte(`{"client_id":"` + id + `","client_name":"\ud800","redirect_uris":["http://[::1]:1/","a:b"],"jwks":` + strings.Repeat("[", 5000)))
	f.Add([]byte(strings.Repeat(`{"jwks":`, 1200)))
	f.Fuzz(func(t *testing.T, body []byte) {
		d, err := parse(id, body)
		if err != nil {
			return
		}
		if d.ClientID != id || strings.TrimSpace(d.Name) == "" || len(d.RedirectURIs) == 0 || len(d.JWKS) > 0 && d.JWKSURI != "" {
			t.Errorf("taken for a document: %+v", d)
		}
		for _, u := range d.RedirectURIs {
			if err := oauth.CheckRedirectURI(u); err != nil {
				t.Errorf("%s: %v", u, err)
			}
		}
		if d.Method == methodPrivateKeyJWT && len(d.JWKS) == 0 && d.JWKSURI == "" || d.Method != methodPrivateKeyJWT && d.Method != methodNone {
			t.Errorf("it cannot authenticate: %+v", d)
		}
	})
}

// A client_id that names a document has one spelling, and no part that two readers
// take for different hosts.
func FuzzCheckClientID(f *testing.F) {
	for _, seed := range []string{
		"https://claude.ai/oauth/mcp-oauth-client-metadata", "https://app.example.com:8443/c", "https://a@b/c", "https://a\\@b/c", "https://a/b/../c", "https://a/%2e%2e/c", "https://[::1]/c", "https://a/c?x", "https://a/c#", "HTTPS://a/c", "https:a/c", "https://a%2fb/c", "https://а/c", "https://%80/c", "https://[::1%25lo]/c", "https://a/%zz",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := CheckClientID(s)
		if err != nil {
			return
		}
		rest, ok := strings.CutPrefix(s, "https://")
		host, path, _ := strings.Cut(rest, "/")
		if !ok || u.Host != host || u.EscapedPath() != "/"+path || u.User != nil || u.RawQuery != "" || strings.ContainsAny(host, "?#\\@% ") || len(s) > MaxClientID {
			t.Errorf("%q is taken for %+v", s, u)
		}
	})
}

func FuzzFreshFor(f *testing.F) {
	for _, seed := range [][3]string{{"max-age=600", "", ""}, {"public, max-age=\"60\", no-cache", "7", ""}, {"max-age=99999999999999999999", "", ""}, {"max-age=-1", "-1", "0"}, {"max-age=2147483647", "2147483647", ""}, {"", "", "Thu, 01 Dec 1994 16:00:00 GMT"}, {"no-store", "", "Fri, 31 Dec 9999 23:59:59 GMT"}} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, control, age, expires string) {
		h := http.Header{"Cache-Control": {control}, "Age": {age}, "Expires": {expires}, "Date": {"Wed, 25 Nov 2026 04:37:23 GMT"}}
		if d := freshFor(h, maxFreshKeys); d < minFresh || d > maxFreshKeys {
			t.Errorf("%q, %q, %q: fresh for %s", control, age, expires, d)
		}
	})
}
