package gateway_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
)

// The same parameter in two places, twice, or under a name that some frameworks
// take for another: nobody reads a request differently than the gateway decided it.
func TestAttackParameterSmuggling(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{Configure: twoRoutes})
	client, evil := gw.Register(t, nil), gw.Register(t, nil)
	code := client.Login(t)
	tokens := client.Redeem(t, client.Login(t))
	redeem, refresh := gatewaytest.RedeemParams(code), gatewaytest.RefreshParams(tokens.Refresh)
	redeem.Set("client_id", client.ID)
	refresh.Set("client_id", client.ID)
	const formType = "application/x-www-form-urlencoded"
	for _, row := range []struct {
		name, query, contentType, body string
		status                         int
		code                           string
	}{
		{"the rest in the query", "?code_verifier=" + code.Verifier, formType, strings.Replace(redeem.Encode(), "code_verifier=", "x=", 1), 400, "invalid_request"},
		{"the client in the query", "?client_id=" + client.ID, formType, strings.Replace(redeem.Encode(), "client_id=", "x=", 1), 401, "invalid_client"},
		{"another client in the query", "?client_id=" + client.ID, formType, strings.Replace(redeem.Encode(), client.ID, evil.ID, 1), 400, "invalid_grant"},
		{"two codes", "", formType, redeem.Encode() + "&code=x", 400, "invalid_request"},
		{"two codes, one encoded", "", formType, redeem.Encode() + "&%63ode=x", 400, "invalid_request"},
		{"two clients", "", formType, redeem.Encode() + "&client_id=" + evil.ID, 400, "invalid_request"},
		{"two grant types", "", formType, redeem.Encode() + "&grant_type=refresh_token", 400, "invalid_request"},
		{"a code in brackets", "", formType, strings.Replace(redeem.Encode(), "code=", "code[]=", 1), 400, "invalid_request"},
		{"a code in other capitals", "", formType, strings.Replace(redeem.Encode(), "code=", "Code=", 1), 400, "invalid_request"},
		{"a name with a blank before", "", formType, strings.Replace(redeem.Encode(), "code=", "+code=", 1), 400, "invalid_request"},
		{"a name with NUL", "", formType, strings.Replace(redeem.Encode(), "code=", "code%00=", 1), 400, "invalid_request"},
		{"NUL in a value", "", formType, redeem.Encode() + "%00", 400, "invalid_request"},
		{"a semicolon", "", formType, redeem.Encode() + ";client_id=" + evil.ID, 400, "invalid_request"},
		{"a line break in a token", "", formType, strings.Replace(refresh.Encode(), "vst_rt_", "vst_rt_%0a", 1), 400, "invalid_request"},
		{"resources, own and foreign", "", formType, redeem.Encode() + "&" + url.Values{"resource": {gw.URL + "/mcp", "https://evil.example/mcp"}}.Encode(), 400, "invalid_target"},
		{"resources, own and own", "", formType, refresh.Encode() + "&" + url.Values{"resource": {gw.URL + "/mcp", gw.URL + "/two"}}.Encode(), 400, "invalid_target"},
		{"a form that is called JSON", "", "application/json", redeem.Encode(), 415, "invalid_request"},
		{"JSON that is called a form", "", formType, `{"grant_type":"refresh_token","refresh_token":"` + tokens.Refresh + `","client_id":"` + client.ID + `"}`, 401, "invalid_client"},
		{"multipart", "", "multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"code\"\r\n\r\nx\r\n--b--", 415, "invalid_request"},
		{"two content types", "", formType + ", application/json", redeem.Encode(), 415, "invalid_request"},
		{"UTF-16", "", formType + "; charset=utf-16", "\xff\xfec\x00o\x00d\x00e\x00", 401, "invalid_client"},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := gw.Request(t, "POST", "/token"+row.query, strings.NewReader(row.body), map[string]string{"Content-Type": row.contentType})
			gw.Do(t, gw.HTTP(0), r).Fails(t, row.status, row.code)
		})
	}
	request := client.AuthorizationRequest()
	for name, query := range map[string]string{
		"a second redirect_uri in brackets": "&redirect_uri[]=https://evil.example/", "a redirect_uri by index": "&redirect_uri[0]=https://evil.example/",
		"other capitals": "&Redirect_URI=https://evil.example/&CLIENT_ID=" + evil.ID, "a nested one": "&params[redirect_uri]=https://evil.example/",
	} {
		t.Run(name, func(t *testing.T) { // means nothing: the page is the client's own
			a := client.Browser(t).Get(t, gw.AuthorizeURL(request)+query)
			isPage(t, a, http.StatusOK, gatewaytest.RedirectURI)
			if strings.Contains(a.Body, "evil.example") {
				t.Error("the page speaks of the stranger's")
			}
		})
	}
	client.Redeem(t, code)
	unharmed(t, client, tokens)
}

