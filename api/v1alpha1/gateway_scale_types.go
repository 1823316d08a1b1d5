package v1alpha1

// Autoscaling has a HorizontalPodAutoscaler decide how many gateway pods run.
//
// +kubebuilder:validation:XValidation:rule=`self.minReplicas <= self.maxReplicas`,fieldPath=".minReplicas",message="gateway.autoscaling.minReplicas must not be above maxReplicas."
type Autoscaling struct {
	// minReplicas is how many pods run at least. 1 to 32.
	//
	// When unset, 2.
	//
	// +optional
	// +kubebuilder:default=2
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=32
	MinReplicas int32 `json:"minReplicas,omitempty"`

	// maxReplicas is how many run at most. The write budget of a store in Kubernetes is
	// shared by as many, so each pod writes the less, the higher it is. 1 to 32.
	//
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=32
	MaxReplicas int32 `json:"maxReplicas"`

	// targetCPUUtilizationPercentage is how much of the CPU that they ask for pods should
	// use on the mean: above it there will be more of them, below it less. They ask for
	// 50m, or podTemplate.resources.requests.cpu, which should be what is worth another
	// pod. 1 to 1000.
	//
	// When unset, 80.
	//
	// +optional
	// +kubebuilder:default=80
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	TargetCPUUtilizationPercentage int32 `json:"targetCPUUtilizationPercentage,omitempty"`
}
