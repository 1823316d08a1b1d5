package oauth

import (
	"errors"
	"slices"
	"strings"
)

// ScopeOfflineAccess is what many clients ask for when they want a refresh
// token. Everyone gets one here, so the scope says no more than that it was
// granted (OpenID Connect Core section 11).
const ScopeOfflineAccess = "offline_access"

// Scopes are scope tokens, each once.
type Scopes []string

// ParseScopes reads a space-separated list (RFC 6749 section 3.3). Tokens that
// stand twice count once, and the order is kept.
func ParseScopes(s string) (Scopes, error) {
	var scopes Scopes
	for token := range strings.SplitSeq(s, " ") {
		if token == "" || slices.Contains(scopes, token) {
			continue
		}
		if !IsScopeToken(token) {
			return nil, errors.New("a scope token has characters that it may not have")
		}
		scopes = append(scopes, token)
	}
	if scopes == nil {
		return nil, errors.New("no scope token")
	}
	return scopes, nil
}

// IsScopeToken says whether s is one scope token (RFC 6749 section 3.3): visible
// ASCII without quote and backslash.
func IsScopeToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return c <= 0x20 || c >= 0x7f || c == '"' || c == '\\'
	})
}

// Empty says whether there is nothing in it that could be done.
func (s Scopes) Empty() bool {
	return !slices.ContainsFunc(s, func(scope string) bool { return scope != ScopeOfflineAccess })
}

// String is the space-separated list.
func (s Scopes) String() string { return strings.Join(s, " ") }

// Missing returns those of required that s does not hold.
func (s Scopes) Missing(required Scopes) Scopes {
	var missing Scopes
	for _, r := range required {
		if !slices.Contains(s, r) {
			missing = append(missing, r)
		}
	}
	return missing
}

// With returns s with those of others that it lacks, in a new slice.
func (s Scopes) With(others Scopes) Scopes {
	return append(slices.Clone(s), s.Missing(others)...)
}