// Headers by which a client would tell the backend who it is, or hide what it does
// from the gateway. What arrives at the backend is the gateway's word alone.
func TestAttackHeaderSmuggling(t *testing.T) {
	t.Parallel()
	gw, client, token := loggedIn(t, gatewaytest.Setup{})
	gw.Backend.Respond(func(http.ResponseWriter, *http.Request) {})
	send := func(headers, rest string) string {
		return raw(t, gw, "POST /mcp HTTP/1.1\r\nHost: "+gw.Addrs[0]+"\r\nConnection: close\r\n"+headers+"\r\n"+rest)
	}
	authorization := "Authorization: Bearer " + token + "\r\n"
	for name, row := range map[string]struct{ headers, rest, status string }{
		"named by Connection":            {authorization + "Connection: Authorization, X-Vestibule-User, X-Forwarded-For\r\nX-Vestibule-User: root\r\nContent-Length: 0\r\n", "", "200"},
		"with underscores":               {authorization + "X_Vestibule_User: root\r\nx-vestibule_user: root\r\nX_Forwarded_For: 6.6.6.6\r\nContent-Length: 0\r\n", "", "200"},
		"Forwarded":                      {authorization + "Forwarded: for=6.6.6.6;host=evil\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-User: root\r\nX-Real-IP: 6.6.6.6\r\nContent-Length: 0\r\n", "", "200"},
		"behind the body":                {authorization + "Transfer-Encoding: chunked\r\nTrailer: X-Vestibule-User, Authorization\r\n", "2\r\n{}\r\n0\r\nX-Vestibule-User: root\r\nAuthorization: Bearer x\r\n\r\n", "200"},
		"in another method":              {authorization + "X-HTTP-Method-Override: DELETE\r\nContent-Length: 0\r\n", "", "200"},
		"two tokens":                     {authorization + authorization + "Content-Length: 0\r\n", "", "400"},
		"two tokens, folded into one":    {"Authorization: Bearer " + token + ", Bearer x\r\nContent-Length: 0\r\n", "", "401"},
		"a token on the next line":       {"Authorization: Bearer x\r\n " + token + "\r\nContent-Length: 0\r\n", "", "401"},
		"a name with a blank":            {"Authorization : Bearer " + token + "\r\nContent-Length: 0\r\n", "", "400"},
		"a name with a line feed":        {"X: y\nAuthorization : Bearer " + token + "\r\nContent-Length: 0\r\n", "", "400"},
		"a name that is none":            {authorization + "X Y: z\r\nContent-Length: 0\r\n", "", "400"},
		"a value with NUL":               {authorization + "X: a\x00b\r\nContent-Length: 0\r\n", "", "400"},
		"a value with a carriage return": {authorization + "X: a\rX-Vestibule-User: root\r\nContent-Length: 0\r\n", "", "400"},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(gw.Backend.Requests())
			answer := send(row.headers, row.rest)
			if got := statuses(answer); len(got) != 1 || got[0] != row.status {
				t.Errorf("the answers are %v: %q", got, answer)
			}
			seen := gw.Backend.Requests()[before:]
			if (len(seen) == 1) != (row.status == "200") || len(seen) > 1 {
				t.Fatalf("the backend saw %d requests", len(seen))
			}
			for _, r := range seen {
				for header, values := range r.Header {
					if plain := strings.ToLower(strings.ReplaceAll(header, "_", "-")); strings.HasPrefix(plain, "x-vestibule-") || plain == "authorization" || plain == "forwarded" ||
						strings.Contains(strings.Join(values, " "), "6.6.6.6") || strings.Contains(strings.Join(values, " "), "root") {
						t.Errorf("%s arrives: %q", header, values)
					}
				}
				if len(r.Trailer) > 0 {
					t.Errorf("there are trailers: %v", r.Trailer)
				}
				if got := r.Header.Values("X-Forwarded-For"); len(got) != 1 || got[0] != "127.0.0.1" || r.Method != http.MethodPost {
					t.Errorf("the backend saw %s from %v", r.Method, got)
				}
			}
		})
	}
	if a := client.Call(t, token); a.Status != http.StatusOK {
		t.Errorf("the victim gets %d", a.Status)
	}
}

