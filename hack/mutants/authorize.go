package main

// The authorization request, and its answer.
var authorizeMutants = []mutant{
	{
		name: "redirect-unchecked",
		rule: "a client is answered where it has registered, or not at all",
		edit: never,
		pkg:  "gateway", run: "TestBadAuthorizationRequests",
	},
	{
		name: "open-redirector",
		rule: "an error goes to a redirect URI only once that is known to be the client's",
		edit: first(`if _, e := p.Need("response_type"); e != nil {
			h.redirectError(w, r, request{ClientID: clientID, RedirectURI: p.Get("redirect_uri")}, e)
			return
		}`),
		pkg: "gateway", run: "TestBadAuthorizationRequests",
	},
	{
		name: "pkce-plain",
		rule: "a code challenge is a hash: plain would show the verifier to whoever reads the URL (RFC 9700 section 2.1.1)",
		edit: replace(`"S256"`, `"S256" && p.Get("code_challenge_method") != "plain"`),
		pkg:  "gateway", run: "TestAttackPKCEDowngrade",
	},
	{
		name: "pkce-without-method",
		rule: "a challenge without a method, which means plain, is refused",
		edit: replace(`"S256"`, `"S256" && p.Get("code_challenge_method") != ""`),
		pkg:  "gateway", run: "TestAttackPKCEDowngrade",
	},
	{
		name: "pkce-optional",
		rule: "every client uses PKCE (OAuth 2.1 section 4.1.1)",
		edit: first(`if p.Get("code_challenge") == "" {
			return nil
		}`),
		pkg: "gateway", run: "TestAttackPKCEDowngrade",
	},
	{
		name: "implicit-grant",
		rule: "the response type is code and no other",
		edit: never,
		pkg:  "gateway", run: "TestBadAuthorizationRequests",
	},
	{
		name: "foreign-resource",
		rule: "a client asks for a resource of this server (RFC 8707 section 2)",
		edit: replace(`"", InvalidTarget("resource must be one URL of this server")`, "resources[0], nil"),
		pkg:  "gateway", run: "TestBadAuthorizationRequests",
	},
	{
		name: "state-lost",
		rule: "state comes back (RFC 6749 section 4.1.2)",
		edit: never,
		pkg:  "gateway", run: "TestStateIsEchoedByteForByte",
	},
	{
		name: "iss-missing",
		rule: "an answer with a code names its issuer (RFC 9207 section 2)",
		edit: instead(`if params.Has("error") {
			params.Set("iss", h.PublicURL)
		}`),
		pkg: "gateway", run: "TestStateIsEchoedByteForByte",
	},
	{
		name: "iss-missing-in-errors",
		rule: "an answer with an error names its issuer too (RFC 9207 section 2)",
		edit: instead(`if params.Has("code") {
			params.Set("iss", h.PublicURL)
		}`),
		pkg: "gateway", run: "TestTheUserSaysNo",
	},
	{
		name: "answer-by-307",
		rule: "the redirect to a client is a 303, which makes a GET of the form's POST (RFC 9700 section 4.12)",
		edit: replace("SeeOther", "TemporaryRedirect"),
		pkg:  "gateway", run: "TestTheUserSaysNo",
	},
	{
		name: "no-rule-at-login",
		rule: "the access rules decide who gets a grant",
		edit: never,
		pkg:  "gateway", run: "TestAccessRules",
	},
	{
		name: "failing-rule-lets-in",
		rule: "an access rule that fails lets nobody in",
		edit: always,
		pkg:  "gateway/policy", run: "TestAllowed",
	},
	{
		name: "scopes-of-others-at-login",
		rule: "a user gets no scope that is not theirs to give",
		edit: replace("judge.MayHave(req.Scopes, user)", "oauth.Scopes(req.Scopes)"),
		pkg:  "gateway", run: "TestScopesByRule",
	},
	{
		name: "scopes-of-others-at-refresh",
		rule: "a scope that is the user's no more is lost at the next refresh",
		edit: replace("f.policy.MayHave(existing, user)", "existing"),
		pkg:  "gateway/internal/grants", run: "TestNewClaimsDecideAnew",
	},
}
