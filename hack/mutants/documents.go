package main

// Clients that name themselves by a URL: what is fetched, and what proves them.
var documentMutants = []mutant{
	{
		name: "fetch-from-inside",
		rule: "what strangers name is fetched from public addresses alone",
		edit: without("slices.ContainsFunc"),
		pkg:  "gateway/internal/egress", run: "TestWhichAddressesArePublic",
	},
	{
		name: "fetch-from-inside-by-v6",
		rule: "an address of IPv6 that leads inside, or to IPv4, is not public",
		edit: replace("addr.Is6() && !globalUnicast.Contains(addr), ", ""),
		pkg:  "gateway/internal/egress", run: "TestWhichAddressesArePublic",
	},
	{
		name: "address-unchecked",
		rule: "the addresses that a name has are checked, and not only the name",
		edit: never,
		pkg:  "gateway/internal/egress", run: "TestNamesThatLeadInside",
	},
	{
		name: "name-looked-up-twice",
		rule: "the connection goes to an address that was checked, whatever the name says a moment later",
		edit: first(`if addrs, err = g.addresses(ctx, host); err != nil {
			return nil, err
		}`),
		pkg: "gateway/internal/egress", run: "TestANameIsLookedUpOnce",
	},
	{
		name: "fetch-redirected",
		rule: "a fetch follows no redirect",
		edit: replace("http.ErrUseLastResponse", "nil"),
		pkg:  "gateway/internal/egress", run: "TestAnswersThatAreNone",
	},
	{
		name: "fetch-of-any-size",
		rule: "what is fetched is read up to a limit",
		edit: never,
		pkg:  "gateway/internal/egress", run: "TestAnswersThatAreNone",
	},
	{
		name: "fetch-from-any-host",
		rule: "where hosts are named, nothing is fetched from others",
		edit: never,
		pkg:  "gateway/internal/egress", run: "TestWhichHostsAreAllowed",
	},
	{
		name: "document-of-another",
		rule: "a document names its own URL as client_id",
		edit: never,
		pkg:  "gateway/internal/documents", run: "TestDocuments",
	},
	{
		name: "document-with-query",
		rule: "one host is not any number of clients by its queries",
		edit: replace("?", ""),
		pkg:  "gateway/internal/documents", run: "TestWhatCanBeAClientID",
	},
	{
		name: "fetches-without-number",
		rule: "one sender has only so much fetched",
		edit: never,
		pkg:  "gateway/internal/documents", run: "TestHowOftenIsFetched",
	},
	{
		name: "assertion-unsigned",
		rule: "an assertion is signed with a key of its client",
		edit: never,
		pkg:  "gateway/internal/assertion", run: "TestWhatNeedsNoKeyOfTheClientIsRefused",
	},
	{
		name: "assertion-for-another-server",
		rule: "an assertion is for this server",
		edit: never,
		pkg:  "gateway/internal/assertion", run: "TestTheClaims",
	},
	{
		name: "assertion-of-another-client",
		rule: "an assertion is by its client, and about itself",
		edit: never,
		pkg:  "gateway/internal/assertion", run: "TestTheClaims",
	},
	{
		name: "assertion-expired",
		rule: "an assertion ends when it says",
		edit: never,
		pkg:  "gateway/internal/assertion", run: "TestTheClaims",
	},
	{
		name: "assertion-twice",
		rule: "an assertion is good once",
		edit: never,
		pkg:  "gateway/internal/clients", run: "TestAnAssertionIsGoodOnce",
	},
	{
		name: "key-withdrawn",
		rule: "a key that the client has withdrawn proves nothing, though a grant still keeps it",
		edit: never,
		pkg:  "gateway/internal/clients", run: "TestPublishedKeys",
	},
	{
		name: "document-with-fragment",
		rule: "one document is not any number of clients by their fragments",
		edit: replace("#", ""),
		pkg:  "gateway/internal/documents", run: "TestWhatCanBeAClientID",
	},
	{
		name: "alg-none",
		rule: "no assertion is unsigned, and the metadata offers it to nobody",
		edit: replace("jose.EdDSA", `jose.EdDSA, "none"`),
		pkg:  "gateway", run: "TestMetadata",
	},
}
