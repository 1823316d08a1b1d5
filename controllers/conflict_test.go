//go:build integration

package controllers

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"vestibule.dev/vestibule/api/v1alpha1"
)

// An object under a child's name that is somebody else's, with our labels or not,
// stays as it is to the last byte, and nothing else is written either.
func TestForeignObjectsAreLeftAlone(t *testing.T) {
	t.Parallel()
	pods := &metav1.LabelSelector{MatchLabels: map[string]string{"app": "other"}}
	template := corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: pods.MatchLabels},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "other", Image: "other"}}},
	}
	for _, foreign := range []client.Object{
		&appsv1.Deployment{Spec: appsv1.DeploymentSpec{Selector: pods, Template: template}},
		&corev1.Service{Spec: corev1.ServiceSpec{ClusterIP: corev1.ClusterIPNone, Ports: []corev1.ServicePort{{Port: 1}}}},
		&corev1.ServiceAccount{},
		&rbacv1.Role{Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get"}}}},
		&rbacv1.RoleBinding{RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "other"}},
		&policyv1.PodDisruptionBudget{Spec: policyv1.PodDisruptionBudgetSpec{Selector: pods}},
		named("keys", &corev1.Secret{Data: map[string][]byte{"a": {1}}}),
		named("clients-0", &corev1.Secret{Data: map[string][]byte{"a": {1}}}),
		named("grants-0", &corev1.Secret{}),
		named("policy", &corev1.ConfigMap{Data: map[string]string{"a": "b"}}),
		named("report", &corev1.ConfigMap{}),
	} {
		for _, disguise := range []string{"without our labels", "with our labels", "of an MCPServer that is gone"} {
			w := newWorld(t, namespace(t), "weather")
			server := w.server()
			o := foreign.DeepCopyObject().(client.Object)
			o.SetNamespace(w.namespace)
			o.SetName(w.gateway() + o.GetName())
			kind := strings.TrimPrefix(strings.TrimPrefix(kindOf(t, o), "*"), "v1.")
			if disguise != "without our labels" {
				o.SetLabels(map[string]string{
					"app.kubernetes.io/name": "vestibule-gateway", "app.kubernetes.io/managed-by": "vestibule",
					"app.kubernetes.io/instance": "weather", "app.kubernetes.io/component": "store",
				})
			}
			if disguise == "of an MCPServer that is gone" {
				owner := metav1.NewControllerRef(server, v1alpha1.SchemeGroupVersion.WithKind("MCPServer"))
				owner.UID = types.UID("another")
				o.SetOwnerReferences([]metav1.OwnerReference{*owner})
			}
			w.create(o)
			before := w.bytes(o)

			c := newTap(nil)
			r := reconciler(c)
			w.pass(r)
			w.pass(r)
			if after := w.bytes(o); after != before {
				t.Errorf("%s %s was written:\n%s\n%s", kind, disguise, before, after)
			}
			if owned := w.owned(); len(owned) > 0 {
				t.Errorf("%s %s: there are others nevertheless: %v", kind, disguise, owned)
			}
			if disguise == "of an MCPServer that is gone" {
				// The garbage collector removes it, so there is nothing to do but wait.
				w.wants(v1alpha1.ConditionAccepted, metav1.ConditionUnknown, v1alpha1.ReasonPredecessorRemains)
				w.wants(v1alpha1.ConditionStalled, metav1.ConditionFalse, v1alpha1.ReasonNotStalled)
				w.wants(v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonProgressing)
			} else {
				w.wants(v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonNameConflict)
			}
			if m := w.condition(v1alpha1.ConditionAccepted).Message; !strings.Contains(m, kind+" "+o.GetName()) {
				t.Errorf("%s %s is not named: %s", kind, disguise, m)
			}

			if disguise == "without our labels" { // The others would only take time.
				w.remove(o, o.GetName())
				w.pass(r)
				w.wants(v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
			}
			w.leave()
		}
	}
}

// blind is a client that does not read one object, as from a cache that does not have it:
// for want of our labels, or because it is late.
func blind(c client.WithWatch, kind, name string) client.WithWatch {
	return interceptor.NewClient(c, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			gvk, err := c.GroupVersionKindFor(o)
			if err == nil && gvk.Kind == kind && key.Name == name {
				return apierrors.NewNotFound(schema.GroupResource{Resource: kind}, name)
			}
			return c.Get(ctx, key, o, opts...)
		},
	})
}

