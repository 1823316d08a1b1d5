package gateway_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"vestibule.dev/vestibule/gateway"
	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
	"vestibule.dev/vestibule/gateway/internal/pods"
)

// ruled is a route on which each scope lets tools be called, and more.
func ruled(c *config.Config) {
	c.Scopes = []config.Scope{
		{Name: "base"},
		{Name: "read", Tools: []string{"get_*"}, Resources: []string{"file:///public/*"}},
		{Name: "write", Tools: []string{"get_*", "set_*"}, Prompts: []string{"plan"}, Methods: []string{"logging/*"}},
		{Name: "admin", Tools: []string{"*_*"}, Resources: []string{"file:///public/*", "file:///secret/*"}, OnDemand: true},
	}
	c.RequiredScopes = map[string][]string{"mcp": {"base"}}
}

// granted logs a user in who approves of these scopes.
func granted(t *testing.T, client *gatewaytest.Client, scope string) gatewaytest.Tokens {
	t.Helper()
	request := client.AuthorizationRequest()
	if scope != "" {
		request.Set("scope", scope)
	}
	return client.Redeem(t, client.LoginWith(t, request))
}

// send posts a body to a path, with headers in place of or besides those of a good client.
func send(t *testing.T, gw *gatewaytest.Server, path, token, body string, header http.Header) gatewaytest.Answer {
	t.Helper()
	r := gw.Request(t, "POST", path, strings.NewReader(body), map[string]string{"Content-Type": "application/json", "Authorization": "Bearer " + token})
	for name, values := range header {
		if r.Header[name] = values; values == nil {
			delete(r.Header, name)
		}
	}
	return gw.Do(t, gw.HTTP(0), r)
}

func message(method, params string) string {
	return `{"jsonrpc":"2.0","id":1,"method":"` + method + `","params":` + params + `}`
}

func toolCall(name string) string {
	return message("tools/call", `{"name":"`+name+`","arguments":{}}`)
}

func TestWhatAnOperationNeeds(t *testing.T) { // R6, R7, C12
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{Configure: ruled})
	client := gw.Register(t, nil)
	tokens := map[string]string{}
	for _, scope := range []string{"base", "base read", "base write", "base admin", "read", "base read write admin"} {
		tokens[scope] = granted(t, client, scope).Access
	}
	read := func(uri string) string { return message("resources/read", `{"uri":"`+uri+`"}`) }
	for _, row := range []struct{ name, held, body, challenged string }{ // "" for what goes through
		{"a method that none names", "base", message("tools/list", `{}`), ""},
		{"a tool that none names", "base", toolCall("ping"), ""},
		{"an answer to the server", "base", `{"jsonrpc":"2.0","id":1,"result":{}}`, ""},
		{"a notification", "base", `{"jsonrpc":"2.0","method":"notifications/initialized"}`, ""},
		{"a tool", "base", toolCall("get_a"), "base read"},
		{"R7 a tool, by the first of its scopes", "base read", toolCall("get_a"), ""},
		{"R7 by the second", "base write", toolCall("get_a"), ""},
		{"R7 by the last", "base admin", toolCall("get_a"), ""},
		{"R7 a narrower one does not do", "base read", toolCall("set_a"), "base write read"},
		{"R7 the broader one does", "base admin", toolCall("set_a"), ""},
		{"on demand", "base write", toolCall("del_a"), "base admin write"},
		{"a tool without what its route needs", "read", toolCall("get_a"), "base read"},
		{"R6 all that is missing at once", "read", toolCall("set_a"), "base write read"},
		{"R6 all that a batch misses", "base", "[" + toolCall("get_a") + "," + toolCall("set_a") + "," + message("prompts/get", `{"name":"plan"}`) + "]", "base read write"},
		{"a batch that may", "base read write admin", "[" + toolCall("get_a") + "," + toolCall("del_a") + "]", ""},
		{"a prompt", "base read", message("prompts/get", `{"name":"plan"}`), "base write read"},
		{"a method", "base read", message("logging/setLevel", `{"level":"debug"}`), "base write read"},
		{"a resource", "base read", read("file:///public/a"), ""},
		{"another resource", "base read", read("file:///secret/a"), "base admin read"},
		{"a subscription", "base read", message("resources/subscribe", `{"uri":"file:///secret/a"}`), "base admin read"},
		{"a resource that none names", "base", read("weather://today"), ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			before := len(gw.Backend.Requests())
			a := send(t, gw, "/mcp", tokens[row.held], row.body, nil)
			seen := gw.Backend.Requests()[before:]
			if row.challenged == "" {
				if a.Status != http.StatusOK || len(seen) != 1 || seen[0].Body != row.body {
					t.Fatalf("the answer is %d: %s\nthe backend saw %+v", a.Status, a.Body, seen)
				}
				return
			}
			a.Fails(t, http.StatusForbidden, "insufficient_scope")
			want := `Bearer error="insufficient_scope", error_description="the token lacks a scope that this request needs", ` +
				`scope="` + row.challenged + `", resource_metadata="` + gw.Origin() + `/.well-known/oauth-protected-resource/mcp"`
			for range 2 { // the same string every time
				if got := a.Header.Values("WWW-Authenticate"); len(got) != 1 || got[0] != want {
					t.Errorf("the challenge is %q, not %q", got, want)
				}
				a = send(t, gw, "/mcp", tokens[row.held], row.body, nil)
			}
			if len(seen) > 0 {
				t.Errorf("the backend saw %+v", seen)
			}
			// C12: with what it read there, the client gets through.
			if a := send(t, gw, "/mcp", granted(t, client, row.challenged).Access, row.body, nil); a.Status != http.StatusOK {
				t.Errorf("afterwards the answer is %d: %s", a.Status, a.Body)
			}
		})
	}
	for _, method := range []string{"GET", "DELETE"} { // which ask for nothing
		if a := call(t, gw, method, "/mcp", tokens["base"], nil); a.Status != http.StatusOK {
			t.Errorf("%s gets %d: %s", method, a.Status, a.Body)
		}
		call(t, gw, method, "/mcp", tokens["read"], nil).Fails(t, http.StatusForbidden, "insufficient_scope")
	}
}

