package gateway_test

import (
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
)

// loggedIn returns a server with a client that has a token.
func loggedIn(t *testing.T, setup gatewaytest.Setup) (*gatewaytest.Server, *gatewaytest.Client, string) {
	t.Helper()
	gw := gatewaytest.New(t, setup)
	client := gw.Register(t, nil)
	return gw, client, client.Redeem(t, client.Login(t)).Access
}

// inEachVersion runs a test with HTTP/1.1, with HTTP/2 between all of them, and with
// HTTP/2 and TLS.
func inEachVersion(t *testing.T, test func(t *testing.T, setup gatewaytest.Setup)) {
	t.Helper()
	for name, setup := range map[string]gatewaytest.Setup{"HTTP1": {}, "H2C": {HTTP2: true}, "TLS": {HTTP2: true, TLS: true}} {
		t.Run(name, func(t *testing.T) { test(t, setup) })
	}
}

func TestWhatTheBackendSees(t *testing.T) { // T3, T24, T40, T41, R10
	t.Parallel()
	inEachVersion(t, whatTheBackendSees)
}

func whatTheBackendSees(t *testing.T, setup gatewaytest.Setup) {
	gw, _, token := loggedIn(t, setup)
	const body = "{\"jsonrpc\": \"2.0\",\n \"id\":1.0, \"method\":\"tools/call\", \"x\":\"\\u00fc\xff\"}"
	r := gw.Request(t, "POST", "/mcp?a=b;c&d=%zz&e", strings.NewReader(body), nil)
	passes := map[string][]string{
		"Accept": {"application/json, text/event-stream;q=0.5"}, "Content-Type": {"application/json; charset=UTF-8"}, "Content-Encoding": {"identity"},
		"Accept-Encoding": {"br"}, "Mcp-Protocol-Version": {"2026-07-28"}, "Mcp-Method": {"tools/call"}, "Mcp-Name": {"=?base64?w7w=?="},
		"Mcp-Param-City": {"=?base64?w7w=?=", "Second"}, "Last-Event-Id": {"17"}, "Traceparent": {"00-1-2-03"}, "User-Agent": {"test/1"}, "Dpop": {"x"},
	}
	gone := map[string][]string{
		"Authorization": {"Bearer " + token}, "Cookie": {"a=b"}, "Origin": {gw.Origin()}, "Forwarded": {"for=6.6.6.6"},
		"X-Real-Ip": {"6.6.6.6"}, "X-Forwarded-User": {"root"}, "X-Forwarded-Prefix": {"/x"}, "X_Forwarded_User": {"root"}, "X-Vestibule-User": {"root"}, "X_Vestibule-User": {"root"},
		"Mcp_Session_Id": {"another's"}, "Remote-User": {"root"}, "X-Original-Url": {"/admin"}, "X-Auth-Request-User": {"root"},
		"Proxy-Authorization": {"Basic eA=="}, "Proxy-Connection": {"x"}, "Connection": {"X-Hop, keep-alive"}, "X-Hop": {"x"}, "Keep-Alive": {"1"}, "Te": {"gzip"},
		"Upgrade": {"websocket"},
	}
	replaced := map[string][]string{
		"X-Forwarded-For": {"127.0.0.1"}, "X-Forwarded-Host": {strings.TrimPrefix(gw.Origin(), "http://")}, "X-Forwarded-Proto": {"http"},
	}
	if setup.HTTP2 { // in which these are no headers
		for _, name := range []string{"Connection", "Proxy-Connection", "Keep-Alive", "Te", "Upgrade", "X-Hop"} {
			delete(gone, name)
		}
	}
	for _, headers := range []map[string][]string{passes, gone} {
		maps.Copy(r.Header, headers)
	}
	for name := range replaced {
		r.Header.Set(name, "6.6.6.6")
	}
	gw.Do(t, gw.HTTP(0), r)
	seen := gw.Backend.Requests()
	if len(seen) != 1 {
		t.Fatalf("the backend saw %d requests", len(seen))
	}
	got := seen[0]
	if got.Method != http.MethodPost || got.URL.Path != "/backend" || got.URL.RawQuery != "a=b;c&d=%zz&e" || got.Body != body {
		t.Errorf("the backend saw %s %s with %q", got.Method, got.URL, got.Body)
	}
	if _, want, _ := strings.Cut(gw.Config.Backend.URL, "://"); got.Host != want {
		t.Errorf("the backend is called %q, not %q", got.Host, want)
	}
	if want := map[bool]string{false: "HTTP/1.1", true: "HTTP/2.0"}[setup.HTTP2]; got.Proto != want {
		t.Errorf("the backend hears %s", got.Proto)
	}
	for _, headers := range []map[string][]string{passes, replaced} {
		for name, want := range headers {
			if !slices.Equal(got.Header[name], want) {
				t.Errorf("%s arrives as %q, not %q", name, got.Header[name], want)
			}
		}
	}
	for name := range gone {
		if v := got.Header.Values(name); v != nil || got.Header[name] != nil {
			t.Errorf("%s arrives as %q", name, v)
		}
	}
	for name := range got.Header {
		if passes[name] == nil && replaced[name] == nil && name != "Content-Length" {
			t.Errorf("%s: %q came from nowhere", name, got.Header[name])
		}
	}
	call(t, gw, "GET", "/mcp", token, http.Header{"Accept-Encoding": {"gzip"}})
	if got := gw.Backend.Requests()[1].Header["Accept-Encoding"]; got != nil { // T33: a compressed stream is a buffered one
		t.Errorf("a stream is asked for in %q", got)
	}
}

