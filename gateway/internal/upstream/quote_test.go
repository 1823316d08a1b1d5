package upstream

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/config"
)

// What an upstream answers may hold users' data, and goes into no log: so it is in
// no error either.
func TestNoErrorQuotesAnAnswer(t *testing.T) {
	const canary = "what nobody may read in a log"
	for name, answer := range map[string]http.HandlerFunc{
		"an error page":  func(w http.ResponseWriter, _ *http.Request) { http.Error(w, canary, http.StatusNotFound) },
		"something else": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(canary)) },
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(answer)
			defer s.Close()
			u := New(config.Upstream{Name: "corp", OIDC: &config.OIDCUpstream{IssuerURL: s.URL, UpstreamClient: config.UpstreamClient{ClientID: "id"}}}, s.URL+"/callback", time.Now)
			_, urlErr := u.AuthURL(t.Context(), "state", "nonce", "verifier")
			for _, err := range []error{urlErr, u.Check(t.Context())} {
				if !errors.Is(err, ErrUnreachable) || strings.Contains(err.Error(), canary) {
					t.Errorf("the error is %v", err)
				}
			}
		})
	}
}
