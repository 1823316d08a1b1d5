package main

// The check of an access token.
var accessMutants = []mutant{
	{
		name: "audience",
		rule: "an access token is good at its own resource alone (RFC 8707 section 2)",
		edit: never,
		pkg:  "gateway/internal/grants", run: "TestATokenIsGoodAtItsResourceAlone",
	},
	{
		name: "access-hash",
		rule: "a genuine token is good only as long as the record holds it",
		edit: replace("keys.Equal(g.Access[i].Hash, hash)", "len(hash) > 0"),
		pkg:  "gateway/internal/grants", run: "TestRevokingAnAccessTokenEndsItAlone",
	},
	{
		name: "narrow-token-is-wide",
		rule: "a token for fewer scopes has no more than these",
		edit: never,
		pkg:  "gateway/internal/grants", run: "TestARefreshMayNarrowTheAccessTokenNotTheGrant",
	},
	{
		name: "removed-scope",
		rule: "a scope that is no longer configured is nobody's",
		edit: replace("!slices.Contains(known, scope)", "known == nil"),
		pkg:  "gateway/internal/grants", run: "TestAScopeThatIsNoLongerConfiguredIsLost",
	},
	{
		name: "removed-upstream",
		rule: "an upstream that is no longer configured lets nobody in",
		edit: never,
		pkg:  "gateway/internal/grants", run: "TestARemovedUpstreamEndsWhatItLetIn",
	},
	{
		name: "deleted-client",
		rule: "the tokens of a client that is gone are dead",
		edit: replace("client != nil", "client != nil || known"),
		pkg:  "gateway/internal/grants", run: "TestADeletedClientsTokensAreDead|TestALapsedClientsTokensAreDead",
	},
	{
		name: "outage-tolerated-for-ever",
		rule: "without the store a known token goes on for the tolerated time, and not for ever",
		edit: without("now.Sub"),
		pkg:  "gateway/internal/grants", run: "TestKnownTokensOutliveAnOutageForAWhile",
	},
	{
		name: "outage-refuses-tokens",
		rule: "a store that is away makes no token invalid",
		edit: replace("Unavailable(err)", "InvalidToken(err.Error())"),
		pkg:  "gateway/internal/grants", run: "TestAnOutageRefusesNobody",
	},
}
