package oauth

import (
	"net/url"
	"slices"
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
		//rule:resource-other-path
		strings.TrimSuffix(r.EscapedPath(), "/") == strings.TrimSuffix(p.EscapedPath(), "/") &&
		r.RawQuery == p.RawQuery
}

// ChooseResource returns which of the resources is asked for: the first by a client
// that does not know of them, or that names publicURL, as older ones do for the
// server that they mean (RFC 8707 section 2.1).
func ChooseResource(publicURL string, resources, asked []string) (string, *Error) {
	if len(asked) == 0 {
		return resources[0], nil
	}
	for _, res := range resources {
		if !slices.ContainsFunc(asked, func(a string) bool { return !SameResource(res, a) }) {
			return res, nil
		}
	}
	if len(asked) == 1 && SameResource(publicURL, asked[0]) {
		return resources[0], nil
	}
	//rule:foreign-resource
	return "", InvalidTarget("resource must be one URL of this server")
}

func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[strings.ToLower(u.Scheme)]
	}
	return strings.ToLower(u.Hostname()) + ":" + port
}
