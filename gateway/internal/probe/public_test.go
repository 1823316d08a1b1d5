package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/config"
)

// What is at the public URL may be anything; nothing of it is told but its status.
func TestPublic(t *testing.T) {
	const issuer, own, secret = "https://weather.example.com", `{"issuer":"https://weather.example.com","scopes_supported":["a"]}`, "not-to-be-told"
	answer := func(w http.ResponseWriter, status int, body string) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body)) // the test sees what arrives
	}
	for name, tc := range map[string]struct {
		handler http.HandlerFunc
		reason  string
		says    string
	}{
		"its own":  {func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, own) }, "", "answers with this server's metadata"},
		"a 404":    {func(w http.ResponseWriter, _ *http.Request) { answer(w, 404, secret) }, config.ReasonPublicURLNotServed, "answers with 404"},
		"a 503":    {func(w http.ResponseWriter, _ *http.Request) { answer(w, 503, secret) }, config.ReasonPublicURLNotServed, "answers with 503"},
		"a page":   {func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, "<html>"+secret) }, config.ReasonPublicURLNotServed, "something else"},
		"an array": {func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, `["`+secret+`"]`) }, config.ReasonPublicURLNotServed, "something else"},
		"nobody's": {func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, `{"a":"`+secret+`"}`) }, config.ReasonPublicURLNotServed, "something else"},
		"another's": {func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, `{"issuer":"https://`+secret+`"}`) },
			config.ReasonPublicURLIssuerDiffers, "another issuer"},
		"its own, with a slash": {func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, strings.Replace(own, ".com", ".com/", 1)) },
			config.ReasonPublicURLIssuerDiffers, "another issuer"},
		"a double's": {func(w http.ResponseWriter, _ *http.Request) {
			answer(w, 200, strings.Replace(own, `"a"`, `"`+secret+`"`, 1))
		}, config.ReasonPublicURLMetadataDiffers, "that this server does not have"},
		"a redirect to its own": {func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/own" {
				answer(w, 200, own)
				return
			}
			http.Redirect(w, r, "/own?"+secret, http.StatusFound)
		}, config.ReasonPublicURLNotServed, "302, a redirect"},
		"no end": {func(w http.ResponseWriter, _ *http.Request) {
			for range maxDocument/1024 + 1 {
				if _, err := w.Write([]byte(strings.Repeat("a", 1024))); err != nil {
					return
				}
			}
		}, config.ReasonPublicURLNotServed, "something else"},
		"silence": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, config.ReasonPublicURLUnreachable, "no answer in time"},
		"half an answer": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "9")
			answer(w, 200, "{")
		}, config.ReasonPublicURLUnreachable, "the connection broke"},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(tc.handler)
			defer s.Close()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			check(ctx, t, s.URL+"/document", &http.Transport{}, func() ([]byte, error) { return []byte(own), nil }, issuer, tc.reason, tc.says, secret)
		})
	}

	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, own) }))
	defer s.Close()
	gone := httptest.NewServer(nil)
	gone.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	known := func() ([]byte, error) { return []byte(own), nil }
	check(t.Context(), t, s.URL, &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}, known, issuer, "", "answers with", secret)
	check(t.Context(), t, s.URL, &http.Transport{}, known, issuer, config.ReasonPublicURLUntrusted, "is not trusted by gateways", secret)
	check(t.Context(), t, gone.URL, &http.Transport{}, known, issuer, config.ReasonPublicURLUnreachable, "refused", secret)
	check(t.Context(), t, "https://nowhere.invalid/", &http.Transport{}, known, issuer, config.ReasonPublicURLUnreachable, "nowhere.invalid", secret)
	check(t.Context(), t, strings.Replace(gone.URL, "http:", "https:", 1), &http.Transport{}, known, issuer, config.ReasonPublicURLUnreachable, "refused", secret)
	check(t.Context(), t, s.URL, &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}},
		func() ([]byte, error) { return nil, errors.New(secret) }, issuer, config.ReasonPublicURLUnreachable, "not known yet", secret)
}

func check(ctx context.Context, t *testing.T, url string, transport http.RoundTripper, own func() ([]byte, error), issuer, reason, says, secret string) {
	t.Helper()
	message, failure := Public(url, issuer, own, transport)(ctx)
	got := ""
	if failure != nil {
		got, message = failure.Reason, failure.Message
	}
	if got != reason || !strings.Contains(message, says) || strings.Contains(fmt.Sprint(message, failure), secret) {
		t.Errorf("the check says %q: %s", got, message)
	}
}
