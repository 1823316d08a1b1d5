package main

// Who a client is, and how long it is remembered.
var clientMutants = []mutant{
	{
		name: "wrong-client-secret",
		rule: "a client with a secret proves that it has it",
		edit: never,
		pkg:  "gateway/internal/clients", run: "TestHowClientsAuthenticate",
	},
	{
		name: "no-client-secret",
		rule: "a client with a secret does not pass for one without",
		edit: replace("c.Public()", `c.Public() || cred.secret == ""`),
		pkg:  "gateway/internal/clients", run: "TestHowClientsAuthenticate",
	},
	{
		name: "two-client-proofs",
		rule: "a client authenticates in one way at a time (RFC 6749 section 2.3)",
		edit: never,
		pkg:  "gateway/internal/clients", run: "TestHowClientsAuthenticate",
	},
	{
		name: "two-client-ids",
		rule: "client_id and the Authorization header name the same client",
		edit: never,
		pkg:  "gateway/internal/clients", run: "TestHowClientsAuthenticate",
	},
	{
		name: "outage-unknown-client",
		rule: "a store that is away makes no client unknown: it would register again, and sign its user out",
		edit: replace("Unavailable(err)", `InvalidClient("no such client").Because(err)`),
		pkg:  "gateway/internal/clients", run: "TestWithoutTheStoreNoClientIsRefused",
	},
	{
		name: "client-unknown-on-copy",
		rule: "only the store's own word makes a client unknown",
		edit: first(`if c, heard := s.table.Peek(id); c == nil && s.table.Fresh(heard) {
			return nil, store.ErrNotFound
		}`),
		pkg: "gateway/internal/clients", run: "TestOnlyTheStoreSaysThatAClientIsUnknown",
	},
	{
		name: "young-client-evicted",
		rule: "an unused client is safe from others while its user may still be at the login",
		edit: replace("Add(-keepUnused).", ""),
		pkg:  "gateway/internal/clients", run: "TestAYoungClientIsNeverForgotten",
	},
	{
		name: "used-client-evicted",
		rule: "a client that was ever used makes room for nobody",
		edit: never,
		pkg:  "gateway/internal/clients", run: "TestAClientThatTheCopyThinksUnusedIsNotForgotten|TestAClientUsedAtTheLastMomentStays",
	},
	{
		name: "clients-without-number",
		rule: "there are at most so many clients",
		edit: always,
		pkg:  "gateway/internal/clients", run: "TestTheOldestUnusedClientMakesRoom",
	},
	{
		name: "secret-of-public-client",
		rule: "a client without a secret does not come with one",
		edit: never,
		pkg:  "gateway/internal/clients", run: "TestHowClientsAuthenticate",
	},
}
