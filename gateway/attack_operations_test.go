package gateway_test

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strings"
	"testing"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
)

// Bodies of which the gateway could read a call that is allowed, and the backend one
// that is not: none reaches the backend.
func TestAttackParserDifferentials(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{Configure: ruled})
	client := gw.Register(t, nil)
	tokens := granted(t, client, "base read")
	const good, bad = `"params":{"name":"get_a"}`, `"params":{"name":"del_all"}`
	deep := strings.Repeat("[", 100_000)
	for name, body := range map[string]string{
		"two methods":                       `{"method":"tools/list","method":"tools/call",` + bad + `}`,
		"two params":                        `{"method":"tools/call",` + good + `,` + bad + `}`,
		"two params, the other way":         `{"method":"tools/call",` + bad + `,` + good + `}`,
		"two names":                         message("tools/call", `{"name":"get_a","name":"del_all"}`),
		"two names, the other way":          message("tools/call", `{"name":"del_all","name":"get_a"}`),
		"two names, one escaped":            message("tools/call", `{"name":"get_a","n\u0061me":"del_all"}`),
		"Method beside method":              `{"method":"tools/list","Method":"tools/call",` + bad + `}`,
		"Params beside params":              `{"method":"tools/call",` + good + `,"Params":{"name":"del_all"}}`,
		"params with a long s":              `{"method":"tools/call",` + good + `,"param` + "\u017f" + `":{"name":"del_all"}}`,
		"NAME beside name":                  message("tools/call", `{"name":"get_a","NAME":"del_all"}`),
		"Name alone":                        message("tools/call", `{"Name":"del_all"}`),
		"a name in a prototype":             message("tools/call", `{"name":"get_a","__proto__":{"name":"del_all"}}`),
		"a call in a prototype":             `{"result":{},"__proto__":{"method":"tools/call",` + bad + `}}`,
		"a name that is cut at NUL":         message("tools/call", `{"name":"del_all\u0000get_a"}`),
		"a member that is cut at NUL":       message("tools/call", `{"name":"get_a","name\u0000":"del_all"}`),
		"half a surrogate pair":             message("tools/call", `{"name":"get_a\ud800"}`),
		"a name that is trimmed":            message("tools/call", `{"name":" del_all"}`),
		"a name behind a mark":              message("tools/call", `{"name":"\ufeffdel_all"}`),
		"a name in an array":                message("tools/call", `{"name":["del_all"]}`),
		"a method in an array":              `{"method":["tools/call"],` + bad + `}`,
		"a method in capitals":              `{"method":"TOOLS/CALL",` + bad + `}`,
		"a method in an object":             `{"method":{"toString":"tools/call"},` + bad + `}`,
		"params by position":                message("tools/call", `["del_all"]`),
		"params in a string":                message("tools/call", `"{\"name\":\"del_all\"}"`),
		"a batch in a batch":                `[[` + toolCall("del_all") + `]]`,
		"an empty batch":                    `[]`,
		"a second message":                  toolCall("get_a") + toolCall("del_all"),
		"a second message on its own line":  toolCall("get_a") + "\n" + toolCall("del_all"),
		"a second message behind NUL":       toolCall("get_a") + "\x00" + toolCall("del_all"),
		"a second message in a text record": toolCall("get_a") + "\x1e" + toolCall("del_all"),
		"a comment":                         `{"method":"tools/list",/*"x":*/"method":"tools/call",` + bad + `}`,
		"a comment over the end":            `{"method":"tools/list"/*,` + bad + `,"method":"tools/call"*/}`,
		"single quotes":                     `{"method":"tools/list",'method':'tools/call',` + bad + `}`,
		"a byte order mark":                 "\ufeff" + toolCall("del_all"),
		"UTF-16":                            "\xff\xfe" + strings.Join(strings.Split(toolCall("del_all"), ""), "\x00") + "\x00",
		"UTF-7":                             strings.ReplaceAll(toolCall("del_all"), `"`, "+ACI-"),
		"no UTF-8":                          message("tools/call", `{"name":"get_a","x":"`+"\xc0\xa2"+`,"name":"del_all"}`),
		"deep nesting":                      `{"method":"tools/list","params":` + deep + strings.ReplaceAll(deep, "[", "]") + `,"x":1}`,
		"nothing":                           "",
		"a form":                            "method=tools%2Fcall&params%5Bname%5D=del_all",
		"YAML":                              "method: tools/call\nparams: {name: del_all}\n",
		"an event":                          "data: " + toolCall("del_all") + "\n\n",
	} {
		t.Run(name, func(t *testing.T) {
			isGatewayError(t, send(t, gw, "/mcp", tokens.Access, body, nil), http.StatusBadRequest)
		})
	}
	for name, body := range map[string]string{ // which are read, as everybody does
		"the second of a batch":           "[" + toolCall("get_a") + "," + toolCall("del_all") + "]",
		"escapes":                         `{"\u006dethod":"tools\/call","p\u0061rams":{"n\u0061me":"\u0064el_all"}}`,
		"the name last":                   `{"params":{"arguments":{"name":"get_a"},"_meta":{"name":"get_a"},"name":"del_all"},"id":1,"method":"tools/call"}`,
		"an answer beside the call":       `{"result":{},"id":1,"method":"tools/call",` + bad + `}`,
		"a notification":                  `{"method":"tools/call",` + bad + `}`,
		"an id that is a call":            `{"id":{"method":"tools/list"},"method":"tools/call",` + bad + `}`,
		"blanks":                          "\r\n\t " + toolCall("del_all") + " \n",
		"a resource by an encoded letter": message("resources/read", `{"uri":"file:///s%65cret/a"}`),
		"a resource by an encoded slash":  message("resources/read", `{"uri":"file:///secret%2fa"}`),
		"a resource in other capitals":    message("resources/read", `{"uri":"FILE:///secret/a"}`),
		"a resource by subscription":      message("resources/subscribe", `{"uri":"file:///secret/a"}`),
	} {
		t.Run(name, func(t *testing.T) {
			send(t, gw, "/mcp", tokens.Access, body, nil).Fails(t, http.StatusForbidden, "insufficient_scope")
		})
	}
	for _, uri := range []string{
		"file:///public/../secret/a", "file:///public/%2e%2e/secret/a", "file:///public/..%2Fsecret/a", `file:///public/..\\secret/a`, "file:////secret/a",
		"file:/secret/a", "file://localhost/secret/a", "file:///public//../secret/a", "file:///%2573ecret/a", "file:///public/%00/a", "secret/a",
	} {
		t.Run(uri, func(t *testing.T) {
			isGatewayError(t, send(t, gw, "/mcp", tokens.Access, message("resources/read", `{"uri":"`+uri+`"}`), nil), http.StatusBadRequest)
		})
	}
	if seen := gw.Backend.Requests(); len(seen) > 0 {
		t.Errorf("the backend saw %d requests, first %+v", len(seen), seen[0])
	}
	if a := send(t, gw, "/mcp", tokens.Access, toolCall("get_a"), nil); a.Status != http.StatusOK {
		t.Errorf("afterwards a good call gets %d: %s", a.Status, a.Body)
	}
	unharmed(t, client, client.Refresh(t, tokens.Refresh))
}