func TestTheSenderBehindAProxy(t *testing.T) { // T40
	t.Parallel()
	gw, _, token := loggedIn(t, gatewaytest.Setup{Configure: func(c *config.Config) { c.TrustedProxies = []string{"127.0.0.1/32", "10.0.0.0/8"} }})
	a := call(t, gw, "POST", "/mcp", token, http.Header{
		"X-Forwarded-For": {"6.6.6.6, 198.51.100.7", "10.1.2.3"}, "X-Forwarded-Host": {strings.TrimPrefix(gw.Origin(), "http://")}, "Host": {"internal:8080"},
	})
	if a.Status != http.StatusOK {
		t.Fatalf("the answer is %d: %s", a.Status, a.Body)
	}
	if got := gw.Backend.Requests()[0].Header["X-Forwarded-For"]; !slices.Equal(got, []string{"198.51.100.7"}) {
		t.Errorf("the backend is told of %q", got)
	}
}

func TestWhatTheClientSees(t *testing.T) { // T6, T9, T10, T11, T20, T21, T24, T42, T45, R22
	t.Parallel()
	inEachVersion(t, whatTheClientSees)
}

func whatTheClientSees(t *testing.T, setup gatewaytest.Setup) {
	gw, _, token := loggedIn(t, setup)
	for _, row := range []struct {
		name, method string
		status       int
		header       http.Header
		body         string
	}{
		{"T11 an answer", "POST", 200, http.Header{"Content-Type": {"application/json"}, "Cache-Control": {"max-age=1"}, "X-Own": {"a", "b"}}, `{"jsonrpc":"2.0"}`},
		{"T10 accepted", "POST", 202, nil, ""},
		{"T6 unsupported version", "POST", 400, http.Header{"Content-Type": {"application/json"}}, `{"error":{"code":-32022}}`},
		{"T6 headers that differ from the body", "POST", 400, http.Header{"Content-Type": {"application/json"}}, `{"error":{"code":-32020}}`},
		{"T6 a capability that is missing", "POST", 400, http.Header{"Content-Type": {"application/json"}}, `{"error":{"code":-32021}}`},
		{"T9 no sessions", "DELETE", 405, http.Header{"Allow": {"POST"}}, ""},
		{"T21 no session id", "POST", 400, http.Header{"Content-Type": {"text/plain"}}, "which session?"},
		{"T6 unknown method", "POST", 404, http.Header{"Content-Type": {"application/json"}}, `{"error":{"code":-32601}}`},
		{"T6 no streams", "GET", 405, http.Header{"Allow": {"POST"}, "Content-Type": {"text/plain"}}, "no"},
		{"T20 a session deleted", "DELETE", 204, nil, ""},
		{"T24 not acceptable", "POST", 406, http.Header{"Content-Type": {"text/plain"}}, "both, please"},
		{"T6 a type that it does not read", "POST", 415, http.Header{"Content-Type": {"text/plain"}}, "JSON, please"},
		{"T42 forbidden by the backend", "POST", 403, http.Header{"Content-Type": {"text/plain"}}, "not you"},
		{"T45 a redirect", "POST", 307, http.Header{"Location": {"http://127.0.0.1:1/elsewhere"}}, ""},
		{"R22 too many", "POST", 429, http.Header{"Retry-After": {"7"}}, ""},
		{"a failure", "POST", 500, http.Header{"Content-Type": {"text/html"}}, "<h1>oops</h1>"},
		{"unavailable", "POST", 503, nil, ""},
		{"compressed", "POST", 200, http.Header{"Content-Encoding": {"gzip"}}, "\x1f\x8bnot really"},
	} {
		t.Run(row.name, func(t *testing.T) {
			gw.Backend.Respond(func(w http.ResponseWriter, _ *http.Request) {
				h := w.Header()
				maps.Copy(h, row.header)
				for name, value := range map[string]string{
					"Set-Cookie": "a=b", "WWW-Authenticate": `Bearer realm="backend"`, "Access-Control-Allow-Origin": "*",
					"Access-Control-Allow-Credentials": "true", "Proxy-Authenticate": "Basic", "Keep-Alive": "timeout=5",
				} {
					h.Set(name, value)
				}
				w.WriteHeader(row.status)
				_, _ = io.WriteString(w, row.body)
			})
			r := gw.Request(t, row.method, "/mcp", nil, map[string]string{"Authorization": "Bearer " + token, "Accept-Encoding": "gzip"})
			a := gw.Do(t, gw.HTTP(0), r)
			if a.Status != row.status || a.Body != row.body {
				t.Errorf("the client sees %d %q", a.Status, a.Body)
			}
			for name, want := range row.header {
				if got := a.Header[name]; !slices.Equal(got, want) {
					t.Errorf("%s is %q, not %q", name, got, want)
				}
			}
			for _, name := range []string{"Set-Cookie", "Www-Authenticate", "Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Proxy-Authenticate", "Keep-Alive"} {
				if got := a.Header[name]; got != nil {
					t.Errorf("%s comes through: %q", name, got)
				}
			}
		})
	}
}

