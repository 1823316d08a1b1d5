package authorize

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/keys"
	"vestibule.dev/vestibule/gateway/internal/seal"
	"vestibule.dev/vestibule/gateway/internal/upstream"
)

// A browser brings cookies that other servers of its host have set, or a page that
// wants to finish a login of its own in it.
func FuzzCookies(f *testing.F) {
	now := time.Unix(1_800_000_000, 0)
	ring, err := keys.NewRing(config.NewKeySet(now))
	if err != nil {
		f.Fatal(err)
	}
	const state = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	clock := func() time.Time { return now }
	corp := upstream.New(config.Upstream{Name: "corp"}, "", clock)
	h := New(Options{PublicURL: "https://mcp.example.com", ServerUID: "uid", Upstreams: []Upstream{corp}, Ring: ring, Now: clock})
	sealed, err := seal.Seal(h.flows, pendingLogin{State: state, Upstream: "corp"}, now.Add(loginFor))
	if err != nil {
		f.Fatal(err)
	}
	name := h.cookies.prefix + "-" + flowName(state)
	for _, seed := range [][2]string{
		{name + "=" + sealed, state}, {name + "=" + sealed + "; " + name + "=x", state}, {name + "=" + sealed, state[:12] + "AAAAAAAAAAAAAA"}, {"other=" + sealed, state},
		{strings.ToLower(name) + "=" + sealed, state}, {"$" + name + "=" + sealed, state}, {name + "=\"" + sealed + "\"", state}, {"", ""}, {name, strings.Repeat("A", 65)}, {"=; =;;", "; Path=/; AAAAAAAA"},
		{name + "=" + sealed[:30], state + "\r\nSet-Cookie: a=b"}, {strings.Repeat(h.cookies.prefix+"-flow-AAAAAAAAAAAA="+strings.Repeat("x", 900)+"; ", 9), state},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, cookies, state string) {
		r := httptest.NewRequest(http.MethodGet, "/callback/corp", nil)
		r.SetPathValue("upstream", "corp")
		r.Header["Cookie"] = []string{cookies}
		w := httptest.NewRecorder()
		login, e := h.takeLogin(w, r, state)
		// What a cookie holds is in its header as it is; it opens only where it was put.
		if e == nil && (login.State != state || strings.Count(cookies, sealed) < 1 || strings.Count(cookies, h.cookies.prefix+"-"+flowName(state)+"=") != 1) {
			t.Errorf("the cookies %q are a login with the state %q", cookies, state)
		}
		h.cookies.makeRoom(w, r, 100, h.startedAt)
		for _, set := range w.Header()["Set-Cookie"] {
			c, err := http.ParseSetCookie(set)
			if err != nil || !strings.HasPrefix(c.Name, h.cookies.prefix+"-flow-") || c.Value != "" || c.MaxAge >= 0 || !c.Secure || !c.HttpOnly || c.Path != "/" || strings.ContainsAny(set, "\r\n") {
				t.Errorf("for %q, %q it sets %q: %v", cookies, state, set, err)
			}
		}
		if binding := h.cookies.get(r, formCookie); binding != "" && !strings.Contains(cookies, h.cookies.prefix+"-"+formCookie+"=") {
			t.Errorf("%q comes from nowhere", binding)
		}
	})
}

// Where the client is answered is what the user reads on the page.
func FuzzRedirectHost(f *testing.F) {
	for _, seed := range []string{"https://claude.ai/api/mcp/auth_callback", "http://127.0.0.1:9/callback", "cursor://anysphere.cursor-mcp/oauth/callback", "com.example.app:/cb", "https://a.example:8443", "http://[::1]:1/"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		u, err := url.Parse(uri)
		if got := redirectHost(uri); err == nil && (u.Scheme == "http" || u.Scheme == "https") && got != u.Host {
			t.Errorf("%q leads to %q", uri, got)
		}
	})
}
