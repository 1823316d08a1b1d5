package oauth

import (
	"net/url"
	"strings"
	"testing"
)

// usual is the policy of a server that sets none.
var usual = RedirectPolicy{Schemes: []string{"cursor", "vscode", AnyReverseDomain}}

func TestWhichRedirectURIsMayBeRegistered(t *testing.T) {
	for uri, want := range map[string]bool{
		"https://claude.ai/api/mcp/auth_callback":         true,
		"https://app.example.com":                         true,
		"https://app.example.com:8443/cb?tenant=a&b=%20c": true,
		"https://10.0.0.1/cb":                             true,
		"http://localhost:8787/callback":                  true,
		"http://LOCALHOST/callback":                       true,
		"http://127.0.0.1/":                               true,
		"http://127.0.0.1:33418/":                         true,
		"http://127.3.4.5/cb":                             true,
		"http://[::1]:6276/oauth/callback":                true,
		"cursor://anysphere.cursor-mcp/oauth/callback":    true,
		"vscode://vscode.github-authentication/did":       true,
		"com.example.app:/oauth":                          true,
		"com.example.app://oauth/cb":                      true,

		"":                                    false,
		"/callback":                           false,
		"app.example.com/cb":                  false,
		"//app.example.com/cb":                false,
		"https:":                              false,
		"https:///cb":                         false,
		"https:app.example.com":               false,
		"https://:443/cb":                     false,
		"https://app.example.com/cb#fragment": false,
		"https://app.example.com/cb#":         false,
		"https://user@app.example.com/cb":     false,
		"https://%D0%B0pple.com/cb":           false, // a Cyrillic letter, where punycode would show
		"https://xn--pple-43d.com/cb":         true,
		"https://user:pw@app.example.com/cb":  false,
		"https://@app.example.com/cb":         false,
		"https://*.example.com/cb":            false,
		"https://app.example.com/*":           false,
		"https://app.example.com\\@evil.com":  false,
		"https://app.example.com/a b":         false,
		"https://app.example.com/\r\nSet:":    false,
		"https://app.example.com/\"><script>": false,
		"https://exämple.com/cb":              false,
		"https://app.example.com:port/cb":     false,
		"https://app.example.com/%zz":         false,
		" https://app.example.com":            false,

		"http://app.example.com/cb":       false,
		"http://127.0.0.1.example.com/cb": false,
		"http://localhost.example.com/cb": false,
		"http://localhost@example.com/cb": false,
		"http://example.com#@localhost/":  false,
		"http://example.com/localhost":    false,
		"http://0.0.0.0/cb":               false,
		"http://10.0.0.1/cb":              false,
		"http://2130706433/cb":            false,
		"http://127.1/cb":                 false,
		"http:/cb":                        false,
		"http://localho%C5%BFt/cb":        false,
		"http://localhost./cb":            false,

		"javascript:alert(1)":                 false,
		"JavaScript://app.example.com/%0aa()": false,
		"data:text/html,hi":                   false,
		"vbscript:a":                          false,
		"file:///etc/passwd":                  false,
		"blob:https://app.example.com/1":      false,
		"about:blank":                         false,
		"ftp://app.example.com/":              false,
		"ws://localhost/":                     false,
		"myapp://callback":                    false,
		"urn:ietf:wg:oauth:2.0:oob":           false,
	} {
		if err := usual.Check(uri); (err == nil) != want {
			t.Errorf("Check(%q) = %v", uri, err)
		}
	}
	if err := usual.Check("https://a.example.com/" + strings.Repeat("a", MaxRedirectURI)); err == nil {
		t.Error("a redirect URI may be of any length")
	}
}