// Bytes of which two readers make different requests. The gateway reads them in one
// way, and writes what goes to the backend anew, so nothing hides in them. Of a
// length beside chunks, net/http takes the chunks: a proxy in front must refuse that,
// as RFC 9112 section 6.1 has it, or what is hidden gets the answer of somebody else.
func TestAttackRequestSmuggling(t *testing.T) {
	t.Parallel()
	gw, client, token := loggedIn(t, gatewaytest.Setup{})
	const hidden = "GET /mcp HTTP/1.1\r\nHost: evil.example\r\nX-Hidden: yes\r\nConnection: close\r\n\r\n"
	head := func(headers string) string {
		return "POST /mcp HTTP/1.1\r\nHost: " + gw.Addrs[0] + "\r\nAuthorization: Bearer " + token + "\r\n" + headers + "\r\n"
	}
	for _, row := range []struct {
		name, request string
		// The answers to the first request, and to what is hidden behind it, if that
		// is read as another: one that has no token and another host.
		answers string
		body    string // of the first, as the backend sees it
	}{
		{"a length and chunks", head("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n") + "2\r\n{}\r\n0\r\n\r\n" + hidden, "200 403", "{}"},
		{"two lengths", head("Content-Length: 2\r\nContent-Length: 60\r\n") + "{}" + hidden, "400", ""},
		{"a list of lengths", head("Content-Length: 2, 60\r\n") + "{}" + hidden, "400", ""},
		{"a signed length", head("Content-Length: +2\r\n") + "{}" + hidden, "400", ""},
		{"a negative length", head("Content-Length: -1\r\n") + "{}" + hidden, "400", ""},
		{"a hexadecimal length", head("Content-Length: 0x2\r\n") + "{}" + hidden, "400", ""},
		{"another transfer encoding", head("Transfer-Encoding: xchunked\r\n") + "2\r\n{}\r\n0\r\n\r\n" + hidden, "501", ""},
		{"two transfer encodings", head("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n") + "2\r\n{}\r\n0\r\n\r\n" + hidden, "501", ""},
		{"a transfer encoding with a tab", head("Transfer-Encoding:\tchunked\r\nContent-Length: 2\r\n") + "2\r\n{}\r\n0\r\n\r\n" + hidden, "200 403", "{}"},
		{"a transfer encoding, quoted", head("Transfer-Encoding: \"chunked\"\r\n") + "2\r\n{}\r\n0\r\n\r\n" + hidden, "501", ""},
		{"two hosts", "POST /mcp HTTP/1.1\r\nHost: " + gw.Addrs[0] + "\r\nHost: evil.example\r\nContent-Length: 0\r\n\r\n", "400", ""},
		{"no host", "POST /mcp HTTP/1.1\r\nContent-Length: 0\r\n\r\n", "400", ""},
		{"a host in the request line", "POST http://evil.example/mcp HTTP/1.1\r\nHost: " + gw.Addrs[0] + "\r\nConnection: close\r\nAuthorization: Bearer " + token + "\r\nContent-Length: 0\r\n\r\n", "403", ""},
		{"CONNECT", "CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\nConnection: close\r\n\r\n", "404", ""},
		{"a method with a blank", "PO ST /mcp HTTP/1.1\r\nHost: " + gw.Addrs[0] + "\r\n\r\n", "400", ""},
		{"a path with a blank", "POST /mcp /token HTTP/1.1\r\nHost: " + gw.Addrs[0] + "\r\n\r\n", "400", ""},
		{"HTTP/1 behind the beginning of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + hidden, "", ""},
		{"an upgrade to HTTP/2", head("Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nConnection: Upgrade, HTTP2-Settings\r\nContent-Length: 2\r\n") + "{}" + hidden, "200 403", "{}"},
	} {
		t.Run(row.name, func(t *testing.T) {
			before := len(gw.Backend.Requests())
			answer := raw(t, gw, row.request)
			if got := strings.Join(statuses(answer), " "); got != row.answers {
				t.Errorf("the answers are %q: %.300q", got, answer)
			}
			seen := gw.Backend.Requests()[before:]
			if len(seen) > 1 || len(seen) != strings.Count(row.answers, "200") {
				t.Fatalf("the backend saw %d requests", len(seen))
			}
			for _, r := range seen {
				if r.Body != row.body || r.Header.Get("X-Hidden") != "" {
					t.Errorf("the backend saw %q with %v", r.Body, r.Header)
				}
			}
		})
	}
	if a := client.Call(t, token); a.Status != http.StatusOK {
		t.Errorf("the victim gets %d", a.Status)
	}
}
