package main

// What clients are told of this server, and how they register.
var registerMutants = []mutant{
	{
		name: "issuer-slash",
		rule: "the issuer in the metadata is the public URL to the byte (RFC 8414 section 3.3)",
		edit: replace("s.PublicURL", `s.PublicURL + "/"`),
		pkg:  "gateway", run: "TestMetadata",
	},
	{
		name: "plain-announced",
		rule: "the metadata offers S256 alone",
		edit: replace(`"S256"`, `"S256", "plain"`),
		pkg:  "gateway", run: "TestMetadata",
	},
	{
		name: "iss-unannounced",
		rule: "the metadata says that answers name their issuer, or no client looks (RFC 9207 section 3)",
		edit: remove,
		pkg:  "gateway", run: "TestMetadata",
	},
	{
		name: "resource-metadata-appended",
		rule: "a resource's metadata is where the well-known suffix is inserted (RFC 9728 section 3.1)",
		edit: replace(`PathResource + prefix + strings.TrimSuffix(path, "/")`, `prefix + strings.TrimSuffix(path, "/") + PathResource`),
		pkg:  "gateway", run: "TestMetadata|TestWhoIsNotLetThrough",
	},
	{
		name: "null-in-registration",
		rule: "a registration's answer leaves out what has no value: some clients choke on null",
		edit: first(`answer["jwks"] = nil`),
		pkg:  "gateway", run: "TestRegistrationAnswers",
	},
	{
		name: "registration-unlimited",
		rule: "one source registers only so many clients",
		edit: never,
		pkg:  "gateway", run: "TestAttackRegistrationFlood",
	},
	{
		name: "registration-closed",
		rule: "where registration is off, nobody registers",
		edit: never,
		pkg:  "gateway", run: "TestRegistrationPolicies",
	},
	{
		name: "public-clients",
		rule: "where public clients are forbidden, none registers",
		edit: never,
		pkg:  "gateway", run: "TestRegistrationPolicies",
	},
	{
		name: "registration-kept-whole",
		rule: "what is kept of a registration is bounded",
		edit: never,
		pkg:  "gateway", run: "TestBadRegistrations",
	},
	{
		name: "bad-redirect-registered",
		rule: "only a redirect URI that is fit to be one is registered",
		edit: never,
		pkg:  "gateway", run: "TestBadRegistrations",
	},
	{
		name: "initial-access-token",
		rule: "where registering takes a token, it takes the right one (RFC 7591 section 3)",
		edit: never,
		pkg:  "gateway", run: "TestInitialAccessToken",
	},
	{
		name: "initial-access-token-guessed",
		rule: "who guesses that token does not go on guessing",
		edit: remove,
		pkg:  "gateway", run: "TestInitialAccessToken",
	},
	{
		name: "managed-by-anybody",
		rule: "a registration is its client's alone to read and to change (RFC 7592 section 2)",
		edit: without("keys.Equal"),
		pkg:  "gateway/internal/clients", run: "TestWhoManagesAClient",
	},
	{
		name: "managed-by-client",
		rule: "a client's secret does not manage its registration",
		edit: replace("len(c.ManagementHash)", "c.provesSecret(token) || len(c.ManagementHash)"),
		pkg:  "gateway/internal/clients", run: "TestWhoManagesAClient",
	},
	{
		name: "managed-without-limit",
		rule: "who guesses a registration's token does not go on guessing",
		edit: never,
		pkg:  "gateway", run: "TestManagingIsLimited",
	},
	{
		name: "replaced-with-foreign-secret",
		rule: "a client that names a secret names its own (RFC 7592 section 2.2)",
		edit: never,
		pkg:  "gateway/internal/clients", run: "TestReplacing",
	},
	{
		name: "redirect-policy-of-before",
		rule: "a redirect policy that has become narrower holds for the clients that are there",
		edit: replace("h.Redirects.Check", "oauth.CheckRedirectURI"),
		pkg:  "gateway", run: "TestRedirectPolicy",
	},
	{
		name: "failures-without-number",
		rule: "who guesses a client's secret costs the store a few reads, and no more",
		edit: never,
		pkg:  "gateway/internal/clients", run: "TestAWrongSecretIsNotDecidedOnTheCopy",
	},
}
