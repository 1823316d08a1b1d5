package gateway_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"vestibule.dev/vestibule/gateway"
	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
	"vestibule.dev/vestibule/gateway/internal/pods"
)

// at logs the test's user in for one resource of a server.
func at(t *testing.T, gw *gatewaytest.Server, path string) string {
	t.Helper()
	client := gw.Register(t, nil)
	request := client.AuthorizationRequest()
	request.Set("resource", config.RouteURL(gw.URL, path))
	return client.Redeem(t, client.LoginWith(t, request)).Access
}

// Two routes with a backend each: what is for one never reaches the other.
func TestTwoBackends(t *testing.T) {
	t.Parallel()
	other := &gatewaytest.Recorder{}
	other.Respond(startsSessions)
	gw := gatewaytest.New(t, gatewaytest.Setup{Configure: func(c *config.Config) {
		twoRoutes(c)
		own := gatewaytest.StartBackend(t, other, true, true)
		c.Routes[1].Backend = &own
	}})
	gw.Backend.Respond(startsSessions)
	one, two := at(t, gw, "/mcp"), at(t, gw, "/two")
	first, second := call(t, gw, "POST", "/mcp", one, nil), call(t, gw, "POST", "/two", two, nil)
	if first.Status != http.StatusOK || second.Status != http.StatusOK {
		t.Fatalf("the answers are %d and %d", first.Status, second.Status)
	}
	seen, seenByOther := gw.Backend.Requests(), other.Requests()
	if len(seen) != 1 || len(seenByOther) != 1 || seen[0].URL.Path != "/backend" || seenByOther[0].URL.Path != "/two" {
		t.Fatalf("the backends saw %v and %v", seen, seenByOther)
	}
	if _, host, _ := strings.Cut(gw.Config.Routes[1].Backend.URL, "://"); seenByOther[0].Host != host || seenByOther[0].Proto != "HTTP/2.0" {
		t.Errorf("the other one is called %s, in %s", seenByOther[0].Host, seenByOther[0].Proto)
	}
	call(t, gw, "POST", "/two", one, nil).Fails(t, http.StatusUnauthorized, "invalid_token")
	call(t, gw, "POST", "/mcp", two, nil).Fails(t, http.StatusUnauthorized, "invalid_token")
	isGatewayError(t, call(t, gw, "POST", "/two", two, http.Header{sessionID: first.Header[sessionID]}), http.StatusNotFound)
	isGatewayError(t, call(t, gw, "POST", "/mcp", one, http.Header{sessionID: second.Header[sessionID]}), http.StatusNotFound)
	if len(gw.Backend.Requests()) != 1 || len(other.Requests()) != 1 {
		t.Error("a backend saw what was not for it")
	}
}

// The certificate must be the backend's, whatever address is called, and is asked for
// by its name.
func TestACertificateOfTheBackend(t *testing.T) {
	t.Parallel()
	const asked = "https://weather.demo.svc:8443"
	for name, tc := range map[string]struct {
		change func(c *config.Backend)
		pods   bool // called by their address
		status int
	}{
		"good":                 {func(*config.Backend) {}, false, 200},
		"of a pod":             {func(b *config.Backend) { b.URL, b.ServerName = asked, "example.com" }, true, 200},
		"for another name":     {func(b *config.Backend) { b.ServerName = "weather.demo.svc" }, false, 502},
		"of a pod, for itself": {func(b *config.Backend) { b.URL = asked }, true, 502},
		"of nobody we know":    {func(b *config.Backend) { b.CABundleFile = "" }, false, 502},
	} {
		t.Run(name, func(t *testing.T) {
			set := pods.New()
			gw, client, token := loggedIn(t, gatewaytest.Setup{
				TLS: true,
				Configure: func(c *config.Config) {
					set.Replace([]pods.Endpoint{{UID: "a", Addr: strings.TrimPrefix(c.Backend.URL, "https://"), Ready: true}})
					tc.change(&c.Backend)
				},
				Options: func(o *gateway.Options) {
					if tc.pods {
						o.Pods = set
					}
				},
			})
			a := client.Call(t, token)
			seen := gw.Backend.Requests()
			if tc.status != http.StatusOK {
				isGatewayError(t, a, tc.status)
				if len(seen) > 0 {
					t.Error("it was sent to who is not the backend")
				}
				return
			}
			if a.Status != tc.status || len(seen) != 1 || seen[0].Host != strings.TrimPrefix(gw.Config.Backend.URL, "https://") {
				t.Errorf("the answer is %d, and the backend saw %v", a.Status, seen)
			}
		})
	}
}

