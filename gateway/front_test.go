package gateway_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"vestibule.dev/vestibule/gateway"
	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
)

// front is a proxy before a gateway.
type front func(w http.ResponseWriter, r *http.Request)

func (f front) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	f(w, r)
	return w.Result(), nil
}

// A gateway finds itself at its public URL, behind a front that leads there, and nothing
// else for itself.
func TestAGatewayLooksForItself(t *testing.T) {
	t.Parallel()
	s := gatewaytest.New(t, gatewaytest.Setup{})
	s.Config.Store = config.Store{Type: config.StoreMemory} // Its file is in use.
	if check, err := gateway.PublicCheck(s.Config, s.Keys, gateway.Options{Log: s.Log()}, nil); check != nil || err != nil {
		t.Errorf("it looks for itself at %s (%v)", s.Config.PublicURL, err)
	}
	another, err := gateway.New(s.Config, s.Keys, gateway.Options{Log: s.Log()})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"", "/team/weather"} {
		cfg := *s.Config
		cfg.PublicURL = "https://weather.example.com" + path
		g, err := gateway.New(&cfg, s.Keys, gateway.Options{Log: s.Log()})
		if err != nil {
			t.Fatal(err)
		}
		for name, tc := range map[string]struct {
			front  front
			reason string
		}{
			"that leads there":   {gateway.Handler(g).ServeHTTP, ""},
			"that leads nowhere": {http.NotFound, config.ReasonPublicURLNotServed},
			"that forgets the well-known path": {func(w http.ResponseWriter, r *http.Request) {
				if strings.HasPrefix(r.URL.Path, "/.well-known") {
					http.NotFound(w, r)
					return
				}
				gateway.Handler(g).ServeHTTP(w, r)
			}, config.ReasonPublicURLNotServed},
			"of another gateway": {func(w http.ResponseWriter, r *http.Request) {
				r.URL.Path = "/.well-known/oauth-authorization-server"
				gateway.Handler(another).ServeHTTP(w, r)
			}, config.ReasonPublicURLIssuerDiffers},
		} {
			check, err := gateway.PublicCheck(&cfg, s.Keys, gateway.Options{Log: s.Log()}, tc.front)
			if err != nil {
				t.Fatal(err)
			}
			if reason := check(t.Context()); reason != tc.reason {
				t.Errorf("behind a front %s it reports %q", name, reason)
			}
		}
	}
}
