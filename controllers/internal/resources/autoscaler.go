package resources

import (
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	autoscalingv2ac "k8s.io/client-go/applyconfigurations/autoscaling/v2"

	"vestibule.dev/vestibule/api/v1alpha1"
)

// AnnotationReplicas is on a Deployment whose replicas are not the controller's to set.
const AnnotationReplicas = "mcp.vestibule.dev/replicas"

// MostReplicas is how many gateway pods there are at most, but for rollouts.
func MostReplicas(server *v1alpha1.MCPServer) int32 {
	if a := server.Spec.Gateway.Autoscaling; a != nil {
		return a.MaxReplicas
	}
	return server.Spec.Gateway.Replicas
}

// Autoscaler sets the Deployment's replicas, or is nil where they are those of the spec.
func Autoscaler(server *v1alpha1.MCPServer) *autoscalingv2ac.HorizontalPodAutoscalerApplyConfiguration {
	a := server.Spec.Gateway.Autoscaling
	if a == nil {
		return nil
	}
	return autoscalingv2ac.HorizontalPodAutoscaler(Name(server), server.Namespace).
		WithLabels(Labels(server, ComponentGateway)).
		WithOwnerReferences(owner(server)).
		WithSpec(autoscalingv2ac.HorizontalPodAutoscalerSpec().
			WithScaleTargetRef(autoscalingv2ac.CrossVersionObjectReference().WithAPIVersion("apps/v1").WithKind("Deployment").WithName(Name(server))).
			WithMinReplicas(a.MinReplicas).
			WithMaxReplicas(a.MaxReplicas).
			WithMetrics(autoscalingv2ac.MetricSpec().WithType(autoscalingv2.ResourceMetricSourceType).WithResource(
				autoscalingv2ac.ResourceMetricSource().WithName(corev1.ResourceCPU).WithTarget(autoscalingv2ac.MetricTarget().
					WithType(autoscalingv2.UtilizationMetricType).
					WithAverageUtilization(a.TargetCPUUtilizationPercentage)))))
}

// HeldReplicas says nothing of a Deployment but how many replicas it has. Who applies
// it in another name keeps them, when the controller does not any more.
func HeldReplicas(server *v1alpha1.MCPServer, replicas int32) *appsv1ac.DeploymentApplyConfiguration {
	return appsv1ac.Deployment(Name(server), server.Namespace).WithSpec(appsv1ac.DeploymentSpec().WithReplicas(replicas))
}
