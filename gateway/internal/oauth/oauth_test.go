package oauth

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWhichResourcesAreTheSame(t *testing.T) {
	const mcp = "https://weather.example.com/mcp"
	for _, c := range []struct {
		resource, presented string
		want                bool
	}{
		{mcp, mcp, true},
		{mcp, mcp + "/", true},
		{mcp, "HTTPS://Weather.Example.COM/mcp", true},
		{mcp, "https://weather.example.com:443/mcp", true},
		{mcp, "https://weather.example.com:/mcp", true},
		{"https://weather.example.com", "https://weather.example.com/", true},
		{"http://127.0.0.1:8080/mcp", "http://127.0.0.1:8080/mcp/", true},
		{"http://localhost/mcp", "http://localhost:80/mcp", true},
		{"https://weather.example.com:8443/mcp", "https://weather.example.com:8443/mcp", true},

		{mcp, "", false},
		{mcp, "/mcp", false},
		{mcp, "weather.example.com/mcp", false},
		{mcp, "https://weather.example.com", false},
		{mcp, "https://weather.example.com/", false},
		{mcp, mcp + "//", false},
		{mcp, mcp + "/x", false},
		{mcp, mcp + "/../mcp", false},
		{mcp, "https://weather.example.com//mcp", false},
		{mcp, "https://weather.example.com/MCP", false},
		{mcp, "https://weather.example.com/%6dcp", false},
		{mcp, mcp + "?a=b", false},
		{mcp, mcp + "#", false},
		{mcp, mcp + "#f", false},
		{mcp, "http://weather.example.com/mcp", false},
		{mcp, "https://weather.example.com:80/mcp", false},
		{mcp, "https://weather.example.com:8443/mcp", false},
		{mcp, "https://weather.example.com.evil.com/mcp", false},
		{mcp, "https://weather.example.com@evil.com/mcp", false},
		{mcp, "https://evil@weather.example.com/mcp", false},
		{mcp, "https:weather.example.com/mcp", false},
		{mcp, " " + mcp, false},
		{mcp, "https://weather.example.com:x/mcp", false},
		{"https://weather.example.com:8443/mcp", mcp, false},
	} {
		if got := SameResource(c.resource, c.presented); got != c.want {
			t.Errorf("SameResource(%q, %q) = %v", c.resource, c.presented, got)
		}
	}
}

func FuzzSameResource(f *testing.F) {
	const mcp = "https://weather.example.com/mcp"
	for _, seed := range []string{mcp, mcp + "/", "HTTPS://WEATHER.example.com:443/mcp", mcp + "#", mcp + "?", "https://a@weather.example.com/mcp", "", "%"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, presented string) {
		if !SameResource(mcp, presented) {
			return
		}
		u, err := url.Parse(presented)
		if err != nil || !strings.EqualFold(u.Hostname(), "weather.example.com") || u.User != nil || u.Fragment != "" || strings.TrimSuffix(u.Path, "/") != "/mcp" {
			t.Errorf("%q passes for %q", presented, mcp)
		}
	})
}

func TestScopesAreTokensEachOnce(t *testing.T) {
	for in, want := range map[string]Scopes{
		"read": {"read"}, "read write": {"read", "write"}, " read  write read ": {"read", "write"}, "a:b/c.d!#$": {"a:b/c.d!#$"},
	} {
		if got, err := ParseScopes(in); err != nil || !cmp.Equal(want, got) {
			t.Errorf("ParseScopes(%q) = %q, %v", in, got, err)
		}
	}
	for _, bad := range []string{"", " ", `a"b`, `a\b`, "a\tb", "a\nb", "ü", "a\x00", "read\u00a0write", "\x7f"} {
		if got, err := ParseScopes(bad); err == nil {
			t.Errorf("ParseScopes(%q) = %q", bad, got)
		}
	}
	s := Scopes{"read", "write"}
	if got := s.Missing(Scopes{"admin", "read"}); !cmp.Equal(got, Scopes{"admin"}) {
		t.Errorf("Missing: %q", got)
	}
	if got := s[:1].With(Scopes{"read", "admin"}); got.String() != "read admin" || s.String() != "read write" {
		t.Errorf("With: %q, and the original is now %q", got, s)
	}
}