func TestRedirectPolicies(t *testing.T) {
	for _, row := range []struct {
		policy  RedirectPolicy
		uri     string
		allowed bool
	}{
		{RedirectPolicy{Hosts: []string{"claude.ai"}}, "https://claude.ai/api/mcp/auth_callback", true},
		{RedirectPolicy{Hosts: []string{"claude.ai"}}, "https://CLAUDE.ai:8443/cb", true},
		{RedirectPolicy{Hosts: []string{"Claude.AI"}}, "https://claude.ai/cb", true},
		{RedirectPolicy{Hosts: []string{"claude.ai"}}, "https://claude.com/cb", false},
		{RedirectPolicy{Hosts: []string{"claude.ai"}}, "https://evil.claude.ai/cb", false},
		{RedirectPolicy{Hosts: []string{"claude.ai"}}, "https://claude.ai.evil.com/cb", false},
		{RedirectPolicy{Hosts: []string{"claude.ai"}}, "https://evil.com/claude.ai", false},
		{RedirectPolicy{Hosts: []string{"a.example.com", "*.example.org"}}, "https://b.example.org/cb", true},
		{RedirectPolicy{Hosts: []string{"*.example.org"}}, "https://c.b.example.org/cb", true},
		{RedirectPolicy{Hosts: []string{"*.example.org"}}, "https://example.org/cb", false},
		{RedirectPolicy{Hosts: []string{"*.example.org"}}, "https://.example.org/cb", false},
		{RedirectPolicy{Hosts: []string{"*.example.org"}}, "https://evilexample.org/cb", false},
		{RedirectPolicy{Hosts: []string{"*.example.org"}}, "https://b.example.org.evil.com/cb", false},
		{RedirectPolicy{Hosts: []string{"claude.ai"}}, "http://localhost:3000/cb", true},
		{RedirectPolicy{Hosts: []string{"claude.ai"}}, "http://example.com/cb", false},
		{RedirectPolicy{Hosts: []string{"claude.ai"}, Schemes: []string{"cursor"}}, "cursor://a/cb", true},
		{RedirectPolicy{}, "https://app.example.com/cb", true},
		{RedirectPolicy{}, "http://127.0.0.1/cb", true},
		{RedirectPolicy{}, "cursor://a/cb", false},
		{RedirectPolicy{}, "com.example.app:/cb", false},
		{RedirectPolicy{Schemes: []string{"vscode"}}, "cursor://a/cb", false},
		{RedirectPolicy{Schemes: []string{"vscode"}}, "com.example.app:/cb", false},
		{RedirectPolicy{Schemes: []string{"com.example.app"}}, "com.example.app:/cb", true},
		{RedirectPolicy{Schemes: []string{"com.example.app"}}, "com.example.other:/cb", false},
		{RedirectPolicy{Schemes: []string{AnyReverseDomain}}, "com.example.other:/cb", true},
		{RedirectPolicy{Schemes: []string{AnyReverseDomain}}, "cursor://a/cb", false},
		{RedirectPolicy{Schemes: []string{"javascript", "data", "file", "http"}}, "javascript:alert(1)", false},
		{RedirectPolicy{Schemes: []string{"javascript", "data", "file", "http"}}, "data:text/html,x", false},
		{RedirectPolicy{Schemes: []string{"javascript", "data", "file", "http"}}, "http://example.com/", false},
	} {
		if err := row.policy.Check(row.uri); (err == nil) != row.allowed {
			t.Errorf("%+v says to %s: %v", row.policy, row.uri, err)
		}
	}
}

func TestWhereAClientMayBeAnswered(t *testing.T) {
	const web, four, six, name, app = "https://app.example.com/cb?t=1", "http://127.0.0.1:7000/cb", "http://[::1]/cb", "http://localhost/cb?x=%2f", "cursor://a/cb"
	registered := []string{web, four, six, name, app}
	for presented, want := range map[string]bool{
		web: true, four: true, six: true, name: true, app: true,
		"http://127.0.0.1:9/cb":           true,
		"http://127.0.0.1/cb":             true,
		"http://[::1]:7/cb":               true,
		"http://localhost:65535/cb?x=%2f": true,

		"":                                                false,
		"https://app.example.com/cb":                      false,
		"https://app.example.com/cb?t=2":                  false,
		"https://app.example.com/cb?t=1&u":                false,
		"https://app.example.com/cb?t=1#":                 false,
		"https://app.example.com:443/cb?t=1":              false,
		"https://APP.example.com/cb?t=1":                  false,
		"HTTPS://app.example.com/cb?t=1":                  false,
		"http://app.example.com/cb?t=1":                   false,
		"https://app.example.com/cb/?t=1":                 false,
		"https://app.example.com/x/../cb?t=1":             false,
		"https://app.example.com.evil.com/cb?t=1":         false,
		"https://app.example.com@evil.com/cb?t=1":         false,
		"https://evil.com/https://app.example.com/cb?t=1": false,

		"http://127.0.0.1:7000/cb/":         false,
		"http://127.0.0.1:7000/cb/../x":     false,
		"http://127.0.0.1:7000/x/../cb":     false,
		"http://127.0.0.1:7000/%63b":        false,
		"http://127.0.0.1:7000/cb?a":        false,
		"http://127.0.0.1:7000/cb?":         false,
		"http://127.0.0.1:7000/cb#":         false,
		"http://127.0.0.1:7000@evil.com/cb": false,
		"http://evil.com@127.0.0.1:7000/cb": false,
		"http://127.0.0.1.evil.com:7000/cb": false,
		"http://127.0.0.1:7000.evil.com/cb": false,
		"http://127.0.0.1:7000:80/cb":       false,
		"http://127.0.0.1:x/cb":             false,
		"http://127.0.0.2:7000/cb":          false,
		"http://localhost:7000/cb":          false, // registered with a query only
		"http://LOCALHOST/cb?x=%2f":         false,
		"http://localhost/cb?x=%2F":         false,
		"http://[::1]:7/cb?":                false,
		"http://[0:0:0:0:0:0:0:1]/cb":       false,
		"https://127.0.0.1:7000/cb":         false,
		"https://localhost/cb?x=%2f":        false,
		"cursor://a:1/cb":                   false,
		"CURSOR://a/cb":                     false,
	} {
		if got := MatchRedirectURI(registered, presented); got != want {
			t.Errorf("MatchRedirectURI(%q) = %v", presented, got)
		}
	}
	if MatchRedirectURI(nil, web) || MatchRedirectURI([]string{"https://localhost:1/cb"}, "https://localhost:2/cb") {
		t.Error("only http on loopback may come with another port")
	}
}

