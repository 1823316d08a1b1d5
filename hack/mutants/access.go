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
		name: "bookmarks-of-an-api-server-without-etcd",
		rule: "a watch is no sign that the API server reaches etcd",
		edit: never,
		pkg:  "gateway/internal/store/kubernetes", run: "TestAWatchOfAnAPIServerWithoutEtcd",
	},
	{
		name: "short-outages-told",
		rule: "an identity provider that is away for a moment makes no condition False",
		edit: replace("shortOutage", "0"),
		pkg:  "gateway/internal/report", run: "TestAShortOutageIsNotTold",
	},
	{
		name: "outage-refuses-tokens",
		rule: "a store that is away makes no token invalid",
		edit: replace("Unavailable(err)", "InvalidToken(err.Error())"),
		pkg:  "gateway/internal/grants", run: "TestAnOutageRefusesNobody",
	},
	{
		name: "route-without-rules",
		rule: "a route that the newest policy does not name, or names as one that needs a token, is not served as before",
		edit: never,
		pkg:  "gateway", run: "TestThePolicyOfAnotherConfiguration",
	},
	{
		name: "route-of-a-newer-configuration",
		rule: "no route serves a path that belongs to a newer route within it",
		edit: never,
		pkg:  "gateway", run: "TestARouteOfANewerConfiguration",
	},
	{
		name: "rules-by-name",
		rule: "the rules of a route are those of its path, whatever it is called",
		edit: instead(`for _, o := range own.Routes {
			if o.Name == t.Name {
				c.routes[o.Path] = route
			}
		}`),
		pkg: "gateway", run: "TestThePolicyOfAnotherConfiguration",
	},
	{
		name: "rules-of-another-upstream",
		rule: "rules let nobody in of an upstream that they know as another",
		edit: never,
		pkg:  "gateway", run: "TestThePolicyOfAnotherUpstream",
	},
	{
		name: "unnamed-upstream-at-login",
		rule: "nobody logs in at an upstream that the rules do not know",
		edit: never,
		pkg:  "gateway", run: "TestThePolicyOfAnotherUpstream",
	},
	{
		name: "unnamed-upstream-at-refresh",
		rule: "no token is refreshed of an upstream that the rules do not know",
		edit: never,
		pkg:  "gateway", run: "TestThePolicyOfAnotherUpstream",
	},
	{
		name: "unnamed-upstream-of-assertion",
		rule: "the word of an issuer that the rules do not know lets nobody in",
		edit: never,
		pkg:  "gateway", run: "TestThePolicyOfAnotherUpstream",
	},
	{
		name: "policy-half-and-half",
		rule: "a request is judged by one policy from its beginning to its end",
		edit: never,
		pkg:  "gateway", run: "TestARequestSeesOnePolicy",
	},
	{
		name: "policy-asked-twice",
		rule: "what a request on a route needs is asked once",
		edit: first("policy, _ = h.Policy(r.Context())"),
		pkg:  "gateway/internal/proxy", run: "TestThePolicyIsAskedForOnce",
	},
}
