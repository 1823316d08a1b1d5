package resources

import (
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	networkingv1ac "k8s.io/client-go/applyconfigurations/networking/v1"

	"vestibule.dev/vestibule/api/v1alpha1"
)

// NetworkPolicy says who may connect to the gateway's pods, or is nil where all may.
func NetworkPolicy(server *v1alpha1.MCPServer) (*networkingv1ac.NetworkPolicyApplyConfiguration, error) {
	p := server.Spec.Gateway.NetworkPolicy
	if p == nil {
		return nil, nil
	}
	spec := networkingv1ac.NetworkPolicySpec().
		WithPodSelector(metav1ac.LabelSelector().WithMatchLabels(selector(server))).
		WithPolicyTypes(networkingv1.PolicyTypeIngress)
	for _, rule := range []struct {
		port int32
		from []v1alpha1.NetworkPolicyPeer
	}{{publicPort, p.IngressFrom}, {adminPort, p.MetricsFrom}} {
		if len(rule.from) == 0 {
			continue // A rule without peers would be one for everybody.
		}
		allowed := networkingv1ac.NetworkPolicyIngressRule().
			WithPorts(networkingv1ac.NetworkPolicyPort().WithPort(intstr.FromInt32(rule.port)))
		for i := range rule.from {
			peer := networkingv1ac.NetworkPolicyPeer()
			if err := as(&rule.from[i], peer); err != nil {
				return nil, err
			}
			allowed.WithFrom(peer)
		}
		spec.WithIngress(allowed)
	}
	return networkingv1ac.NetworkPolicy(Name(server), server.Namespace).
		WithLabels(Labels(server, ComponentGateway)).
		WithOwnerReferences(owner(server)).
		WithSpec(spec), nil
}