func TestScopesOnDemand(t *testing.T) { // R3, R4, C6, C12
	t.Parallel()
	for _, row := range []struct {
		name, suggested, published string
		configure                  func(*config.Config)
	}{
		{"those of the route, and of its operations", "base read write", "base read write", ruled},
		{"of a route that needs none", "base read write", "base read write", func(c *config.Config) { ruled(c); c.RequiredScopes = nil }},
		{"of a route that needs it", "admin read write", "base read write admin", func(c *config.Config) { ruled(c); c.RequiredScopes["mcp"] = []string{"admin"} }},
		{"where none names an operation", "base", "base other", func(c *config.Config) {
			c.Scopes = []config.Scope{{Name: "base"}, {Name: "other"}, {Name: "admin", OnDemand: true}}
			c.RequiredScopes = map[string][]string{"mcp": {"base"}}
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			gw := gatewaytest.New(t, gatewaytest.Setup{Configure: row.configure})
			client := gw.Register(t, nil)
			if got := granted(t, client, "").Scope; got != row.suggested {
				t.Errorf("who names no scope is granted %q", got)
			}
			if got := call(t, gw, "POST", "/mcp", "", nil).Header.Get("WWW-Authenticate"); !strings.Contains(got, ` scope="`+row.suggested+`",`) {
				t.Errorf("the first challenge is %q", got)
			}
			if got := granted(t, client, "base admin").Scope; got != "base admin" {
				t.Errorf("who asks for them is granted %q", got)
			}
			document := client.Browser(t).Get(t, gw.Origin()+"/.well-known/oauth-protected-resource/mcp").JSON(t)
			var published []string
			for _, s := range document["scopes_supported"].([]any) {
				published = append(published, s.(string))
			}
			if got := strings.Join(published, " "); got != row.published {
				t.Errorf("the metadata says %q", got)
			}
			all := client.Browser(t).Get(t, gw.Origin()+"/.well-known/oauth-authorization-server").JSON(t)["scopes_supported"].([]any)
			if !slices.Contains(all, any("admin")) {
				t.Errorf("the authorization server says %q", all)
			}
		})
	}
}

func TestToolsThatNoScopeNames(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{Configure: func(c *config.Config) {
		twoRoutes(c)
		ruled(c)
		c.DenyUnlistedTools = []string{"mcp"}
	}})
	client := gw.Register(t, nil)
	token := granted(t, client, "base read write admin").Access
	for body, ok := range map[string]bool{
		toolCall("get_a"): true, toolCall("ping"): false, "[" + toolCall("get_a") + "," + toolCall("ping") + "]": false,
		message("prompts/get", `{"name":"ping"}`): true, message("ping", "{}"): true,
	} {
		before := len(gw.Backend.Requests())
		a := send(t, gw, "/mcp", token, body, nil)
		if seen := len(gw.Backend.Requests()) > before; seen != ok {
			t.Errorf("%s reaches the backend: %v", body, seen)
		}
		if !ok {
			isGatewayError(t, a, http.StatusForbidden) // without a challenge, which would be for nothing
		}
	}
	isGatewayError(t, send(t, gw, "/mcp", granted(t, client, "read").Access, toolCall("ping"), nil), http.StatusForbidden)
	if !strings.Contains(gw.Secrets.Written(), `"msg":"request refused"`) || !strings.Contains(gw.Secrets.Written(), `"method":"tools/call","name":"ping"`) {
		t.Error("the audit log does not say which tool was refused")
	}
	request := client.AuthorizationRequest()
	request.Set("resource", gw.URL+"/two")
	if a := send(t, gw, "/two", client.Redeem(t, client.LoginWith(t, request)).Access, toolCall("ping"), nil); a.Status != http.StatusOK {
		t.Errorf("on the other route the answer is %d: %s", a.Status, a.Body)
	}
}

