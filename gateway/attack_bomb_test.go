package gateway_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
)

// Who sends a body byte by byte, and is not known, does not keep a connection for
// as long as they like, wherever they send it.
func TestAttackSlowBody(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{Intervals: gateway.Intervals{Answer: 200 * time.Millisecond}})
	for path, status := range map[string]string{
		"/token": "400", "/mcp": "401", "/.well-known/oauth-authorization-server": "405", "/nothing": "404", "/a//b": "404",
	} {
		conn, err := net.Dial("tcp", gw.Addrs[0])
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		request := "POST " + path + " HTTP/1.1\r\nHost: " + gw.Addrs[0] +
			"\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\ngrant_type="
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(conn)
		if err != nil {
			t.Errorf("%s: the connection is still open: %v", path, err)
		}
		if !strings.HasPrefix(string(answer), "HTTP/1.1 "+status+" ") {
			t.Errorf("%s: the answer is %q", path, answer)
		}
	}
}

// The same in HTTP/2, where a connection has many requests: each ends by itself.
func TestAttackSlowBodyInHTTP2(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{HTTP2: true, Intervals: gateway.Intervals{Answer: 200 * time.Millisecond}})
	for path, status := range map[string]int{"/token": 400, "/mcp": 401, "/nothing": 404} {
		body, w := io.Pipe()
		r := gw.Request(t, "POST", path, body, map[string]string{"Content-Type": "application/x-www-form-urlencoded"})
		go func() { _, _ = io.WriteString(w, "grant_type=") }()
		if a := gw.Do(t, gw.HTTP(0), r); a.Status != status {
			t.Errorf("%s: the answer is %d %s", path, a.Status, a.Body)
		}
		_ = w.Close()
	}
}