// isGatewayError insists on an error of the gateway's own on a route (T44).
func isGatewayError(t *testing.T, a gatewaytest.Answer, status int) {
	t.Helper()
	v := a.JSON(t)
	if a.Status != status || a.Header.Get("Content-Type") != "application/json" || a.Header.Get("Cache-Control") != "no-store" ||
		v["jsonrpc"] != "2.0" || v["error"] == nil || a.Header.Get("WWW-Authenticate") != "" {
		t.Errorf("the answer is %d %v: %s", a.Status, a.Header, a.Body)
	}
}

func TestBackendsThatDoNotAnswer(t *testing.T) { // T42, T44
	t.Parallel()
	inEachVersion(t, backendsThatDoNotAnswer)
}

func backendsThatDoNotAnswer(t *testing.T, setup gatewaytest.Setup) {
	gw, client, token := loggedIn(t, setup)
	t.Run("401", func(t *testing.T) {
		gw.Backend.Respond(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", "Bearer")
			w.WriteHeader(http.StatusUnauthorized)
		})
		isGatewayError(t, client.Call(t, token), http.StatusBadGateway)
	})
	t.Run("hangs up", func(t *testing.T) {
		gw.Backend.Respond(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
		isGatewayError(t, client.Call(t, token), http.StatusBadGateway)
	})
	t.Run("switches protocols", func(t *testing.T) {
		if setup.HTTP2 {
			t.Skip("which there is not in HTTP/2")
		}
		gw.Backend.Respond(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Upgrade", "websocket")
			w.Header().Set("Connection", "Upgrade")
			w.WriteHeader(http.StatusSwitchingProtocols)
		})
		isGatewayError(t, client.Call(t, token), http.StatusBadGateway)
	})
	gw.Backend.Respond(nil)
	if a := client.Call(t, token); a.Status != http.StatusOK {
		t.Errorf("afterwards a good answer gets %d", a.Status)
	}
	t.Run("down", func(t *testing.T) {
		gone := httptest.NewServer(nil)
		gone.Close()
		setup.TLS = false
		setup.Configure = func(c *config.Config) { c.Backend.URL = gone.URL }
		_, client, token := loggedIn(t, setup)
		a := client.Call(t, token)
		isGatewayError(t, a, http.StatusBadGateway)
		if strings.Contains(a.Body, strings.TrimPrefix(gone.URL, "http://")) {
			t.Errorf("the client learns where the backend is: %s", a.Body)
		}
	})
}

