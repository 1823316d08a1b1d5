package main

import (
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/oauth2"

	"vestibule.dev/vestibule/hack/mcpclient"
)

// noSecretIn insists that what the command has written to its log holds no
// secret: every one has a prefix, or is a password that it printed.
func noSecretIn(t *testing.T, l *local) {
	t.Helper()
	written := l.stderr.String()
	if m := regexp.MustCompile(`vst_(at|rt|ac|cs)_`).FindString(written); m != "" {
		t.Errorf("the log holds a token or secret that begins with %s", m)
	}
	for user, password := range l.passwords {
		if strings.Contains(written, password) {
			t.Errorf("the log holds the password of %s", user)
		}
	}
	if !strings.Contains(written, "audit=true") {
		t.Error("the log holds no audit line")
	}
}

// register registers a client by hand, and returns an authorization URL of it
// whose state is s.
func register(t *testing.T, l *local) string {
	t.Helper()
	issuer := strings.TrimSuffix(l.endpoint, "/mcp")
	resp, err := http.Post(issuer+"/register", "application/json",
		strings.NewReader(`{"redirect_uris": ["`+mcpclient.RedirectURL+`"], "token_endpoint_auth_method": "none"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var client struct {
		ID string `json:"client_id"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&client); err != nil {
		t.Fatal(err)
	}
	return issuer + "/authorize?" + url.Values{
		"response_type": {"code"}, "client_id": {client.ID}, "redirect_uri": {mcpclient.RedirectURL}, "state": {"s"},
		"code_challenge": {oauth2.S256ChallengeFromVerifier(oauth2.GenerateVerifier())}, "code_challenge_method": {"S256"},
	}.Encode()
}

// listenAndServe serves at a free address of loopback, and returns it.
func listenAndServe(t *testing.T, h http.Handler) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, l, h)
	return l.Addr().String()
}

func serveOn(t *testing.T, l net.Listener, h http.Handler) {
	t.Helper()
	s := &http.Server{Handler: h}
	go func() { _ = s.Serve(l) }() // it ends with the test
	t.Cleanup(func() { _ = s.Close() })
}
