package resources

import (
	"fmt"

	"k8s.io/apimachinery/pkg/types"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	"k8s.io/utils/ptr"

	"vestibule.dev/vestibule/api/v1alpha1"
)

// PodMonitorApplyConfiguration is what is applied of a PodMonitor of
// monitoring.coreos.com/v1: its module would bring much for few fields.
type PodMonitorApplyConfiguration struct {
	metav1ac.TypeMetaApplyConfiguration    `json:",inline"`
	*metav1ac.ObjectMetaApplyConfiguration `json:"metadata,omitempty"`
	Spec                                   *podMonitorSpec `json:"spec,omitempty"`
}

type podMonitorSpec struct {
	Selector  *metav1ac.LabelSelectorApplyConfiguration `json:"selector,omitempty"`
	Endpoints []podMetricsEndpoint                      `json:"podMetricsEndpoints,omitempty"`
}

type podMetricsEndpoint struct {
	Port     string `json:"port"`
	Path     string `json:"path"`
	Interval string `json:"interval"`
}

// IsApplyConfiguration marks it as one.
func (*PodMonitorApplyConfiguration) IsApplyConfiguration() {}

// WithUID sets the UID.
func (m *PodMonitorApplyConfiguration) WithUID(uid types.UID) *PodMonitorApplyConfiguration {
	m.ObjectMetaApplyConfiguration.WithUID(uid)
	return m
}

// GetKind and the others are what a client looks for.
func (m *PodMonitorApplyConfiguration) GetKind() *string { return m.Kind }

// GetAPIVersion returns the group and version.
func (m *PodMonitorApplyConfiguration) GetAPIVersion() *string { return m.APIVersion }

// GetName returns the name.
func (m *PodMonitorApplyConfiguration) GetName() *string { return m.Name }

// GetNamespace returns the namespace.
func (m *PodMonitorApplyConfiguration) GetNamespace() *string { return m.Namespace }

// PodMonitor has the gateway's metrics fetched, or is nil if that is not asked for.
func PodMonitor(server *v1alpha1.MCPServer) *PodMonitorApplyConfiguration {
	wanted := server.Spec.Gateway.PodMonitor
	if wanted == nil {
		return nil
	}
	m := &PodMonitorApplyConfiguration{
		TypeMetaApplyConfiguration:   metav1ac.TypeMetaApplyConfiguration{Kind: ptr.To("PodMonitor"), APIVersion: ptr.To("monitoring.coreos.com/v1")},
		ObjectMetaApplyConfiguration: (&metav1ac.ObjectMetaApplyConfiguration{}).WithName(Name(server)).WithNamespace(server.Namespace),
		Spec: &podMonitorSpec{
			Selector:  metav1ac.LabelSelector().WithMatchLabels(selector(server)),
			Endpoints: []podMetricsEndpoint{{Port: portMetrics, Path: "/metrics", Interval: fmt.Sprintf("%ds", wanted.IntervalSeconds)}},
		},
	}
	m.WithLabels(labelsWith(server, wanted.Labels)).WithOwnerReferences(owner(server))
	return m
}
