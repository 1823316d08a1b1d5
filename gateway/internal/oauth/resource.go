package oauth

import (
	"net/url"
	"strings"
)

// SameResource says whether a client that names presented means resource
// (RFC 8707). It tolerates what clients are known to do to a URL on its way:
// an upper-case scheme or host, the default port, one trailing slash.
func SameResource(resource, presented string) bool {
	if resource == presented {
		return true
	}
	if strings.Contains(presented, "#") {
		return false
	}
	r, err := url.Parse(resource)
	if err != nil {
		return false
	}
	p, err := url.Parse(presented)
	if err != nil || p.User != nil || p.Opaque != "" {
		return false
	}
	return strings.EqualFold(r.Scheme, p.Scheme) && hostPort(r) == hostPort(p) &&
		strings.TrimSuffix(r.EscapedPath(), "/") == strings.TrimSuffix(p.EscapedPath(), "/") &&
		r.RawQuery == p.RawQuery
}

func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[strings.ToLower(u.Scheme)]
	}
	return strings.ToLower(u.Hostname()) + ":" + port
}
