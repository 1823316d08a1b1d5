package proxy

import (
	"testing"

	"vestibule.dev/vestibule/gateway/config"
)

// A backend is a Service of the cluster. A proxy of the environment would see tokens and
// assertions on their way to it.
func TestBackendsAreCalledWithoutAProxy(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://proxy.example.com:3128")
	t.Setenv("HTTPS_PROXY", "http://proxy.example.com:3128")
	for _, b := range []config.Backend{
		{URL: "http://weather.default.svc:8080"}, {URL: "https://weather.default.svc:8443"}, {URL: "http://weather.default.svc:8080", H2C: true},
	} {
		transport, err := NewTransport(&b)
		if err != nil {
			t.Fatal(err)
		}
		if transport.Proxy != nil {
			t.Errorf("%+v is called by the proxy of the environment", b)
		}
	}
}
