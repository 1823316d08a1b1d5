package gateway_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
)

func TestAttackRedirectURI(t *testing.T) {
	t.Parallel()
	const loopback, web, app = gatewaytest.RedirectURI, "https://app.example/cb?t=1", "com.example.app:/cb"
	gw := gatewaytest.New(t, gatewaytest.Setup{})
	client := gw.Register(t, map[string]any{"redirect_uris": []string{loopback, "http://localhost/callback", web, app}})
	for name, uri := range map[string]string{
		"a stranger's": "https://evil.example/", "longer path": loopback + "/", "query added": loopback + "?a=b", "an empty query": loopback + "?",
		"fragment": loopback + "#a", "an empty fragment": loopback + "#", "encoded fragment": web + "%23", "encoded path": "http://127.0.0.1:9/c%61llback",
		"dot segments": "http://127.0.0.1:9/x/../callback", "encoded dot segments": "http://127.0.0.1:9/%2e%2e/callback",
		"a path below": "http://127.0.0.1:9/callback/../evil", "a backslash": `http://127.0.0.1\@evil.example/callback`,
		"upper-case scheme": "HTTP://127.0.0.1:9/callback", "upper-case host": "https://APP.example/cb?t=1", "https for http": "https://127.0.0.1:9/callback",
		"http for https": "http://app.example/cb?t=1", "a user name": "http://evil@127.0.0.1:9/callback", "an empty user name": "https://@app.example/cb?t=1",
		"the host as user name": "http://127.0.0.1:9@evil.example/callback", "the web host as user name": "https://app.example@evil.example/cb?t=1",
		"javascript": "javascript:alert(1)//" + loopback, "data": "data:text/html,x", "another app": "com.example.app.evil:/cb", "the app's other path": "com.example.app:/cb/../x",
		"the app with a host": "com.example.app://evil.example/cb", "a blank before": " " + loopback, "two URIs": loopback + " https://evil.example/", "a tab": "https://app.example\t.evil.example/cb?t=1",
		"a host that begins alike": "http://127.0.0.1.evil.example/callback", "localhost of another": "http://localhost.evil.example/callback", "the web host of another": "https://app.example.evil.example/cb?t=1",
		"a look-alike": "https://аpp.example/cb?t=1", "its punycode": "https://xn--pp-6kc.example/cb?t=1", "a full-width dot": "https://app．example/cb?t=1", "an encoded host": "https://%61pp.example/cb?t=1",
		"the root dot": "https://app.example./cb?t=1", "localhost's root dot": "http://localhost./callback", "localhost in capitals": "http://LOCALHOST/callback", "a long s": "http://localhoſt/callback",
		"the address in IPv6": "http://[::ffff:127.0.0.1]:9/callback", "hexadecimal": "http://0x7f.1:9/callback", "octal": "http://0177.0.0.1:9/callback",
		"a number": "http://2130706433:9/callback", "short": "http://127.1:9/callback", "another loopback address": "http://127.0.0.2:9/callback", "IPv6": "http://[::1]:9/callback",
		"any address": "http://0.0.0.0:9/callback", "two ports": "http://127.0.0.1:9:80/callback", "a port that is none": "http://127.0.0.1:9evil.example/callback",
		"another port of https": "https://app.example:8443/cb?t=1", "the default port of https": "https://app.example:443/cb?t=1", "another query": "https://app.example/cb?t=2", "a query longer": web + "&t=2",
		"a zone": "http://[::1%25lo]/callback", "nothing but a scheme": "https:", "a relative one": "/callback", "without a scheme": "//127.0.0.1:9/callback", "NUL": loopback + "\x00", "a line break": loopback + "\r\nLocation: https://evil.example/",
	} {
		t.Run(name, func(t *testing.T) {
			request := client.AuthorizationRequest()
			request.Set("redirect_uri", uri)
			// Whatever else is wrong with it, the answer does not go there.
			for _, broken := range []string{"", "response_type", "code_challenge"} {
				request.Del(broken)
				a := client.Browser(t).Get(t, gw.AuthorizeURL(request))
				isPage(t, a, http.StatusBadRequest, "<h1>")
				if len(cookies(t, a)) > 0 {
					t.Error("it sets a cookie")
				}
			}
		})
	}
	// Any port of loopback, and each of the others to the byte, are what clients need.
	for _, uri := range []string{loopback, "http://127.0.0.1:1/callback", "http://localhost:5555/callback", web, app} {
		request := client.AuthorizationRequest()
		request.Set("redirect_uri", uri)
		isPage(t, client.Browser(t).Get(t, gw.AuthorizeURL(request)), http.StatusOK, "asks for access")
	}
	unharmed(t, client, client.Redeem(t, client.Login(t)))
}

