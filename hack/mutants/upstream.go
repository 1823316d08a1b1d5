package main

// The login at an upstream: what is believed of its answer.
var upstreamMutants = []mutant{
	{
		name: "upstream-nonce",
		rule: "an id token is for this login (OpenID Connect Core section 3.1.3.7)",
		edit: never,
		pkg:  "gateway", run: "TestAttackForgedIDToken",
	},
	{
		name: "upstream-iss",
		rule: "a code comes from the upstream that was asked (RFC 9207 section 2.4)",
		edit: replace(`fmt.Errorf("%w: it came from another issuer", ErrRefused)`, "nil"),
		pkg:  "gateway", run: "TestUpstreamsThatSayNo",
	},
	{
		name: "upstream-pkce",
		rule: "the login uses PKCE towards the upstream",
		edit: without("oauth2.S256ChallengeOption"),
		pkg:  "gateway/internal/upstream", run: "TestTheAuthorizationRequest",
	},
	{
		name: "upstream-hides",
		rule: "an upstream that names itself in its answers does so in each (RFC 9207 section 2.4)",
		edit: never,
		pkg:  "gateway", run: "TestAttackHiddenIssuer",
	},
	{
		name: "upstream-issuer",
		rule: "a discovery document is that of the configured issuer",
		edit: never,
		pkg:  "gateway/internal/upstream", run: "TestWhomTheUpstreamTrusts",
	},
	{
		name: "userinfo-of-another",
		rule: "userinfo speaks of the user whom the id token names (OpenID Connect Core section 5.3.2)",
		edit: never,
		pkg:  "gateway", run: "TestAccessRules",
	},
	{
		name: "claims-elsewhere",
		rule: "a claim that is kept somewhere else is not here",
		edit: instead("_ = name"),
		pkg:  "gateway/internal/upstream", run: "TestEntra|TestOddClaims",
	},
	{
		name: "everybody-admitted",
		rule: "only users of the configured domains and tenants log in",
		edit: never,
		pkg:  "gateway/internal/upstream", run: "TestGoogle|TestEntra",
	},
	{
		name: "renewed-another-user",
		rule: "asked again, an upstream speaks of the same user",
		edit: never,
		pkg:  "gateway/internal/upstream", run: "TestRenew",
	},
	{
		name: "renewed-userinfo-of-another",
		rule: "asked again, userinfo of another user ends the grant",
		edit: never,
		pkg:  "gateway/internal/upstream", run: "TestUserinfoOfAnotherUser",
	},
	{
		name: "withdrawn-claims",
		rule: "claims that userinfo does not return again are gone",
		edit: never,
		pkg:  "gateway/internal/upstream", run: "TestRenewTakesAwayWhatIsGone",
	},
	{
		name: "sources-unknown",
		rule: "of claims whose source an older gateway has not stored, those that may be userinfo's are not kept",
		edit: never,
		pkg:  "gateway/internal/upstream", run: "TestRenewTakesAwayWhatIsGone",
	},
	{
		name: "outage-of-userinfo",
		rule: "a userinfo endpoint that is busy has refused nobody",
		edit: remove,
		pkg:  "gateway/internal/upstream", run: "TestUserinfoThatDoesNotAnswer",
	},
	{
		name: "secret-redirected",
		rule: "a POST to an upstream, which carries secrets, follows no redirect",
		edit: without("MethodGet"),
		pkg:  "gateway/internal/upstream", run: "TestNoSecretIsSentOn",
	},
	{
		name: "insecure-redirect",
		rule: "what an upstream redirects to is https, or on a loopback host",
		edit: never,
		pkg:  "gateway/internal/upstream", run: "TestAttackInsecureRedirect",
	},
	{
		name: "insecure-endpoint",
		rule: "the endpoints that discovery names are https, or on a loopback host",
		edit: never,
		pkg:  "gateway/internal/upstream", run: "TestAttackInsecureEndpoints",
	},
	{
		name: "insecure-issuer",
		rule: "the issuer and the discovery URL are https, or on a loopback host",
		edit: remove,
		pkg:  "gateway/config", run: "TestAValueThatCannotWorkIsNamed",
	},
	{
		name: "upstream-asked-twice",
		rule: "one request at a time asks an upstream about a grant: a refresh token that comes twice counts for stolen",
		edit: never,
		pkg:  "gateway/internal/grants", run: "TestOneCallForAllWhoAsk",
	},
	{
		name: "ended-at-upstream",
		rule: "a login that the upstream has ended ends here",
		edit: without("Is(r.err, upstream.ErrEnded)"),
		pkg:  "gateway/internal/grants", run: "TestWhatEndsAGrant",
	},
	{
		name: "outage-of-upstream-ends-grants",
		rule: "an upstream that is away ends nothing",
		edit: replace("Keep", "Remove"),
		pkg:  "gateway/internal/grants", run: "TestAnUpstreamThatDoesNotAnswerCostsNothing",
	},
	{
		name: "email-unverified",
		rule: "an address that the upstream has not verified is none",
		edit: remove,
		pkg:  "gateway/internal/upstream", run: "TestTheIdentity",
	},
	{
		name: "email-verified-elsewhere",
		rule: "the id token does not vouch for userinfo's address",
		edit: remove,
		pkg:  "gateway", run: "TestAccessRules",
	},
	{
		name: "upstream-quoted",
		rule: "no error repeats an upstream's words, which may hold secrets",
		edit: replace(`%s", ErrRefused, known(err)`, `%w", ErrRefused, err`),
		pkg:  "gateway/internal/upstream", run: "TestAnIDTokenIsNotQuoted",
	},
	{
		name: "upstream-down-is-refusal",
		rule: "an upstream that is down has refused nobody",
		edit: never,
		pkg:  "gateway", run: "TestUpstreamsThatAreBroken",
	},
	{
		name: "id-token-unsigned",
		rule: "an id token is signed with a key of its issuer",
		edit: instead(`_, _ = jws.Verify(&key)
			return jws.UnsafePayloadWithoutVerification(), nil`),
		pkg: "gateway", run: "TestAttackIDTokenAlgorithms",
	},
	{
		name: "id-token-of-another-issuer",
		rule: "an id token is of an issuer that the upstream stands for",
		edit: never,
		pkg:  "gateway/internal/upstream", run: "TestEntra|TestGoogle",
	},
}