func FuzzParseScopes(f *testing.F) {
	for _, seed := range []string{"", "a", "a b a", `"`, "\\", "a\u00a0b", strings.Repeat("a ", 100)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		scopes, err := ParseScopes(in)
		if err != nil {
			return
		}
		again, err := ParseScopes(scopes.String())
		if err != nil || !slices.Equal(scopes, again) || len(scopes) == 0 {
			t.Errorf("ParseScopes(%q) = %q, and then %q, %v", in, scopes, again, err)
		}
		for _, s := range scopes {
			if !IsScopeToken(s) || strings.ContainsAny(s, "\" \\\r\n") {
				t.Errorf("%q is a scope", s)
			}
		}
	})
}

func TestAChallengeIsOneQuotedBearerChallenge(t *testing.T) {
	const metadata = "https://weather.example.com/.well-known/oauth-protected-resource/mcp"
	for want, c := range map[string]Challenge{
		`Bearer resource_metadata="` + metadata + `"`:                     {ResourceMetadata: metadata},
		`Bearer scope="a b", resource_metadata="` + metadata + `"`:        {ResourceMetadata: metadata, Scope: Scopes{"a", "b"}},
		`Bearer error="invalid_token", error_description="no", scope="a"`: {Scope: Scopes{"a"}, Error: CodeInvalidToken, Description: "no"},
	} {
		if got := c.String(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestAnErrorIsAnsweredAsTheRFCHasIt(t *testing.T) {
	cause := errors.New("the secret cause")
	basic := InvalidClient("who are you")
	basic.Basic = true
	method := InvalidRequest("the method must be %s", "POST")
	method.Status = http.StatusMethodNotAllowed
	for _, c := range []struct {
		err    *Error
		status int
		body   string
		header http.Header
	}{
		{InvalidRequest("%s is missing", "code").Because(cause), 400, `{"error":"invalid_request","error_description":"code is missing"}`, nil},
		{InvalidGrant("no").Because(cause), 400, `{"error":"invalid_grant","error_description":"no"}`, nil},
		{InvalidScope("no"), 400, `{"error":"invalid_scope","error_description":"no"}`, nil},
		{InvalidTarget("no"), 400, `{"error":"invalid_target","error_description":"no"}`, nil},
		{UnauthorizedClient("no"), 400, `{"error":"unauthorized_client","error_description":"no"}`, nil},
		{InvalidClient("no"), 401, `{"error":"invalid_client","error_description":"no"}`, nil},
		{basic.Because(cause), 401, `{"error":"invalid_client","error_description":"who are you"}`, http.Header{"Www-Authenticate": {`Basic realm="OAuth client"`}}},
		{InvalidToken("the secret cause"), 401, `{"error":"invalid_token","error_description":"the access token is not valid here"}`, nil},
		{Unavailable(cause), 503, `{"error":"temporarily_unavailable","error_description":"try again shortly"}`, http.Header{"Retry-After": {"2"}}},
		{AsError(cause), 500, `{"error":"server_error","error_description":"something went wrong here"}`, nil},
		{method, 405, `{"error":"invalid_request","error_description":"the method must be POST"}`, http.Header{"Allow": {"POST"}}},
	} {
		w := httptest.NewRecorder()
		WriteError(w, c.err)
		if got := strings.TrimSpace(w.Body.String()); got != c.body || w.Code != c.status {
			t.Errorf("got %d %s, want %d %s", w.Code, got, c.status, c.body)
		}
		header := http.Header{
			"Content-Type": {"application/json"}, "Cache-Control": {"no-store"}, "Pragma": {"no-cache"}, "X-Content-Type-Options": {"nosniff"},
		}
		for name, values := range c.header {
			header[name] = values
		}
		if diff := cmp.Diff(header, w.Header()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.err.Code, diff)
		}
	}
}

func TestAnErrorKeepsItsCause(t *testing.T) {
	plain := InvalidGrant("no")
	e := plain.Because(io.EOF)
	if !errors.Is(e, io.EOF) || e.Error() != "invalid_grant: no: EOF" || plain.Cause != nil || plain.Error() != "invalid_grant: no" {
		t.Errorf("%v, and the original %v", e, plain)
	}
	if got := AsError(e); got != e {
		t.Errorf("AsError made another error of it: %v", got)
	}
	facts := map[string]string{}
	for _, f := range e.Facts() {
		facts[f.Key] = f.Value.String()
	}
	if diff := cmp.Diff(map[string]string{"error": "invalid_grant", "description": "no", "reason": "EOF"}, facts); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
