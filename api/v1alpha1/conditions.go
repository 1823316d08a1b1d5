package v1alpha1

// The conditions of an MCPServer. All but ControllerConflict are always present, and
// Unknown until what they speak of has been observed.
const (
	// ConditionAccepted says that the spec makes sense beyond what the schema can say.
	ConditionAccepted = "Accepted"
	// ConditionMCPObjectBound says that the backend exists, is ready, and speaks
	// the transport that each route declares.
	ConditionMCPObjectBound = "MCPObjectBound"
	// ConditionOAuthKVBound says that the store answers and lets the gateway read and write.
	ConditionOAuthKVBound = "OAuthKVBound"
	// ConditionUpstreamReady says that each identity provider can be used: its
	// discovery answers with the configured issuer, and what is referenced exists.
	ConditionUpstreamReady = "UpstreamReady"
	// ConditionGatewayAvailable says that gateways with the current configuration are available.
	ConditionGatewayAvailable = "GatewayAvailable"
	// ConditionExposed says that publicURL answers with this server's metadata. It does
	// not gate Ready: a front is mostly another's, and may not be reachable from inside.
	ConditionExposed = "Exposed"
	// ConditionMCPManagerCompatible says whether MCP Manager can connect. It does
	// not gate Ready: other clients ask for less.
	ConditionMCPManagerCompatible = "MCPManagerCompatible"
	// ConditionControllerConflict is there, and True, while a second install of the
	// controller is given this MCPServer, and leaves it alone.
	ConditionControllerConflict = "ControllerConflict"
	// ConditionStoreAdopted says whether the server goes on with keys and records of an
	// earlier MCPServer. It does not gate Ready: either is right.
	ConditionStoreAdopted = "StoreAdopted"
	// ConditionReconciling is True while the cluster is being brought to the spec.
	// Tools that follow kstatus read it.
	ConditionReconciling = "Reconciling"
	// ConditionStalled is True when nothing but a change by the user helps.
	// Tools that follow kstatus read it.
	ConditionStalled = "Stalled"
	// ConditionReady is the first False of the conditions that gate it, else the
	// first Unknown, else True.
	ConditionReady = "Ready"
)

// Reasons of any condition that is Unknown.
const (
	// ReasonNotObserved: the cluster could not be asked. It is tried again.
	ReasonNotObserved = "NotObserved"
	// ReasonNotReported: only a gateway can find this out, and none that is ready
	// and has the current configuration has said so yet.
	ReasonNotReported = "NotReported"
)

// ReasonCheckFailed is the reason of a condition that is False because of a
// gateway's check that this controller does not know: the gateway is the newer.
const ReasonCheckFailed = "CheckFailed"

// ReasonAnotherController is the reason of ControllerConflict: another install of the
// controller manages the MCPServer.
const ReasonAnotherController = "AnotherController"

// Reasons of Accepted.
const (
	// ReasonAccepted: the gateway is run as the spec says.
	ReasonAccepted = "Accepted"
	// ReasonVariableIgnored: the spec is accepted, and gateways are not given a variable of
	// gateway.podTemplate.env.
	ReasonVariableIgnored = "VariableIgnored"
	// ReasonFieldUnknown: the spec has a field that the controller, which is older than the
	// CRD, does not know.
	ReasonFieldUnknown = "FieldUnknown"
	// ReasonNameConflict: an object that is not this MCPServer's has the name of
	// one that it would need.
	ReasonNameConflict = "NameConflict"
	// ReasonPredecessorRemains: objects of a deleted MCPServer of this name are still
	// being collected.
	ReasonPredecessorRemains = "PredecessorRemains"
	// ReasonPublicURLTaken: another MCPServer had the same place first.
	ReasonPublicURLTaken = "PublicURLTaken"
	// ReasonAccessRuleInvalid: an expression in access.rules does not compile.
	ReasonAccessRuleInvalid = "AccessRuleInvalid"
	// ReasonMigrationUnfinished: the store before was taken out of the spec before its
	// records were known to be in the new one.
	ReasonMigrationUnfinished = "MigrationUnfinished"
	// ReasonScopeRuleInvalid: an expression in oauth.scopes[].allow does not compile.
	ReasonScopeRuleInvalid = "ScopeRuleInvalid"
	// ReasonRetainedDiffers: what was retained of an earlier MCPServer of this name does
	// not fit the spec.
	ReasonRetainedDiffers = "RetainedDiffers"
	// ReasonRouteExposed: a route leads past what guards another.
	ReasonRouteExposed = "RouteExposed"
	// ReasonObjectRefused: the API server refuses an object with what the spec says of it.
	ReasonObjectRefused = "ObjectRefused"
	// ReasonURLInCluster: the type of an mcpObject is URL, which is for a run on a
	// developer's machine.
	ReasonURLInCluster = "URLInCluster"
)

