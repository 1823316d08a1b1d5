package v1alpha1

// PodMonitor is how the Prometheus Operator is told of the gateway's metrics.
type PodMonitor struct {
	// labels are added to those of the PodMonitor, since a Prometheus picks its
	// PodMonitors by label. At most 16; those of app.kubernetes.io are Vestibule's.
	//
	// When unset, none are added.
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	// +kubebuilder:validation:XValidation:rule=`self.all(k, !format.qualifiedName().validate(k).hasValue() && !k.startsWith('app.kubernetes.io/') && !format.labelValue().validate(self[k]).hasValue())`,message="gateway.podMonitor.labels must be labels as Kubernetes has them, and not of app.kubernetes.io."
	Labels map[string]LabelValue `json:"labels,omitempty"`

	// intervalSeconds is how often metrics are fetched. 5 to 3600.
	//
	// When unset, 30.
	//
	// +optional
	// +kubebuilder:default=30
	// +kubebuilder:validation:Minimum=5
	// +kubebuilder:validation:Maximum=3600
	IntervalSeconds int32 `json:"intervalSeconds,omitempty"`
}

// LabelValue is the value of a label.
//
// +kubebuilder:validation:MaxLength=63
type LabelValue string
