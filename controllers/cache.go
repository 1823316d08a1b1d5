package controllers

import (
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vestibule.dev/vestibule/controllers/internal/resources"
)

// CacheOptions bound what the controller holds in memory: of these namespaces, or
// of all; what carries our labels; of Secrets and ConfigMaps their metadata. To ask
// the cache for what is not watched is an error, and starts no watch.
func CacheOptions(namespaces []string) cache.Options {
	ours := cache.ByObject{Label: labels.SelectorFromSet(resources.ManagedLabels())}
	o := cache.Options{
		ReaderFailOnMissingInformer: true,
		DefaultTransform:            cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			&appsv1.Deployment{}:                     ours,
			&autoscalingv2.HorizontalPodAutoscaler{}: ours,
			&corev1.Pod{}:                            ours,
			&corev1.ServiceAccount{}:                 ours,
			&networkingv1.NetworkPolicy{}:            ours,
			&policyv1.PodDisruptionBudget{}:          ours,
			&rbacv1.Role{}:                           ours,
			&rbacv1.RoleBinding{}:                    ours,
			&corev1.Secret{}:                         {Transform: slimMetadata},
			&corev1.ConfigMap{}:                      {Transform: slimMetadata},
			&discoveryv1.EndpointSlice{}:             {Transform: slimEndpoints},
		},
	}
	for _, n := range namespaces {
		if o.DefaultNamespaces == nil {
			o.DefaultNamespaces = map[string]cache.Config{}
		}
		o.DefaultNamespaces[n] = cache.Config{}
	}
	return o
}

// slimMetadata drops annotations, which can hold a copy of the content, and, but
// for shards, managed fields: those of shards must be empty, and are looked at.
func slimMetadata(in any) (any, error) {
	o, ok := in.(metav1.Object)
	if !ok {
		return in, nil
	}
	o.SetAnnotations(nil)
	if !resources.IsShard(o) {
		o.SetManagedFields(nil)
	}
	return in, nil
}

// slimEndpoints keeps of each endpoint whether it is ready.
func slimEndpoints(in any) (any, error) {
	slice, ok := in.(*discoveryv1.EndpointSlice)
	if !ok {
		return in, nil
	}
	slice.ManagedFields = nil
	for i := range slice.Endpoints {
		slice.Endpoints[i] = discoveryv1.Endpoint{Conditions: slice.Endpoints[i].Conditions}
	}
	return in, nil
}
