package gateway_test

import (
	"net/http"
	"testing"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
)

// Servers look resources up by their URL library's reading of a URI. No spelling of a
// guarded URI reaches them without the scope.
func TestAttackResourcesAsServersReadThem(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{Configure: func(c *config.Config) {
		c.Scopes = []config.Scope{
			{Name: "base"},
			{Name: "text", Resources: []string{"*.txt", "config://plain"}},
			{Name: "secret", Resources: []string{
				"https://example.com/secret*", "https://127.0.0.1/secret", "https://[2001:db8::1]/secret", "file:///C:/secret*",
				"config://app", "config://[::1]/app", "config://app:80/app", "docs://guide/",
			}},
		}
		c.RequiredScopes = map[string][]string{"mcp": {"base"}}
	}})
	client := gw.Register(t, nil)
	tokens := granted(t, client, "base text")
	read := func(t *testing.T, uri string) gatewaytest.Answer {
		t.Helper()
		return send(t, gw, "/mcp", tokens.Access, message("resources/read", `{"uri":"`+uri+`"}`), nil)
	}
	for _, uri := range []string{
		"https://example.com:0443/secret", "https://example.com:00443/secret", "https://example.com:/secret", "https://example.com:443/secret",
		"https://ｅxample.com/secret", "https://ex%C2%ADample.com/secret", "https://ex\u00adample.com/secret", "https://example\u3002com/secret",
		"https://example%2Ecom/secret", "https://ex%61mple.com/secret", "https://xn--example-.com/secret", "https://example.com.xn--/secret", "https://example.com./secret",
		`https:\\\\example.com\\secret`, `https://example.com\\secret`, `https:/\\example.com/secret`, "https:example.com/secret", "https:///example.com/secret",
		`ht\ttps://example.com/secret`, `https://exam\nple.com/secret`, `https://example.com/sec\rret`,
		"https://@example.com/secret", "https://:@example.com/secret", "https://user@example.com/secret",
		"https://0x7f.1/secret", "https://2130706433/secret", "https://0177.0.0.1/secret", "https://127.1/secret", "https://127.0.0.1./secret", "https://127.0.0.0x1/secret",
		"https://[2001:db8:0::1]/secret", "https://[2001:0db8::1]/secret", "https://[2001:db8::0.0.0.1]/secret",
		"file:///C|/secret.txt", "file:///C%7C/secret.txt", "file:C:/secret.txt", "file:/C:/secret.txt", "file://C:/secret.txt", "file://C|/secret.txt", "file:///C|", `file:\\\\\\C:\\secret.txt`,
		"config://@app", "config://:@app", "config://[0::1]/app", "config://app:080/app",
	} {
		t.Run(uri, func(t *testing.T) { isGatewayError(t, read(t, uri), http.StatusBadRequest) })
	}
	for _, uri := range []string{ // judged as they are read
		"HTTPS://EXAMPLE.COM/secret", "https://example.com/s%65cret", "https://example.com/secret?", "FILE:///C:/secret.doc",
		"config://app", "config://app?x", "config://app?", "config://app#x", "config://app#", "config://app/", "config://app/?x#y", "config://app?x/#/", "config://app:80/app%3Fx",
		"config://app?x.txt", "config://app#.txt", "config://app/#?x", "docs://guide/?x", "docs://guide/#x", "https://127.0.0.1/secret/?x",
	} {
		t.Run(uri, func(t *testing.T) { read(t, uri).Fails(t, http.StatusForbidden, "insufficient_scope") })
	}
	if seen := gw.Backend.Requests(); len(seen) > 0 {
		t.Errorf("the backend saw %d requests, first %+v", len(seen), seen[0])
	}
	for _, uri := range []string{"config://plain?x", "config://application", "https://example.com/other", "file:///C:/other", "docs://guide"} {
		if a := read(t, uri); a.Status != http.StatusOK {
			t.Errorf("%s gets %d: %s", uri, a.Status, a.Body)
		}
	}
	unharmed(t, client, client.Refresh(t, tokens.Refresh))
}
