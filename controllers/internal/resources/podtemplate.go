package resources

import (
	"encoding/json"
	"fmt"
	"maps"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"

	"vestibule.dev/vestibule/api/v1alpha1"
)

// customize puts into the pods what the user wants of them.
func customize(pod *corev1ac.PodSpecApplyConfiguration, server *v1alpha1.MCPServer) error {
	wanted := &v1alpha1.PodTemplate{}
	if t := server.Spec.Gateway.PodTemplate; t != nil {
		wanted = t
	}
	if len(wanted.NodeSelector) > 0 {
		pod.WithNodeSelector(wanted.NodeSelector)
	}
	if wanted.PriorityClassName != "" {
		pod.WithPriorityClassName(wanted.PriorityClassName)
	}
	for _, s := range wanted.ImagePullSecrets {
		pod.WithImagePullSecrets(corev1ac.LocalObjectReference().WithName(s.Name))
	}
	for i := range wanted.Tolerations {
		t := corev1ac.Toleration()
		if err := as(&wanted.Tolerations[i], t); err != nil {
			return err
		}
		pod.WithTolerations(t)
	}
	if wanted.Affinity != nil {
		a := corev1ac.Affinity()
		if err := as(wanted.Affinity, a); err != nil {
			return err
		}
		pod.WithAffinity(a)
	}
	return spread(pod, server, wanted.TopologySpreadConstraints)
}

func spread(pod *corev1ac.PodSpecApplyConfiguration, server *v1alpha1.MCPServer, wanted []corev1.TopologySpreadConstraint) error {
	ours := metav1ac.LabelSelector().WithMatchLabels(selector(server))
	for i := range wanted {
		c := corev1ac.TopologySpreadConstraint()
		if err := as(&wanted[i], c); err != nil {
			return err
		}
		if c.LabelSelector == nil {
			c.WithLabelSelector(ours)
		}
		pod.WithTopologySpreadConstraints(c)
	}
	if len(wanted) == 0 && MostReplicas(server) >= 2 {
		// Not by force: two gateways on one node are better than one.
		pod.WithTopologySpreadConstraints(corev1ac.TopologySpreadConstraint().
			WithMaxSkew(1).
			WithTopologyKey(corev1.LabelHostname).
			WithWhenUnsatisfiable(corev1.ScheduleAnyway).
			WithLabelSelector(ours).
			WithMatchLabelKeys(appsv1.DefaultDeploymentUniqueLabelKey))
	}
	return nil
}

// as writes a part of the spec that is Kubernetes' own as what is applied, which has the same form.
func as(from, to any) error {
	data, err := json.Marshal(from)
	if err == nil {
		err = json.Unmarshal(data, to)
	}
	if err != nil {
		return fmt.Errorf("writing a part of the spec as what is applied: %w", err)
	}
	return nil
}

// podLabels and podAnnotations are those of the user, and of ours, which win.
func podLabels(server *v1alpha1.MCPServer) map[string]string {
	labels := Labels(server, ComponentGateway)
	if t := server.Spec.Gateway.PodTemplate; t != nil {
		return over(t.Labels, labels)
	}
	return labels
}

func podAnnotations(server *v1alpha1.MCPServer, ours map[string]string) map[string]string {
	if t := server.Spec.Gateway.PodTemplate; t != nil {
		return over(t.Annotations, ours)
	}
	return ours
}

func over(theirs, ours map[string]string) map[string]string {
	all := map[string]string{}
	maps.Copy(all, theirs)
	maps.Copy(all, ours)
	return all
}

// podResources are what a gateway asks for and may use. Where the user sets one of
// the two, the other makes room.
func podResources(server *v1alpha1.MCPServer) (requests, limits corev1.ResourceList) {
	// No limit on CPU: it would only make logins slow when they are many.
	requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("50m"), corev1.ResourceMemory: resource.MustParse("64Mi")}
	limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("512Mi")}
	t := server.Spec.Gateway.PodTemplate
	if t == nil {
		return requests, limits
	}
	wanted := t.Resources
	for name, limit := range wanted.Limits {
		limits[name] = limit
		if request, ok := requests[name]; ok && request.Cmp(limit) > 0 {
			requests[name] = limit
		}
	}
	for name, request := range wanted.Requests {
		requests[name] = request
		if _, set := wanted.Limits[name]; set {
			continue
		}
		if limit, ok := limits[name]; ok && limit.Cmp(request) < 0 {
			limits[name] = request
		}
	}
	return requests, limits
}

// environment is the user's variables and ours. A variable such as GODEBUG=http2debug=2
// would write bearer tokens into the log.
func environment(server *v1alpha1.MCPServer, memory resource.Quantity) []*corev1ac.EnvVarApplyConfiguration {
	limit := corev1ac.EnvVar().WithName("GOMEMLIMIT").WithValue(memoryGoal(memory))
	all := []*corev1ac.EnvVarApplyConfiguration{
		corev1ac.EnvVar().WithName("POD_UID").WithValueFrom(corev1ac.EnvVarSource().
			WithFieldRef(corev1ac.ObjectFieldSelector().WithAPIVersion("v1").WithFieldPath("metadata.uid"))),
		limit,
	}
	if t := server.Spec.Gateway.PodTemplate; t != nil {
		for _, e := range t.Env {
			//rule:variable-of-any-name
			if !e.Allowed() {
				continue
			}
			if e.Name == *limit.Name {
				limit.WithValue(e.Value)
				continue
			}
			all = append(all, corev1ac.EnvVar().WithName(e.Name).WithValue(e.Value))
		}
	}
	return all
}

// VariablesLeftOut returns the names of the spec's variables that pods are not given.
func VariablesLeftOut(server *v1alpha1.MCPServer) []string {
	var names []string
	if t := server.Spec.Gateway.PodTemplate; t != nil {
		for _, e := range t.Env {
			if !e.Allowed() {
				names = append(names, e.Name)
			}
		}
	}
	return names
}

// memoryGoal is below the limit, so that the collector works before the kernel kills.
func memoryGoal(limit resource.Quantity) string {
	goal := limit.Value() / 100 * 88
	if mebibytes := goal >> 20; mebibytes > 0 {
		return fmt.Sprintf("%dMiB", mebibytes)
	}
	return fmt.Sprintf("%dB", goal)
}