// endless is a body whose length nobody announces.
type endless struct{ left int }

func (e *endless) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p), e.left)
	for i := range p[:n] {
		p[i] = ' '
	}
	e.left -= n
	return n, nil
}

func TestBodiesOverTheLimit(t *testing.T) { // T43
	t.Parallel()
	inEachVersion(t, bodiesOverTheLimit)
}

func bodiesOverTheLimit(t *testing.T, setup gatewaytest.Setup) {
	gw, _, token := loggedIn(t, setup)
	send := func(size int, announced bool) gatewaytest.Answer {
		r := gw.Request(t, "POST", "/mcp", &endless{size}, map[string]string{"Authorization": "Bearer " + token})
		if announced {
			r.ContentLength = int64(size)
		}
		return gw.Do(t, gw.HTTP(0), r)
	}
	for _, announced := range []bool{true, false} {
		if a := send(8<<20, announced); a.Status != http.StatusOK {
			t.Errorf("8 MiB get %d: %s", a.Status, a.Body)
		}
	}
	for _, seen := range gw.Backend.Requests() {
		if len(seen.Body) != 8<<20 {
			t.Errorf("%d bytes arrive", len(seen.Body))
		}
	}
	isGatewayError(t, send(8<<20+1, false), http.StatusRequestEntityTooLarge)
	// An announced one is refused before it is sent: the answer may overtake the body.
	r := gw.Request(t, "POST", "/mcp", &endless{8<<20 + 1}, map[string]string{"Authorization": "Bearer " + token, "Expect": "100-continue"})
	r.ContentLength = 8<<20 + 1
	c := gw.HTTP(0)
	c.Transport.(*http.Transport).ExpectContinueTimeout = time.Minute
	isGatewayError(t, gw.Do(t, c, r), http.StatusRequestEntityTooLarge)
}

func TestAClientThatGoesAway(t *testing.T) { // T7
	t.Parallel()
	inEachVersion(t, aClientThatGoesAway)
}

func aClientThatGoesAway(t *testing.T, setup gatewaytest.Setup) {
	arrived, left := make(chan struct{}), make(chan struct{})
	setup.Backend = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(arrived)
		<-r.Context().Done()
		close(left)
	})
	gw, _, token := loggedIn(t, setup)
	ctx, leave := context.WithCancel(t.Context())
	r := gw.Request(t, "POST", "/mcp", strings.NewReader("{}"), map[string]string{"Authorization": "Bearer " + token}).WithContext(ctx)
	go func() {
		<-arrived
		leave()
	}()
	if resp, err := gw.HTTP(0).Do(r); err == nil {
		resp.Body.Close()
		t.Errorf("there was an answer: %d", resp.StatusCode)
	}
	select {
	case <-left:
	case <-time.After(10 * time.Second):
		t.Error("the backend does not learn that the client has gone")
	}
}

func TestARevokedTokenEndsItsStreams(t *testing.T) {
	t.Parallel()
	inEachVersion(t, aRevokedTokenEndsItsStreams)
}

func aRevokedTokenEndsItsStreams(t *testing.T, setup gatewaytest.Setup) {
	t.Parallel() // it takes seconds
	gw, client, _ := loggedIn(t, setup)
	gw.Backend.Respond(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	tokens := client.Redeem(t, client.Login(t))
	r := gw.Request(t, "GET", "/mcp", nil, map[string]string{"Authorization": "Bearer " + tokens.Access})
	resp, err := gw.HTTP(0).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	client.Form(t, "/revoke", map[string][]string{"token": {tokens.Refresh}})
	if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 {
		t.Errorf("the stream ends with %q, %v", rest, err)
	}
}
