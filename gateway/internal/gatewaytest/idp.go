package gatewaytest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// IdP is an OpenID Connect provider that logs in, without a word, whoever the
// test says sits at the browser. It can be made to misbehave.
type IdP struct {
	URL          string
	ClientID     string
	ClientSecret string

	key *ecdsa.PrivateKey
	log *Secrets

	mu    sync.Mutex
	user  map[string]any
	codes map[string]login
	// Break changes answers: the claims of an id token, or the redirect's
	// parameters, before they are sent.
	breakClaims   func(map[string]any)
	breakRedirect func(url.Values)
	breakToken    func(http.ResponseWriter) bool
	breakIDToken  func(string) string
	breakDocument func(map[string]any)
	userInfo      func(claims map[string]any) map[string]any
	userInfoFails int
	renewing      func()
	exchanges     int
	renewals      int
	keysAway      bool
	sessions      map[string]*session
	server        *httptest.Server
}

type login struct {
	claims      map[string]any
	nonce       string
	challenge   string
	redirectURI string
	offline     bool
}

// NewIdP starts a provider that ends with the test. The first user is alice.
func NewIdP(t testing.TB, secrets *Secrets) *IdP {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := &IdP{
		ClientID: "vestibule", ClientSecret: secrets.Add("upstream client secret", rand.Text()),
		key: key, log: secrets, codes: map[string]login{}, sessions: map[string]*session{},
	}
	p.LoginAs("alice", nil)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", p.discovery)
	mux.HandleFunc("GET /jwks", p.jwks)
	mux.HandleFunc("GET /authorize", p.authorize)
	mux.HandleFunc("POST /token", p.token)
	mux.HandleFunc("GET /userinfo", p.userinfo)
	p.server = httptest.NewUnstartedServer(mux)
	p.server.Config.Protocols = &http.Protocols{} // browsers come with that of their client
	p.server.Config.Protocols.SetHTTP1(true)
	p.server.Config.Protocols.SetUnencryptedHTTP2(true)
	p.server.Start()
	t.Cleanup(p.server.Close)
	p.URL = p.server.URL
	return p
}

// LoginAs says who sits at the browser from now on: a user with a verified
// address at example.com, and other claims in place of or besides these; a nil
// one takes a claim away.
func (p *IdP) LoginAs(name string, claims map[string]any) {
	user := map[string]any{
		"sub": "sub-" + name, "email": name + "@example.com", "email_verified": true, "name": name,
	}
	for k, v := range claims {
		if user[k] = v; v == nil {
			delete(user, k)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.user = user
}

// BreakClaims changes the claims of the id tokens to come.
func (p *IdP) BreakClaims(f func(claims map[string]any)) { p.set(func() { p.breakClaims = f }) }

// BreakRedirect changes the parameters of the redirects to come.
func (p *IdP) BreakRedirect(f func(params url.Values)) { p.set(func() { p.breakRedirect = f }) }

// BreakToken answers token requests itself as long as f returns true.
func (p *IdP) BreakToken(f func(http.ResponseWriter) bool) { p.set(func() { p.breakToken = f }) }

func (p *IdP) set(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

// BreakIDToken changes the id tokens to come after they are signed.
func (p *IdP) BreakIDToken(f func(signed string) string) { p.set(func() { p.breakIDToken = f }) }

// UserInfo gives the provider a userinfo endpoint, which answers with what f
// makes of the user's claims. It must be called before the first login.
func (p *IdP) UserInfo(f func(claims map[string]any) map[string]any) {
	p.set(func() { p.userInfo = f })
}

// BreakUserInfo answers userinfo requests with a status; 0 ends it.
func (p *IdP) BreakUserInfo(status int) { p.set(func() { p.userInfoFails = status }) }

// BreakDocument changes the discovery documents to come.
func (p *IdP) BreakDocument(f func(document map[string]any)) { p.set(func() { p.breakDocument = f }) }

// KeysAway says whether the provider's keys are not to be had.
func (p *IdP) KeysAway(away bool) { p.set(func() { p.keysAway = away }) }

// Stop takes the provider off the network.
func (p *IdP) Stop() { p.server.Close() }

// Exchanges counts the codes that were brought to the token endpoint.
func (p *IdP) Exchanges() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.exchanges
}

func (p *IdP) discovery(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	document := map[string]any{
		"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token",
		"jwks_uri": p.URL + "/jwks", "response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
		"id_token_signing_alg_values_supported": []string{"ES256"},
	}
	if p.userInfo != nil {
		document["userinfo_endpoint"] = p.URL + "/userinfo"
	}
	if p.breakDocument != nil {
		p.breakDocument(document)
	}
	writeJSON(w, document)
}

func (p *IdP) userinfo(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.userInfoFails != 0 {
		http.Error(w, "secret-of-the-upstream", p.userInfoFails)
		return
	}
	writeJSON(w, p.userInfo(p.user))
}

func (p *IdP) jwks(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.keysAway {
		http.Error(w, "away", http.StatusBadGateway)
		return
	}
	writeJSON(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: p.key.Public(), KeyID: "1", Algorithm: "ES256", Use: "sig"}}})
}

func (p *IdP) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("client_id") != p.ClientID || q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" {
		http.Error(w, "not a request of the gateway's", http.StatusBadRequest)
		return
	}
	code := p.log.Add("upstream code", rand.Text())
	params := url.Values{"code": {code}, "state": {q.Get("state")}, "iss": {p.URL}}
	p.mu.Lock()
	p.codes[code] = login{claims: p.user, nonce: q.Get("nonce"), challenge: q.Get("code_challenge"), redirectURI: q.Get("redirect_uri"), offline: offline(q)}
	if p.breakRedirect != nil {
		p.breakRedirect(params)
	}
	p.mu.Unlock()
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+params.Encode(), http.StatusFound)
}

func (p *IdP) sign(claims map[string]any) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	signer, err := jose.NewSigner(jose.SigningKey{
		Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: p.key, KeyID: "1"},
	}, nil)
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the test sees what arrives
}
