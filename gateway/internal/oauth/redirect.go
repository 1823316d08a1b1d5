package oauth

import (
	"errors"
	"net/url"
	"slices"
	"strings"

	"vestibule.dev/vestibule/gateway/config"
)

// MaxRedirectURI bounds a redirect URI, in bytes: it travels in a cookie.
const MaxRedirectURI = 1 << 10

// specialSchemes are those that browsers or systems give a meaning of their own:
// no policy makes a redirect URI of one.
var specialSchemes = []string{
	"about", "blob", "chrome", "chrome-extension", "data", "file", "filesystem", "ftp", "ftps", "javascript", "mailto",
	"ms-appx", "resource", "sms", "tel", "urn", "vbscript", "view-source", "ws", "wss",
}

// AnyReverseDomain stands, among the schemes of a RedirectPolicy, for every one
// that is a reverse domain name, such as com.example.app (RFC 8252 section 7.1).
const AnyReverseDomain = "*.*"

// RedirectPolicy says which redirect URIs clients that nobody has provisioned may
// use. It is asked when one registers, and again when it wants to be answered: a
// policy may have become narrower between.
type RedirectPolicy struct {
	// Hosts are those of https redirect URIs: names, or *.example.com for those
	// below one. Without any, all will do. Loopback hosts are not concerned.
	Hosts []string
	// Schemes are the private-use schemes of native apps, by name, or AnyReverseDomain.
	Schemes []string
}

// Check says why a client may not use this redirect URI, or returns nil.
func (p RedirectPolicy) Check(s string) error {
	u, err := parseRedirectURI(s)
	if err != nil {
		return err
	}
	switch u.Scheme {
	case "http":
	case "https":
		host := strings.ToLower(u.Hostname())
		//rule:redirect-any-host
		if len(p.Hosts) > 0 && !slices.ContainsFunc(p.Hosts, func(allowed string) bool { return matchHost(allowed, host) }) {
			return errors.New("its host is not one of those that may be used here")
		}
	default:
		//rule:redirect-any-scheme
		if !slices.Contains(p.Schemes, u.Scheme) && (!strings.Contains(u.Scheme, ".") || !slices.Contains(p.Schemes, AnyReverseDomain)) {
			return errors.New("its scheme is not one of those that may be used here")
		}
	}
	return nil
}

// matchHost says whether host is the allowed one, or below the domain behind "*.".
func matchHost(allowed, host string) bool {
	//rule:redirect-host-suffix
	if domain, ok := strings.CutPrefix(allowed, "*"); ok {
		return strings.HasSuffix(host, strings.ToLower(domain)) && len(host) > len(domain)
	}
	return host == strings.ToLower(allowed)
}

// CheckRedirectURI says why nobody may use this redirect URI, or returns nil. Good
// ones are https URLs, http URLs on a loopback host, and private-use schemes of
// native apps (RFC 8252 section 7, RFC 9700 section 4.1.3).
func CheckRedirectURI(s string) error {
	_, err := parseRedirectURI(s)
	return err
}

func parseRedirectURI(s string) (*url.URL, error) {
	if len(s) > MaxRedirectURI {
		return nil, errors.New("it is too long")
	}
	if strings.ContainsFunc(s, func(c rune) bool {
		return c <= 0x20 || c >= 0x7f || c == '\\' || c == '"' || c == '<' || c == '>' || c == '*'
	}) {
		return nil, errors.New("it has characters that a URI may not have, or a wildcard")
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" {
		return nil, errors.New("it is not an absolute URI")
	}
	//rule:redirect-fragment
	if strings.Contains(s, "#") {
		return nil, errors.New("it has a fragment")
	}
	//rule:redirect-user
	if u.User != nil {
		return nil, errors.New("it has a user name")
	}
	if strings.ContainsFunc(u.Host, func(c rune) bool { return c <= 0x20 || c >= 0x7f || c == '%' }) {
		return nil, errors.New("its host has characters that must be written in punycode")
	}
	switch {
	case u.Scheme == "https" && u.Hostname() == "":
		return nil, errors.New("it has no host")
	//rule:redirect-http
	case u.Scheme == "http" && !config.IsLoopback(u.Hostname()):
		return nil, errors.New("http is for loopback hosts only")
	//rule:redirect-special-scheme
	case slices.Contains(specialSchemes, u.Scheme):
		return nil, errors.New("its scheme is not an app's")
	}
	return u, nil
}

// MatchRedirectURI says whether a client that registered these may be answered
// at presented. They must be the same to the byte, save that a loopback
// redirect may come with any port (RFC 8252 section 7.3).
func MatchRedirectURI(registered []string, presented string) bool {
	//rule:redirect-prefix
	return slices.Contains(registered, presented) ||
		slices.ContainsFunc(registered, func(r string) bool { return sameButPort(r, presented) })
}

func sameButPort(registered, presented string) bool {
	r, ok := withoutPort(registered)
	if !ok {
		return false
	}
	p, ok := withoutPort(presented)
	return ok && r == p
}

// withoutPort takes the port out of an http loopback URI, without touching
// another byte. ok is false for any other URI.
func withoutPort(s string) (string, bool) {
	if CheckRedirectURI(s) != nil {
		return "", false
	}
	//rule:redirect-any-port
	rest, ok := strings.CutPrefix(s, "http://")
	if !ok {
		return "", false
	}
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	u, err := url.Parse(s)
	if err != nil {
		return "", false
	}
	host := strings.TrimSuffix(strings.TrimSuffix(rest[:end], u.Port()), ":")
	return "http://" + host + rest[end:], true
}

// IsLoopbackURI says whether a redirect URI stays on the user's machine over
// http, where any program may be listening.
func IsLoopbackURI(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Scheme == "http" && config.IsLoopback(u.Hostname())
}

// RedirectWith returns the redirect URI with parameters added to its query
// (RFC 6749 section 4.1.2). What the query had stays as it was.
func RedirectWith(redirectURI string, params url.Values) string {
	sep := "?"
	if strings.Contains(redirectURI, "?") {
		sep = "&"
		if strings.HasSuffix(redirectURI, "?") || strings.HasSuffix(redirectURI, "&") {
			sep = ""
		}
	}
	return redirectURI + sep + params.Encode()
}
