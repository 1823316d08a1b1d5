package upstream_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
	"vestibule.dev/vestibule/gateway/internal/upstream"
)

func TestAttackInsecureEndpoints(t *testing.T) {
	for _, endpoint := range []string{"authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"} {
		for _, row := range []struct {
			url any
			ok  bool
		}{
			{"http://idp.example.com/x", false}, {"HTTP://idp.example.com/x", false}, {"//idp.example.com/x", false}, {"/x", false},
			{"ftp://127.0.0.1/x", false}, {"https:///x", false}, {"https://%zz", false}, {"http://127.0.0.1.example.com/x", false},
			{"http://127.0.0.1@idp.example.com/x", false}, {nil, endpoint == "userinfo_endpoint"},
			{"https://idp.example.com/x", true}, {"http://127.0.0.1:1/x", true}, {"http://[::1]:1/x", true}, {"http://localhost:1/x", true},
		} {
			w := newWorldOf(t, func(_ *config.Upstream, idp *gatewaytest.IdP) {
				idp.BreakDocument(func(d map[string]any) { d[endpoint] = row.url })
			})
			_, err := w.AuthURL(t.Context(), "s", "n", "v")
			if row.ok && err != nil || !row.ok && !errors.Is(err, upstream.ErrUnreachable) {
				t.Errorf("%s %v: the login: %v", endpoint, row.url, err)
			}
			err = w.Check(t.Context())
			if row.ok && err != nil || !row.ok && (!errors.Is(err, upstream.ErrInsecure) || !strings.Contains(err.Error(), endpoint)) {
				t.Errorf("%s %v: the check: %v", endpoint, row.url, err)
			}
		}
	}
}

func TestAttackInsecureRedirect(t *testing.T) {
	p := newProvider(t)
	p.Config.Handler.(*http.ServeMux).HandleFunc("/away/", func(w http.ResponseWriter, r *http.Request) { //nolint:forcetypeassert // newProvider sets one
		http.Redirect(w, r, r.URL.Query().Get("to"), http.StatusFound)
	})
	var asked atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer proxy.Close()
	for to, ok := range map[string]bool{
		"http://idp.example.com/":                   false,
		"ftp://127.0.0.1/":                          false,
		p.URL + "/.well-known/openid-configuration": true,
	} {
		u := upstream.New(config.Upstream{Name: "corp", OIDC: &config.OIDCUpstream{
			IssuerURL: p.URL, DiscoveryURL: p.URL + "/away/?to=" + url.QueryEscape(to),
			UpstreamClient: config.UpstreamClient{ClientID: "id", CABundleFile: p.trust(t)},
		}}, redirectURI, time.Now)
		if err := u.Check(t.Context()); ok && err != nil || !ok && !errors.Is(err, upstream.ErrInsecure) {
			t.Errorf("a redirect to %s: %v", to, err)
		}
	}
}
