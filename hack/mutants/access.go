package main

// The check of an access token.
var accessMutants = []mutant{
	{
		name: "audience",
		rule: "an access token is good at its own resource alone (RFC 8707 section 2)",
		file: "gateway/internal/grants/check.go",
		old:  `case g.Resource != p.resource:`,
		new:  `case false:`,
		pkg:  "gateway/internal/grants", run: "TestATokenIsGoodAtItsResourceAlone",
	},
	{
		name: "access-hash",
		rule: "a genuine token is good only as long as the record holds it",
		file: "gateway/internal/grants/grant.go",
		old:  `if keys.Equal(g.Access[i].Hash, hash) {`,
		new:  `if len(hash) > 0 {`,
		pkg:  "gateway/internal/grants", run: "TestRevokingAnAccessTokenEndsItAlone",
	},
	{
		name: "narrow-token-is-wide",
		rule: "a token for fewer scopes has no more than these",
		file: "gateway/internal/grants/grant.go",
		old:  `if a.Narrowed {`,
		new:  `if false {`,
		pkg:  "gateway/internal/grants", run: "TestARefreshMayNarrowTheAccessTokenNotTheGrant",
	},
	{
		name: "removed-scope",
		rule: "a scope that is no longer configured is nobody's",
		file: "gateway/internal/grants/refresh.go",
		old:  `return !slices.Contains(known, scope)`,
		new:  `return known == nil`,
		pkg:  "gateway/internal/grants", run: "TestAScopeThatIsNoLongerConfiguredIsLost",
	},
	{
		name: "removed-upstream",
		rule: "an upstream that is no longer configured lets nobody in",
		file: "gateway/internal/grants/check.go",
		old:  `case !s.opts.Upstreams.Serves(g.Upstream, g.Issuer):`,
		new:  `case false:`,
		pkg:  "gateway/internal/grants", run: "TestARemovedUpstreamEndsWhatItLetIn",
	},
	{
		name: "deleted-client",
		rule: "the tokens of a client that is gone are dead",
		file: "gateway/internal/grants/check.go",
		old:  `known = client != nil`,
		new:  `known = client != nil || known`,
		pkg:  "gateway/internal/grants", run: "TestADeletedClientsTokensAreDead|TestALapsedClientsTokensAreDead",
	},
	{
		name: "outage-tolerated-for-ever",
		rule: "without the store a known token goes on for the tolerated time, and not for ever",
		file: "gateway/internal/grants/check.go",
		old:  `known && now.Sub(heard) < s.opts.OutageTolerance)`,
		new:  `known)`,
		pkg:  "gateway/internal/grants", run: "TestKnownTokensOutliveAnOutageForAWhile",
	},
	{
		name: "outage-refuses-tokens",
		rule: "a store that is away makes no token invalid",
		file: "gateway/internal/grants/check.go",
		old: `return s.identity(copied, p, s.client(copied)), nil
	}
	return identity.Identity{}, oauth.Unavailable(err)`,
		new: `return s.identity(copied, p, s.client(copied)), nil
	}
	return identity.Identity{}, oauth.InvalidToken(err.Error())`,
		pkg: "gateway/internal/grants", run: "TestAnOutageRefusesNobody",
	},
}
