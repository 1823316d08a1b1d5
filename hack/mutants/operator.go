package main

// The controller: whose objects are whose, and what it changes when.
var operatorMutants = []mutant{
	{
		name: "secret-of-anybody",
		rule: "a Secret is used only by the MCPServer that it is allowed for",
		edit: always,
		pkg:  "cmd/internal/manifest", run: "TestASecretMustBeAllowed",
	},
	{
		name: "retained-for-another",
		rule: "what is retained is one server's, by its UID, and not that of each of its name",
		edit: without("o.GetLabels"),
		pkg:  "controllers/internal/resources", run: "TestWhoseAnObjectIs",
	},
	{
		name: "retained-by-label",
		rule: "a label makes nothing but keys and shards a server's",
		edit: always,
		pkg:  "controllers/internal/resources", run: "TestWhoseAnObjectIs",
	},
	{
		name: "retained-of-another-url",
		rule: "what was retained of another publicURL is not adopted",
		edit: always,
		pkg:  "controllers", run: "TestWhatIsRetainedDoesNotFit",
	},
	{
		name: "foreign-object-changed",
		rule: "an object that the cache does not have is created, and never changed",
		edit: instead("_ = absent"),
		pkg:  "controllers", run: "TestForeignObjectsThatAreNotSeen",
	},
	{
		name: "route-in-anothers-place",
		rule: "no younger server has a publicURL where a route of another is",
		edit: never,
		pkg:  "controllers", run: "TestCollisions",
	},
	{
		name: "both-are-younger",
		rule: "of two servers made in one second both agree who is the older",
		edit: replace("<", "!="),
		pkg:  "controllers", run: "TestOneServerOfManyHasAPlace",
	},
	{
		name: "everybody-upgraded",
		rule: "a new controller replaces a few gateways at a time",
		edit: replace(">= most", ">= 1000*most"),
		pkg:  "controllers", run: "TestAnUpgradeIsStaged",
	},
	{
		name: "exposed-by-anybody",
		rule: "publicURL is exposed when this very server answers there",
		edit: replace("bytes.Equal", "len(answer) > 0 || bytes.Equal"),
		pkg:  "gateway/internal/probe", run: "TestPublic",
	},
	{
		name: "bad-certificate",
		rule: "a certificate that does not fit its key takes the place of none that does",
		edit: then(`c.mu.Lock()
			c.use = &pair
			c.mu.Unlock()`),
		pkg: "gateway", run: "TestACertificateIsRenewedWhileItServes",
	},
}