// What the cache does not have is not written either, and once that is known, nothing is.
func TestForeignObjectsThatAreNotSeen(t *testing.T) {
	t.Parallel()
	pods := &metav1.LabelSelector{MatchLabels: map[string]string{"app": "other"}}
	template := corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: pods.MatchLabels},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "other", Image: "other"}}},
	}
	for _, o := range []client.Object{
		&appsv1.Deployment{Spec: appsv1.DeploymentSpec{Selector: pods, Template: template}},
		&corev1.Service{Spec: corev1.ServiceSpec{ClusterIP: corev1.ClusterIPNone, Ports: []corev1.ServicePort{{Port: 1}}}},
		&corev1.ServiceAccount{},
		&rbacv1.Role{},
		&rbacv1.RoleBinding{RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "other"}},
		&policyv1.PodDisruptionBudget{Spec: policyv1.PodDisruptionBudgetSpec{Selector: pods}},
		named("keys", &corev1.Secret{Data: map[string][]byte{"a": {1}}}),
		named("clients-0", &corev1.Secret{Data: map[string][]byte{"a": {1}}}),
		named("policy", &corev1.ConfigMap{Data: map[string]string{"a": "b"}}),
		named("report", &corev1.ConfigMap{}),
	} {
		w := newWorld(t, namespace(t), "weather")
		w.server()
		o.SetNamespace(w.namespace)
		o.SetName(w.gateway() + o.GetName())
		w.create(o)
		before, kind, c := w.bytes(o), kindOf(t, o), newTap(nil)
		r := reconciler(c)
		r.Client = blind(c, kind, o.GetName())
		for range 2 {
			c.reset()
			w.pass(r)
			w.wants(v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonNameConflict)
			if m := w.condition(v1alpha1.ConditionAccepted).Message; !strings.Contains(m, kind+" "+o.GetName()) {
				t.Errorf("%s is not named: %s", kind, m)
			}
			if after := w.bytes(o); after != before {
				t.Errorf("%s was written:\n%s\n%s", kind, before, after)
			}
		}
		if kind != kindSecret && kind != kindConfigMap && len(c.writes) > 0 {
			t.Errorf("%s is in the way, and is known to be, and there are writes: %v", kind, c.writes)
		}
		w.remove(o, o.GetName())
		w.pass(r)
		w.pass(reconciler(c))
		w.wants(v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
		w.leave()
	}
}

// What is ours is found though the cache does not have it, and stays as it is.
func TestOurObjectsThatAreNotSeen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, namespace(t), "weather")
	ready(w)
	r := reconciler(robot)
	w.pass(r)
	before := w.versions()
	for name := range before {
		kind, name, _ := strings.Cut(name, "/")
		if strings.HasPrefix(name, w.gateway()+"-config-") {
			continue // It is named by its content.
		}
		r := reconciler(robot)
		r.Client = blind(robot, kind, name)
		w.pass(r)
		differ(t, kind+" "+name+" is not seen", before, w.versions())
		w.wants(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	}
}

// A conflict can come later: a child is deleted, and somebody takes its name.
func TestAForeignObjectInPlaceOfAChild(t *testing.T) {
	t.Parallel()
	w := newWorld(t, namespace(t), "weather")
	ready(w)
	r := reconciler(robot)
	w.pass(r)
	for _, o := range []client.Object{&corev1.ServiceAccount{}, named("policy", &corev1.ConfigMap{})} {
		o.SetNamespace(w.namespace)
		o.SetName(w.gateway() + o.GetName())
		w.remove(o.DeepCopyObject().(client.Object), o.GetName())
		w.create(o)
		before := w.bytes(o)
		w.pass(r)
		w.wants(v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonNameConflict)
		if after := w.bytes(o); after != before {
			t.Errorf("%T was written:\n%s\n%s", o, before, after)
		}
		w.remove(o, o.GetName())
		w.pass(r)
	}
	// The configuration is known by name only when it is created.
	name := w.deployment().Spec.Template.Annotations["mcp.vestibule.dev/config"]
	w.remove(&corev1.ConfigMap{}, name)
	foreign := &corev1.ConfigMap{ObjectMeta: w.meta(name)}
	w.create(foreign)
	before := w.bytes(foreign)
	w.pass(r)
	w.wants(v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonNameConflict)
	if after := w.bytes(foreign); after != before {
		t.Errorf("the configuration was written:\n%s\n%s", before, after)
	}
}

// A budget that is not wanted is in nobody's way.
func TestAForeignBudgetOfASingleReplica(t *testing.T) {
	t.Parallel()
	w := newWorld(t, namespace(t), "weather")
	w.server(func(s *v1alpha1.MCPServer) { s.Spec.Gateway.Replicas = 1 })
	budget := &policyv1.PodDisruptionBudget{ObjectMeta: w.meta(w.gateway())}
	w.create(budget)
	before := w.bytes(budget)
	w.pass(reconciler(robot))
	w.wants(v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	if after := w.bytes(budget); after != before {
		t.Errorf("the budget was written:\n%s\n%s", before, after)
	}
}

// Of two MCPServers at one place the older has it, until it is gone.
func TestOnePlaceIsOneServers(t *testing.T) {
	t.Parallel()
	first, second := newWorld(t, namespace(t), "weather"), newWorld(t, namespace(t), "weather")
	url := "https://" + first.namespace + ".example.com/tools"
	at := func(s *v1alpha1.MCPServer) { s.Spec.PublicURL = url }
	first.server(at)
	second.server(at)
	if older(second.get(), first.get()) {
		first, second = second, first // Made in the same second.
	}
	r := reconciler(robot)
	second.pass(r)
	first.pass(r)
	first.wants(v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	second.wants(v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonPublicURLTaken)
	if owned := second.owned(); len(owned) > 0 {
		t.Errorf("the younger has %v", owned)
	}
	first.leave()
	second.pass(r)
	second.wants(v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
}

func named(part string, o client.Object) client.Object {
	o.SetName("-" + part)
	return o
}

// bytes are what the API server has of an object.
func (w *world) bytes(o client.Object) string {
	w.t.Helper()
	now := o.DeepCopyObject().(client.Object)
	w.read(o.GetName(), now)
	data, err := json.Marshal(now)
	must(w.t, err)
	return string(data)
}

func kindOf(t *testing.T, o client.Object) string {
	t.Helper()
	gvk, err := admin.GroupVersionKindFor(o)
	must(t, err)
	return gvk.Kind
}
