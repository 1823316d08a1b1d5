//go:build integration

package controllers

import (
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vestibule.dev/vestibule/api/v1alpha1"
)

// orphan deletes the MCPServer and leaves all that it owned, without an owner: as
// kubectl delete --cascade=orphan does, and a tool that restores without owners.
func (w *world) orphan() []client.Object {
	w.t.Helper()
	owned := w.owned()
	must(w.t, admin.Delete(w.t.Context(), &v1alpha1.MCPServer{ObjectMeta: w.meta(w.name)}))
	var left []client.Object
	for name := range owned {
		kind, name, _ := strings.Cut(name, "/")
		o := newObject(kind)
		w.read(name, o)
		patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"ownerReferences":null}}`))
		must(w.t, admin.Patch(w.t.Context(), o, patch))
		left = append(left, o)
	}
	return left
}

// A server that is created anew goes on with what has lost its owner, with another UID and
// without a status.
func TestWhatHasLostItsOwnerIsAdopted(t *testing.T) {
	t.Parallel()
	for _, policy := range []v1alpha1.DeletionPolicy{v1alpha1.DeletionDelete, v1alpha1.DeletionRetain} {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			kept := func(s *v1alpha1.MCPServer) { s.Spec.DeletionPolicy = policy }
			w, _ := served(t, kept, func(s *v1alpha1.MCPServer) { s.Spec.Bindings.OAuthKV.Kubernetes.MinShards = 2 })
			record := client.RawPatch(types.MergePatchType, []byte(`{"data":{"record":"c2VhbGVk"}}`))
			must(t, admin.Patch(t.Context(), &corev1.Secret{ObjectMeta: w.meta(w.gateway() + "-grants-1")}, record))
			keys := &corev1.Secret{}
			w.read(w.gateway()+"-keys", keys)
			before := w.get().UID
			w.orphan()

			w.server(kept, func(s *v1alpha1.MCPServer) { s.Spec.Bindings.OAuthKV.Kubernetes.MinShards = 2 })
			r := reconciler(robot)
			w.pass(r)
			w.wants(v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
			w.finish()
			w.pass(r)
			w.wants(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
			again, shard := &corev1.Secret{}, &corev1.Secret{}
			w.read(w.gateway()+"-keys", again)
			w.read(w.gateway()+"-grants-1", shard)
			if string(again.Data["keyset.json"]) != string(keys.Data["keyset.json"]) || string(shard.Data["record"]) != "sealed" {
				t.Error("the keys or the records have changed")
			}
			if got := again.Labels["mcp.vestibule.dev/sealed-to"]; got != string(before) {
				t.Errorf("the records are sealed to %s, want %s", got, before)
			}
			for name := range w.owned() {
				if strings.HasPrefix(name, "Deployment/") {
					return
				}
			}
			t.Errorf("the server owns %v", w.owned())
		})
	}
}

// What looks like an orphan of ours is taken over whole: nothing of what somebody has put
// there stays.
func TestAttackPlantedOrphans(t *testing.T) {
	t.Parallel()
	w, _ := served(t)
	for _, o := range w.orphan() {
		switch o := o.(type) {
		case *appsv1.Deployment:
			o.Spec.Template.Spec.Containers = append(o.Spec.Template.Spec.Containers, corev1.Container{Name: "mallory", Image: "mallory"})
			o.Spec.Template.Spec.HostNetwork = true
			must(t, admin.Update(t.Context(), o))
		case *rbacv1.Role:
			o.Rules = append(o.Rules, rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get"}})
			must(t, admin.Update(t.Context(), o))
		case *rbacv1.RoleBinding:
			other := &rbacv1.RoleBinding{ObjectMeta: w.meta(o.Name), RoleRef: o.RoleRef, Subjects: o.Subjects}
			other.Labels, other.Annotations, other.RoleRef.Name = o.Labels, o.Annotations, "mallory"
			w.remove(&rbacv1.RoleBinding{}, o.Name)
			w.create(other)
		case *corev1.ServiceAccount:
			o.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "mallory"}}
			must(t, admin.Update(t.Context(), o))
		case *corev1.Service:
			o.Spec.Ports = append(o.Spec.Ports, corev1.ServicePort{Name: "mallory", Port: 9})
			must(t, admin.Update(t.Context(), o))
		case *corev1.ConfigMap:
			if strings.HasSuffix(o.Name, "-policy") {
				o.Data = map[string]string{"policy.json": `{"version":1}`, "mallory": "x"}
				must(t, admin.Update(t.Context(), o))
			}
		}
	}
	w.server()
	r := reconciler(robot)
	for range 3 {
		if _, err := r.Reconcile(t.Context(), w.request()); err != nil {
			t.Log(err)
		}
	}
	w.wants(v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	for name := range w.owned() {
		kind, name, _ := strings.Cut(name, "/")
		o := newObject(kind)
		w.read(name, o)
		o.SetManagedFields(nil)
		if content := fmt.Sprintf("%+v", o); strings.Contains(content, "mallory") || strings.Contains(content, "HostNetwork:true") {
			t.Errorf("%s %s has still got what somebody has put there: %s", kind, name, content)
		}
	}
	binding := &rbacv1.RoleBinding{}
	w.read(w.gateway(), binding)
	if binding.RoleRef.Name != w.gateway() || !metav1.IsControlledBy(binding, w.get()) {
		t.Errorf("the RoleBinding is to %v, with the owners %v", binding.RoleRef, binding.OwnerReferences)
	}
	role := &rbacv1.Role{}
	w.read(w.gateway(), role)
	for _, rule := range role.Rules {
		if len(rule.ResourceNames) == 0 && rule.Resources[0] == "secrets" {
			t.Errorf("the gateway may read every Secret: %v", role.Rules)
		}
	}
}

// What has our labels, and neither our names nor the note of what was applied, is
// somebody's: it is left alone.
func TestWhatMerelyLooksLikeOurs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, namespace(t), "weather")
	w.server()
	role := &rbacv1.Role{ObjectMeta: w.meta(w.gateway())}
	role.Labels = map[string]string{
		"app.kubernetes.io/name": "vestibule-gateway", "app.kubernetes.io/managed-by": "vestibule",
		"app.kubernetes.io/instance": "weather", "app.kubernetes.io/component": "gateway",
	}
	w.create(role)
	before := w.bytes(role)
	w.pass(reconciler(robot))
	w.wants(v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonNameConflict)
	if w.bytes(role) != before {
		t.Error("it was written")
	}
	if err := admin.Get(t.Context(), client.ObjectKey{Namespace: w.namespace, Name: w.gateway()}, &appsv1.Deployment{}); !apierrors.IsNotFound(err) {
		t.Errorf("there is a gateway nevertheless: %v", err)
	}
}
