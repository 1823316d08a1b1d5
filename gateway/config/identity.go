package config

import (
	"fmt"
	"regexp"
	"strings"
)

// Identity says how a backend learns who calls: by one of its members at least.
type Identity struct {
	// Assertion, if set, is signed by the gateway.
	Assertion *IdentityAssertion `json:"assertion,omitempty"`
	// Headers have one claim each.
	Headers []IdentityHeader `json:"headers,omitempty"`
	// UpstreamTokenHeader, if set, is the header that has the access token which the
	// user's upstream gave.
	UpstreamTokenHeader string `json:"upstreamTokenHeader,omitempty"`
}

// IdentityAssertion is what an assertion says besides who calls.
type IdentityAssertion struct {
	// Audience is the backend that it is for.
	Audience string `json:"audience"`
	// Claims are those of the upstream's that are in it.
	Claims []string `json:"claims,omitempty"`
}

// IdentityHeader is a header with the value of a claim.
type IdentityHeader struct {
	Name  string `json:"name"`
	Claim string `json:"claim"`
}

var (
	// A header of an identity is no other's: not HTTP's, MCP's or a proxy's.
	identityHeader = regexp.MustCompile(`^(?i:x-[a-z0-9]+(-[a-z0-9]+)*)$`)
	ownHeader      = regexp.MustCompile(`^(?i:x-(vestibule|accel|http|original|rewrite)-.*|x-forwarded-(for|host|method|port|prefix|proto|scheme|server|ssl|uri)|x-(real|client)-ip|x-method-override)$`)
	claimName      = regexp.MustCompile(`^[A-Za-z0-9_.:/-]+$`)
	// What an assertion says itself, or what would make another kind of token of it.
	ownClaim = regexp.MustCompile(`^(iss|sub|aud|exp|nbf|iat|jti|cnf|act|may_act|client_id|scope|upstream|upstream_issuer)$`)
	// What a header cannot say, since it is about the assertion.
	assertionClaim = regexp.MustCompile(`^(iss|aud|exp|nbf|iat|jti)$`)
)

func (v *validator) identity(field string, i *Identity) {
	v.check(i.Assertion != nil || len(i.Headers) > 0 || i.UpstreamTokenHeader != "", field, "must not be empty")
	if a := i.Assertion; a != nil {
		v.check(a.Audience != "", field+".assertion.audience", "must be set")
		for n, c := range a.Claims {
			v.check(claimName.MatchString(c) && !ownClaim.MatchString(c), fmt.Sprintf("%s.assertion.claims[%d]", field, n),
				"must be the name of a claim that the assertion does not have anyway")
		}
	}
	names := map[string]bool{}
	header := func(field, name string) {
		v.check(identityHeader.MatchString(name) && !ownHeader.MatchString(name), field, "must begin with X- and be no header of the gateway or a proxy")
		v.check(!names[strings.ToLower(name)], field, "stands twice")
		names[strings.ToLower(name)] = true
	}
	for n, h := range i.Headers {
		field := fmt.Sprintf("%s.headers[%d]", field, n)
		header(field+".name", h.Name)
		v.check(claimName.MatchString(h.Claim) && !assertionClaim.MatchString(h.Claim), field+".claim", "must be the name of a claim about the user")
	}
	if i.UpstreamTokenHeader != "" {
		header(field+".upstreamTokenHeader", i.UpstreamTokenHeader)
	}
}
