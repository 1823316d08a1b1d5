package gatewaytest

import (
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/oauth2"

	"vestibule.dev/vestibule/gateway/config"
)

// GitHub is a provider that is like GitHub: OAuth 2.0 without OpenID Connect, whose
// errors come with status 200, and which says nothing that no scope was asked for.
type GitHub struct {
	URL, ClientID, ClientSecret string
	// User, Emails and Organizations are what the API says. They must not be
	// changed during a request.
	User          map[string]any
	Emails        []map[string]any
	Organizations []string
	// Expires says that tokens do, and come with refresh tokens.
	Expires bool
	// APIStatus, if set, is what the API answers with.
	APIStatus int

	log *Secrets

	mu     sync.Mutex
	codes  map[string]githubCode
	tokens map[string][]string // access tokens, to scopes
	renews map[string][]string // refresh tokens, to scopes
}

type githubCode struct {
	challenge, redirectURI string
	scopes                 []string
}

// NewGitHub starts a GitHub that ends with the test. The user is octocat.
func NewGitHub(t testing.TB, secrets *Secrets) *GitHub {
	t.Helper()
	g := &GitHub{
		ClientID: "Iv1.vestibule", ClientSecret: secrets.Add("GitHub client secret", rand.Text()),
		User: map[string]any{"id": 583231, "login": "octocat", "name": "The Octocat", "email": "public@example.com"},
		Emails: []map[string]any{
			{"email": "other@example.com", "primary": false, "verified": true},
			{"email": "octocat@example.com", "primary": true, "verified": true},
		},
		log: secrets, codes: map[string]githubCode{}, tokens: map[string][]string{}, renews: map[string][]string{},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /login/oauth/authorize", g.authorize)
	mux.HandleFunc("POST /login/oauth/access_token", g.token)
	mux.HandleFunc("GET /api/v3/user", g.api("", func(*http.Request) any { return g.User }))
	mux.HandleFunc("GET /api/v3/user/emails", g.api("user:email", func(*http.Request) any { return g.Emails }))
	mux.HandleFunc("GET /api/v3/user/orgs", g.api("read:org", g.orgs))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	g.URL = server.URL
	return g
}

// Upstream is a gateway's upstream of this name that logs in at the provider.
func (g *GitHub) Upstream(t testing.TB, name string, scopes ...string) config.Upstream {
	t.Helper()
	file := filepath.Join(t.TempDir(), "client-secret")
	if err := os.WriteFile(file, []byte(g.ClientSecret), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.Upstream{Name: name, Type: config.UpstreamGitHub, GitHub: &config.GitHubUpstream{
		BaseURL: g.URL, APIURL: g.URL + "/api/v3",
		UpstreamClient: config.UpstreamClient{ClientID: g.ClientID, ClientSecretFile: file, Scopes: scopes},
	}}
}

func (g *GitHub) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	code := g.log.Add("GitHub code", rand.Text())
	g.mu.Lock()
	defer g.mu.Unlock()
	g.codes[code] = githubCode{q.Get("code_challenge"), q.Get("redirect_uri"), strings.Fields(q.Get("scope"))}
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+url.Values{"code": {code}, "state": {q.Get("state")}}.Encode(), http.StatusFound)
}

func (g *GitHub) token(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if r.Header.Get("Accept") != "application/json" {
		http.Error(w, "this double speaks JSON alone", http.StatusNotAcceptable)
		return
	}
	if r.FormValue("client_id") != g.ClientID || r.FormValue("client_secret") != g.ClientSecret {
		refuse(w, http.StatusOK, "incorrect_client_credentials")
		return
	}
	if r.FormValue("grant_type") == "refresh_token" {
		scopes, ok := g.renews[r.FormValue("refresh_token")]
		delete(g.renews, r.FormValue("refresh_token"))
		if !ok {
			refuse(w, http.StatusOK, "bad_refresh_token")
			return
		}
		g.answer(w, scopes)
		return
	}
	c, ok := g.codes[r.FormValue("code")]
	delete(g.codes, r.FormValue("code"))
	if !ok || c.redirectURI != r.FormValue("redirect_uri") || c.challenge != oauth2.S256ChallengeFromVerifier(r.FormValue("code_verifier")) {
		refuse(w, http.StatusOK, "bad_verification_code")
		return
	}
	g.answer(w, c.scopes)
}

func (g *GitHub) answer(w http.ResponseWriter, scopes []string) {
	access := g.log.Add("GitHub access token", rand.Text())
	g.tokens[access] = scopes
	response := map[string]any{"access_token": access, "token_type": "bearer", "scope": strings.Join(scopes, ",")}
	if g.Expires {
		refresh := g.log.Add("GitHub refresh token", rand.Text())
		g.renews[refresh] = scopes
		response["expires_in"], response["refresh_token"] = 28800, refresh
	}
	writeJSON(w, response)
}

func (g *GitHub) api(scope string, document func(*http.Request) any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		defer g.mu.Unlock()
		scopes, ok := g.tokens[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
		switch {
		case g.APIStatus != 0:
			http.Error(w, "{}", g.APIStatus)
		case !ok:
			http.Error(w, `{"message":"Bad credentials"}`, http.StatusUnauthorized)
		case scope != "" && !slices.Contains(scopes, scope):
			http.Error(w, `{"message":"Not Found"}`, http.StatusNotFound)
		default:
			writeJSON(w, document(r))
		}
	}
}

func (g *GitHub) orgs(r *http.Request) any {
	page, err := strconv.Atoi(r.URL.Query().Get("page"))
	if err != nil {
		page = 1
	}
	const size = 100
	some := []map[string]any{}
	for i := (page - 1) * size; i < min(page*size, len(g.Organizations)); i++ {
		some = append(some, map[string]any{"login": g.Organizations[i], "id": i})
	}
	return some
}
