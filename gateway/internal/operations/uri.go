package operations

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"vestibule.dev/vestibule/gateway/internal/jsonrpc"
)

var errURI = &jsonrpc.Error{
	Code: jsonrpc.CodeInvalidParams,
	Message: "params.uri must be a URI that everybody reads alike: encoded once, and without dot segments, empty ones, " +
		"backslashes and control characters; after https: and its like a host without user and default port, and a path",
}

var (
	schemeForm   = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*$`)
	encodedTwice = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)
	// special are the schemes that browsers' libraries know more than one spelling for.
	special = regexp.MustCompile(`^(https?|wss?|ftp|file)$`)
	// defaultPort are ports that could as well be left out.
	defaultPort = regexp.MustCompile(`^((http|ws)://.*:80|(https|wss)://.*:443|ftp://.*:21|.*:)$`)
)

// normalized returns a URI with percent-encoding decoded, and scheme and host in
// lower case. It refuses one that can be read in another way too: the backend might
// open what nobody has judged.
func normalized(uri string) (string, error) {
	head, tail := cutBefore(uri, "?#")
	scheme, path, _ := strings.Cut(head, ":")
	if scheme == head || !schemeForm.MatchString(scheme) {
		return "", errURI
	}
	scheme = strings.ToLower(scheme)
	path, slashes := strings.CutPrefix(path, "//")
	host := ""
	if slashes {
		host, path = cutBefore(path, "/")
	}
	for _, part := range []*string{&host, &path, &tail} {
		decoded, err := url.PathUnescape(*part)
		if err != nil || encodedTwice.MatchString(decoded) || !utf8.ValidString(decoded) || strings.ContainsFunc(decoded, unicode.IsControl) {
			return "", errURI
		}
		*part = decoded
	}
	host = strings.ToLower(host)
	begin := scheme + ":"
	if slashes {
		begin += "//" + host
	}
	//rule:uris-that-lead-up
	switch segments := strings.Split(strings.TrimPrefix(path, "/"), "/"); {
	case strings.ContainsAny(host, `/\@?#`), strings.Contains(path, `\`), defaultPort.MatchString(begin) && slashes,
		special.MatchString(scheme) && (!slashes || path == "" || (scheme == "file") != (host == "")),
		strings.HasPrefix(path, "/") && slices.Contains(segments[:len(segments)-1], ""),
		slices.ContainsFunc(segments, dots):
		return "", errURI
	}
	return begin + path + tail, nil
}

// dots says whether a segment leads up, or nowhere, also to who cuts it off at a
// semicolon.
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

// lowerHost returns a pattern of URIs with scheme and host in lower case.
func lowerHost(pattern string) string {
	head, tail := cutBefore(pattern, "?#")
	scheme, path, ok := strings.Cut(head, ":")
	if !ok {
		return pattern
	}
	scheme, host := strings.ToLower(scheme)+":", ""
	if rest, slashes := strings.CutPrefix(path, "//"); slashes {
		host, path = cutBefore(rest, "/")
		host = "//" + strings.ToLower(host)
	}
	return scheme + host + path + tail
}