// Headers that say of the body what it does not, or have the backend read it in a way
// that the gateway did not.
func TestAttackHeadersThatBelieTheBody(t *testing.T) { // T4, T5
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{Configure: ruled})
	client := gw.Register(t, nil)
	token := granted(t, client, "base read").Access
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write([]byte(toolCall("del_all")))
	_ = z.Close()
	for _, row := range []struct {
		name, body string
		header     http.Header
		status     int
		code       float64
	}{
		{"another tool", toolCall("get_a"), http.Header{"Mcp-Method": {"tools/call"}, "Mcp-Name": {"del_all"}}, 400, -32020},
		{"another method", toolCall("get_a"), http.Header{"Mcp-Method": {"tools/list"}}, 400, -32020},
		{"a method in capitals", toolCall("get_a"), http.Header{"Mcp-Method": {"Tools/Call"}}, 400, -32020},
		{"an empty method", toolCall("get_a"), http.Header{"Mcp-Method": {""}}, 400, -32020},
		{"an empty name", toolCall("get_a"), http.Header{"Mcp-Name": {""}}, 400, -32020},
		{"another tool, encoded", toolCall("get_a"), http.Header{"Mcp-Name": {"=?base64?ZGVsX2FsbA==?="}}, 400, -32020},
		{"what is not encoded right", toolCall("get_a"), http.Header{"Mcp-Name": {"=?base64?Z2V0X2E?="}}, 400, -32020},
		{"what has bits to spare", toolCall("get_ab"), http.Header{"Mcp-Name": {"=?base64?Z2V0X2Fi=?="}}, 400, -32020},
		{"an encoding in capitals", toolCall("get_a"), http.Header{"Mcp-Name": {"=?BASE64?Z2V0X2E=?="}}, 400, -32020},
		{"two names", toolCall("get_a"), http.Header{"Mcp-Name": {"get_a", "del_all"}}, 400, -32020},
		{"a name twice", toolCall("get_a"), http.Header{"Mcp-Name": {"get_a", "get_a"}}, 400, -32020},
		{"two methods", toolCall("get_a"), http.Header{"Mcp-Method": {"tools/call", "tools/list"}}, 400, -32020},
		{"two names of another method", message("tasks/get", "{}"), http.Header{"Mcp-Name": {"1", "2"}}, 400, -32020},
		{"another resource", message("resources/read", `{"uri":"file:///public/a"}`), http.Header{"Mcp-Name": {"file:///secret/a"}}, 400, -32020},
		{"a batch", "[" + toolCall("get_a") + "]", http.Header{"Mcp-Method": {"tools/call"}}, 400, -32020},
		{"a name of a batch", "[" + toolCall("get_a") + "]", http.Header{"Mcp-Name": {"get_a"}}, 400, -32020},
		{"an answer", `{"id":1,"result":{}}`, http.Header{"Mcp-Method": {"tools/call"}, "Mcp-Name": {"del_all"}}, 400, -32020},
		{"with underscores", toolCall("get_a"), http.Header{"Mcp_Name": {"del_all"}}, 400, -32000},
		{"half with underscores", toolCall("get_a"), http.Header{"Mcp_method": {"tools/list"}}, 400, -32000},

		{"compressed", packed.String(), http.Header{"Content-Encoding": {"gzip"}}, 415, -32000},
		{"compressed, and not said so", packed.String(), nil, 400, -32700},
		{"not compressed, but said so", toolCall("get_a"), http.Header{"Content-Encoding": {"gzip"}}, 415, -32000},
		{"two encodings", toolCall("get_a"), http.Header{"Content-Encoding": {"identity, gzip"}}, 415, -32000},
		{"an encoding with underscores", packed.String(), http.Header{"Content_encoding": {"gzip"}}, 400, -32000},
		{"no type", toolCall("get_a"), http.Header{"Content-Type": nil}, 415, -32000},
		{"a type of text", toolCall("del_all"), http.Header{"Content-Type": {"text/plain"}}, 415, -32000},
		{"a type of another JSON", toolCall("get_a"), http.Header{"Content-Type": {"application/json5"}}, 415, -32000},
		{"a type that ends so", toolCall("get_a"), http.Header{"Content-Type": {"application/vnd.a+json"}}, 415, -32000},
		{"two types", toolCall("get_a"), http.Header{"Content-Type": {"application/json", "text/plain"}}, 415, -32000},
		{"two types in one", toolCall("get_a"), http.Header{"Content-Type": {"application/json, text/plain"}}, 415, -32000},
		{"another charset", toolCall("get_a"), http.Header{"Content-Type": {"application/json; charset=utf-7"}}, 415, -32000},
		{"two charsets", toolCall("get_a"), http.Header{"Content-Type": {"application/json; charset=utf-8; charset=utf-16"}}, 415, -32000},
		{"a type with underscores", toolCall("get_a"), http.Header{"Content_type": {"application/x-www-form-urlencoded"}}, 400, -32000},
	} {
		t.Run(row.name, func(t *testing.T) {
			a := send(t, gw, "/mcp", token, row.body, row.header)
			isGatewayError(t, a, row.status)
			if e, _ := a.JSON(t)["error"].(map[string]any); e["code"] != row.code {
				t.Errorf("the error is %v", e)
			}
		})
	}
	for _, method := range []string{"GET", "DELETE", "PUT", "PATCH"} { // of which some frameworks read bodies all the same
		t.Run(method, func(t *testing.T) {
			r := gw.Request(t, method, "/mcp", strings.NewReader(toolCall("del_all")), map[string]string{
				"Authorization": "Bearer " + token, "Content-Type": "application/json", "X-HTTP-Method-Override": "POST",
			})
			gw.Do(t, gw.HTTP(0), r).Fails(t, http.StatusForbidden, "insufficient_scope")
		})
	}
	t.Run("chunks that end too early", func(t *testing.T) {
		answer := raw(t, gw, "POST /mcp HTTP/1.1\r\nHost: "+gw.Addrs[0]+"\r\nConnection: close\r\nAuthorization: Bearer "+token+"\r\nContent-Type: application/json\r\n"+
			"Transfer-Encoding: chunked\r\n\r\n2\r\n[]\r\nx\r\n")
		if got := statuses(answer); len(got) != 1 || got[0] != "400" {
			t.Errorf("half a body gets %q", answer)
		}
	})
	if seen := gw.Backend.Requests(); len(seen) > 0 {
		t.Errorf("the backend saw %d requests, first %+v", len(seen), seen[0])
	}
}