func TestIsLoopbackURI(t *testing.T) {
	for uri, want := range map[string]bool{
		"http://localhost:1/cb": true, "http://127.0.0.1/cb": true, "http://[::1]:1": true,
		"https://localhost/cb": false, "http://example.com": false, "cursor://localhost": false, "%": false,
	} {
		if IsLoopbackURI(uri) != want {
			t.Errorf("IsLoopbackURI(%q) = %v", uri, !want)
		}
	}
}

func TestRedirectWithKeepsWhatTheQueryHad(t *testing.T) {
	params := url.Values{"code": {"a b&c"}, "state": {"<ü>"}}
	const added = "code=a+b%26c&state=%3C%C3%BC%3E"
	for uri, want := range map[string]string{
		"https://app.example.com/cb":          "https://app.example.com/cb?" + added,
		"https://app.example.com/cb?":         "https://app.example.com/cb?" + added,
		"https://app.example.com/cb?z=1&a=%2": "https://app.example.com/cb?z=1&a=%2&" + added,
		"https://app.example.com/cb?z&":       "https://app.example.com/cb?z&" + added,
		"cursor://a/cb":                       "cursor://a/cb?" + added,
	} {
		if got := RedirectWith(uri, params); got != want {
			t.Errorf("RedirectWith(%q) = %q, want %q", uri, got, want)
		}
	}
}

func FuzzRedirectURI(f *testing.F) {
	for _, seed := range [][2]string{
		{"http://127.0.0.1/cb", "http://127.0.0.1:7000/cb"}, {"http://[::1]:1/cb", "http://[::1]/cb"},
		{"http://localhost:1?a", "http://localhost?a"}, {"https://app.example.com/cb", "https://app.example.com/cb"},
		{"http://localhost:/", "http://localhost:1/"}, {"http://localhost/", "http://localhost:80@evil.com/"},
		{"com.example.app:/cb", "com.example.app:/cb"}, {"http://127.0.0.1:1/cb", "http://127.0.0.1.evil.com:1/cb"},
		{"http://localhost/cb", "http://127.0.0.1/cb"}, {"http://127.0.0.1:1/cb", "http://127.0.0.1:1/cb2"}, {"http://[::1]/?a", "http://[::1]:9/?b"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, registered, presented string) {
		if CheckRedirectURI(registered) != nil {
			return
		}
		if !MatchRedirectURI([]string{registered}, registered) {
			t.Fatalf("%q does not match itself", registered)
		}
		if presented == registered || !MatchRedirectURI([]string{registered}, presented) {
			return
		}
		r, err := url.Parse(registered)
		if err != nil {
			t.Fatal(err)
		}
		p, err := url.Parse(presented)
		if err != nil {
			t.Fatal(err)
		}
		r.Host, p.Host = r.Hostname(), p.Hostname()
		if !IsLoopbackURI(presented) || *r != *p || CheckRedirectURI(presented) != nil {
			t.Errorf("%q matches %q", presented, registered)
		}
	})
}

// Whatever a redirect URI looks like, what is added to it changes where it leads in
// nothing, and arrives as it was.
func FuzzRedirectWith(f *testing.F) {
	for _, uri := range []string{
		"https://app.example.com/cb", "https://app.example.com/cb?", "https://app.example.com?z&", "http://127.0.0.1:33418/", "http://[::1]", "http://localhost:1?a=b#", "cursor://anysphere.cursor-mcp/oauth/callback", "com.example.app:/cb?a=%2", "https://a?&&",
	} {
		f.Add(uri, "vst_ac_AQ", "a b&c=d#?")
		f.Add(uri, "", "\r\nLocation: //evil.com\xff")
	}
	f.Fuzz(func(t *testing.T, uri, code, state string) {
		if CheckRedirectURI(uri) != nil {
			return
		}
		got := RedirectWith(uri, url.Values{"vst_code": {code}, "vst_state": {state}})
		was, err := url.Parse(uri)
		if err != nil {
			t.Fatal(err)
		}
		is, err := url.Parse(got)
		if err != nil {
			t.Fatalf("%q is no URI: %v", got, err)
		}
		if !strings.HasPrefix(got, uri) || is.Fragment != "" || strings.ContainsAny(got, "\r\n\t \"<>") {
			t.Errorf("%q becomes %q", uri, got)
		}
		is.RawQuery, was.RawQuery, is.ForceQuery, was.ForceQuery = "", "", false, false
		if *is != *was {
			t.Errorf("%q leads elsewhere than %q", got, uri)
		}
		_, query, _ := strings.Cut(got, "?")
		i := strings.LastIndex(query, "vst_code=")
		if q, err := url.ParseQuery(query[max(i, 0):]); err != nil || q.Get("vst_code") != code || q.Get("vst_state") != state {
			t.Errorf("in %q is %v, %v", got, q, err)
		}
	})
}
