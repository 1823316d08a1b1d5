package cors

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

func TestOrigins(t *testing.T) {
	origins := NewOrigins("https://MCP.example.com/team", []string{"http://localhost:6274"})
	for _, row := range []struct {
		header []string
		origin string
		ok     bool
	}{
		{nil, "", true},
		{[]string{"https://mcp.example.com"}, "https://mcp.example.com", true},
		{[]string{"https://MCP.Example.com"}, "https://MCP.Example.com", true},
		{[]string{"http://localhost:6274"}, "http://localhost:6274", true},
		{[]string{"http://mcp.example.com"}, "", false},
		{[]string{"https://mcp.example.com:8443"}, "", false},
		{[]string{"https://mcp.example.com/team"}, "", false},
		{[]string{"https://mcp.example.com.evil.example"}, "", false},
		{[]string{"null"}, "", false},
		{[]string{""}, "", false},
		{[]string{"https://mcp.example.com", "https://mcp.example.com"}, "", false},
	} {
		origin, ok := origins.Allow(&http.Request{Header: http.Header{"Origin": row.header}})
		if ok != row.ok || ok && origin != row.origin {
			t.Errorf("%q: %q, %v", row.header, origin, ok)
		}
	}
}

func TestPreflight(t *testing.T) {
	for asked, allowed := range map[string]bool{
		"Mcp-Param-City": true, "mcp-param-" + strings.Repeat("a", 118): true, "mcp-param-" + strings.Repeat("a", 119): false,
		"mcp-param-\u00fc": false, "mcp-param-a b": false, "x-mcp-param-a": false, "*": false, "cookie": false,
	} {
		r := httptest.NewRequest(http.MethodOptions, "/", nil)
		r.Header.Set("Access-Control-Request-Headers", "authorization,"+asked+",content-type")
		w := httptest.NewRecorder()
		Anyone("POST", func(http.ResponseWriter, *http.Request) { t.Error("the preflight goes on") })(w, r)
		h := w.Header()
		if w.Code != http.StatusNoContent || h.Get("Access-Control-Allow-Methods") != "POST" || h.Get("Access-Control-Allow-Origin") != "*" || h.Get("Vary") != "" {
			t.Errorf("the answer is %d %v", w.Code, h)
		}
		if got := strings.Contains(h.Get("Access-Control-Allow-Headers")+",", ", "+strings.ToLower(asked)+","); got != allowed {
			t.Errorf("%q is allowed: %v", asked, got)
		}
	}
}

func TestExpose(t *testing.T) {
	h := http.Header{}
	Expose(h, "https://app.example")
	if h.Get("Access-Control-Allow-Origin") != "https://app.example" || h.Get("Vary") != "Origin" || h.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("the headers are %v", h)
	}
	for _, name := range []string{"Mcp-Session-Id", "WWW-Authenticate", "Retry-After"} {
		if !strings.Contains(h.Get("Access-Control-Expose-Headers"), name) {
			t.Errorf("%s cannot be read", name)
		}
	}
}

func FuzzPreflight(f *testing.F) {
	for _, seed := range []string{"authorization, content-type, mcp-protocol-version", "Mcp-Param-City,mcp-param-", "mcp-param-a b, mcp-param-\u00fc", "*", "mcp-param-a\r\nset-cookie: a", ",,", "mcp-param-" + strings.Repeat("a", 200), "K"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, asked string) {
		r := httptest.NewRequest(http.MethodOptions, "/mcp", nil)
		r.Header["Access-Control-Request-Headers"] = []string{asked}
		w := httptest.NewRecorder()
		Preflight(w, r, "GET")
		for name := range strings.SplitSeq(w.Header().Get("Access-Control-Allow-Headers"), ", ") {
			if param, ok := strings.CutPrefix(name, "mcp-param-"); !slices.Contains(requestHeaders, name) && (!ok || strings.ContainsFunc(param, notHeader) || len(name) > 128) {
				t.Errorf("for %q, %q is allowed", asked, name)
			}
		}
		if w.Code != http.StatusNoContent || w.Header().Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%q gets %d %v", asked, w.Code, w.Header())
		}
	})
}

func FuzzAllow(f *testing.F) {
	origins := NewOrigins("https://mcp.example.com/team", []string{"http://localhost:6274"})
	for _, seed := range []string{"https://mcp.example.com", "HTTPS://MCP.example.com", "http://localhost:6274", "null", "", "https://mcp.example.com.evil.example", "https://mcp.example.com:443", "https://mcp.example.com/", "https://mcp.example.com\nhttps://evil.example", "http://localhost:6274@evil.example", "http://locolhoſt:6274"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		r := &http.Request{Header: http.Header{"Origin": strings.Split(header, "\n")}}
		origin, ok := origins.Allow(r)
		lower := strings.ToLower(header)
		if want := lower == "https://mcp.example.com" || lower == "http://localhost:6274"; ok != want || ok && origin != header {
			t.Errorf("%q: %q, %v", header, origin, ok)
		}
	})
}
