package devidp

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/oauth2"
)

// refusedWith says whether the token endpoint refused with this code.
func refusedWith(err error, code string) bool {
	refusal, ok := errors.AsType[*oauth2.RetrieveError](err)
	return ok && refusal.ErrorCode == code
}

func TestCodeIsGoodOnce(t *testing.T) {
	w := newWorld(t, nil)
	code, verifier := w.code(t, "alice")
	var redeemed atomic.Int32
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			switch _, err := w.redeem(t, w.party, code, verifier); {
			case err == nil:
				redeemed.Add(1)
			case !refusedWith(err, "invalid_grant"):
				t.Errorf("a spent code is answered with %v", err)
			}
		})
	}
	wg.Wait()
	if got := redeemed.Load(); got != 1 {
		t.Errorf("one code was redeemed %d times", got)
	}
}

func TestWhatSpoilsARedemptionSpendsTheCode(t *testing.T) {
	w := newWorld(t, nil)
	id, _ := w.Client()
	for name, c := range map[string]struct {
		secret   string // of the client, when not its own
		verifier string // when not the right one
		want     string
	}{
		"wrong verifier": {verifier: oauth2.GenerateVerifier(), want: "invalid_grant"},
		"no verifier":    {verifier: " ", want: "invalid_grant"},
		"wrong secret":   {secret: "wrong", want: "invalid_client"},
	} {
		t.Run(name, func(t *testing.T) {
			code, verifier := w.code(t, "alice")
			party, used := w.party, verifier
			if c.secret != "" {
				party = w.newParty(t, id, c.secret)
			}
			if c.verifier != "" {
				used = c.verifier
			}
			if _, err := w.redeem(t, party, code, used); !refusedWith(err, c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
			if _, err := w.redeem(t, w.party, code, verifier); !refusedWith(err, "invalid_grant") {
				t.Errorf("the second attempt got %v, want invalid_grant", err)
			}
		})
	}
}

func TestWrongNonceIsNoticed(t *testing.T) {
	w := newWorld(t, nil)
	b := w.newBrowser(t)
	verifier := oauth2.GenerateVerifier()
	form := b.open(t, w.authURL(t, verifier, "nonce", "another"))
	done := b.submit(t, form.request, "alice", w.password(t, "alice"))
	if _, err := w.redeem(t, w.party, done.arrived.Query().Get("code"), verifier); err == nil || !strings.Contains(err.Error(), "nonce") {
		t.Errorf("got %v, want an id token with another nonce", err)
	}
}

func TestTokenEndpointReadsOnlyTheBody(t *testing.T) {
	w := newWorld(t, nil)
	code, verifier := w.code(t, "alice")
	id, secret := w.Client()
	form := url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "code_verifier": {verifier},
		"redirect_uri": {redirectURI}, "client_id": {id}, "client_secret": {secret},
	}
	for _, c := range []struct {
		name, method, query, body string
		want                      int
	}{
		{"GET", http.MethodGet, form.Encode(), "", http.StatusMethodNotAllowed},
		{"all in the query", http.MethodPost, form.Encode(), "", http.StatusBadRequest},
		{"all in the body", http.MethodPost, "", form.Encode(), http.StatusOK}, // the code was not spent above
		{"a grant that is not offered", http.MethodPost, "", "grant_type=refresh_token&refresh_token=x", http.StatusBadRequest},
		{"a body too long", http.MethodPost, "", "code=" + strings.Repeat("x", maxRequest), http.StatusBadRequest},
	} {
		t.Run(c.name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), c.method, w.issuer+tokenPath+"?"+c.query, strings.NewReader(c.body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = resp.Body.Close() }()
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != c.want {
				t.Errorf("answered %d %s, want %d", resp.StatusCode, body, c.want)
			}
			if c.want == http.StatusOK && resp.Header.Get("Cache-Control") != "no-store" {
				t.Error("tokens may be cached")
			}
			if resp.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Error("other origins may read the answer")
			}
		})
	}
}
