package main

// The login at an upstream: what is believed of its answer.
var upstreamMutants = []mutant{
	{
		name: "upstream-nonce",
		rule: "an id token is for this login (OpenID Connect Core section 3.1.3.7)",
		file: "gateway/internal/upstream/upstream.go",
		old:  `, rp.WithNonce(nonceFrom)),`,
		new:  `),`,
		pkg:  "gateway", run: "TestUpstreamsThatLie",
	},
	{
		name: "upstream-iss",
		rule: "a code comes from the upstream that was asked (RFC 9207 section 2.4)",
		file: "gateway/internal/upstream/upstream.go",
		old:  `if iss != "" && iss != p.rp.Issuer() {`,
		new:  `if false {`,
		pkg:  "gateway", run: "TestUpstreamsThatSayNo",
	},
	{
		name: "upstream-pkce",
		rule: "the login uses PKCE towards the upstream",
		file: "gateway/internal/upstream/upstream.go",
		old:  `rp.WithCodeChallenge(oauth2.S256ChallengeFromVerifier(verifier)),`,
		new:  ``,
		pkg:  "gateway/internal/upstream", run: "TestTheAuthorizationRequest",
	},
	{
		name: "upstream-signatures",
		rule: "what an upstream has answered wrongly is asked anew",
		file: "gateway/internal/upstream/upstream.go",
		old:  `u.forget(p)`,
		new:  ``,
		pkg:  "gateway/internal/upstream", run: "TestANewSecretNeedsNoRestart|TestWhatIsKnownOfTheUpstreamGrowsOld",
	},
	{
		name: "email-unverified",
		rule: "an address that the upstream has not verified is none",
		file: "gateway/internal/upstream/upstream.go",
		old:  `if claims["email_verified"] != true {`,
		new:  `if false {`,
		pkg:  "gateway/internal/upstream", run: "TestTheIdentity",
	},
	{
		name: "email-verified-elsewhere",
		rule: "the id token does not vouch for userinfo's address",
		file: "gateway/internal/upstream/upstream.go",
		old:  `delete(claims, "email_verified")`,
		new:  ``,
		pkg:  "gateway", run: "TestAccessRules",
	},
	{
		name: "upstream-quoted",
		rule: "no error repeats an upstream's words, which may hold secrets",
		file: "gateway/internal/upstream/upstream.go",
		old:  `return fmt.Errorf("%w: %s", ErrRefused, known(err))`,
		new:  `return fmt.Errorf("%w: %w", ErrRefused, err)`,
		pkg:  "gateway/internal/upstream", run: "TestWhatTheUpstreamAnswers",
	},
	{
		name: "upstream-down-is-refusal",
		rule: "an upstream that is down has refused nobody",
		file: "gateway/internal/upstream/upstream.go",
		old:  `if e.Response != nil && e.Response.StatusCode >= http.StatusInternalServerError {`,
		new:  `if false {`,
		pkg:  "gateway", run: "TestUpstreamsThatAreBroken",
	},
}