// A message of the older transport is a call like any other.
func TestAttackCallsByTheOlderTransport(t *testing.T) {
	t.Parallel()
	set, seen := announces(t, func() string { return "event: endpoint\ndata: /messages?id=1\n\n" })
	setup := legacy(set)
	routes := setup.Configure
	setup.Configure = func(c *config.Config) {
		ruled(c)
		c.RequiredScopes = nil
		routes(c)
	}
	gw := gatewaytest.New(t, setup)
	client := gw.Register(t, nil)
	request := client.AuthorizationRequest()
	request.Set("resource", gw.URL+"/sse")
	request.Set("scope", "read")
	token := client.Redeem(t, client.LoginWith(t, request)).Access
	endpoint, _ := stream(t, gw, token)
	send(t, gw, endpoint, token, toolCall("del_all"), nil).Fails(t, http.StatusForbidden, "insufficient_scope")
	isGatewayError(t, send(t, gw, endpoint, token, message("tools/call", `{"name":"get_a","Name":"del_all"}`), nil), http.StatusBadRequest)
	if got := seen(); len(got) > 0 {
		t.Errorf("the backend saw %d messages", len(got))
	}
	if a := send(t, gw, endpoint, token, toolCall("get_a"), nil); a.Status != http.StatusAccepted {
		t.Errorf("a good message gets %d: %s", a.Status, a.Body)
	}
}
