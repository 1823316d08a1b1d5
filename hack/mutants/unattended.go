package main

// Grants without a login: for clients that an administrator has named, on their own
// word or that of a trusted issuer.
var unattendedMutants = []mutant{
	{
		name: "client-credentials-for-all",
		rule: "who registers itself is there for users to log in with, and for nothing else",
		edit: replace("== config.GrantAuthorizationCode", `!= ""`),
		pkg:  "gateway", run: "TestClientCredentials",
	},
	{
		name: "provisioned-scopes",
		rule: "a client has no scope that its administrator has not given it",
		edit: never,
		pkg:  "gateway", run: "TestClientCredentials",
	},
	{
		name: "unattended-for-ever",
		rule: "a grant without a login ends with what its client may",
		edit: never,
		pkg:  "gateway/internal/grants", run: "TestAGrantWithoutALogin",
	},
	{
		name: "id-jag-typ",
		rule: "only what says so is an identity assertion, and no id token",
		edit: never,
		pkg:  "gateway", run: "TestAttacksWithIdentityAssertions",
	},
	{
		name: "id-jag-aud",
		rule: "an identity assertion is for this server",
		edit: never,
		pkg:  "gateway/internal/assertion", run: "FuzzIdentity",
	},
	{
		name: "id-jag-issuer",
		rule: "an identity assertion is by the issuer whose keys it is verified with",
		edit: never,
		pkg:  "gateway/internal/assertion", run: "FuzzIdentity",
	},
	{
		name: "id-jag-client",
		rule: "an identity assertion is the client's that it names, so that a stolen one is of no use",
		edit: never,
		pkg:  "gateway/internal/assertion", run: "FuzzIdentity",
	},
	{
		name: "id-jag-expired",
		rule: "an identity assertion ends when it says, so that it comes again for minutes alone",
		edit: never,
		pkg:  "gateway/internal/assertion", run: "FuzzIdentity",
	},
	{
		name: "id-jag-long",
		rule: "an identity assertion lives for minutes, whatever it says",
		edit: never,
		pkg:  "gateway", run: "TestIdentityAssertions",
	},
	{
		name: "id-jag-unsigned",
		rule: "an identity assertion is signed with a key of its issuer",
		edit: never,
		pkg:  "gateway", run: "TestAttacksWithIdentityAssertions",
	},
	{
		name: "id-jag-bound",
		rule: "an assertion that is bound to a key, or speaks of more than scopes, is refused",
		edit: never,
		pkg:  "gateway/internal/assertion", run: "FuzzIdentity",
	},
	{
		name: "id-jag-email",
		rule: "an address that the issuer has not verified is none",
		edit: never,
		pkg:  "gateway/internal/assertion", run: "FuzzIdentity",
	},
	{
		name: "id-jag-scope",
		rule: "an identity assertion bounds the scopes that are asked for with it",
		edit: without("nil && !slices.Contains(bound"),
		pkg:  "gateway", run: "TestIdentityAssertions",
	},
	{
		name: "id-jag-resource",
		rule: "an identity assertion is for the resources that it names",
		edit: replace("slices.ContainsFunc(signed, func(s string) bool { return oauth.SameResource(r, s) })", `signed != nil || r != ""`),
		pkg:  "gateway", run: "TestIdentityAssertions",
	},
	{
		name: "id-jag-no-rule",
		rule: "the access rules decide who is let in on an issuer's word, too",
		edit: never,
		pkg:  "gateway", run: "TestIdentityAssertions",
	},
}
