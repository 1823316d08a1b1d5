package v1alpha1

// GatewayTLS has gateways speak TLS to who sends them requests.
type GatewayTLS struct {
	// secretRef names a Secret of type kubernetes.io/tls, which has the gateway's
	// certificate under tls.crt, with those that lead to its root, and the key under
	// tls.key. A renewal of it reaches gateways within two minutes, without a restart
	// and without an end of connections. What cannot be used changes nothing, and is
	// said in the condition GatewayAvailable.
	//
	// +required
	SecretRef ObjectReference `json:"secretRef"`
}
