package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// NetworkPolicy says who may connect to the gateway's pods. Where they may connect to is
// not restricted: identity providers are names, and a NetworkPolicy knows addresses.
type NetworkPolicy struct {
	// ingressFrom may connect to the port that serves publicURL: what is in front of the
	// gateway, as in a NetworkPolicy. 1 to 16.
	//
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	IngressFrom []NetworkPolicyPeer `json:"ingressFrom"`

	// metricsFrom may connect to the port metrics, as Prometheus does. At most 16.
	//
	// When unset, nobody may.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	MetricsFrom []NetworkPolicyPeer `json:"metricsFrom,omitempty"`
}

// NetworkPolicyPeer is pods or addresses, as in a NetworkPolicy.
//
// +kubebuilder:validation:XValidation:rule=`has(self.ipBlock) != (has(self.podSelector) || has(self.namespaceSelector))`,message="gateway.networkPolicy must have in each peer either ipBlock, or namespaceSelector, podSelector or both."
type NetworkPolicyPeer struct {
	// namespaceSelector selects namespaces by their labels; {} is all.
	//
	// When unset, it is the namespace of the gateway.
	//
	// +optional
	NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector,omitempty"`

	// podSelector selects pods of these namespaces; {} is all.
	//
	// When unset, all pods of the namespaces are meant.
	//
	// +optional
	PodSelector *metav1.LabelSelector `json:"podSelector,omitempty"`

	// ipBlock is addresses.
	//
	// +optional
	IPBlock *IPBlock `json:"ipBlock,omitempty"`
}

// IPBlock is addresses of a CIDR.
type IPBlock struct {
	// cidr is the addresses, such as 10.0.0.0/8.
	//
	// +required
	// +kubebuilder:validation:MaxLength=43
	// +kubebuilder:validation:XValidation:rule=`isCIDR(self)`,message="ipBlock.cidr must be a CIDR, such as 10.0.0.0/8."
	CIDR string `json:"cidr"`

	// except is addresses within cidr that are not meant, each a CIDR. At most 16.
	//
	// When unset, all are meant.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=43
	// +kubebuilder:validation:XValidation:rule=`self.all(e, isCIDR(e))`,message="ipBlock.except must be CIDRs within cidr, such as 10.1.0.0/16."
	Except []string `json:"except,omitempty"`
}