// Small requests that are to cost much: each is answered quickly, and not with 500.
func TestAttackBombs(t *testing.T) {
	t.Parallel()
	journal := gatewaytest.NewJournal(t)
	gw := gatewaytest.New(t, gatewaytest.Setup{Options: journal.Use})
	client := gw.Register(t, nil)
	tokens := client.Redeem(t, client.Login(t))
	const jsonType, formType = "application/json", "application/x-www-form-urlencoded"
	good := `"redirect_uris":["https://a.example/cb"],"token_endpoint_auth_method":"none"`
	many := func(n int, f func(i int) string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(f(i))
		}
		return b.String()
	}
	writes := journal.Writes()
	for _, row := range []struct {
		name, path, contentType, body string
		status                        int
		code                          string
	}{
		{"lists in lists", "/register", jsonType, `{"x":` + strings.Repeat("[", 60_000), 400, "invalid_client_metadata"},
		{"lists in lists, closed", "/register", jsonType, `{"redirect_uris":` + strings.Repeat("[", 30_000) + strings.Repeat("]", 30_000) + `}`, 400, "invalid_client_metadata"},
		{"objects in objects", "/register", jsonType, strings.Repeat(`{"a":`, 10_900) + "1" + strings.Repeat("}", 10_900), 400, "invalid_client_metadata"},
		{"a huge number for a name", "/register", jsonType, `{` + good + `,"client_name":1` + strings.Repeat("0", 60_000) + `}`, 400, "invalid_client_metadata"},
		{"a huge exponent for a list", "/register", jsonType, `{"redirect_uris":1e999999999}`, 400, "invalid_client_metadata"},
		{"a name of 64 KiB", "/register", jsonType, `{` + good + `,"client_name":"` + strings.Repeat("n", 60_000) + `"}`, 400, "invalid_client_metadata"},
		{"escapes that grow", "/register", jsonType, `{` + good + `,"client_name":"` + strings.Repeat(`\u2028`, 10_000) + `"}`, 400, "invalid_client_metadata"},
		{"20,000 redirect URIs", "/register", jsonType, `{"redirect_uris":[` + many(20_000, func(int) string { return `"",` }) + `""]}`, 400, "invalid_client_metadata"},
		{"lone surrogates", "/register", jsonType, `{"redirect_uris":["https://a.example/\ud800"]}`, 400, "invalid_redirect_uri"},
		{"a body over the limit", "/register", jsonType, `{` + good + `,"x":"` + strings.Repeat("x", 70_000) + `"}`, 413, "invalid_request"},
		{"30,000 parameters", "/token", formType, many(30_000, func(int) string { return "a&" }), 400, "invalid_request"},
		{"9,000 parameters", "/token", formType, many(9_000, func(i int) string { return fmt.Sprintf("%d=&", i) }), 401, "invalid_client"},
		{"100,000 parameters", "/token", formType, many(100_000, func(int) string { return "a&" }), 413, "invalid_request"},
		{"9,000 codes", "/token", formType, many(9_000, func(int) string { return "code=a&" }), 400, "invalid_request"},
		{"5,000 resources", "/token", formType, "client_id=" + client.ID + "&grant_type=refresh_token&refresh_token=" + tokens.Refresh + many(5_000, func(int) string { return "&resource=x" }), 400, "invalid_target"},
		{"60,000 percent signs", "/token", formType, strings.Repeat("%", 60_000), 400, "invalid_request"},
		{"a scope of 2,000 tokens", "/token", formType, "client_id=" + client.ID + "&grant_type=refresh_token&refresh_token=" + tokens.Refresh + "&scope=" + many(1_000, func(int) string { return "a+" }), 400, "invalid_scope"},
		{"a long revocation", "/revoke", formType, "token=" + strings.Repeat("t", 60_000), 400, "invalid_request"},
	} {
		t.Run(row.name, func(t *testing.T) {
			started := time.Now()
			r := gw.Request(t, "POST", row.path, strings.NewReader(row.body), map[string]string{"Content-Type": row.contentType})
			gw.Do(t, gw.HTTP(0), r).Fails(t, row.status, row.code)
			if took := time.Since(started); took > 5*time.Second {
				t.Errorf("the answer took %v", took)
			}
		})
	}
	for name, query := range map[string]string{
		"a state of 64 KiB": "&state=" + strings.Repeat("s", 60_000), "9,000 scopes": "&scope=" + strings.Repeat("a+", 9_000),
		"20,000 parameters": strings.Repeat("&a", 20_000), "3,000 resources": strings.Repeat("&resource=x", 3_000),
	} {
		t.Run(name, func(t *testing.T) {
			request := client.AuthorizationRequest()
			request.Del("state")
			request.Del("scope")
			a := client.Browser(t).Get(t, gw.AuthorizeURL(request)+query)
			if a.Status != http.StatusSeeOther && a.Status != http.StatusBadRequest || len(cookies(t, a)) > 0 {
				t.Errorf("the answer is %d, with the cookies %v", a.Status, cookies(t, a))
			}
		})
	}
	t.Run("headers of 100 KiB", func(t *testing.T) {
		answer := raw(t, gw, "GET /mcp HTTP/1.1\r\nHost: "+gw.Addrs[0]+"\r\nX: "+strings.Repeat("x", 100<<10)+"\r\n\r\n")
		if got := statuses(answer); len(got) != 1 || got[0] != "431" {
			t.Errorf("the answer is %.100q", answer)
		}
	})
	if journal.Writes() != writes {
		t.Error("a bomb wrote to the store")
	}
	unharmed(t, client, tokens)
}

// The same member twice: whoever reads the first sees another client than who
// reads the last. What is kept is what the answer says.
func TestAttackDuplicateMembers(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{})
	a := register(t, gw, `{"redirect_uris":["https://good.example/cb"],"redirect_uris":["https://last.example/cb"],"token_endpoint_auth_method":"client_secret_basic","token_endpoint_auth_method":"none"}`)
	v := a.JSON(t)
	isList(t, v, "redirect_uris", []string{"https://last.example/cb"})
	client := gw.ClientAt(v["client_id"].(string))
	for uri, status := range map[string]int{"https://good.example/cb": http.StatusBadRequest, "https://last.example/cb": http.StatusOK} {
		request := client.AuthorizationRequest()
		request.Set("redirect_uri", uri)
		isPage(t, client.Browser(t).Get(t, gw.AuthorizeURL(request)), status, "<h1>")
	}
}
