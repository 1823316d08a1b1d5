package config

import (
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

var (
	schemeForm   = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*$`)
	encodedTwice = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)
	// special are the schemes with more than one spelling per URL in the WHATWG's standard.
	special = regexp.MustCompile(`^(https?|wss?|ftp|file)$`)
	// plainHost is a host, and a port or none. A label does not end in a hyphen, since
	// some libraries read xn--example- as example.
	plainHost = regexp.MustCompile(`^([\w*]+(?:(?:-+|\.)[\w*]+)*|\[[0-9A-Fa-f:]+\])(?::([1-9*][0-9*]{0,4}))?$`)
	// number is the end of a host that URL parsers read as an IPv4 address.
	number = regexp.MustCompile(`(^|\.)([0-9]+|0[xX][0-9A-Fa-f]*)$`)
	// unusualPort is a port that URL parsers leave out, or write without its zeros.
	unusualPort = regexp.MustCompile(`:(0[0-9]+)?$`)
	// barredDrive is a drive letter that URL parsers write with a colon.
	barredDrive = regexp.MustCompile(`^/[A-Za-z]\|([/*]|$)`)
)

var defaultPorts = map[string]string{"http": "80", "ws": "80", "https": "443", "wss": "443", "ftp": "21"}

// CanonicalURI returns a URI with percent-encoding decoded, and scheme and host in
// lower case. It refuses a URI that servers can read in another way too. Many servers
// look a URI up as a WHATWG URL parser writes it.
func CanonicalURI(uri string) (string, bool) {
	head, tail := cutBefore(uri, "?#")
	scheme, path, _ := strings.Cut(head, ":")
	if scheme == head || !schemeForm.MatchString(scheme) || strings.HasSuffix(uri, " ") || !utf8.ValidString(uri) {
		return "", false
	}
	scheme = strings.ToLower(scheme)
	path, slashes := strings.CutPrefix(path, "//")
	host := ""
	if slashes {
		host, path = cutBefore(path, "/")
	}
	//rule:uris-written-otherwise
	if slashes && !hostAsWritten(scheme, host) || special.MatchString(scheme) && (!slashes || path == "") {
		return "", false
	}
	for _, part := range []*string{&host, &path, &tail} {
		decoded, err := url.PathUnescape(*part)
		if err != nil || encodedTwice.MatchString(decoded) || !utf8.ValidString(decoded) || strings.ContainsFunc(decoded, unicode.IsControl) {
			return "", false
		}
		*part = decoded
	}
	begin := scheme + ":"
	if slashes {
		begin += "//" + strings.ToLower(host)
	}
	//rule:uris-that-lead-up
	switch segments := strings.Split(strings.TrimPrefix(path, "/"), "/"); {
	case strings.ContainsAny(host, `/\@?#`), strings.Contains(path, `\`),
		//rule:uris-of-drives
		scheme == "file" && barredDrive.MatchString(path),
		strings.HasPrefix(path, "/") && slices.Contains(segments[:len(segments)-1], ""),
		slices.ContainsFunc(segments, dots):
		return "", false
	}
	return begin + path + tail, true
}

// hostAsWritten reports whether URL parsers write the host and port of a URI as they
// are, but for capitals.
func hostAsWritten(scheme, host string) bool {
	if scheme == "file" {
		return host == ""
	}
	if literal, ok := strings.CutPrefix(host, "["); ok {
		literal, _, _ = strings.Cut(literal, "]")
		if !isCanonicalIP(strings.ToLower(literal)) {
			return false
		}
	}
	if !special.MatchString(scheme) {
		return !unusualPort.MatchString(host)
	}
	parts := plainHost.FindStringSubmatch(host)
	if len(parts) < 3 || parts[2] == defaultPorts[scheme] {
		return false
	}
	name := parts[1]
	return !number.MatchString(name) || strings.Contains(name, "*") || isCanonicalIP(name)
}

// isCanonicalIP reports whether netip and URL parsers write an address as it is. They
// differ about IPv4 addresses that are mapped to IPv6.
func isCanonicalIP(s string) bool {
	ip, err := netip.ParseAddr(s)
	return err == nil && ip.String() == s && !ip.Is4In6()
}

// dots reports whether a segment leads up, or nowhere. Some servers cut a segment off
// at a semicolon.
func dots(segment string) bool {
	name, _, _ := strings.Cut(segment, ";")
	return name == "." || name == ".."
}

func cutBefore(s, chars string) (before, rest string) {
	if i := strings.IndexAny(s, chars); i >= 0 {
		return s[:i], s[i:]
	}
	return s, ""
}

var (
	resourceChars = regexp.MustCompile(`^[\x21-\x24\x26-\x5b\x5d-\x7e]+$`)
	dotSegment    = regexp.MustCompile(`[:/]\.\.?([/;?#]|$)`)
	// wildHead is a pattern whose first * can stand for the host.
	wildHead = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9+.-]*(:/?)?)?\*`)
	// wildPath is a pattern with a * in its host that can stand for the path too.
	wildPath = regexp.MustCompile(`^([^:]+://[^/?#]*\*[^/?#]*)([?#].*)?$`)
	wildFile = regexp.MustCompile(`^((?i:file)://)\*`)
)

// canMatch reports whether a pattern can match a URI that CanonicalURI accepts.
func canMatch(pattern string) bool {
	if !resourceChars.MatchString(pattern) || dotSegment.MatchString(pattern) {
		return false
	}
	if wildHead.MatchString(pattern) {
		return true
	}
	pattern = wildFile.ReplaceAllString(pattern, "$1/*")
	pattern = wildPath.ReplaceAllString(pattern, "$1/$2")
	_, ok := CanonicalURI(pattern)
	return ok
}
