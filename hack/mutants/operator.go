package main

// The controller: whose objects are whose, and what it changes when.
var operatorMutants = []mutant{
	{
		name: "secret-of-anybody",
		rule: "a Secret is used only by the MCPServer that it is allowed for",
		file: "api/v1alpha1/secrets.go",
		old:  `return allowed == s.Name || allowed == AllowedForAny`,
		new:  `return true || allowed == s.Name`,
		pkg:  "cmd/internal/manifest", run: "TestASecretMustBeAllowed",
	},
	{
		name: "retained-for-another",
		rule: "what is retained is one server's, by its UID, and not that of each of its name",
		file: "controllers/internal/resources/ownership.go",
		old:  `return isRetained(server.Name, o) && o.GetLabels()[LabelRetainedFor] == string(server.UID)`,
		new:  `return isRetained(server.Name, o)`,
		pkg:  "controllers/internal/resources", run: "TestWhoseAnObjectIs",
	},
	{
		name: "retained-by-label",
		rule: "a label makes nothing but keys and shards a server's",
		file: "controllers/internal/resources/ownership.go",
		old:  `return o.GetName() == server+keysSuffix`,
		new:  `return true`,
		pkg:  "controllers/internal/resources", run: "TestWhoseAnObjectIs",
	},
	{
		name: "retained-of-another-url",
		rule: "what was retained of another publicURL is not adopted",
		file: "controllers/internal/resources/retained.go",
		old:  `return keys.GetLabels()[labelPublicURL] == publicURLDigest(server)`,
		new:  `return true || keys == nil`,
		pkg:  "controllers", run: "TestWhatIsRetainedDoesNotFit",
	},
	{
		name: "foreign-object-changed",
		rule: "an object that the cache does not have is created, and never changed",
		file: "controllers/apply.go",
		old:  `absent.WithResourceVersion(versionOfNone)`,
		new:  `_ = absent`,
		pkg:  "controllers", run: "TestForeignObjectsThatAreNotSeen",
	},
	{
		name: "route-in-anothers-place",
		rule: "no younger server has a publicURL where a route of another is",
		file: "controllers/rivals.go",
		old:  `if r := routeAt(other, rest); r != nil {`,
		new:  `if r := routeAt(other, rest); r != nil && false {`,
		pkg:  "controllers", run: "TestCollisions",
	},
	{
		name: "both-are-younger",
		rule: "of two servers made in one second both agree who is the older",
		file: "controllers/rivals.go",
		old:  `return a.UID < b.UID`,
		new:  `return a.UID != b.UID`,
		pkg:  "controllers", run: "TestOneServerOfManyHasAPlace",
	},
	{
		name: "everybody-upgraded",
		rule: "a new controller replaces a few gateways at a time",
		file: "controllers/upgrade.go",
		old:  `len(others) >= most {`,
		new:  `len(others) >= 1000*most {`,
		pkg:  "controllers", run: "TestAnUpgradeIsStaged",
	},
	{
		name: "exposed-by-anybody",
		rule: "publicURL is exposed when this very server answers there",
		file: "gateway/internal/probe/public.go",
		old:  `case bytes.Equal(answer, wanted):`,
		new:  `case len(answer) > 0 || bytes.Equal(answer, wanted):`,
		pkg:  "gateway/internal/probe", run: "TestPublic",
	},
	{
		name: "bad-certificate",
		rule: "a certificate that does not fit its key takes the place of none that does",
		file: "gateway/certificate.go",
		old:  `pair, err := tls.X509KeyPair(cert, key)`,
		new: `pair, err := tls.X509KeyPair(cert, key)
	c.mu.Lock()
	c.use = &pair
	c.mu.Unlock()`,
		pkg: "gateway", run: "TestACertificateIsRenewedWhileItServes",
	},
}
