package proxy

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/audit"
	"vestibule.dev/vestibule/gateway/internal/caller"
	"vestibule.dev/vestibule/gateway/internal/identity"
	"vestibule.dev/vestibule/gateway/internal/keys"
	"vestibule.dev/vestibule/gateway/internal/oauth"
	"vestibule.dev/vestibule/gateway/internal/seal"
)

func FuzzBearer(f *testing.F) {
	for _, seed := range [][2]string{
		{"Bearer vst_at_AQ", ""}, {"bearer  vst_at_AQ ", "a=b"}, {"Bearer vst_at_AQ", "access_token=x"}, {"Bearer vst_at_AQ", "access%5Ftoken=x"}, {"Bearer vst_at_AQ", "a=%zz&access_token"},
		{"Bearer", ""}, {"Bearer ", ""}, {"Basic eDp5", ""}, {"Bearer a, Bearer b", ""}, {"Bearer\ta", ""}, {" Bearer a", ""}, {"Bearer a\nBearer b", ""}, {"", "access_token=x"}, {"Bearer a", "a;access_token=x"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, header, query string) {
		r := httptest.NewRequest(http.MethodPost, "/mcp", nil)
		r.URL.RawQuery = query
		if header != "" {
			r.Header["Authorization"] = strings.Split(header, "\n")
		}
		token, e := bearer(r)
		if e != nil {
			if token != "" || e.Code != oauth.CodeInvalidToken && e.Code != oauth.CodeInvalidRequest {
				t.Errorf("%q: %q with %v", header, token, e)
			}
			return
		}
		if token == "" || strings.TrimSpace(token) != token || len(r.Header["Authorization"]) != 1 || !strings.EqualFold(header[:7], "Bearer ") || !strings.Contains(header, token) || r.URL.Query().Has("access_token") {
			t.Errorf("%q, %q: the token is %q", header, query, token)
		}
	})
}

func FuzzSameHost(f *testing.F) {
	public, err := url.Parse("https://mcp.example.com/team")
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{"mcp.example.com", "MCP.example.com:443", "mcp.example.com:80", "mcp.example.com.", "evil.example", "", ":443", "mcp.example.com:443:443", "mcp.example.com@evil.example", "mcp.example.com\x00", "mcp.example.com:", "Kcp.example.com", "mcp.example.com,evil.example"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, host string) {
		if want := strings.ToLower(host) == "mcp.example.com" || strings.ToLower(host) == "mcp.example.com:443"; sameHost(host, public) != want {
			t.Errorf("sameHost(%q) = %v", host, !want)
		}
	})
}

// A session id is good for one user on one route, and nothing else is one.
func FuzzSessionID(f *testing.F) {
	now := time.Unix(1_800_000_000, 0)
	ring, err := keys.NewRing(config.NewKeySet(now))
	if err != nil {
		f.Fatal(err)
	}
	box := seal.Box{Ring: ring, ServerUID: "uid", Purpose: "session", Now: func() time.Time { return now }}
	h := &Handler{Options: Options{Path: "/mcp", Sessions: box, Audit: audit.New(slog.New(slog.DiscardHandler), func(*http.Request) netip.Addr { return netip.Addr{} })}}
	of := func(s session) string {
		sealed, err := seal.Seal(box, s, now.Add(config.SessionTTL))
		if err != nil {
			f.Fatal(err)
		}
		return sealed
	}
	good := of(session{"own", "https://idp.example", "alice", "/mcp", ""})
	for _, seed := range []string{
		good, of(session{"own", "https://idp.example", "bob", "/mcp", ""}), of(session{"own", "https://other.example", "alice", "/mcp", ""}), of(session{"own", "https://idp.example", "alice", "/two", ""}),
		"own", "", good + "\n" + good, good[:20], good + "A", strings.Repeat("A", 200),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, id string) {
		r := httptest.NewRequest(http.MethodPost, "/mcp", nil)
		r.Header[sessionHeader] = strings.Split(id, "\n")
		c := &call{who: identity.Identity{Issuer: "https://idp.example", Subject: "alice"}}
		switch status, _ := h.openSession(r, c); {
		case status == 0 && (id != good || r.Header.Get(sessionHeader) != "own"):
			t.Errorf("%q is a session, and to the backend %q", id, r.Header[sessionHeader])
		case status != 0 && status != http.StatusNotFound && status != http.StatusBadRequest, status != 0 && c.session.ID != "":
			t.Errorf("%q gets %d, and the session %+v", id, status, c.session)
		}
	})
}

// Under whichever spelling a header comes, the backend does not take it for ours.
func FuzzClaimed(f *testing.F) {
	for _, seed := range []string{"Authorization", "X-Vestibule-User", "X_Vestibule_User", "x-forwarded-for", "X_Forwarded-For", "Mcp-Session-Id", "Mcp_Session_Id", "Cookie", "Content-Type", "Mcp-Param-City", "Proxy-Foo", "X-Auth-Request-User", "X.Vestibule.Assertion"} {
		f.Add(seed)
	}
	token := regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")
	f.Fuzz(func(t *testing.T, name string) {
		if !token.MatchString(name) {
			return // net/http has refused it (RFC 9110 section 5.1)
		}
		name = http.CanonicalHeaderKey(name)
		plain := strings.ToLower(regexp.MustCompile("[^0-9A-Za-z]").ReplaceAllString(name, "-"))
		for _, prefix := range []string{"x-vestibule-", "x-forwarded-", "x-auth-request-", "proxy-", "authorization", "cookie", "forwarded"} {
			if (plain == prefix || strings.HasSuffix(prefix, "-") && strings.HasPrefix(plain, prefix)) && !claimed(name, caller.PlainName(name)) {
				t.Errorf("%s reaches the backend", name)
			}
		}
		if strings.HasPrefix(plain, "mcp-") && plain != "mcp-session-id" && claimed(name, caller.PlainName(name)) {
			t.Errorf("%s does not reach the backend", name)
		}
	})
}
