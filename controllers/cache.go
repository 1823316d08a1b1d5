package controllers

import (
	"fmt"

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
	"sigs.k8s.io/controller-runtime/pkg/manager"

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
			&corev1.Pod{}:                            {Label: ours.Label, Transform: slimPod},
			&corev1.Service{}:                        {Transform: slimService},
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

// newContents is a cache of its own of the ConfigMaps whose content is read, the reports
// and the policies: the manager's has their metadata, as of all ConfigMaps in a cluster.
// The manager runs it.
func newContents(mgr manager.Manager, namespaces []string) (cache.Cache, error) {
	contents, err := cache.New(mgr.GetConfig(), cache.Options{
		HTTPClient: mgr.GetHTTPClient(), Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(),
		ReaderFailOnMissingInformer: true,
		DefaultNamespaces:           CacheOptions(namespaces).DefaultNamespaces,
		DefaultLabelSelector:        resources.Contents(),
		DefaultTransform:            cache.TransformStripManagedFields(),
	})
	if err != nil {
		return nil, fmt.Errorf("making the cache of ConfigMaps: %w", err)
	}
	if err := mgr.Add(contents); err != nil {
		return nil, fmt.Errorf("running the cache of ConfigMaps: %w", err)
	}
	return contents, nil
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

// slimPod keeps of a pod what it is called and how it is.
func slimPod(in any) (any, error) {
	pod, ok := in.(*corev1.Pod)
	if !ok {
		return in, nil
	}
	pod.ManagedFields = nil
	pod.Spec = corev1.PodSpec{}
	pod.Status = corev1.PodStatus{
		Phase: pod.Status.Phase, Reason: pod.Status.Reason, Conditions: pod.Status.Conditions,
		InitContainerStatuses: pod.Status.InitContainerStatuses, ContainerStatuses: pod.Status.ContainerStatuses,
	}
	return in, nil
}

// slimService drops what nobody asks for of the user's Services.
func slimService(in any) (any, error) {
	service, ok := in.(*corev1.Service)
	if !ok {
		return in, nil
	}
	service.ManagedFields = nil
	service.Status = corev1.ServiceStatus{}
	if !labels.SelectorFromSet(resources.ManagedLabels()).Matches(labels.Set(service.Labels)) {
		service.Annotations = nil
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
