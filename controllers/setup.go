package controllers

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/discovery"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"vestibule.dev/vestibule/api/v1alpha1"
)

// NewScheme knows every type that the controller reads or writes.
func NewScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, gatewayv1.Install, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("making the scheme: %w", err)
		}
	}
	// The kinds of this group are not known, but what requests about them may ask for is.
	metav1.AddToGroupVersion(scheme, groups[kindPodMonitor])
	return scheme, nil
}

// retryMost bounds the time between two passes that fail. Who has mended what was wrong
// with the cluster should not have to wait for long.
const retryMost = 2 * time.Minute

// Options are what the controller is told.
type Options struct {
	// Namespaces are those to work in; none means all.
	Namespaces []string
	// Image is that of the gateways.
	Image string
	// Identity is the Reconciler's.
	Identity string
	// Upgrades is how many gateways that are available are replaced at a time by those of
	// another image, or as another controller renders them.
	Upgrades int
}

// Setup adds the controller to a manager whose cache has the CacheOptions of the same
// namespaces.
func Setup(ctx context.Context, mgr ctrl.Manager, o Options) error {
	if err := metrics.Registry.Register(counter{mgr.GetClient()}); err != nil {
		return fmt.Errorf("setting up the metrics: %w", err)
	}
	contents, err := newContents(mgr, o.Namespaces)
	if err != nil {
		return err
	}
	r, err := New(mgr, contents, o.Image)
	if err != nil {
		return err
	}
	r.Upgrades, r.Identity = o.Upgrades, o.Identity
	c, err := watch(ctx, mgr, contents, r, controller.Options{
		MaxConcurrentReconciles: 4,
		RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](5*time.Millisecond, retryMost),
	})
	if err != nil {
		return err
	}
	r.follow(mgr, o.Namespaces, c)
	return nil
}

// New returns the reconciler of a manager, which reads the content of ConfigMaps from there.
func New(mgr ctrl.Manager, contents client.Reader, image string) (*Reconciler, error) {
	asks, err := discovery.NewDiscoveryClientForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return nil, fmt.Errorf("making the discovery client: %w", err)
	}
	return &Reconciler{
		Client:   mgr.GetClient(),
		Cached:   mgr.GetCache(),
		Contents: contents,
		Live:     mgr.GetAPIReader(),
		Events:   mgr.GetEventRecorder("vestibule-controller"),
		Image:    image,
		Now:      time.Now,
		schema:   published{read: specSchema(asks.OpenAPIV3()), now: time.Now},
		apis:     apis{has: discover(asks), every: retryAPI, now: time.Now},
	}, nil
}

// follow has what is looked for later watched by the controller, too.
func (r *Reconciler) follow(mgr ctrl.Manager, namespaces []string, c controller.Controller) {
	r.apis.watch = (&follower{mgr, namespaces, c}).watch
}

// watch calls r for whatever can change what it would do.
func watch(ctx context.Context, mgr ctrl.Manager, contents cache.Cache, r reconcile.Reconciler, o controller.Options) (controller.Controller, error) {
	w := watcher{mgr.GetClient()}
	if err := index(ctx, mgr.GetFieldIndexer()); err != nil {
		return nil, err
	}
	c, err := ctrl.NewControllerManagedBy(mgr).
		Named("mcpserver").
		WithOptions(o).
		For(&v1alpha1.MCPServer{}, builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, commanded))).
		Watches(&v1alpha1.MCPServer{}, handler.EnqueueRequestsFromMapFunc(w.rivals), builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, claiming))).
		Owns(&appsv1.Deployment{}).
		Owns(&rbacv1.Role{}).
		Owns(&rbacv1.RoleBinding{}).
		Owns(&corev1.ServiceAccount{}).
		Owns(&policyv1.PodDisruptionBudget{}).
		Owns(&autoscalingv2.HorizontalPodAutoscaler{}).
		Owns(&networkingv1.NetworkPolicy{}).
		Watches(&corev1.Service{}, handler.EnqueueRequestsFromMapFunc(w.ofService)).
		Watches(&discoveryv1.EndpointSlice{}, handler.EnqueueRequestsFromMapFunc(w.ofEndpoints)).
		Watches(&corev1.Pod{}, handler.EnqueueRequestsFromMapFunc(ofPod)).
		WatchesMetadata(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(w.of(kindSecret)), builder.WithPredicates(notRecords)).
		WatchesMetadata(&corev1.ConfigMap{}, handler.EnqueueRequestsFromMapFunc(w.of(kindConfigMap)), builder.WithPredicates(notRecords)).
		WatchesRawSource(source.Kind[client.Object](contents, &corev1.ConfigMap{}, handler.EnqueueRequestsFromMapFunc(ofOwner))).
		Build(r)
	if err != nil {
		return nil, fmt.Errorf("setting up the controller: %w", err)
	}
	return c, nil
}
