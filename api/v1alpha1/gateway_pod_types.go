package v1alpha1

import corev1 "k8s.io/api/core/v1"

// PodTemplate is what can be set of the gateway's pods. Their security context, service
// account, volumes and probes are the controller's.
type PodTemplate struct {
	// labels are put on the pods, besides the controller's own. At most 32.
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule=`!self.exists(k, k.startsWith('app.kubernetes.io/') || k.startsWith('mcp.vestibule.dev/'))`,message="gateway.podTemplate.labels must not begin with app.kubernetes.io/ or mcp.vestibule.dev/, since the controller sets and selects these."
	Labels map[string]string `json:"labels,omitempty"`

	// annotations are put on the pods, besides the controller's own. At most 32.
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule=`!self.exists(k, k.startsWith('app.kubernetes.io/') || k.startsWith('mcp.vestibule.dev/') || k.startsWith('container.apparmor.security.beta.kubernetes.io/'))`,message="gateway.podTemplate.annotations must not begin with app.kubernetes.io/, mcp.vestibule.dev/ or container.apparmor.security.beta.kubernetes.io/, since the controller sets these, and what confines the pods."
	Annotations map[string]string `json:"annotations,omitempty"`

	// resources are what a gateway asks for and may use. What is not named here stays as it
	// is when nothing is set, but fits to it: requests are never above limits. The
	// garbage collector works towards 88 % of the memory's limit (GOMEMLIMIT).
	//
	// When unset, it asks for 50m of CPU and 64Mi of memory, and may use 512Mi of memory
	// and any CPU.
	//
	// +optional
	Resources PodResources `json:"resources,omitzero"`

	// nodeSelector is what labels a node must have. At most 16.
	//
	// When unset, pods run on any node.
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`

	// affinity is where pods should and should not run, as in a pod's spec.
	//
	// When unset, anywhere.
	//
	// +optional
	Affinity *corev1.Affinity `json:"affinity,omitempty"`

	// tolerations are the taints of nodes that pods tolerate, as in a pod's spec. At most 32.
	//
	// When unset, none.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`

	// topologySpreadConstraints are how pods spread, as in a pod's spec, in place of the
	// controller's own. One without a labelSelector counts the pods of this gateway. At most 8.
	//
	// When unset, several pods spread over nodes where that is possible.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	TopologySpreadConstraints []corev1.TopologySpreadConstraint `json:"topologySpreadConstraints,omitempty"`

	// priorityClassName is the priority class of the pods. At most 253 characters.
	//
	// When unset, the cluster's default.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	PriorityClassName string `json:"priorityClassName,omitempty"`

	// imagePullSecrets name Secrets with which nodes get the gateway's image. At most 8.
	//
	// When unset, nodes get it with what they have themselves.
	//
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=8
	ImagePullSecrets []ObjectReference `json:"imagePullSecrets,omitempty"`

	// env are environment variables of the gateway. Secrets do not belong here. At most 32.
	//
	// A proxy is for identity providers, traces, an etcd and the check of publicURL. A
	// gateway never calls the API server or a backend through a proxy.
	//
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	Env []EnvVar `json:"env,omitempty"`
}

// PodResources are quantities by the name of the resource, such as cpu and memory.
type PodResources struct {
	// requests are what a node must have left. At most 8.
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=8
	Requests corev1.ResourceList `json:"requests,omitempty"`

	// limits are what a gateway may use. At most 8.
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=8
	Limits corev1.ResourceList `json:"limits,omitempty"`
}

// EnvVar is an environment variable.
//
// The rule is on the item: a stored variable that is not allowed refuses no change of
// another field.
//
// +kubebuilder:validation:XValidation:rule=`self.name in ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY', 'http_proxy', 'https_proxy', 'no_proxy', 'GOMEMLIMIT', 'GOGC', 'GOMAXPROCS', 'TZ', 'OTEL_RESOURCE_ATTRIBUTES', 'OTEL_SERVICE_NAME']`,message="gateway.podTemplate.env[].name must be HTTP_PROXY, HTTPS_PROXY or NO_PROXY (also in lower case), GOMEMLIMIT, GOGC, GOMAXPROCS, TZ, OTEL_RESOURCE_ATTRIBUTES or OTEL_SERVICE_NAME, since any other variable can change what the gateway checks and logs."
type EnvVar struct {
	// name of the variable. Only these are allowed: HTTP_PROXY, HTTPS_PROXY and NO_PROXY,
	// also in lower case, GOMEMLIMIT, GOGC, GOMAXPROCS, TZ, OTEL_RESOURCE_ATTRIBUTES and
	// OTEL_SERVICE_NAME. At most 128 characters.
	//
	// +required
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^[A-Za-z_][A-Za-z0-9_]*$`
	Name string `json:"name"`

	// value of the variable. At most 4096 characters.
	//
	// When unset, it is empty.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Value string `json:"value,omitempty"`
}

// Allowed reports whether pods are given the variable. The API server refuses others, and
// an older CRD may have let one in.
func (e *EnvVar) Allowed() bool {
	switch e.Name {
	case "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
		"GOMEMLIMIT", "GOGC", "GOMAXPROCS", "TZ", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_SERVICE_NAME":
		return true
	}
	return false
}