func TestWhatWasJudgedArrivesAsItWas(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{Configure: ruled})
	client := gw.Register(t, nil)
	token := granted(t, client, "base read").Access
	const body = " {\"params\": {\"name\":\"get_\\u0061\", \"arguments\":{\"x\":1.0e0}},\r\n\"method\":\"tools\\/call\"}\n"
	for name, header := range map[string]http.Header{
		"as usual":    nil,
		"by headers":  {"Mcp-Method": {"tools/call"}, "Mcp-Name": {"get_a"}, "Mcp-Protocol-Version": {"2026-07-28"}, "Mcp-Param-X": {"=?base64?MQ==?="}},
		"encoded":     {"Mcp-Method": {"=?base64?dG9vbHMvY2FsbA==?="}, "Mcp-Name": {"=?base64?Z2V0X2E=?="}},
		"with a type": {"Content-Type": {"Application/JSON; charset=UTF-8"}, "Content-Encoding": {"identity"}},
	} {
		t.Run(name, func(t *testing.T) { // T3, T43
			for _, chunked := range []bool{false, true} {
				r := gw.Request(t, "POST", "/mcp", strings.NewReader(body), map[string]string{"Content-Type": "application/json", "Authorization": "Bearer " + token})
				if chunked {
					r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), -1
				}
				for name, values := range header {
					r.Header[name] = values
				}
				if a := gw.Do(t, gw.HTTP(0), r); a.Status != http.StatusOK {
					t.Fatalf("the answer is %d: %s", a.Status, a.Body)
				}
				all := gw.Backend.Requests()
				got := all[len(all)-1]
				if got.Body != body || got.Header.Get("Content-Length") != strconv.Itoa(len(body)) {
					t.Errorf("the backend sees %q with %v", got.Body, got.Header)
				}
				for name, values := range header {
					if !slices.Equal(got.Header[name], values) {
						t.Errorf("%s arrives as %q", name, got.Header[name])
					}
				}
			}
		})
	}
	// A parameter that another method repeats is its backend's to compare.
	if a := send(t, gw, "/mcp", token, message("tasks/get", `{"taskId":"17"}`), http.Header{"Mcp-Method": {"tasks/get"}, "Mcp-Name": {"17"}}); a.Status != http.StatusOK {
		t.Errorf("another mirrored parameter gets %d: %s", a.Status, a.Body)
	}
}

// slow is a body whose end does not come.
func slow(t *testing.T, begin string) (body io.Reader, end func(rest string)) {
	t.Helper()
	r, w := io.Pipe()
	go func() { _, _ = io.WriteString(w, begin) }()
	t.Cleanup(func() { _ = w.Close() })
	return r, func(rest string) {
		_, _ = io.WriteString(w, rest)
		_ = w.Close()
	}
}

func TestBodiesWithoutRulesAreNotRead(t *testing.T) {
	t.Parallel()
	arrived := make(chan string, 1)
	gw := gatewaytest.New(t, gatewaytest.Setup{
		Configure: func(c *config.Config) {
			twoRoutes(c)
			c.DenyUnlistedTools = []string{"two"} // not this one
		},
		Backend: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			begin := make([]byte, 8)
			_, _ = io.ReadFull(r.Body, begin)
			arrived <- string(begin)
			_, _ = io.Copy(io.Discard, r.Body)
		}),
	})
	client := gw.Register(t, nil)
	token := client.Redeem(t, client.Login(t)).Access
	body, end := slow(t, "no JSON \xff")
	r := gw.Request(t, "POST", "/mcp", body, map[string]string{"Authorization": "Bearer " + token, "Content-Type": "image/png", "Content-Encoding": "gzip"})
	go func() {
		if got := <-arrived; got != "no JSON " {
			t.Errorf("what arrives first is %q", got)
		}
		end("")
	}()
	if a := gw.Do(t, gw.HTTP(0), r); a.Status != http.StatusOK {
		t.Errorf("the answer is %d: %s", a.Status, a.Body)
	}
}

