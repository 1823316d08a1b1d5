package main

// What backends are told of who calls, and how the sample makes sure of it.
var identityMutants = []mutant{
	{
		name: "identity-header-from-client",
		rule: "a header in which the backend is told who calls is the gateway's alone, in every spelling",
		edit: without("h.Caller.Says"),
		pkg:  "gateway", run: "TestAttackClaimedIdentity",
	},
	{
		name: "identity-of-another",
		rule: "what is kept is told of the token that it was worked out for",
		edit: replace("of(token)", "of(who.ClientID)"),
		pkg:  "gateway", run: "TestAttackIdentityOfAnother",
	},
	{
		name: "identity-scopes-kept",
		rule: "what is kept is not told when the scopes have changed",
		edit: without("slices.Equal"),
		pkg:  "gateway/internal/caller", run: "TestWhatIsKeptIsToldAsLongAsItIsTrue",
	},
	{
		name: "identity-claims-kept",
		rule: "what is kept is not told when the claims have changed",
		edit: without("e.said"),
		pkg:  "gateway", run: "TestAnAssertionIsSignedAnewAtHalfItsLife",
	},
	{
		name: "assertion-lifetime",
		rule: "an assertion is good for five minutes",
		edit: replace("lifetime", "24 * time.Hour"),
		pkg:  "gateway", run: "TestTheBackendIsToldWhoCalls",
	},
	{
		name: "assertion-at-its-end",
		rule: "an assertion is sent in the first half of its life",
		edit: replace(" / 2", ""),
		pkg:  "gateway", run: "TestAnAssertionIsSignedAnewAtHalfItsLife",
	},
	{
		name: "assertion-audience",
		rule: "an assertion is for one backend",
		edit: replace("a.Audience", "s.opts.PublicURL"),
		pkg:  "gateway", run: "TestTheBackendIsToldWhoCalls",
	},
	{
		name: "assertion-key-gone-at-once",
		rule: "what was signed before a rotation can be verified after it",
		edit: replace(".Add(-publishedFor)", ""),
		pkg:  "gateway", run: "TestTheKeysOfAssertionsAreRotated",
	},
	{
		name: "assertion-key-forever",
		rule: "a key that signs nothing any more is not believed for as long as it opens records",
		edit: replace("now.Add(-publishedFor)", "time.Time{}"),
		pkg:  "gateway", run: "TestTheKeysOfAssertionsAreRotated",
	},
	{
		name: "identity-not-ascii",
		rule: "what a user has written at the upstream is one header's value",
		edit: replace("< ' ' || c > '~'", "> 0xff"),
		pkg:  "gateway", run: "TestTheBackendIsToldWhoCalls",
	},
	{
		name: "identity-too-long",
		rule: "claims that do not fit are an error, and not told in part",
		edit: never,
		pkg:  "gateway", run: "TestClaimsThatDoNotFit",
	},
	{
		name: "not-introduced",
		rule: "nothing goes to a backend that cannot be told who calls",
		edit: always,
		pkg:  "gateway", run: "TestAnUpstreamsTokenThatCannotBeRenewed",
	},
	{
		name: "upstream-token-expired",
		rule: "an upstream's token that is about to expire is renewed before it is sent",
		edit: always,
		pkg:  "gateway", run: "TestTheUpstreamsTokenIsRenewedInTime",
	},
	{
		name: "upstream-token-refused",
		rule: "an upstream's token that the backend refuses is renewed",
		edit: without("refused"),
		pkg:  "gateway", run: "TestAnUpstreamsTokenThatIsRefused",
	},
	{
		name: "upstream-token-refused-again",
		rule: "a user whose new token is refused too has to log in again",
		edit: never,
		pkg:  "gateway", run: "TestAnUpstreamsTokenThatIsRefusedAgain",
	},
	{
		name: "upstream-token-refused-later",
		rule: "a token that is refused for the first time in a while ends nothing",
		edit: replace("u.now.Sub(time.Unix(g.Refused.At, 0)) < refusedAgain", "refusedAgain > time.Second"),
		pkg:  "gateway/internal/grants", run: "TestWhenARefusalEndsAGrant",
	},
	{
		name: "probe-not-introduced",
		rule: "a backend that refuses who is not introduced is as it should be",
		edit: never,
		pkg:  "gateway/internal/probe", run: "TestABackendThatAsksWhoCalls",
	},
	{
		name: "sample-audience",
		rule: "the sample takes no assertion that is for another server",
		edit: never,
		pkg:  "cmd/internal/weather", run: "TestAttackAssertionsThatProveNothing",
	},
	{
		name: "sample-type",
		rule: "the sample takes no other token of the gateway's for an assertion",
		edit: never,
		pkg:  "cmd/internal/weather", run: "TestAttackAssertionsThatProveNothing",
	},
}
