package judge

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"
)

// WithToken forwards to the gateway at issuer what it adds the token to, and returns the
// endpoint's URL there: the suite has no option for a header. A request that
// names the forwarder, as its Host or Origin, names the gateway then; one that
// names something else still does.
func WithToken(t *testing.T, issuer, token string) string {
	t.Helper()
	target, err := url.Parse(issuer)
	if err != nil {
		t.Fatal(err)
	}
	var here string
	proxy := &httputil.ReverseProxy{
		FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host
			if r.In.Host == here {
				r.Out.Host = target.Host
			}
			if r.In.Header.Get("Origin") == "http://"+here {
				r.Out.Header.Set("Origin", issuer)
			}
			r.Out.Header.Set("Authorization", "Bearer "+token)
		},
		// Scenarios end streams by going away.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	forwarder := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The server would close the request's body when the answer begins, and the
		// transport, if it is late to see that the body has ended, would take that for
		// a failure and cut the answer off.
		if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
			t.Error(err)
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(forwarder.Close)
	t.Cleanup(forwarder.CloseClientConnections) // streams that a scenario left open
	here = forwarder.Listener.Addr().String()
	forwarder.Start()
	return forwarder.URL + "/mcp"
}