// ReasonBound is that of MCPObjectBound and OAuthKVBound when they are True.
const ReasonBound = "Bound"

// Reasons of MCPObjectBound.
const (
	// ReasonServiceMissing: there is no Service of this name.
	ReasonServiceMissing = "ServiceMissing"
	// ReasonServiceNotSupported: the Service stands for a name outside the cluster.
	ReasonServiceNotSupported = "ServiceNotSupported"
	// ReasonPortMissing: the Service has no such TCP port.
	ReasonPortMissing = "PortMissing"
	// ReasonNoReadyEndpoints: no pod behind the Service is ready.
	ReasonNoReadyEndpoints = "NoReadyEndpoints"
	// ReasonBackendUnreachable: a gateway gets no connection, or no answer.
	ReasonBackendUnreachable = "BackendUnreachable"
	// ReasonBackendUntrusted: the backend's certificate is not good for it.
	ReasonBackendUntrusted = "BackendUntrusted"
	// ReasonBackendNotMCP: a gateway gets an answer that is not of the route's transport.
	ReasonBackendNotMCP = "BackendNotMCP"
	// ReasonBackendUnauthorized: the backend asks the gateway for credentials.
	ReasonBackendUnauthorized = "BackendUnauthorized"
)

// Reasons of OAuthKVBound, besides those of missing references.
const (
	// ReasonMigrated: every client and grant is in the new store.
	ReasonMigrated = "Migrated"
	// ReasonKeysLost: the Secret with the gateway's keys is gone.
	ReasonKeysLost = "KeysLost"
	// ReasonKeysReplaced: the Secret with the gateway's keys is not the one that the status
	// names by its fingerprint.
	ReasonKeysReplaced = "KeysReplaced"
	// ReasonStoreObjectLost: objects that records were in are gone.
	ReasonStoreObjectLost = "StoreObjectLost"
	// ReasonStoreForbidden: the API server refuses the gateway's service account.
	ReasonStoreForbidden = "StoreForbidden"
	// ReasonStoreObjectAbsent: a gateway misses an object of the store.
	ReasonStoreObjectAbsent = "StoreObjectAbsent"
	// ReasonStoreUnreachable: the store does not answer a gateway.
	ReasonStoreUnreachable = "StoreUnreachable"
	// ReasonStoreUnwritable: a gateway can read, but not write.
	ReasonStoreUnwritable = "StoreUnwritable"
	// ReasonStoreIncomplete: records were moved from the store, or cannot be moved to
	// it, so that no gateway serves from it.
	ReasonStoreIncomplete = "StoreIncomplete"
	// ReasonStoreNotGrown: the store works, and the objects that it would have more of
	// are refused.
	ReasonStoreNotGrown = "StoreNotGrown"
	// ReasonKeyDropPending: keys were dropped, and pods may still take what is under them.
	ReasonKeyDropPending = "KeyDropPending"
	// ReasonKeysMismatch: records do not open with the gateway's keys.
	ReasonKeysMismatch = "KeysMismatch"
	// ReasonKeysInvalid: a gateway cannot use the newest keys, and goes on with those
	// before.
	ReasonKeysInvalid = "KeysInvalid"
)

