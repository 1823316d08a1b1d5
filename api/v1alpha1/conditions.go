package v1alpha1

// The conditions of an MCPServer. Each is always present, and Unknown until
// what it speaks of has been observed.
const (
	// ConditionAccepted says that the spec makes sense beyond what the schema can say.
	ConditionAccepted = "Accepted"
	// ConditionMCPObjectBound says that the backend exists, is ready, and speaks
	// the transport that each route declares.
	ConditionMCPObjectBound = "MCPObjectBound"
	// ConditionOAuthKVBound says that the store answers and lets the gateway read and write.
	ConditionOAuthKVBound = "OAuthKVBound"
	// ConditionUpstreamReady says that the identity provider can be used: its
	// discovery answers with the configured issuer, and what is referenced exists.
	ConditionUpstreamReady = "UpstreamReady"
	// ConditionGatewayAvailable says that gateways with the current configuration are available.
	ConditionGatewayAvailable = "GatewayAvailable"
	// ConditionExposed says that the public URL leads to this server's gateway.
	// It does not gate Ready: what exposes the gateway may not be in the cluster.
	ConditionExposed = "Exposed"
	// ConditionMCPManagerCompatible says whether MCP Manager can connect. It does
	// not gate Ready: other clients ask for less.
	ConditionMCPManagerCompatible = "MCPManagerCompatible"
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
