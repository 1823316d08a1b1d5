package main

// What all endpoints share: parameters, redirect URIs, answers, who sends a request.
var oauthMutants = []mutant{
	{
		name: "parameter-twice",
		rule: "a parameter that stands twice is refused (RFC 6749 section 3.1)",
		edit: never,
		pkg:  "gateway/internal/oauth", run: "TestAFormIsReadStrictly|TestAQueryIsReadAsFarAsItIsGood",
	},
	{
		name: "parameters-in-query",
		rule: "a form's parameters stand in the body alone, and not in logged URLs (OAuth 2.1 section 3.2)",
		edit: replace("string(body)", `string(body) + "&" + r.URL.RawQuery`),
		pkg:  "gateway", run: "TestBadForms",
	},
	{
		name: "body-limit",
		rule: "a body is read up to a limit",
		edit: replace("limit", "limit<<20"),
		pkg:  "gateway/internal/oauth", run: "TestAFormIsAPostedForm",
	},
	{
		name: "redirect-prefix",
		rule: "a redirect URI is one of the registered ones to the byte (RFC 9700 section 2.1)",
		edit: replace("slices.Contains(registered, presented)", "slices.ContainsFunc(registered, func(r string) bool { return strings.HasPrefix(presented, r) })"),
		pkg:  "gateway/internal/oauth", run: "TestWhereAClientMayBeAnswered",
	},
	{
		name: "redirect-any-port",
		rule: "only a loopback redirect may come with another port (RFC 8252 section 7.3)",
		edit: replace("CutPrefix(s,", `CutPrefix(strings.Replace(s, "https://", "http://", 1),`),
		pkg:  "gateway/internal/oauth", run: "TestWhereAClientMayBeAnswered",
	},
	{
		name: "redirect-any-scheme",
		rule: "nobody registers a scheme that is not an app's by the policy",
		edit: never,
		pkg:  "gateway/internal/oauth", run: "TestWhichRedirectURIsMayBeRegistered",
	},
	{
		name: "redirect-http",
		rule: "a redirect over http stays on the user's machine",
		edit: replace("u.Hostname()", `"localhost"`),
		pkg:  "gateway/internal/oauth", run: "TestWhichRedirectURIsMayBeRegistered",
	},
	{
		name: "redirect-user",
		rule: "a redirect URI has no user name, which hides the host from people",
		edit: never,
		pkg:  "gateway/internal/oauth", run: "TestWhichRedirectURIsMayBeRegistered",
	},
	{
		name: "resource-other-path",
		rule: "a resource is one route, and not all under its host (RFC 8707)",
		edit: remove,
		pkg:  "gateway/internal/oauth", run: "TestWhichResourcesAreTheSame",
	},
	{
		name: "tokens-cached",
		rule: "no cache keeps an answer that holds tokens (RFC 6749 section 5.1)",
		edit: remove,
		pkg:  "gateway", run: "TestTokenAnswers",
	},
	{
		name: "basic-unanswered",
		rule: "who fails at Basic authentication is told the scheme (RFC 6749 section 5.2)",
		edit: never,
		pkg:  "gateway/internal/oauth", run: "TestAnErrorIsAnsweredAsTheRFCHasIt",
	},
	{
		name: "challenge-without-metadata",
		rule: "a challenge says where the resource's metadata is (RFC 9728 section 5.1)",
		edit: remove,
		pkg:  "gateway/internal/oauth", run: "TestAChallengeIsOneQuotedBearerChallenge",
	},
	{
		name: "anybody-is-a-proxy",
		rule: "X-Forwarded-For is believed from trusted proxies alone",
		edit: never,
		pkg:  "gateway/internal/source", run: "TestWhoSendsARequest",
	},
	{
		name: "forwarded-from-the-left",
		rule: "of X-Forwarded-For only what trusted proxies have added counts, from the right",
		edit: replace("Backward", "All"),
		pkg:  "gateway/internal/source", run: "TestWhoSendsARequest",
	},
	{
		name: "forwarded-host",
		rule: "X-Forwarded-Host is believed from trusted proxies alone",
		edit: always,
		pkg:  "gateway/internal/source", run: "TestWhichHostIsMeant",
	},
	{
		name: "limit-per-address",
		rule: "one sender of IPv6 is a /64, for it has all those addresses",
		edit: replace("64", "128"),
		pkg:  "gateway/internal/source", run: "TestOneSenderIsOneSource",
	},
	{
		name: "any-origin",
		rule: "scripts of other origins call a protected route only if they were let in",
		edit: replace("o[strings.ToLower(values[0])]", "true"),
		pkg:  "gateway/internal/cors", run: "TestOrigins",
	},
	{
		name: "redirect-fragment",
		rule: "a redirect URI has no fragment (RFC 6749 section 3.1.2)",
		edit: never,
		pkg:  "gateway/internal/oauth", run: "TestWhichRedirectURIsMayBeRegistered",
	},
	{
		name: "log-injection",
		rule: "whatever a stranger is called, an event stays one line that a terminal shows as it is",
		edit: replace("plain(f.Value.String())", "f.Value.String()"),
		pkg:  "gateway/internal/audit", run: "FuzzRecord",
	},
	{
		name: "log-flooded",
		rule: "a line of the log holds only so much of what a stranger says",
		edit: never,
		pkg:  "gateway/internal/audit", run: "FuzzRecord",
	},
	{
		name: "redirect-special-scheme",
		rule: "no policy lets a scheme in that browsers give a meaning of its own, such as javascript",
		edit: never,
		pkg:  "gateway/internal/oauth", run: "TestRedirectPolicies",
	},
	{
		name: "redirect-any-host",
		rule: "where the hosts of redirect URIs are named, no other will do",
		edit: never,
		pkg:  "gateway/internal/oauth", run: "TestRedirectPolicies",
	},
	{
		name: "redirect-host-suffix",
		rule: "*.example.com is what is below that domain, and not evilexample.com",
		edit: replace("*", "*."),
		pkg:  "gateway/internal/oauth", run: "TestRedirectPolicies",
	},
}
