//go:build integration

package manifest_test

import "fmt"

const (
	identityOf     = "spec.bindings.mcpObject.identity"
	headerFalse    = "mcpObject.identity.headers[].name must begin with X-"
	tokenFalse     = "mcpObject.identity.upstreamToken.header must begin with X-"
	claimFalse     = "mcpObject.identity.headers[].claim must be about the user"
	claimsFalse    = "mcpObject.identity.assertion.claims must not have"
	headersDiffer  = "mcpObject.identity.headers[].name must be different in every header"
	renewalMissing = "upstreams[].tokenRenewal must be Enabled in every upstream when"
)

var identityRows = []row{
	{"an empty identity", edits{identityOf: object{}}, "mcpObject.identity must have assertion, headers or upstreamToken"},
	identityWith("assertion", object{"audience": "https://weather.internal"}, ""),
	identityWith("assertion", object{"audience": long(256)}, ""),
	identityWith("assertion", object{"audience": long(257)}, "Too long"),
	identityWith("assertion", object{"audience": ""}, "should be at least 1 chars long"),
	identityWith("assertion", object{"audience": "a b"}, "should match"),
	identityWith("assertion", object{}, "audience: Required value"),
	claims("email", ""), claims("https://example.com/roles", ""), claims(long(128), ""), claims(long(129), "Too long"), claims("a b", "should match"), claims("", "should match"),
	claims("sub", claimsFalse), claims("cnf", claimsFalse), claims("upstream_issuer", claimsFalse), claims("sub2", ""),
	identityWith("assertion", object{"audience": "a", "claims": many(16, texts("c%d"))}, ""),
	identityWith("assertion", object{"audience": "a", "claims": many(17, texts("c%d"))}, "must have at most 16 items"),
	identityWith("assertion", object{"audience": "a", "claims": []any{"email", "email"}}, "Duplicate value"),

	header("X-User-Email", ""), header("x-user", ""), header("X-Forwarded-User", ""), header("X-Auth-Request-Email", ""), header("X-"+long(62), ""), header("X-"+long(63), "Too long"),
	header("Authorization", headerFalse), header("Cookie", headerFalse), header("Connection", headerFalse), header("Host", headerFalse), header("Content-Type", headerFalse),
	header("Mcp-Session-Id", headerFalse), header("Accept", headerFalse), header("", headerFalse), header("X-", headerFalse), header("X-User_Email", headerFalse), header("X-User-", headerFalse),
	header("X-Vestibule-Assertion", headerFalse), header("x-vestibule-user", headerFalse), header("X-Forwarded-For", headerFalse), header("X-FORWARDED-Proto", headerFalse),
	header("X-Real-IP", headerFalse), header("X-Original-URL", headerFalse), header("X-Accel-Redirect", headerFalse), header("X-HTTP-Method-Override", headerFalse),
	{"no name of a header", edits{identityOf: object{"headers": []any{object{"claim": "email"}}}}, "name: Required value"},
	{"no claim of a header", edits{identityOf: object{"headers": []any{object{"name": "X-User"}}}}, "claim: Required value"},
	headerClaim("sub", ""), headerClaim("scope", ""), headerClaim(long(128), ""), headerClaim(long(129), "Too long"), headerClaim("a b", "should match"), headerClaim("iss", claimFalse), headerClaim("exp", claimFalse),
	identityWith("headers", []any{}, "should have at least 1 items"),
	identityWith("headers", many(16, numbered), ""),
	identityWith("headers", many(17, numbered), "must have at most 16 items"),
	identityWith("headers", []any{object{"name": "X-User", "claim": "sub"}, object{"name": "x-uSER", "claim": "email"}}, headersDiffer),

	token("X-Upstream-Token", edits{renewed: "Enabled"}, ""),
	token("X-Upstream-Token", edits{renewed: nil}, renewalMissing),
	token("X-"+long(62), edits{renewed: "Enabled"}, ""),
	token("X-"+long(63), edits{renewed: "Enabled"}, "Too long"),
	token("Authorization", edits{renewed: "Enabled"}, tokenFalse),
	token("X-Forwarded-Host", edits{renewed: "Enabled"}, tokenFalse),
	token("X-Upstream-Token", edits{renewed: "Enabled", identityOf + ".headers": []any{object{"name": "x-upstream-token", "claim": "sub"}}},
		"upstreamToken.header must be another header than those in headers"),
	identityWith("upstreamToken", object{}, "header: Required value"),
}

const renewed = "spec.upstreams[0].tokenRenewal"

// short is enough of a value to tell rows apart.
func short(value any) string {
	s := fmt.Sprint(value)
	return s[:min(len(s), 80)]
}

func identityWith(member string, value any, refused string) row {
	return row{"an identity with " + member + " " + short(value), edits{identityOf: object{member: value}}, refused}
}

func claims(claim, refused string) row {
	return identityWith("assertion", object{"audience": "a", "claims": []any{claim}}, refused)
}

func header(name, refused string) row {
	return identityWith("headers", []any{object{"name": name, "claim": "email"}}, refused)
}

func headerClaim(claim, refused string) row {
	return identityWith("headers", []any{object{"name": "X-User", "claim": claim}}, refused)
}

func numbered(i int) any { return object{"name": texts("X-User-%d")(i), "claim": "sub"} }

func token(header string, more edits, refused string) row {
	r := row{"an upstream's token in " + short(header), edits{identityOf + ".upstreamToken": object{"header": header}}, refused}
	for path, value := range more {
		r.edits[path] = value
	}
	return r
}
