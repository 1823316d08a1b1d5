package main

// The controller: what its objects say, and what a pass over an MCPServer does whatever
// else is missing.
var reconcileMutants = []mutant{
	{
		name: "keys-behind-references",
		rule: "a missing reference does not keep new keys from the gateways",
		edit: replace("WithSecret(secret(KeysName(server), keysKey))", `WithProjected(referred(server, p).WithSources(
			corev1ac.VolumeProjection().WithSecret(corev1ac.SecretProjection().WithName(KeysName(server)).WithItems(item(keysKey)))))`),
		pkg: "controllers/internal/resources", run: "TestAMissingReferenceHoldsUpNoFile",
	},
	{
		name: "certificate-behind-references",
		rule: "a missing reference does not keep a renewed certificate from the gateways",
		edit: replace("WithSecret(secret(t.SecretRef.Name, certKey, privateKeyKey))", `WithProjected(referred(server, p).WithSources(
			corev1ac.VolumeProjection().WithSecret(corev1ac.SecretProjection().WithName(t.SecretRef.Name).WithItems(item(certKey), item(privateKeyKey)))))`),
		pkg: "controllers/internal/resources", run: "TestAMissingReferenceHoldsUpNoFile",
	},
	{
		name: "missing-secret-holds-up-files",
		rule: "a missing Secret does not keep other references from the gateways",
		edit: replace("WithOptional(true)", "WithOptional(false)"),
		pkg:  "controllers/internal/resources", run: "TestAMissingReferenceHoldsUpNoFile",
	},
	{
		name: "missing-bundle-holds-up-files",
		rule: "a missing CA bundle does not keep other references from the gateways",
		edit: replace("WithOptional(true)", "WithOptional(false)"),
		pkg:  "controllers/internal/resources", run: "TestAMissingReferenceHoldsUpNoFile",
	},
	{
		name: "retained-in-application",
		rule: "objects that become retained lose the label by which Argo CD prunes them",
		edit: replace(`string(server.UID), ""`, "string(server.UID), server.Name"),
		pkg:  "controllers/internal/resources", run: "TestGitOpsToolsLeaveRetainedObjectsAlone",
	},
	{
		name: "retained-and-pruned",
		rule: "objects that become retained get the annotations that keep Argo CD from pruning them",
		edit: instead("_, _ = k, v"),
		pkg:  "controllers/internal/resources", run: "TestGitOpsToolsLeaveRetainedObjectsAlone",
	},
	{
		name: "retained-without-label",
		rule: "keys and shards name their server in a label of our own",
		edit: replace(`"", server.Name, server.Name`, `"", "", server.Name`),
		pkg:  "controllers/internal/resources", run: "TestGitOpsToolsLeaveRetainedObjectsAlone",
	},
	{
		name: "made-in-application",
		rule: "objects that are made to be retained lack the label by which Argo CD prunes them",
		edit: remove,
		pkg:  "controllers/internal/resources", run: "TestGitOpsToolsLeaveRetainedObjectsAlone",
	},
	{
		name: "made-and-pruned",
		rule: "objects that are made to be retained have the annotations that keep Argo CD from pruning them",
		edit: remove,
		pkg:  "controllers/internal/resources", run: "TestGitOpsToolsLeaveRetainedObjectsAlone",
	},
	{
		name: "expired-certificate-unsaid",
		rule: "GatewayAvailable is False while the certificate of gateways has expired",
		edit: never,
		pkg:  "controllers/internal/conditions", run: "TestConditions",
	},
	{
		name: "misnamed-certificate-unsaid",
		rule: "GatewayAvailable is False while the certificate of gateways is for another name",
		edit: never,
		pkg:  "controllers/internal/conditions", run: "TestConditions",
	},
	{
		name: "idle-autoscaler-unsaid",
		rule: "GatewayAvailable quotes an autoscaler that cannot scale",
		edit: never,
		pkg:  "controllers/internal/conditions", run: "TestConditions",
	},
	{
		name: "limited-autoscaler-is-idle",
		rule: "an autoscaler that is within its limits scales",
		edit: without("AbleToScale || c.Type == autoscalingv2.ScalingActive"),
		pkg:  "controllers/internal/conditions", run: "TestConditions",
	},
	{
		name: "store-by-spec",
		rule: "the keys name the store that has the records, and not the one in the spec",
		edit: replace("cmp.Or(s.boundStore(), resources.StoreToBegin(s.server))", "cmp.Or(s.server.Spec.Bindings.OAuthKV.Type, \"\")"),
		pkg:  "controllers", run: "TestTheKeysSayWhereTheRecordsAre",
	},
	{
		name: "adopted-store-unread",
		rule: "the keys that an MCPServer adopts say which store has the records",
		edit: never,
		pkg:  "controllers", run: "TestTheKeysOfAnEtcdAreAdopted",
	},
	{
		name: "store-before-applied",
		rule: "status.store changes only after the Deployment with the new store was applied",
		edit: without("s.seen.Applied"),
		pkg:  "controllers", run: "TestTheKeysSayWhereTheRecordsAre",
	},
	{
		name: "store-before-bound",
		rule: "status.store changes only after gateways have reported on the new store",
		edit: without("meta.IsStatusConditionTrue"),
		pkg:  "controllers", run: "TestTheKeysSayWhereTheRecordsAre",
	},
	{
		name: "rights-of-template",
		rule: "the Role keeps the rights that pods of the current template need",
		edit: instead("_ = d"),
		pkg:  "controllers", run: "TestRightsOutliveARollout",
	},
	{
		name: "rights-of-pods",
		rule: "the Role keeps the rights that running pods of an earlier template need",
		edit: instead("_ = i"),
		pkg:  "controllers", run: "TestRightsOutliveARollout",
	},
	{
		name: "held-without-service",
		rule: "a deleted Service is made again though a reference is missing",
		edit: never,
		pkg:  "controllers", run: "TestWhatIsMissingIsMissedByNothingElse",
	},
	{
		name: "held-without-deployment",
		rule: "a deleted Deployment is made again though a reference is missing",
		edit: without("d != nil"),
		pkg:  "controllers", run: "TestWhatIsMissingIsMissedByNothingElse",
	},
	{
		name: "slip-replaces-gateways",
		rule: "a new reference to a missing object replaces no gateway",
		edit: replace("|| !had", "|| false && had"),
		pkg:  "controllers", run: "TestWhatIsMissingIsMissedByNothingElse",
	},
	{
		name: "missing-content-replaces-gateways",
		rule: "the deletion of a referenced object replaces no gateway",
		edit: replace("before[id]", `before[""]`),
		pkg:  "controllers", run: "TestWhatIsMissingIsMissedByNothingElse",
	},
	{
		name: "one-api-ends-all",
		rule: "an API that cannot be watched stops nothing else",
		edit: then("if err := s.optional[kind]; err != nil && !errors.Is(err, errAbsent) { return err }"),
		pkg:  "controllers", run: "TestAnAPIThatFailsStopsNothingElse",
	},
	{
		name: "unset-api-forgotten",
		rule: "discovery that failed is repeated though the field is unset",
		edit: without("k.err != nil"),
		pkg:  "controllers", run: "TestWhatIsUnsetWhileNobodyCanSay",
	},
	{
		name: "unset-object-forgotten",
		rule: "a pass whose discovery failed requests another one though the field is unset",
		edit: remove,
		pkg:  "controllers", run: "TestWhatIsUnsetWhileNobodyCanSay",
	},
	{
		name: "unset-object-stays",
		rule: "an object that was unset during a failed discovery is removed after it",
		edit: instead("return nil"),
		pkg:  "controllers", run: "TestAnAPIThatFailsStopsNothingElse",
	},
	{
		name: "watch-holds-up-all",
		rule: "while one pass waits for the watch of an API, others go on without a verdict",
		edit: never,
		pkg:  "controllers", run: "TestNobodyWaitsForAnAPIThatMayNotBeWatched",
	},
	{
		name: "asked-pass-remembers",
		rule: "a pass that reconcile-at asks for reads everything again",
		edit: never,
		pkg:  "controllers", run: "TestAPassIsAskedFor",
	},
	{
		name: "asked-pass-unsaid",
		rule: "status.lastHandledReconcileAt is the value of reconcile-at that a pass has handled",
		edit: remove,
		pkg:  "controllers", run: "TestAPassIsAskedFor",
	},
	{
		name: "asked-pass-ignored",
		rule: "a change of reconcile-at starts a pass",
		edit: remove,
		pkg:  "controllers", run: "TestAPassIsAskedFor",
	},
	{
		name: "expired-certificate-unseen",
		rule: "an expired certificate is noticed",
		edit: never,
		pkg:  "controllers", run: "TestACertificateThatNobodyTakes",
	},
	{
		name: "expiry-not-awaited",
		rule: "a pass takes place when a certificate expires",
		edit: remove,
		pkg:  "controllers", run: "TestACertificateThatNobodyTakes",
	},
	{
		name: "misnamed-certificate-unseen",
		rule: "a certificate is checked against the names by which clients reach gateways",
		edit: never,
		pkg:  "controllers", run: "TestACertificateThatNobodyTakes",
	},
	{
		name: "autoscaler-unseen",
		rule: "the conditions quote the status of the autoscaler",
		edit: remove,
		pkg:  "controllers", run: "TestReplicasAreLeftToAnAutoscaler",
	},
	{
		name: "immutable-orphan-stays",
		rule: "an orphan that cannot be updated, such as a RoleBinding to another Role, is replaced",
		edit: never,
		pkg:  "controllers", run: "TestAttackPlantedOrphans",
	},
}
