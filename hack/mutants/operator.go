package main

// The controller: whose objects are whose, and what it changes when.
var operatorMutants = []mutant{
	{
		name: "variable-of-any-name",
		rule: "pods are given no variable that can write tokens into the log",
		edit: never,
		pkg:  "controllers/internal/resources", run: "TestOnlySomeVariablesReachPods",
	},
	{
		name: "api-server-by-proxy",
		rule: "the API server is called without a proxy of the environment",
		edit: remove,
		pkg:  "gateway/internal/apiserver", run: "TestTheAPIServerIsCalledWithoutAProxy",
	},
	{
		name: "controller-fights",
		rule: "of two installs of the controller the second changes nothing",
		edit: never,
		pkg:  "controllers", run: "TestTwoControllersDoNotFight",
	},
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
		name: "keys-of-another",
		rule: "a server whose status names keys uses no others",
		edit: always,
		pkg:  "controllers", run: "TestAttackPlantedKeys",
	},
	{
		name: "drop-keeps-fingerprint",
		rule: "keys that were dropped do not come back by a Secret with their identity",
		edit: never,
		pkg:  "controllers/internal/resources", run: "TestADropChangesTheFingerprint",
	},
	{
		name: "drop-that-breaks-off",
		rule: "a controller that ends between a drop and the status locks no server out",
		edit: remove,
		pkg:  "controllers/internal/resources", run: "TestADropChangesTheFingerprint",
	},
	{
		name: "adoption-forgotten",
		rule: "an adoption is not forgotten while the keys cannot be looked at",
		edit: never,
		pkg:  "controllers/internal/conditions", run: "TestConditions",
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
		pkg:  "controllers", run: "TestCollisions",
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
	{
		name: "secret-of-another-mounted",
		rule: "gateways are given no Secret that their server may not use",
		edit: replace("|| p.Withheld[r.ID()]", ""),
		pkg:  "controllers", run: "TestASecretThatIsNotAllowedIsNotMounted",
	},
	{
		name: "old-gateway-confirms-drop",
		rule: "a drop of keys is over when every pod that runs has said so",
		edit: replace("g.Reports[p.UID]", "g.Reports[g.Pods[0].UID]"),
		pkg:  "controllers", run: "TestADropIsOverWhenEveryGatewayHasFollowed",
	},
	{
		name: "configuration-made-up",
		rule: "the rights of gateways follow the configurations that the controller has made, and no other",
		edit: never,
		pkg:  "controllers/internal/resources", run: "TestAConfigurationThatSomebodyHasMadeUp",
	},
	{
		name: "growth-that-stops-all",
		rule: "a store that may not grow stops nothing else",
		edit: never,
		pkg:  "controllers", run: "TestAStoreThatMayNotGrow",
	},
	{
		name: "policy-that-waits",
		rule: "access rules take effect whatever else is wrong",
		edit: always,
		pkg:  "controllers", run: "TestAccessRulesTakeEffectWhateverElseIsWrong",
	},
	{
		name: "missing-bundle-ends-all",
		rule: "a CA bundle that is missing in a cluster ends its backend, and not the gateway",
		edit: never,
		pkg:  "gateway", run: "TestACABundleThatIsNone",
	},
	{
		name: "deleted-namespace",
		rule: "in a namespace that is being deleted nothing is lost",
		edit: never,
		pkg:  "controllers", run: "TestANamespaceIsDeleted",
	},
	{
		name: "planted-shard",
		rule: "a shard far beyond those that there are counts for nothing",
		edit: instead(`for n := range s.shards[p.name] {
			expected = max(expected, n+1)
		}`),
		pkg: "controllers", run: "TestAShardThatSomebodyHasPlanted",
	},
	{
		name: "predecessor-is-conflict",
		rule: "what a deleted MCPServer of the same name has left is waited for",
		edit: never,
		pkg:  "controllers", run: "TestForeignObjectsAreLeftAlone",
	},
	{
		name: "port-by-name-alone",
		rule: "a port that was renamed leads to the same pods",
		edit: replace("e.numbers[number] || e.Port", "e.Port"),
		pkg:  "gateway/internal/cluster", run: "TestAPortThatIsRenamed",
	},
	{
		name: "orphan-by-labels",
		rule: "what has not our labels is left alone, whatever it is called",
		edit: never,
		pkg:  "controllers", run: "TestForeignObjectsAreLeftAlone",
	},
	{
		name: "orphan-not-applied",
		rule: "what has our labels and was not applied by us is left alone",
		edit: always,
		pkg:  "controllers", run: "TestWhatMerelyLooksLikeOurs",
	},
	{
		name: "orphan-in-part",
		rule: "an orphan is taken over whole: nothing of what somebody has put there stays",
		edit: never,
		pkg:  "controllers", run: "TestAttackPlantedOrphans",
	},
	{
		name: "incumbent-yields",
		rule: "of two that would have one place, the one that had it goes on",
		edit: replace("theirs != nil", "older(other, server)"),
		pkg:  "controllers", run: "TestARouteInTheIncumbentsPlace",
	},
	{
		name: "namespace-holds-up-all",
		rule: "a namespace that refuses its gateway's pods holds up no other's upgrade",
		edit: never,
		pkg:  "controllers", run: "TestOneNamespaceHoldsUpNobody",
	},
	{
		name: "failure-holds-up-all",
		rule: "a gateway that fails holds up no other once another runs the same image",
		edit: never,
		pkg:  "controllers", run: "TestOneNamespaceHoldsUpNobody",
	},
	{
		name: "everybody-fails",
		rule: "no more gateways fail in an upgrade than a tenth, or five",
		edit: never,
		pkg:  "controllers", run: "TestOneNamespaceHoldsUpNobody",
	},
	{
		name: "unknown-default-refused",
		rule: "a newer field with the value of its default is nobody's wish",
		edit: always,
		pkg:  "controllers", run: "TestUnknownFields",
	},
}
