package upstream

import (
	"maps"
	"slices"
)

// Sources says which of an Identity's claims come from which source, so that a
// renewal can replace the claims of each.
type Sources struct {
	// Userinfo are the names of the claims that the userinfo endpoint returned. The
	// id token has the others.
	Userinfo []string
}

// forget drops names that are not among the claims, and sub, which both sources have.
func (s *Sources) forget(claims map[string]any) {
	s.Userinfo = slices.DeleteFunc(s.Userinfo, func(name string) bool {
		_, ok := claims[name]
		return !ok || name == "sub"
	})
}

// idTokenAlone are claims of id tokens that userinfo does not have (OpenID Connect
// Core sections 2 and 5.1).
var idTokenAlone = []string{"iss", "sub", "aud", "exp", "iat", "jti", "auth_time", "acr", "amr", "azp"}

// idTokenClaims returns the claims that come from the id token, for a refresh without
// another one. A claim that both sources had is not among them: userinfo's value was
// the one that counted, and only userinfo can say whether it still holds.
//
// Grants that an older gateway has stored do not know the sources of their claims. If
// there is a userinfo endpoint, only the claims that must be the id token's are kept of these.
func (i *Identity) idTokenClaims(userinfo bool) map[string]any {
	claims := maps.Clone(i.Claims)
	maps.DeleteFunc(claims, func(name string, _ any) bool {
		if i.Sources == nil {
			//rule:sources-unknown
			return userinfo && !slices.Contains(idTokenAlone, name)
		}
		//rule:withdrawn-claims
		return slices.Contains(i.Sources.Userinfo, name)
	})
	return claims
}
