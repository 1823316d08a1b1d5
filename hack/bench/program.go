package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

const (
	clientID    = "bench"
	redirectURI = "https://client.example.com/callback"
)

// program is what a gateway's users and their programs do.
type program struct {
	gateway string
	http    *http.Client
}

func newProgram(gateway string, workers int) *program {
	return &program{gateway, &http.Client{
		Transport:     &http.Transport{MaxIdleConnsPerHost: workers},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// tokens are what a token request gets.
type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
}

// do sends a request, with the cookies that the last answer has set. Its answer must
// have the given status, and is read.
func (c *program) do(r *http.Request, last http.Header, status int) (http.Header, []byte, error) {
	for _, line := range last["Set-Cookie"] {
		r.Header.Add("Cookie", cookie.FindString(line))
	}
	w, err := c.http.Do(r)
	if err != nil {
		return nil, nil, err
	}
	defer w.Body.Close()
	body, err := io.ReadAll(w.Body)
	if err != nil {
		return nil, nil, err
	}
	if w.StatusCode != status {
		return nil, nil, fmt.Errorf("%s %s: status %d, want %d: %s", r.Method, r.URL.Path, w.StatusCode, status, body)
	}
	return w.Header, body, nil
}

// register registers a public client that comes from the given address.
func (c *program) register(from string) (id string, err error) {
	body := `{"client_name":"Bench","redirect_uris":["` + redirectURI + `"],"token_endpoint_auth_method":"none","grant_types":["authorization_code","refresh_token"]}`
	r, err := http.NewRequest(http.MethodPost, c.gateway+"/register", strings.NewReader(body))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Forwarded-For", from)
	_, answer, err := c.do(r, nil, http.StatusCreated)
	if err != nil {
		return "", err
	}
	var registered struct {
		ID string `json:"client_id"`
	}
	if err := json.Unmarshal(answer, &registered); err != nil || registered.ID == "" {
		return "", fmt.Errorf("no client_id in %s", answer)
	}
	return registered.ID, nil
}

// login is a code, and what it takes to redeem it.
type login struct{ client, code, verifier string }

var (
	hidden = regexp.MustCompile(`name="request" value="([^"]+)"`)
	cookie = regexp.MustCompile(`^[^;]+`)
)

// login goes from the authorization request to the code, as a browser does whose
// person allows everything.
func (c *program) login(id string) (login, error) {
	l := login{client: id, verifier: rand.Text() + rand.Text()}
	challenge := sha256.Sum256([]byte(l.verifier))
	query := url.Values{
		"client_id": {id}, "redirect_uri": {redirectURI}, "response_type": {"code"}, "state": {"s"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}
	header, page, err := c.get("/authorize", query, nil, http.StatusOK)
	if err != nil {
		return l, err
	}
	m := hidden.FindSubmatch(page)
	if m == nil {
		return l, fmt.Errorf("no form in %s", page)
	}
	form := url.Values{"request": {string(m[1])}, "decision": {"approve"}}
	if header, _, err = c.post("/consent", form, header, http.StatusSeeOther); err != nil {
		return l, err
	}
	there, err := url.Parse(header.Get("Location"))
	if err != nil {
		return l, err
	}
	back := url.Values{"state": there.Query()["state"], "code": there.Query()["nonce"]}
	if header, _, err = c.get("/callback/corp", back, header, http.StatusSeeOther); err != nil {
		return l, err
	}
	answer, err := url.Parse(header.Get("Location"))
	if err != nil {
		return l, err
	}
	if l.code = answer.Query().Get("code"); l.code == "" {
		return l, fmt.Errorf("no code in %s", answer)
	}
	return l, nil
}

// get sends a request with the cookies that the last answer has set.
func (c *program) get(path string, query url.Values, last http.Header, status int) (http.Header, []byte, error) {
	r, err := http.NewRequest(http.MethodGet, c.gateway+path+"?"+query.Encode(), nil)
	if err != nil {
		return nil, nil, err
	}
	return c.do(r, last, status)
}

// post sends a form likewise.
func (c *program) post(path string, form url.Values, last http.Header, status int) (http.Header, []byte, error) {
	r, err := http.NewRequest(http.MethodPost, c.gateway+path, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return c.do(r, last, status)
}

func (c *program) redeem(l login) (tokens, error) {
	return c.token(url.Values{
		"grant_type": {"authorization_code"}, "client_id": {l.client}, "code": {l.code}, "code_verifier": {l.verifier}, "redirect_uri": {redirectURI},
	})
}

func (c *program) refresh(id, refreshToken string) (tokens, error) {
	return c.token(url.Values{"grant_type": {"refresh_token"}, "client_id": {id}, "refresh_token": {refreshToken}})
}

func (c *program) token(form url.Values) (tokens, error) {
	var t tokens
	_, answer, err := c.post("/token", form, nil, http.StatusOK)
	if err != nil {
		return t, err
	}
	if err := json.Unmarshal(answer, &t); err != nil || t.Access == "" || t.Refresh == "" {
		return t, fmt.Errorf("no tokens in an answer of %d bytes", len(answer))
	}
	return t, nil
}
