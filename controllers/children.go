package controllers

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"vestibule.dev/vestibule/controllers/internal/resources"
)

// The kinds of what an MCPServer owns.
const (
	kindAutoscaler       = "HorizontalPodAutoscaler"
	kindConfigMap        = "ConfigMap"
	kindDeployment       = "Deployment"
	kindDisruptionBudget = "PodDisruptionBudget"
	kindNetworkPolicy    = "NetworkPolicy"
	kindHTTPRoute        = "HTTPRoute"
	kindIngress          = "Ingress"
	kindPodMonitor       = "PodMonitor"
	kindRole             = "Role"
	kindRoleBinding      = "RoleBinding"
	kindSecret           = "Secret"
	kindService          = "Service"
	kindServiceAccount   = "ServiceAccount"
)

var groups = map[string]schema.GroupVersion{
	kindAutoscaler:       autoscalingv2.SchemeGroupVersion,
	kindConfigMap:        corev1.SchemeGroupVersion,
	kindDeployment:       appsv1.SchemeGroupVersion,
	kindDisruptionBudget: policyv1.SchemeGroupVersion,
	kindNetworkPolicy:    networkingv1.SchemeGroupVersion,
	kindHTTPRoute:        schema.GroupVersion(gatewayv1.GroupVersion),
	kindIngress:          networkingv1.SchemeGroupVersion,
	kindPodMonitor:       {Group: "monitoring.coreos.com", Version: "v1"},
	kindRole:             rbacv1.SchemeGroupVersion,
	kindRoleBinding:      rbacv1.SchemeGroupVersion,
	kindSecret:           corev1.SchemeGroupVersion,
	kindService:          corev1.SchemeGroupVersion,
	kindServiceAccount:   corev1.SchemeGroupVersion,
}

// metadataOf is for reading the metadata alone of an object of this kind.
func metadataOf(kind string) *metav1.PartialObjectMetadata {
	o := &metav1.PartialObjectMetadata{}
	o.SetGroupVersionKind(groups[kind].WithKind(kind))
	return o
}

// newObject is for reading a whole object of this kind.
func newObject(kind string) client.Object {
	switch kind {
	case kindConfigMap:
		return &corev1.ConfigMap{}
	case kindDeployment:
		return &appsv1.Deployment{}
	case kindHTTPRoute:
		return &gatewayv1.HTTPRoute{}
	case kindIngress:
		return &networkingv1.Ingress{}
	case kindRole:
		return &rbacv1.Role{}
	case kindSecret:
		return &corev1.Secret{}
	case kindService:
		return &corev1.Service{}
	case kindServiceAccount:
		return &corev1.ServiceAccount{}
	case kindRoleBinding:
		return &rbacv1.RoleBinding{}
	case kindDisruptionBudget:
		return &policyv1.PodDisruptionBudget{}
	case kindAutoscaler:
		return &autoscalingv2.HorizontalPodAutoscaler{}
	case kindNetworkPolicy:
		return &networkingv1.NetworkPolicy{}
	}
	return metadataOf(kind)
}

// cached is what the cache has of this kind: the whole object, where more than its
// metadata is looked at.
func cached(kind string) client.Object {
	if kind == kindSecret || kind == kindConfigMap {
		return metadataOf(kind)
	}
	return newObject(kind)
}

// children are what exists under the names of what an MCPServer owns, whoever
// owns it.
type children map[child]client.Object

type child struct{ kind, name string }

// observeChildren looks at the objects that are applied, and at the one for the
// reports. Those of the store are looked at with the store.
func (r *Reconciler) observeChildren(ctx context.Context, s *scope) error {
	name := resources.Name(s.server)
	s.children = children{}
	for _, c := range []child{
		{kindDeployment, name},
		{kindService, name},
		{kindServiceAccount, name},
		{kindRole, name},
		{kindRoleBinding, name},
		{kindDisruptionBudget, name},
		{kindAutoscaler, name},
		{kindNetworkPolicy, name},
		{kindConfigMap, resources.PolicyName(s.server)},
		{kindConfigMap, resources.ReportName(s.server)},
	} {
		wanted := wanted(s.server, c.kind)
		if err := r.observeChild(ctx, s, c, wanted && s.sure); err != nil {
			return err
		}
		if !wanted && s.foreign(c) {
			delete(s.children, c) // Its name is not needed.
		}
	}
	return nil
}

// observeChild looks at one object. Of most kinds the cache has those alone that carry
// our labels, and it may be late: to be sure that there is none, the API server is asked.
// Who only wants to create it need not be, since nothing is created over another.
func (r *Reconciler) observeChild(ctx context.Context, s *scope, c child, sure bool) error {
	key := client.ObjectKey{Namespace: s.server.Namespace, Name: c.name}
	o := cached(c.kind)
	err := r.Client.Get(ctx, key, o)
	if err != nil && client.IgnoreNotFound(err) == nil && sure {
		o = metadataOf(c.kind)
		err = r.Live.Get(ctx, key, o)
	}
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("reading %s %s: %w", c.kind, c.name, err)
	}
	if err == nil {
		s.children[c] = o
	}
	return nil
}

// own returns a child, or nil if it does not exist or is not the server's.
func (s *scope) own(c child) client.Object {
	if o := s.children[c]; o != nil && resources.IsOf(s.server, o) {
		return o
	}
	return nil
}

// foreign says that an object is in the way.
func (s *scope) foreign(c child) bool {
	o := s.children[c]
	return o != nil && !resources.IsOf(s.server, o) && !resources.IsRetained(s.server, o) && !s.orphan(c)
}

// orphan says that a child has lost its owner. Keys and shards are retained then.
func (s *scope) orphan(c child) bool {
	o := s.children[c]
	if o == nil || c.kind == kindSecret {
		return false
	}
	component, applied := resources.ComponentGateway, true
	if c.kind == kindConfigMap { // whose annotations the cache does not have
		applied = false
		switch c.name {
		case resources.PolicyName(s.server):
			component = resources.ComponentPolicy
		case resources.ReportName(s.server):
			component = resources.ComponentReport
		default:
			component = resources.ComponentConfig
		}
	}
	return resources.IsOrphan(s.server, o, component, applied)
}

// allForeign are all objects that are in the way, in a fixed order.
func (s *scope) allForeign() []child {
	var all []child
	for c := range s.children {
		if s.foreign(c) {
			all = append(all, c)
		}
	}
	slices.SortFunc(all, func(a, b child) int { return cmp.Compare(a.kind+"/"+a.name, b.kind+"/"+b.name) })
	return all
}
