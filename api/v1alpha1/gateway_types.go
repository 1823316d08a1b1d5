package v1alpha1

// Gateway sets how the gateway runs and what it trusts in its surroundings.
//
// +kubebuilder:validation:XValidation:rule=`!has(self.httpRoute) || !has(self.ingress)`,fieldPath=".ingress",message="gateway.ingress must be unset if gateway.httpRoute is set: one of the two leads to publicURL."
// +kubebuilder:validation:XValidation:rule=`!has(self.podMonitor) || self.metrics == 'Enabled'`,fieldPath=".podMonitor",message="gateway.podMonitor must be unset unless gateway.metrics is Enabled, since there is nothing to fetch."
// +kubebuilder:validation:XValidation:rule=`!has(self.networkPolicy) || !has(self.networkPolicy.metricsFrom) || self.metrics == 'Enabled'`,fieldPath=".networkPolicy.metricsFrom",message="gateway.networkPolicy.metricsFrom must not be set where gateway.metrics is Disabled."
type Gateway struct {
	// replicas is how many gateway pods run. Each serves everything, so that one
	// may go at any time when there are others. 1 to 32, and 1 when
	// bindings.oauthKV.type is Memory. It is ignored while autoscaling is set.
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

	// metrics says whether gateways count what they do, for Prometheus: at /metrics on
	// the port named metrics of their pods, 8081, without TLS. The port is in no Service,
	// so the metrics cannot be had at publicURL. Their labels name routes, upstreams and
	// outcomes, never clients, users or tools, and no sender can add to them.
	//
	// When unset, Enabled. If Disabled, nothing is counted, and the port is named admin.
	//
	// +optional
	// +kubebuilder:default=Enabled
	Metrics Policy `json:"metrics,omitempty"`

	// profiling says whether gateways serve the profiles of their Go runtime at
	// 127.0.0.1:6060 in their pods, where only who may forward ports to the pods gets at
	// them. A profile of the memory can tell what is in it, secrets too.
	//
	// When unset, Disabled.
	//
	// +optional
	// +kubebuilder:default=Disabled
	Profiling Policy `json:"profiling,omitempty"`

	// tracing is where gateways send OpenTelemetry traces: a span for each request, and
	// one for what it asks the MCP server, which is told the trace in its traceparent
	// header. Spans hold methods, paths as they are configured, status codes and times.
	//
	// When unset, nothing is traced, and the trace headers of a request reach the MCP
	// server as they came.
	//
	// +optional
	Tracing *Tracing `json:"tracing,omitempty"`

	// podMonitor has the Prometheus Operator fetch the metrics: a PodMonitor of the name
	// <metadata.name>-gateway is applied, and removed when this is unset. Where the cluster
	// has no such API, the condition Reconciling says so, and it is looked for every 30
	// seconds. metrics must be Enabled.
	//
	// When unset, there is none.
	//
	// +optional
	PodMonitor *PodMonitor `json:"podMonitor,omitempty"`

	// tls is the certificate with which gateways serve. They speak TLS then, 1.2 or
	// newer, and HTTP/2 or HTTP/1.1 as is negotiated; their Service has the port https
	// (443) in place of http (80), and what sends requests there must speak TLS to it.
	// To turn it on or off for a server that is in use interrupts it for as long as new
	// pods take to start. Probes and metrics stay without TLS.
	//
	// When unset, gateways speak HTTP without TLS, which ends before them.
	//
	// +optional
	TLS *GatewayTLS `json:"tls,omitempty"`

	// podTemplate is what is set of the gateway's pods besides what the controller sets. A
	// change rolls them. What the API server refuses in a pod is said in the condition
	// Accepted, and changes nothing.
	//
	// When unset, the pods have what the controller gives them.
	//
	// +optional
	PodTemplate *PodTemplate `json:"podTemplate,omitempty"`

	// autoscaling has a HorizontalPodAutoscaler decide how many pods run, in place of
	// replicas. It must not be set when bindings.oauthKV.type is Memory. It needs what
	// serves the metrics of pods in the cluster, such as metrics-server.
	//
	// When unset, replicas are run, and no other number lasts.
	//
	// +optional
	Autoscaling *Autoscaling `json:"autoscaling,omitempty"`

	// networkPolicy has a NetworkPolicy let only these connect to the gateway's pods. It
	// needs a network that heeds NetworkPolicies. The kubelet's probes always get through.
	//
	// When unset, there is none of the controller's.
	//
	// +optional
	NetworkPolicy *NetworkPolicy `json:"networkPolicy,omitempty"`

	// httpRoute has the gateway exposed at publicURL by the Gateway API: an HTTPRoute of
	// the name <metadata.name>-gateway is applied, and removed when this is unset. It leads
	// there what is at or below publicURL, and its documents of /.well-known. The condition
	// Exposed says what comes of it. At most one of httpRoute and ingress.
	//
	// When unset, there is none.
	//
	// +optional
	HTTPRoute *HTTPRoute `json:"httpRoute,omitempty"`

	// ingress has the gateway exposed at publicURL by an Ingress, as httpRoute does by an
	// HTTPRoute.
	//
	// When unset, there is none.
	//
	// +optional
	Ingress *Ingress `json:"ingress,omitempty"`
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

// Tracing is where traces go.
type Tracing struct {
	// endpoint is the URL of what takes traces by OTLP over HTTP, a collector mostly:
	// scheme, host and port. Spans are posted to /v1/traces there. While it is away,
	// spans are lost and requests are not delayed. At most 256 characters.
	//
	// +required
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule=`self.matches('^https?://([a-z0-9._-]+|\\[[0-9a-f:]+\\])(:[1-9][0-9]{0,4})?$')`,message="gateway.tracing.endpoint must be scheme, host and port, such as http://otel-collector.observability.svc:4318."
	Endpoint string `json:"endpoint"`

	// samplePercent is how many of a hundred requests are traced, which are drawn by
	// lot. Whether a client says that its own trace is recorded does not count, since
	// then strangers could have everything traced; the id of its trace is kept. 1 to 100.
	//
	// When unset, 10.
	//
	// +optional
	// +kubebuilder:default=10
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	SamplePercent int32 `json:"samplePercent,omitempty"`
}