func TestBodiesUnderRulesAreBounded(t *testing.T) { // T43
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{Configure: ruled})
	client := gw.Register(t, nil)
	token := granted(t, client, "base read").Access
	sized := func(size int) string {
		body := message("tools/call", `{"name":"get_a","arguments":{"x":""}}`)
		return strings.Replace(body, `"x":""`, `"x":"`+strings.Repeat("a", size-len(body))+`"`, 1)
	}
	if a := send(t, gw, "/mcp", token, sized(8<<20), nil); a.Status != http.StatusOK || len(gw.Backend.Requests()[0].Body) != 8<<20 {
		t.Errorf("8 MiB get %d: %s", a.Status, a.Body)
	}
	tooLong := func(announced bool) {
		t.Helper()
		body := &endless{8<<20 + 1}
		r := gw.Request(t, "POST", "/mcp", body, map[string]string{"Authorization": "Bearer " + token, "Content-Type": "application/json", "Expect": "100-continue"})
		if announced {
			r.ContentLength = 8<<20 + 1
		}
		c := gw.HTTP(0)
		c.Transport.(*http.Transport).ExpectContinueTimeout = time.Minute
		isGatewayError(t, gw.Do(t, c, r), http.StatusRequestEntityTooLarge)
		if announced && body.left < 8<<20+1 {
			t.Errorf("%d bytes are asked for in vain", 8<<20+1-body.left)
		}
	}
	tooLong(false)
	tooLong(true)
	if n := len(gw.Backend.Requests()); n != 1 {
		t.Errorf("the backend saw %d requests", n)
	}
}

func TestASlowBodyUnderRulesIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{Configure: ruled, Intervals: gateway.Intervals{Answer: 3 * time.Second}})
	client := gw.Register(t, nil)
	token := granted(t, client, "base read").Access
	body, _ := slow(t, toolCall("get_a")[:20])
	started := time.Now()
	a := gw.Do(t, gw.HTTP(0), gw.Request(t, "POST", "/mcp", body, map[string]string{"Authorization": "Bearer " + token, "Content-Type": "application/json"}))
	isGatewayError(t, a, http.StatusRequestTimeout)
	if took := time.Since(started); took > 5*time.Second || len(gw.Backend.Requests()) > 0 {
		t.Errorf("it takes %s, and the backend saw %+v", took, gw.Backend.Requests())
	}
}

// The SDK's own client and server notice nothing of rules that let them through, by
// either transport.
func TestTheGoSDKUnderRules(t *testing.T) {
	t.Parallel()
	server := mcp.NewServer(&mcp.Implementation{Name: "server", Version: "1"}, nil)
	for _, name := range []string{"get_a", "del_a"} {
		mcp.AddTool(server, &mcp.Tool{Name: name}, func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: name}}}, nil, nil
		})
	}
	get := func(*http.Request) *mcp.Server { return server }
	mux := http.NewServeMux()
	mux.Handle("/events", mcp.NewSSEHandler(get, nil))
	mux.Handle("/stream", mcp.NewStreamableHTTPHandler(get, nil))
	backend := httptest.NewServer(mux)
	t.Cleanup(backend.Close)
	set := pods.New()
	set.Replace([]pods.Endpoint{{UID: "uid", Addr: backend.Listener.Addr().String(), Ready: true}})
	setup := withPods(set)
	setup.Configure = func(c *config.Config) {
		ruled(c)
		c.RequiredScopes = nil
		c.Routes = []config.Route{
			{Name: "sse", Path: "/sse", Transport: config.TransportSSE, BackendPath: "/events"},
			{Name: "mcp", Path: "/mcp", Transport: config.TransportStreamableHTTP, BackendPath: "/stream"},
		}
	}
	gw := gatewaytest.New(t, setup)
	client := gw.Register(t, nil)
	for _, path := range []string{"/sse", "/mcp"} {
		t.Run(path, func(t *testing.T) {
			request := client.AuthorizationRequest()
			request.Set("resource", gw.URL+path)
			request.Set("scope", "read")
			h := &http.Client{Transport: &bearer{gw: gw, token: client.Redeem(t, client.LoginWith(t, request)).Access}}
			var transport mcp.Transport = &mcp.StreamableClientTransport{Endpoint: gw.URL + path, HTTPClient: h, MaxRetries: -1}
			if path == "/sse" {
				transport = &mcp.SSEClientTransport{Endpoint: gw.URL + path, HTTPClient: h}
			}
			session, err := mcp.NewClient(&mcp.Implementation{Name: "client", Version: "1"}, nil).Connect(t.Context(), transport, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = session.Close() }()
			// The list is the server's own, whatever the token holds.
			if tools, err := session.ListTools(t.Context(), nil); err != nil || len(tools.Tools) != 2 {
				t.Fatalf("the tools are %+v, %v", tools, err)
			}
			if result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "get_a"}); err != nil || result.IsError {
				t.Errorf("%+v, %v", result, err)
			}
			if result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "del_a"}); err == nil || errors.Is(err, context.Canceled) {
				t.Errorf("%+v, %v", result, err)
			}
		})
	}
}
