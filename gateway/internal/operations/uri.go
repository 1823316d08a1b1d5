package operations

import (
	"regexp"
	"slices"
	"strings"

	"vestibule.dev/vestibule/gateway/internal/jsonrpc"
)

var errURI = &jsonrpc.Error{
	Code: jsonrpc.CodeInvalidParams,
	Message: "params.uri must be a URI that everybody reads alike: encoded once, and without dot segments, empty ones, " +
		"backslashes and control characters; after https: and its like a host as URL libraries write it, without user and default port, and a path",
}

// readings returns the URIs that a server can take uri for: as it is, and without its
// fragment, its query and slashes at its end, which some servers ignore.
func readings(uri string) []string {
	noFragment, _, _ := strings.Cut(uri, "#")
	noQuery, _, _ := strings.Cut(noFragment, "?")
	var all []string
	for _, s := range []string{uri, noFragment, noQuery} {
		all = append(all, s, strings.TrimRight(s, "/"))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

var (
	schemeAndHost = regexp.MustCompile(`^[^:/?#]*:(//[^/?#]*)?`)
	beforeStar    = regexp.MustCompile(`^[^:/?#*]*(:(//[^/?#*]*)?)?\*`)
)

// lowered returns a pattern of URIs with scheme and host in lower case. Behind a * in
// the host the path can begin, where capitals count: such a pattern has two forms.
func lowered(pattern string) []string {
	host := schemeAndHost.ReplaceAllStringFunc(pattern, strings.ToLower)
	if !beforeStar.MatchString(pattern) {
		return []string{host}
	}
	return []string{host, beforeStar.ReplaceAllStringFunc(pattern, strings.ToLower)}
}
