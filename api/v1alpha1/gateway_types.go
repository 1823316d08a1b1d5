package v1alpha1

// Gateway sets how the gateway runs and what it trusts in its surroundings.
type Gateway struct {
	// replicas is how many gateway pods run. Each serves everything, so that one
	// may go at any time when there are others. 1 to 32, and 1 when
	// bindings.oauthKV.type is Memory.
	//
	// When unset, 2.
	//
	// +optional
	// +kubebuilder:default=2
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=32
	Replicas int32 `json:"replicas,omitempty"`

	// streamKeepAliveSeconds is after what silence a gateway writes a comment into a
	// stream of events, so that proxies in front of it do not take the stream for dead:
	// it must be below their timeout. Clients do not see comments. 5 to 600.
	//
	// When unset, 25.
	//
	// +optional
	// +kubebuilder:default=25
	// +kubebuilder:validation:Minimum=5
	// +kubebuilder:validation:Maximum=600
	StreamKeepAliveSeconds int32 `json:"streamKeepAliveSeconds,omitempty"`

	// trustedProxies are the CIDRs of the proxies in front of the gateway. A
	// X-Forwarded-For header is believed as far as it was written by one of them;
	// it decides whose registrations are counted together against the limit, and
	// what audit logs say. At most 32.
	//
	// When unset, the header is ignored, and what counts is who connected: behind a
	// proxy that is the proxy, for everyone.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=43
	// +kubebuilder:validation:XValidation:rule=`self.all(p, isCIDR(p))`,message="gateway.trustedProxies must be CIDRs, such as 10.0.0.0/8; a single address ends in /32 or /128."
	TrustedProxies []string `json:"trustedProxies,omitempty"`

	// allowedOrigins are the origins, besides that of publicURL, whose pages may call
	// the routes from a browser. Each is an origin as browsers send it: scheme and
	// host in lower case, and the port unless it is the default one. Clients that
	// are not in a browser send none, and are not concerned. At most 32.
	//
	// When unset, only pages of publicURL's own origin may.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=256
	// +kubebuilder:validation:XValidation:rule=`self.all(o, o.matches('^https?://([a-z0-9._-]+|\\[[0-9a-f:]+\\])(:[1-9][0-9]{0,4})?$') && !o.matches('^(https://.+:443|http://.+:80)$'))`,message="gateway.allowedOrigins must be origins as browsers send them, such as https://app.example.com: scheme and host in lower case, a port only if it is not the default one, no path and no wildcard."
	AllowedOrigins []string `json:"allowedOrigins,omitempty"`

	// quotas bound what one user, and one client, may ask of the routes. Each gateway
	// pod counts for itself, so with replicas the bounds are up to as many times as
	// high. What is too much is answered with 429 and Retry-After, and does not reach
	// the MCP server. On routes without authentication nobody is known, and nothing
	// counted.
	//
	// When unset, nothing is bounded.
	//
	// +optional
	Quotas Quotas `json:"quotas,omitzero"`
}

// Quotas bound what one user, and one client, may ask of all routes together. A
// user is one of one identity provider, whichever clients they use; a client is all
// that shows its client_id, whoever uses it.
type Quotas struct {
	// requestsPerMinutePerUser is how many requests a user may make in a minute. As
	// many may come at once after a pause; they are made up for evenly. 1 to 100000.
	//
	// When unset, a user may make any number.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100000
	RequestsPerMinutePerUser int32 `json:"requestsPerMinutePerUser,omitempty"`

	// requestsPerMinutePerClient is the same of a client. One that is named by a
	// metadata document is the same client for all its users. 1 to 100000.
	//
	// When unset, a client may make any number.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100000
	RequestsPerMinutePerClient int32 `json:"requestsPerMinutePerClient,omitempty"`

	// concurrentRequestsPerUser is how many requests of a user may be under way at
	// once. A stream of events is under way for as long as it is open, whichever
	// method opened it. 1 to 10000.
	//
	// When unset, any number may.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	ConcurrentRequestsPerUser int32 `json:"concurrentRequestsPerUser,omitempty"`

	// concurrentRequestsPerClient is the same of a client. 1 to 10000.
	//
	// When unset, any number may.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	ConcurrentRequestsPerClient int32 `json:"concurrentRequestsPerClient,omitempty"`
}
