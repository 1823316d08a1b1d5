package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// idp is an OpenID Connect provider where nobody has to log in: the code of a login
// is its nonce, and each login is of another person. What it takes is not measured.
type idp struct {
	url    string
	signer jose.Signer
	keys   []byte
	people atomic.Int64
}

func startIdP() (*idp, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "1"}}, nil)
	if err != nil {
		return nil, err
	}
	keys, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "1", Algorithm: "ES256", Use: "sig"}}})
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &idp{url: "http://" + l.Addr().String(), signer: signer, keys: keys}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", p.discovery)
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(p.keys) })
	mux.HandleFunc("/token", p.token)
	go func() { _ = http.Serve(l, mux) }() // until the process ends
	return p, nil
}

func (p *idp) discovery(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, map[string]any{
		"issuer": p.url, "authorization_endpoint": p.url + "/authorize", "token_endpoint": p.url + "/token", "jwks_uri": p.url + "/keys",
		"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
		"id_token_signing_alg_values_supported": []string{"ES256"}, "token_endpoint_auth_methods_supported": []string{"none"},
	})
}

func (p *idp) token(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	person := p.people.Add(1)
	idToken, err := jwt.Signed(p.signer).Claims(map[string]any{
		"iss": p.url, "aud": clientID, "sub": fmt.Sprint("person-", person), "nonce": r.FormValue("code"),
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		"email": fmt.Sprintf("person-%d@example.com", person), "email_verified": true, "groups": []string{"staff", "everyone"},
	}).Serialize()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	writeJSON(w, map[string]any{"access_token": "unused", "token_type": "Bearer", "expires_in": 3600, "id_token": idToken})
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the gateway says what it lacks
}
