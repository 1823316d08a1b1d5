package cors

import (
	"net/http"
	"net/http/httptest"
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