func TestACABundleThatIsNone(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"/nowhere", "backends_test.go"} {
		server := gatewaytest.Describe(t, "http://127.0.0.1:8080", gatewaytest.Setup{TLS: true, Configure: func(c *config.Config) { c.Backend.CABundleFile = file }})
		if _, err := gateway.New(server.Config, server.Keys, gateway.Options{Log: server.Log()}); err == nil || !strings.Contains(err.Error(), "the CA bundle of the backend") {
			t.Errorf("%s: %v", file, err)
		}
		// In a cluster it may come yet. Until then nobody is trusted in place of who it names.
		server.Config.Cluster = &config.Cluster{Namespace: "one", Policy: "policy", Report: "report"}
		transport, err := gateway.BackendTransport(server.Config)
		if err != nil {
			t.Fatalf("%s ends the gateway: %v", file, err)
		}
		r := httptest.NewRequest(http.MethodGet, server.Config.Backend.URL, nil)
		resp, err := transport.RoundTrip(r)
		if err == nil {
			_ = resp.Body.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "the CA bundle of the backend") || len(server.Backend.Requests()) > 0 {
			t.Errorf("%s: the backend is called, or not for this: %v", file, err)
		}
	}
}

// Sessions stay with their pods in HTTP/2 too, and another pod is tried only if
// nothing was sent.
func TestPodsInHTTP2(t *testing.T) {
	t.Parallel()
	set := pods.New()
	var endpoints []pods.Endpoint
	for _, name := range []string{"a", "b"} {
		b := gatewaytest.StartBackend(t, &backendPod{name: name}, false, true)
		endpoints = append(endpoints, pods.Endpoint{UID: name, Addr: strings.TrimPrefix(b.URL, "http://"), Ready: true})
	}
	set.Replace(endpoints)
	setup := withPods(set)
	setup.HTTP2 = true
	gw, _, token := loggedIn(t, setup)
	session := ""
	for session == "" {
		if a := call(t, gw, "POST", "/mcp", token, nil); a.Body == "a" {
			session = a.Header.Get(sessionID)
		}
	}
	for range 20 {
		if a := call(t, gw, "POST", "/mcp", token, http.Header{sessionID: {session}}); a.Body != "a" {
			t.Fatalf("a session of a gets %d: %s", a.Status, a.Body)
		}
	}
	endpoints[0].Addr = closedAddress(t)
	set.Replace(endpoints)
	for range 20 {
		if a := call(t, gw, "POST", "/mcp", token, http.Header{"Mcp-Protocol-Version": {"2026-07-28"}}); a.Body != "b" {
			t.Fatalf("a stateless request gets %d: %s", a.Status, a.Body)
		}
	}
	isGatewayError(t, call(t, gw, "POST", "/mcp", token, http.Header{sessionID: {session}}), http.StatusServiceUnavailable)
}

// One connection has room for a bounded number of streams. More of them are on more
// connections, to the gateway and to the backend.
func TestManyStreamsInHTTP2(t *testing.T) {
	t.Parallel()
	gw, _, token := loggedIn(t, gatewaytest.Setup{HTTP2: true})
	gw.Backend.Respond(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: begun\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	const many = 300 // more than both take on one
	begun := make(chan error, many)
	for range many {
		r := gw.Request(t, "GET", "/mcp", nil, map[string]string{"Authorization": "Bearer " + token}).WithContext(ctx)
		go func() {
			resp, err := gw.HTTP(0).Do(r)
			if err != nil {
				begun <- err
				return
			}
			event := make([]byte, len("data: begun\n\n"))
			if _, err = io.ReadFull(resp.Body, event); err == nil && resp.ProtoMajor != 2 {
				err = errors.New("it is not in HTTP/2")
			}
			begun <- err
			<-ctx.Done()
			_ = resp.Body.Close()
		}()
	}
	for range many {
		if err := receive(t, begun, "a stream"); err != nil {
			t.Fatal(err)
		}
	}
}
