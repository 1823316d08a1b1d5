package main

// Who a client is, and how long it is remembered.
var clientMutants = []mutant{
	{
		name: "wrong-client-secret",
		rule: "a client with a secret proves that it has it",
		file: "gateway/internal/clients/authenticate.go",
		old:  `case !c.provesSecret(cred.secret) && !c.provesSecret(cred.rawSecret):`,
		new:  `case false:`,
		pkg:  "gateway/internal/clients", run: "TestHowClientsAuthenticate",
	},
	{
		name: "no-client-secret",
		rule: "a client with a secret does not pass for one without",
		file: "gateway/internal/clients/authenticate.go",
		old:  `case c.Public():`,
		new:  `case c.Public() || cred.secret == "":`,
		pkg:  "gateway/internal/clients", run: "TestHowClientsAuthenticate",
	},
	{
		name: "two-client-proofs",
		rule: "a client authenticates in one way at a time (RFC 6749 section 2.3)",
		file: "gateway/internal/clients/authenticate.go",
		old:  `if c.secret != "" {`,
		new:  `if false {`,
		pkg:  "gateway/internal/clients", run: "TestHowClientsAuthenticate",
	},
	{
		name: "two-client-ids",
		rule: "client_id and the Authorization header name the same client",
		file: "gateway/internal/clients/authenticate.go",
		old:  `if c.id != "" && c.id != decodedID && c.id != id {`,
		new:  `if false {`,
		pkg:  "gateway/internal/clients", run: "TestHowClientsAuthenticate",
	},
	{
		name: "outage-unknown-client",
		rule: "a store that is away makes no client unknown: it would register again, and sign its user out",
		file: "gateway/internal/clients/authenticate.go",
		old:  "\treturn oauth.Unavailable(err)",
		new:  "\treturn oauth.InvalidClient(\"no such client\").Because(err)",
		pkg:  "gateway/internal/clients", run: "TestWithoutTheStoreNoClientIsRefused",
	},
	{
		name: "client-unknown-on-copy",
		rule: "only the store's own word makes a client unknown",
		file: "gateway/internal/clients/service.go",
		old:  `c, err := s.table.Read(ctx, id)`,
		new: `if c, heard := s.table.Peek(id); c == nil && s.table.Fresh(heard) {
		return nil, store.ErrNotFound
	}
	c, err := s.table.Read(ctx, id)`,
		pkg: "gateway/internal/clients", run: "TestOnlyTheStoreSaysThatAClientIsUnknown",
	},
	{
		name: "young-client-evicted",
		rule: "an unused client is safe from others while its user may still be at the login",
		file: "gateway/internal/clients/room.go",
		old:  `s.opts.Now().Add(-keepUnused).Unix() + 1`,
		new:  `s.opts.Now().Unix() + 1`,
		pkg:  "gateway/internal/clients", run: "TestAYoungClientIsNeverForgotten",
	},
	{
		name: "used-client-evicted",
		rule: "a client that was ever used makes room for nobody",
		file: "gateway/internal/clients/room.go",
		old:  `if c.Used {`,
		new:  `if false {`,
		pkg:  "gateway/internal/clients", run: "TestAClientThatTheCopyThinksUnusedIsNotForgotten|TestAClientUsedAtTheLastMomentStays",
	},
	{
		name: "clients-without-number",
		rule: "there are at most so many clients",
		file: "gateway/internal/clients/room.go",
		old:  `+s.room.arriving <= s.room.limit {`,
		new:  `+s.room.arriving <= s.room.limit || true {`,
		pkg:  "gateway/internal/clients", run: "TestTheOldestUnusedClientMakesRoom",
	},
	{
		name: "secret-of-public-client",
		rule: "a client without a secret does not come with one",
		file: "gateway/internal/clients/authenticate.go",
		old:  `case c.Public() && cred.secret != "":`,
		new:  `case false:`,
		pkg:  "gateway/internal/clients", run: "TestHowClientsAuthenticate",
	},
}