func TestAttackOpenRedirect(t *testing.T) {
	t.Parallel()
	gw := gatewaytest.New(t, gatewaytest.Setup{})
	client := gw.Register(t, nil)
	b, _, back := approved(t, client)
	const evil = "https%3A%2F%2Fevil.example%2F"
	good := client.AuthorizationRequest()
	with := func(edit func(url.Values)) string {
		r := client.AuthorizationRequest()
		edit(r.Values)
		return "/authorize?" + r.Encode()
	}
	for _, path := range []string{
		"/authorize?redirect_uri=" + evil, "/authorize?client_id=unknown&redirect_uri=" + evil,
		"/authorize?client_id=" + client.ID + "&redirect_uri=" + evil, "/authorize?client_id=" + client.ID + "&redirect_uri=" + evil + "&response_type=token",
		"/authorize?" + good.Encode() + "&redirect_uri=" + evil, "/authorize?redirect_uri=" + evil + "&" + good.Encode(), "/authorize?" + good.Encode() + "&error_uri=" + evil,
		with(func(q url.Values) { q.Set("response_mode", "form_post") }), with(func(q url.Values) { q.Set("state", "\r\nLocation: https://evil.example/") }),
		with(func(q url.Values) { q.Set("resource", "https://evil.example/") }), with(func(q url.Values) { q.Set("request_uri", "https://evil.example/") }),
		with(func(q url.Values) { q.Set("return_to", "https://evil.example/"); q.Del("response_type") }), with(func(q url.Values) { q.Set("state", "https://evil.example/"); q.Del("code_challenge") }),
		"/callback/corp?redirect_uri=" + evil, "/callback/corp?error=access_denied&state=" + evil, "/callback/corp?code=x&state=AAAAAAAAAAAAAAAAAAAAAAAAAA&iss=" + evil, "/callback/https:%2F%2Fevil.example%2F?error=x",
		"/consent?redirect_uri=" + evil, "//evil.example/", "//evil.example/authorize", "/%2Fevil.example/", "/%5Cevil.example/", "/authorize/..//evil.example", "/callback/..%2F..%2F%2Fevil.example",
		"/token?redirect_uri=" + evil, "/register?redirect_uri=" + evil, "/mcp?redirect_uri=" + evil, "/mcp//evil.example", "/.well-known//evil.example", "/.well-known/oauth-authorization-server/https:%2F%2Fevil.example",
	} {
		for _, host := range []string{"", "evil.example"} {
			r := gw.Request(t, "GET", path, nil, map[string]string{"X-Forwarded-Host": "evil.example", "Referer": "https://evil.example/"})
			if host != "" {
				r.Host = host
			}
			a := gw.Do(t, client.Browser(t).HTTP, r)
			if to := a.Header.Get("Location"); to != "" && !strings.HasPrefix(to, gatewaytest.RedirectURI+"?") || a.Status >= 500 || a.Header.Get("Refresh") != "" {
				t.Errorf("%s (host %q) answers %d, and leads to %q", path, host, a.Status, to)
			}
		}
	}
	// What was pending meanwhile, arrives.
	if _, arrived := b.Follow(t, b.Get(t, back)); arrived.Get("code") == "" {
		t.Errorf("the login that was under way ends with %v", arrived)
	}
}
