package main

// The refresh token's rule (gateway/internal/grants/refresh.go), and revocation.
var refreshMutants = []mutant{
	{
		name: "no-rotation",
		rule: "each refresh token has a successor (RFC 9700 section 4.14.2)",
		edit: replace("f.successor(key, o, f.request.RefreshToken)", "f.request.RefreshToken"),
		pkg:  "gateway/internal/grants", run: "TestEachRefreshRotates",
	},
	{
		name: "reuse-harmless",
		rule: "a refresh token that was replaced ends the grant when it comes again (d)",
		edit: replace("Remove", "Keep"),
		pkg:  "gateway/internal/grants", run: "TestASpentTokenEndsTheGrantOnceItsSuccessorWasUsed",
	},
	{
		name: "retry-without-end",
		rule: "a retry is one only for two minutes (b)",
		edit: always,
		pkg:  "gateway/internal/grants", run: "TestRetriesDoNotExtendTheirWindow",
	},
	{
		name: "no-retry",
		rule: "a client that retries, or runs twice, is no thief (b)",
		edit: never,
		pkg:  "gateway/internal/grants", run: "TestARetryGetsTheNewestPair",
	},
	{
		name: "used-successor-replaced",
		rule: "after the window only the direct predecessor of an unused token may come again (c)",
		edit: always,
		pkg:  "gateway/internal/grants", run: "TestASpentTokenEndsTheGrantOnceItsSuccessorWasUsed|TestTheReplacedTokenEndsTheGrantAtOnce",
	},
	{
		name: "older-store-ends-grants",
		rule: "a token that is newer than the record ends nothing: the store is behind (e)",
		edit: never,
		pkg:  "gateway/internal/grants", run: "TestWhenTheStoreWentBackInTimeNobodyIsTakenForAThief",
	},
	{
		name: "successor-without-nonce",
		rule: "a successor depends on the nonce of its rotation, so that the same step twice leads to two tokens",
		edit: without("o.Nonce"),
		pkg:  "gateway/internal/grants", run: "TestWhenTheStoreWentBackInTimeNobodyIsTakenForAThief",
	},
	{
		name: "successor-without-parent",
		rule: "a successor is derived from the presented token: who has the key alone cannot pass for a retry",
		edit: without("[]byte(parent)"),
		pkg:  "gateway/internal/grants", run: "TestTheMACAloneIsNotEnough",
	},
	{
		name: "refresh-of-another-client",
		rule: "a refresh token is its client's alone (RFC 6749 section 6)",
		edit: never,
		pkg:  "gateway/internal/grants", run: "TestAnotherClientsRefreshTokenIsOfNoUse",
	},
	{
		name: "refresh-widens",
		rule: "a refresh does not widen the scope (RFC 6749 section 6)",
		edit: replace("!slices.Contains(g.Scopes, scope)", `scope == ""`),
		pkg:  "gateway/internal/grants", run: "TestARefreshDoesNotWiden",
	},
	{
		name: "no-rule-at-refresh",
		rule: "who is not let in any more loses the grant at the next refresh",
		edit: never,
		pkg:  "gateway/internal/grants", run: "TestWhoIsNotLetInAnyMoreLosesTheGrantAtRefresh",
	},
	{
		name: "outage-ends-grants",
		rule: "a store that is away makes no grant invalid: the client would sign its user out",
		edit: replace("Unavailable(err)", `InvalidGrant("the grant has ended").Because(err)`),
		pkg:  "gateway/internal/grants", run: "TestWithoutTheStoreNothingIsRefreshedOrRefused",
	},
	{
		name: "revoked-by-others",
		rule: "a client revokes its own tokens alone (RFC 7009 section 2.1)",
		edit: never,
		pkg:  "gateway/internal/grants", run: "TestNobodyRevokesAnothersToken",
	},
	{
		name: "revoked-in-part",
		rule: "a revoked refresh token takes its access tokens along (RFC 7009 section 2.1)",
		edit: instead(`g.Newest, g.Rotations = heldToken{}, nil
			return records.Write, nil`),
		pkg: "gateway/internal/grants", run: "TestRevokingARefreshTokenEndsItsGrant",
	},
	{
		name: "revoked-refresh-token",
		rule: "a refresh token that was revoked is dead, and its grant",
		edit: replace("Remove", "Keep"),
		pkg:  "gateway/internal/grants", run: "TestRevokingARefreshTokenEndsItsGrant",
	},
	{
		name: "revoked-access-token",
		rule: "an access token that was revoked is dead",
		edit: remove,
		pkg:  "gateway/internal/grants", run: "TestRevokingAnAccessTokenEndsItAlone",
	},
}
