package gatewaytest

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"vestibule.dev/vestibule/gateway/config"
)

// session is what a refresh token stands for. Each use replaces it, and a use of
// a replaced one ends the session, since a thief may have it.
type session struct {
	nonce  string
	newest string
	ended  bool
}

// Upstream is a gateway's upstream of this name that logs in at the provider.
func (p *IdP) Upstream(t testing.TB, name string) config.Upstream {
	t.Helper()
	file := filepath.Join(t.TempDir(), "client-secret")
	if err := os.WriteFile(file, []byte(p.ClientSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.Upstream{Name: name, Type: config.UpstreamOIDC, OIDC: &config.OIDCUpstream{
		IssuerURL: p.URL, UpstreamClient: config.UpstreamClient{ClientID: p.ClientID, ClientSecretFile: file, Scopes: []string{"email"}},
	}}
}

// BeforeRenewal is called, without a lock, before a refresh token is looked at.
func (p *IdP) BeforeRenewal(f func()) { p.set(func() { p.renewing = f }) }

// Renewals counts the refresh tokens that were brought to the token endpoint.
func (p *IdP) Renewals() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.renewals
}

// EndSessions ends what all refresh tokens stand for.
func (p *IdP) EndSessions() {
	p.set(func() {
		for _, s := range p.sessions {
			s.ended = true
		}
	})
}

// offline says whether an authorization request asks for a refresh token: as
// OpenID Connect has it, or as Google does.
func offline(q url.Values) bool {
	return slices.Contains(strings.Fields(q.Get("scope")), "offline_access") ||
		q.Get("access_type") == "offline" && q.Get("prompt") == "consent"
}

func (p *IdP) token(w http.ResponseWriter, r *http.Request) {
	if r.FormValue("grant_type") == "refresh_token" {
		p.mu.Lock()
		wait := p.renewing
		p.mu.Unlock()
		if wait != nil {
			wait()
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	renewal := r.FormValue("grant_type") == "refresh_token"
	if renewal {
		p.renewals++
	} else {
		p.exchanges++
	}
	if p.breakToken != nil && p.breakToken(w) {
		return
	}
	if id, secret, _ := r.BasicAuth(); id != p.ClientID || secret != p.ClientSecret {
		refuse(w, http.StatusUnauthorized, "invalid_client")
		return
	}
	if renewal {
		p.renew(w, r)
		return
	}
	l, ok := p.codes[r.FormValue("code")]
	delete(p.codes, r.FormValue("code"))
	if !ok || r.FormValue("redirect_uri") != l.redirectURI || oauth2.S256ChallengeFromVerifier(r.FormValue("code_verifier")) != l.challenge {
		refuse(w, http.StatusBadRequest, "invalid_grant")
		return
	}
	var s *session
	if l.offline {
		s = &session{nonce: l.nonce}
	}
	p.answer(w, l.claims, l.nonce, s)
}

// renew tells of the user as they are now.
func (p *IdP) renew(w http.ResponseWriter, r *http.Request) {
	s := p.sessions[r.FormValue("refresh_token")]
	if s == nil || s.ended || s.newest != r.FormValue("refresh_token") {
		if s != nil {
			s.ended = true
		}
		refuse(w, http.StatusBadRequest, "invalid_grant")
		return
	}
	p.answer(w, p.user, "", s)
}

// answer is a token response, with a refresh token if there is a session.
func (p *IdP) answer(w http.ResponseWriter, user map[string]any, nonce string, s *session) {
	now := time.Now()
	claims := map[string]any{"iss": p.URL, "aud": p.ClientID, "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix()}
	if nonce != "" {
		claims["nonce"] = nonce
	}
	for k, v := range user {
		claims[k] = v
	}
	if p.breakClaims != nil {
		p.breakClaims(claims)
	}
	idToken, err := p.sign(claims)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if p.breakIDToken != nil {
		idToken = p.breakIDToken(idToken)
	}
	response := map[string]any{
		"access_token": p.log.Add("upstream access token", rand.Text()), "token_type": "Bearer", "expires_in": 300,
	}
	if idToken != "" {
		response["id_token"] = p.log.Add("id token", idToken)
	}
	if s != nil {
		s.newest = p.log.Add("upstream refresh token", rand.Text())
		p.sessions[s.newest] = s
		response["refresh_token"] = s.newest
	}
	writeJSON(w, response)
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	writeJSON(w, map[string]string{"error": code})
}