// Reasons of conditions about what the spec refers to.
const (
	// ReasonSecretMissing: the Secret of a reference does not exist.
	ReasonSecretMissing = "SecretMissing"
	// ReasonSecretKeyMissing: the Secret exists without the key.
	ReasonSecretKeyMissing = "SecretKeyMissing"
	// ReasonSecretNotAllowed: the Secret does not carry the label LabelAllowedFor for
	// this MCPServer, so that nothing is done with it.
	ReasonSecretNotAllowed = "SecretNotAllowed"
	// ReasonCABundleMissing: the ConfigMap of a caBundleRef does not exist.
	ReasonCABundleMissing = "CABundleMissing"
	// ReasonCABundleKeyMissing: the ConfigMap exists without the key.
	ReasonCABundleKeyMissing = "CABundleKeyMissing"
)

// Reasons of UpstreamReady, besides those of missing references.
const (
	// ReasonDiscovered: each provider answers, with the configured issuer.
	ReasonDiscovered = "Discovered"
	// ReasonUpstreamUnreachable: a gateway gets no answer, or no discovery document. If it
	// got one before, for two minutes.
	ReasonUpstreamUnreachable = "UpstreamUnreachable"
	// ReasonUpstreamUntrusted: the provider's certificate is not good for it.
	ReasonUpstreamUntrusted = "UpstreamUntrusted"
	// ReasonUpstreamIssuerDiffers: the provider names another issuer.
	ReasonUpstreamIssuerDiffers = "UpstreamIssuerDiffers"
	// ReasonUpstreamInsecure: an endpoint in the provider's discovery document, or a
	// redirect to the document, is neither https nor on a loopback host.
	ReasonUpstreamInsecure = "UpstreamInsecure"
	// ReasonUpstreamFiles: a gateway cannot read the client secret or the CA bundle.
	ReasonUpstreamFiles = "UpstreamFiles"
	// ReasonUpstreamCredentials: the provider refuses the gateway's client id or secret.
	ReasonUpstreamCredentials = "UpstreamCredentials"
)

// Reasons of GatewayAvailable.
const (
	// ReasonAvailable: gateways with the current configuration are available.
	ReasonAvailable = "Available"
	// ReasonWaitingForUpgrade: gateways of an earlier release are available, and are
	// replaced when it is their turn.
	ReasonWaitingForUpgrade = "WaitingForUpgrade"
	// ReasonNotScaling: gateways are available, and the autoscaler cannot change their number.
	ReasonNotScaling = "NotScaling"
	// ReasonRollingOut: pods are on their way, and nothing holds them up that is known.
	ReasonRollingOut = "RollingOut"
	// ReasonNotDeployed: there is no Deployment yet, because of another condition.
	ReasonNotDeployed = "NotDeployed"
	// ReasonQuotaExceeded: a ResourceQuota of the namespace has no room for the pods.
	ReasonQuotaExceeded = "QuotaExceeded"
	// ReasonPodsRefused: the API server refuses the pods for another reason.
	ReasonPodsRefused = "PodsRefused"
	// ReasonUnschedulable: no node takes a pod.
	ReasonUnschedulable = "Unschedulable"
	// ReasonImagePullFailed: a node cannot get the gateway's image.
	ReasonImagePullFailed = "ImagePullFailed"
	// ReasonContainerNotStarting: a node cannot start the gateway's container.
	ReasonContainerNotStarting = "ContainerNotStarting"
	// ReasonCrashing: gateways start, and end.
	ReasonCrashing = "Crashing"
	// ReasonProgressDeadlineExceeded: pods are not ready in time, for no reason
	// that is known.
	ReasonProgressDeadlineExceeded = "ProgressDeadlineExceeded"
	// ReasonReferenceMissing: an object that the spec refers to under oauth or gateway.tls
	// does not exist.
	ReasonReferenceMissing = "ReferenceMissing"
	// ReasonReferenceKeyMissing: such an object exists without the key.
	ReasonReferenceKeyMissing = "ReferenceKeyMissing"
	// ReasonCertificateInvalid: the Secret of gateway.tls exists, and what is in it is
	// no certificate with its key. Gateways go on with the one before.
	ReasonCertificateInvalid = "CertificateInvalid"
	// ReasonCertificateExpired: the certificate of gateway.tls has expired.
	ReasonCertificateExpired = "CertificateExpired"
	// ReasonCertificateNameDiffers: the certificate of gateway.tls is for no name by which
	// gateways are reached.
	ReasonCertificateNameDiffers = "CertificateNameDiffers"
	// ReasonPolicyInvalid: a gateway does not understand the policy, and goes on
	// with the last one.
	ReasonPolicyInvalid = "PolicyInvalid"
)

