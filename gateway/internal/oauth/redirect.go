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

// privateSchemes are the schemes without a dot that desktop clients are known
// to use. Others must be reverse domain names (RFC 8252 section 7.1), which no
// browser gives a meaning of its own.
var privateSchemes = []string{"cursor", "vscode", "vscode-insiders", "vscodium", "windsurf", "zed", "claude", "raycast", "warp"}

// CheckRedirectURI says why a client may not register this redirect URI, or
// returns nil. Good ones are https URLs, http URLs on a loopback host, and
// private-use schemes of native apps (RFC 8252 section 7, RFC 9700 section 4.1.3).
func CheckRedirectURI(s string) error {
	if len(s) > MaxRedirectURI {
		return errors.New("it is too long")
	}
	if strings.ContainsFunc(s, func(c rune) bool {
		return c <= 0x20 || c >= 0x7f || c == '\\' || c == '"' || c == '<' || c == '>' || c == '*'
	}) {
		return errors.New("it has characters that a URI may not have, or a wildcard")
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" {
		return errors.New("it is not an absolute URI")
	}
	if strings.Contains(s, "#") {
		return errors.New("it has a fragment")
	}
	if u.User != nil {
		return errors.New("it has a user name")
	}
	if strings.ContainsFunc(u.Host, func(c rune) bool { return c <= 0x20 || c >= 0x7f || c == '%' }) {
		return errors.New("its host has characters that must be written in punycode")
	}
	switch scheme := u.Scheme; {
	case scheme == "https":
		if u.Hostname() == "" {
			return errors.New("it has no host")
		}
	case scheme == "http":
		if !config.IsLoopback(u.Hostname()) {
			return errors.New("http is for loopback hosts only")
		}
	case !strings.Contains(scheme, ".") && !slices.Contains(privateSchemes, scheme):
		return errors.New("its scheme is neither https nor a private one such as com.example.app")
	}
	return nil
}

// MatchRedirectURI says whether a client that registered these may be answered
// at presented. They must be the same to the byte, save that a loopback
// redirect may come with any port (RFC 8252 section 7.3).
func MatchRedirectURI(registered []string, presented string) bool {
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
