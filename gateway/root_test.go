package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
)

// The route / is the public URL itself, as people write it: without a slash.
func TestTheRouteOfThePublicURL(t *testing.T) { // R1, R2, A33
	t.Parallel()
	for _, prefix := range []string{"", "/team/a"} {
		for name, first := range map[string]bool{"first": true, "second": false} {
			t.Run(prefix+" "+name, func(t *testing.T) {
				gw := gatewaytest.New(t, gatewaytest.Setup{Configure: func(c *config.Config) {
					c.PublicURL += prefix
					root := config.Route{Name: "root", Path: "/", Transport: config.TransportStreamableHTTP, BackendPath: "/root"}
					if c.Routes = append(c.Routes, root); first {
						c.Routes[0], c.Routes[1] = c.Routes[1], c.Routes[0]
					}
				}})
				const resource = "/.well-known/oauth-protected-resource"
				for _, path := range []string{resource + prefix, prefix + resource} {
					if v := isDocument(t, gw, path); v["resource"] != gw.URL {
						t.Errorf("%s names %v", path, v["resource"])
					}
				}
				if v := isDocument(t, gw, resource+prefix+"/mcp"); v["resource"] != gw.URL+"/mcp" {
					t.Errorf("the other one's names %v", v["resource"])
				}
				client := gw.Register(t, nil)
				login := func(resource string) gatewaytest.Tokens {
					request := client.AuthorizationRequest()
					if request.Del("resource"); resource != "" {
						request.Set("resource", resource)
					}
					return client.Redeem(t, client.LoginWith(t, request))
				}
				root, other := login(gw.URL), login(gw.URL+"/mcp")
				byDefault, slashed := login(""), login(gw.URL+"/")
				here, there := []string{"", "/"}, []string{"/mcp"}
				for _, row := range []struct {
					name, token string
					good, bad   []string
				}{
					{"its own", root.Access, here, there},
					{"its own, asked for with a slash", slashed.Access, here, there},
					{"the other's", other.Access, there, here},
					{"the default", byDefault.Access, map[bool][]string{true: here, false: there}[first], map[bool][]string{true: there, false: here}[first]},
				} {
					for _, path := range row.good {
						if a := call(t, gw, "POST", path, row.token, nil); a.Status != http.StatusOK {
							t.Errorf("%s token at %q gets %d: %s", row.name, path, a.Status, a.Body)
						}
					}
					for _, path := range row.bad {
						call(t, gw, "POST", path, row.token, nil).Fails(t, http.StatusUnauthorized, "invalid_token")
					}
				}
				a := call(t, gw, "POST", "/", "", nil)
				if got := a.Header.Get("WWW-Authenticate"); a.Status != http.StatusUnauthorized || !strings.Contains(got, `resource_metadata="`+gw.Origin()+resource+prefix+`"`) {
					t.Errorf("the challenge is %q", got)
				}
				// Below it is nothing, and nobody is asked for a token there.
				for _, path := range []string{"/nothing", "/favicon.ico", "/message"} {
					call(t, gw, "GET", path, "", nil).Fails(t, http.StatusNotFound, "not_found")
				}
				// Who has a token for the other cannot say that it is for this one.
				a = client.Form(t, "/token", map[string][]string{"grant_type": {"refresh_token"}, "refresh_token": {other.Refresh}, "resource": {gw.URL}})
				a.Fails(t, http.StatusBadRequest, "invalid_target")
			})
		}
	}
}

func TestTheOlderTransportAtThePublicURL(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{Configure: func(c *config.Config) {
		c.Routes = []config.Route{{Name: "sse", Path: "/", Transport: config.TransportSSE, BackendPath: "/events"}}
	}})
	gw.Backend.Respond(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusAccepted)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = w.Write([]byte("event: endpoint\ndata: /messages?id=1\n\n"))
	})
	token := at(t, gw, "/")
	_, endpoint, _ := strings.Cut(call(t, gw, "GET", "/", token, nil).Body, "data: ")
	endpoint = strings.TrimSpace(endpoint)
	if !strings.HasPrefix(endpoint, "/message?session=") {
		t.Fatalf("messages are sent to %q", endpoint)
	}
	if a := call(t, gw, "POST", endpoint, token, nil); a.Status != http.StatusAccepted || saw(t, gw, 2).URL.RequestURI() != "/messages?id=1" {
		t.Errorf("a message gets %d", a.Status)
	}
}