// ReasonAPIMissing is that of Exposed and Reconciling when the spec asks for an object of
// a kind that the cluster does not have.
const ReasonAPIMissing = "APIMissing"

// Reasons of Exposed.
const (
	// ReasonExposed: publicURL answers with this server's metadata.
	ReasonExposed = "Exposed"
	// ReasonRouteRejected: a Gateway does not accept the HTTPRoute, or finds what it
	// refers to missing.
	ReasonRouteRejected = "RouteRejected"
	// ReasonRoutePending: no Gateway has accepted the HTTPRoute yet.
	ReasonRoutePending = "RoutePending"
	// ReasonIngressPending: the Ingress has no address yet.
	ReasonIngressPending = "IngressPending"
	// ReasonLoopbackURL: publicURL is on loopback, so that it cannot be asked.
	ReasonLoopbackURL = "LoopbackURL"
	// ReasonPublicURLUnreachable: gateways get no answer, which may be so inside of the
	// cluster alone.
	ReasonPublicURLUnreachable = "PublicURLUnreachable"
	// ReasonPublicURLUntrusted: gateways do not trust the certificate.
	ReasonPublicURLUntrusted = "PublicURLUntrusted"
	// ReasonPublicURLNotServed: publicURL answers with something else than metadata.
	ReasonPublicURLNotServed = "PublicURLNotServed"
	// ReasonPublicURLIssuerDiffers: publicURL answers with the metadata of another issuer.
	ReasonPublicURLIssuerDiffers = "PublicURLIssuerDiffers"
	// ReasonPublicURLMetadataDiffers: publicURL answers with metadata of this issuer that
	// this server does not have.
	ReasonPublicURLMetadataDiffers = "PublicURLMetadataDiffers"
)

// Reasons of MCPManagerCompatible.
const (
	// ReasonCompatible: MCP Manager can connect.
	ReasonCompatible = "Compatible"
	// ReasonNoStreamableHTTPRoute: no route that needs a token is in Streamable HTTP.
	ReasonNoStreamableHTTPRoute = "NoStreamableHTTPRoute"
	// ReasonRegistrationDisabled: MCP Manager registers itself, and may not.
	ReasonRegistrationDisabled = "RegistrationDisabled"
	// ReasonBindingNotReady: one of the two bindings is not bound.
	ReasonBindingNotReady = "BindingNotReady"
)

// Reasons of StoreAdopted.
const (
	// ReasonAdopted: the keys and the records were made by an earlier MCPServer.
	ReasonAdopted = "Adopted"
	// ReasonNotAdopted: the server has made its keys and records itself, or has none yet.
	ReasonNotAdopted = "NotAdopted"
)

// Reasons of Reconciling.
const (
	// ReasonSettled: the cluster is as the spec says, or waits for the user.
	ReasonSettled = "Settled"
	// ReasonProgressing: what was applied takes effect.
	ReasonProgressing = "Progressing"
	// ReasonRetrying: the last attempt failed, and is repeated.
	ReasonRetrying = "Retrying"
)

// ReasonNotStalled is that of Stalled when it is False. When it is True, its
// reason is that of the condition that needs the user.
const ReasonNotStalled = "NotStalled"

// ReasonReady is that of Ready when it is True. Otherwise its reason is that of
// the condition that it stands for.
const ReasonReady = "Ready"
