// Package cors lets browser clients of other origins in. No answer ever allows
// credentials: tokens travel in a header that the script sets itself.
package cors

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Headers that MCP clients send and read across origins.
var (
	requestHeaders = []string{
		"accept", "authorization", "content-type", "dpop", "last-event-id",
		"mcp-method", "mcp-name", "mcp-protocol-version", "mcp-session-id", "traceparent", "tracestate",
	}
	responseHeaders = strings.Join([]string{
		"Mcp-Session-Id", "WWW-Authenticate", "Mcp-Protocol-Version", "Retry-After",
	}, ", ")
)

// Anyone lets scripts of every origin call an endpoint that browsers call
// without credentials of their own: metadata, registration, tokens. It answers
// preflights itself.
func Anyone(methods string, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		Expose(w.Header(), "*")
		if r.Method == http.MethodOptions {
			Preflight(w, r, methods)
			return
		}
		next(w, r)
	}
}

// Expose sets the headers of an answer that origin may read.
func Expose(h http.Header, origin string) {
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", responseHeaders)
	if origin != "*" {
		h.Add("Vary", "Origin")
	}
}

// Hide takes back what Expose has set: another answer is to come.
func Hide(h http.Header) {
	h.Del("Access-Control-Allow-Origin")
	h.Del("Access-Control-Expose-Headers")
	h.Del("Vary")
}

// Preflight answers an OPTIONS request: 204, with those of the asked-for
// headers that MCP clients send. Mcp-Param-* is open-ended by specification.
func Preflight(w http.ResponseWriter, r *http.Request, methods string) {
	allowed := slices.Clone(requestHeaders)
	for name := range strings.SplitSeq(r.Header.Get("Access-Control-Request-Headers"), ",") {
		name = strings.ToLower(strings.TrimSpace(name))
		if strings.HasPrefix(name, "mcp-param-") && len(name) <= 128 && !strings.ContainsFunc(name, notHeader) {
			allowed = append(allowed, name)
		}
	}
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", methods)
	h.Set("Access-Control-Allow-Headers", strings.Join(allowed, ", "))
	h.Set("Access-Control-Max-Age", "600")
	h.Set("Allow", methods)
	w.WriteHeader(http.StatusNoContent)
}

func notHeader(c rune) bool { return c != '-' && (c < 'a' || c > 'z') && (c < '0' || c > '9') }

// Origins are those from which browsers may call the protected routes.
type Origins map[string]bool

// NewOrigins returns the origin of publicURL and the others.
func NewOrigins(publicURL string, others []string) Origins {
	o := Origins{}
	for _, s := range append([]string{publicURL}, others...) {
		if u, err := url.Parse(s); err == nil {
			o[strings.ToLower(u.Scheme+"://"+u.Host)] = true
		}
	}
	return o
}

// Allow says whether a request with these Origin headers may go on: one that
// has none does not come from a script of another page.
func (o Origins) Allow(r *http.Request) (origin string, ok bool) {
	switch values := r.Header.Values("Origin"); len(values) {
	case 0:
		return "", true
	case 1:
		//rule:any-origin
		return values[0], o[strings.ToLower(values[0])]
	}
	return "", false
}
