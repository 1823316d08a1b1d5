package main

// What a call needs, and how many there may be.
var operationMutants = []mutant{
	{
		name: "members-twice",
		rule: "a body in which a member stands twice is refused, since readers differ in which of them counts",
		edit: never,
		pkg:  "gateway", run: "TestAttackParserDifferentials",
	},
	{
		name: "capitals",
		rule: "a member that differs from one that counts in capitals alone is refused, since some readers take it",
		edit: without("!= other && strings.EqualFold"),
		pkg:  "gateway", run: "TestAttackParserDifferentials",
	},
	{
		name: "behind-the-message",
		rule: "nothing stands behind a message",
		edit: never,
		pkg:  "gateway", run: "TestAttackParserDifferentials",
	},
	{
		name: "half-surrogates",
		rule: "half a surrogate pair in a name is refused",
		edit: never,
		pkg:  "gateway", run: "TestAttackParserDifferentials",
	},
	{
		name: "nested-deep",
		rule: "a body is nested 128 deep at most",
		edit: never,
		pkg:  "gateway/internal/jsonrpc", run: "TestWhatReadersUnderstandDifferentlyIsRefused/nested_too_deep",
	},
	{
		name: "first-of-a-batch",
		rule: "a batch needs what each of its calls needs",
		edit: replace("body.Calls", "body.Calls[:min(len(body.Calls), 1)]"),
		pkg:  "gateway", run: "TestAttackParserDifferentials|TestWhatAnOperationNeeds",
	},
	{
		name: "headers-differ",
		rule: "a header that repeats the body says what the body says",
		edit: instead("_ = mirrored"),
		pkg:  "gateway", run: "TestAttackHeadersThatBelieTheBody",
	},
	{
		name: "types-and-encodings",
		rule: "a body is judged only if it is JSON in UTF-8, and not encoded",
		edit: never,
		pkg:  "gateway", run: "TestAttackHeadersThatBelieTheBody",
	},
	{
		name: "unlisted-tools",
		rule: "where unlisted tools are denied, nobody may call one that no scope names",
		edit: never,
		pkg:  "gateway", run: "TestToolsThatNoScopeNames",
	},
	{
		name: "one-of-several",
		rule: "of the scopes that name an operation, one is enough",
		edit: replace("== len(anyOf)", "> 0"),
		pkg:  "gateway", run: "TestWhatAnOperationNeeds",
	},
	{
		name: "no-operation-scope",
		rule: "who calls a tool that scopes name needs one of them",
		edit: remove,
		pkg:  "gateway", run: "TestWhatAnOperationNeeds",
	},
	{
		name: "uris-undecoded",
		rule: "a URI is judged with its percent-encoding decoded",
		edit: replace("readings(uri)", "readings(c.Name + uri[len(uri):])"),
		pkg:  "gateway", run: "TestAttackParserDifferentials",
	},
	{
		name: "uris-with-a-tail",
		rule: "a URI also needs what it needs without its fragment, its query and slashes at its end",
		edit: replace("readings(uri)", "[]string{uri}"),
		pkg:  "gateway", run: "TestAttackResourcesAsServersReadThem",
	},
	{
		name: "uris-written-otherwise",
		rule: "a URI is refused if URL parsers write its host or port in another way",
		edit: never,
		pkg:  "gateway", run: "TestAttackResourcesAsServersReadThem",
	},
	{
		name: "uris-of-drives",
		rule: "a URI is refused if URL parsers write its drive letter in another way",
		edit: never,
		pkg:  "gateway", run: "TestAttackResourcesAsServersReadThem",
	},
	{
		name: "uris-that-lead-up",
		rule: "a URI with dot segments is refused where rules are about URIs",
		edit: replace(`,
		slices.ContainsFunc(segments, dots):`, `:
		_ = dots`),
		pkg: "gateway", run: "TestAttackParserDifferentials",
	},
	{
		name: "demanded-at-once",
		rule: "a scope on demand is not suggested",
		edit: never,
		pkg:  "gateway", run: "TestScopesOnDemand",
	},
	{
		name: "body-without-end",
		rule: "a body that is read is 8 MiB at most",
		edit: replace("http.MaxBytesReader(w, r.Body, maxBody)", "r.Body"),
		pkg:  "gateway", run: "TestBodiesUnderRulesAreBounded",
	},
	{
		name: "announced-body-waited-for",
		rule: "a body that announces to be too large is refused before it is sent",
		edit: never,
		pkg:  "gateway", run: "TestBodiesUnderRulesAreBounded",
	},
	{
		name: "bodies-read-for-nothing",
		rule: "without rules, a body is passed on as it comes",
		edit: always,
		pkg:  "gateway", run: "TestBodiesWithoutRulesAreNotRead",
	},
	{
		name: "quota-of-users",
		rule: "a user may make so many requests in a minute",
		edit: replace("limits.RequestsPerMinutePerUser", "0"),
		pkg:  "gateway", run: "TestQuotasOfRequests",
	},
	{
		name: "quota-of-clients",
		rule: "a client may make so many requests in a minute",
		edit: replace("limits.RequestsPerMinutePerClient", "0"),
		pkg:  "gateway", run: "TestQuotasOfRequests",
	},
	{
		name: "quota-of-issuers",
		rule: "users of one name at two identity providers are two",
		edit: replace("who.Issuer, who.Subject", "subject: who.Subject"),
		pkg:  "gateway/internal/quota", run: "TestRequestsPerMinute",
	},
	{
		name: "quota-of-streams",
		rule: "a request counts until it has ended",
		edit: replace("defer done()", "done()"),
		pkg:  "gateway", run: "TestQuotasOfConcurrentRequests",
	},
	{
		name: "quota-kept",
		rule: "a request that has ended counts no more",
		edit: replace(`		q.users.end(person)
		q.clients.end(who.ClientID)
`, ""),
		pkg: "gateway", run: "TestQuotasOfConcurrentRequests",
	},
}
