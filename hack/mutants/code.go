package main

// The authorization code, and what it is redeemed for.
var codeMutants = []mutant{
	{
		name: "code-verifier",
		rule: "who redeems a code has the verifier of its challenge (RFC 7636 section 4.6)",
		edit: never,
		pkg:  "gateway/internal/grants", run: "TestAWrongRequestNeitherSpendsTheCodeNorEndsTheGrant",
	},
	{
		name: "code-of-another-client",
		rule: "a code is its client's alone (RFC 6749 section 4.1.3)",
		edit: never,
		pkg:  "gateway/internal/grants", run: "TestAWrongRequestNeitherSpendsTheCodeNorEndsTheGrant",
	},
	{
		name: "code-redirect",
		rule: "a redirect URI that is named at the token endpoint is the request's",
		edit: never,
		pkg:  "gateway/internal/grants", run: "TestAWrongRequestNeitherSpendsTheCodeNorEndsTheGrant",
	},
	{
		name: "code-resource",
		rule: "a resource that is named at the token endpoint is the grant's (RFC 8707 section 2.2)",
		edit: never,
		pkg:  "gateway/internal/grants", run: "TestAWrongRequestNeitherSpendsTheCodeNorEndsTheGrant",
	},
	{
		name: "code-reusable",
		rule: "a code is good once (RFC 6749 section 4.1.2)",
		edit: never,
		pkg:  "gateway/internal/grants", run: "TestAReplayedCodeEndsTheGrant",
	},
	{
		name: "code-replay-harmless",
		rule: "a code that comes twice ends what it got (RFC 6749 section 4.1.2)",
		edit: replace("Remove", "Keep"),
		pkg:  "gateway/internal/grants", run: "TestAReplayedCodeEndsTheGrant",
	},
	{
		name: "code-lives-long",
		rule: "a code is good for a minute",
		edit: replace("CodeTTL", "CodeTTL + time.Second"),
		pkg:  "gateway", run: "TestTheCodesLife",
	},
	{
		name: "spent-code-opens-claims",
		rule: "a spent code opens nothing any more",
		edit: replace(", g.Code.DataKey = true, nil", " = true"),
		pkg:  "gateway/internal/grants", run: "TestClaimsOpenWithALiveTokenAlone",
	},
	{
		name: "data-key-guessable",
		rule: "a user's claims are sealed under a random key, that only the grant's live tokens unwrap",
		edit: replace("key", "nil"),
		pkg:  "gateway/internal/grants", run: "TestDataIsTiedToItsGrant",
	},
	{
		name: "tokens-outlive-grant",
		rule: "no access token outlives its grant",
		edit: replace("min(now.Add(s.opts.AccessTokenTTL).Unix(), g.ExpiresAt)", "now.Add(s.opts.AccessTokenTTL).Unix()"),
		pkg:  "gateway/internal/grants", run: "TestAGrantEndsAMonthAfterLoginHoweverOftenItIsRefreshed",
	},
	{
		name: "grants-without-number",
		rule: "a user keeps at most so many grants with one client",
		edit: never,
		pkg:  "gateway/internal/grants", run: "TestAUserKeepsTwentyGrantsWithAClient",
	},
	{
		name: "form-verifier",
		rule: "a code verifier has the length that makes it unguessable (RFC 7636 section 4.1)",
		edit: never,
		pkg:  "gateway", run: "TestBadRedemptions",
	},
	{
		name: "token-logged",
		rule: "no token is in a log",
		edit: replace("GrantID", "RefreshToken"),
		pkg:  "gateway", run: "TestAClientGoesTheWholeWay",
	},
}
