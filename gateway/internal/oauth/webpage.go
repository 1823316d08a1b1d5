package oauth

import "net/url"

// WebPage returns what client metadata says is the URL of a web page (RFC 7591
// section 2), or "" if it is none that a link could lead to: http or https, with a
// host and without a user.
func WebPage(s string) string {
	if u, err := url.Parse(s); err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.User != nil {
		return ""
	}
	return s
}
