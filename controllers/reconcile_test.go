//go:build integration

package controllers

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/controllers/internal/resources"
)

// The whole way of one MCPServer: from nothing to Ready.
func TestAnMCPServerBecomesReady(t *testing.T) {
	t.Parallel()
	w := newWorld(t, namespace(t), "weather")
	w.server()
	r := reconciler(robot)
	w.pass(r)
	w.wants(v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	w.wants(v1alpha1.ConditionReady, metav1.ConditionUnknown, v1alpha1.ReasonNotReported)

	pods := w.rollOut()
	w.pass(r)
	w.wants(v1alpha1.ConditionGatewayAvailable, metav1.ConditionTrue, v1alpha1.ReasonAvailable)

	w.reports(pods, nil)
	w.pass(r)
	w.wants(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	w.wants(v1alpha1.ConditionMCPManagerCompatible, metav1.ConditionTrue, v1alpha1.ReasonCompatible)
	if url := w.get().Status.URL; url != w.get().Spec.PublicURL+"/mcp" {
		t.Errorf("status.url is %s", url)
	}
}

// A pass over a cluster at rest writes nothing and reads nothing but the cache; a
// second controller finds everything as it would have made it.
func TestAtRestNothingIsWritten(t *testing.T) {
	t.Parallel()
	w := newWorld(t, namespace(t), "weather")
	ready(w)
	before := w.versions()

	c := newTap(nil)
	r := reconciler(c)
	w.pass(r)
	differ(t, "a second controller changes something", before, w.versions())
	if len(c.writes) > 0 {
		t.Errorf("a second controller writes: %v", c.writes)
	}

	for _, event := range []struct {
		name   string
		happen func()
	}{
		{"nothing", func() {}},
		{"a Deployment's status", func() { w.deploymentSays(progressing(corev1.ConditionTrue, "NewReplicaSetAvailable", "more")) }},
	} {
		event.happen()
		c.reset()
		w.pass(r)
		if len(c.writes) > 0 {
			t.Errorf("after %s it writes: %v", event.name, c.writes)
		}
	}
}

// What somebody changed or removed is made good; what is not ours stays.
func TestDriftIsRepaired(t *testing.T) {
	t.Parallel()
	w := newWorld(t, namespace(t), "weather")
	ready(w)
	r := reconciler(robot)
	w.pass(r)
	want := w.snapshot()
	name := w.gateway()

	for _, drift := range []struct {
		name string
		o    client.Object
		by   func(client.Object)
	}{
		{name, &appsv1.Deployment{}, func(o client.Object) {
			o.(*appsv1.Deployment).Spec.Template.Spec.Containers[0].Image = "registry.example.com/other"
		}},
		{name, &appsv1.Deployment{}, func(o client.Object) { o.SetLabels(nil) }},
		{name, &corev1.Service{}, func(o client.Object) { o.(*corev1.Service).Spec.Selector["app"] = "other" }},
		{name, &corev1.Service{}, func(o client.Object) { o.(*corev1.Service).Spec.Ports[0].TargetPort = intstr.FromInt32(81) }},
		{name, &corev1.ServiceAccount{}, func(o client.Object) { o.SetLabels(nil) }},
		{name, &rbacv1.Role{}, func(o client.Object) {
			o.(*rbacv1.Role).Rules = append(o.(*rbacv1.Role).Rules, rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get"}})
		}},
		{name, &rbacv1.Role{}, func(o client.Object) { o.(*rbacv1.Role).Rules[0].Verbs = []string{"*"} }},
		{name, &rbacv1.RoleBinding{}, func(o client.Object) { o.(*rbacv1.RoleBinding).Subjects = nil }},
		{name, &policyv1.PodDisruptionBudget{}, func(o client.Object) {
			o.(*policyv1.PodDisruptionBudget).Spec.MaxUnavailable = ptr.To(intstr.FromInt32(5))
		}},
		{name + "-policy", &corev1.ConfigMap{}, func(o client.Object) { o.(*corev1.ConfigMap).Data["policy.json"] = "{}" }},
	} {
		// Both by one that has seen it otherwise, and by one that starts afterwards.
		for _, r := range []*Reconciler{r, reconciler(robot)} {
			o := drift.o.DeepCopyObject().(client.Object)
			w.read(drift.name, o)
			before := o.DeepCopyObject().(client.Object)
			drift.by(o)
			must(t, admin.Patch(t.Context(), o, client.MergeFrom(before)))
			w.pass(r)
			differ(t, fmt.Sprintf("after drift of %T %s", o, drift.name), want, w.snapshot())
		}
	}

	for _, o := range []client.Object{
		&appsv1.Deployment{}, &corev1.Service{}, &corev1.ServiceAccount{}, &rbacv1.Role{}, &rbacv1.RoleBinding{}, &policyv1.PodDisruptionBudget{},
	} {
		w.remove(o, name)
		w.pass(r)
	}
	for _, n := range []string{name + "-policy", name + "-report", w.deployment().Spec.Template.Annotations[resources.AnnotationConfig]} {
		w.remove(&corev1.ConfigMap{}, n)
		w.pass(r)
	}
	differ(t, "after everything but the store was deleted", want, w.snapshot())
}

// What a spec does not ask for any more goes; what it asks for again comes back.
func TestOptionalChildrenComeAndGo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, namespace(t), "weather")
	ready(w)
	r := reconciler(robot)
	replicas := func(n int32) map[string]string {
		w.change(func(s *v1alpha1.MCPServer) { s.Spec.Gateway.Replicas = n })
		w.pass(r)
		return w.snapshot()
	}
	two := replicas(2)
	one := replicas(1)
	if _, ok := one["PodDisruptionBudget/weather-gateway"]; ok {
		t.Error("a single replica has a disruption budget")
	}
	if spec := w.deployment().Spec.Template.Spec; len(spec.TopologySpreadConstraints) > 0 {
		t.Errorf("a single replica is spread: %v", spec.TopologySpreadConstraints)
	}
	differ(t, "after 2, 1 and 2 replicas", two, replicas(2))

	// A reference and its volume.
	w.change(func(s *v1alpha1.MCPServer) { s.Spec.Upstreams[0].OIDC.ClientSecretRef = nil })
	w.pass(r)
	for _, v := range w.deployment().Spec.Template.Spec.Volumes {
		if v.Projected != nil && len(v.Projected.Sources) > 0 {
			t.Errorf("without references, the pods are given %v", v.Projected.Sources)
		}
	}
	w.change(func(s *v1alpha1.MCPServer) {
		s.Spec.Upstreams[0].OIDC.ClientSecretRef = &v1alpha1.KeyReference{Name: "weather-oidc", Key: "client-secret"}
	})
	w.pass(r)
	differ(t, "after a reference went and came", two, w.snapshot())
}

// Everything goes with the MCPServer, and is nobody else's.
func TestChildrenAreOwned(t *testing.T) {
	t.Parallel()
	w := newWorld(t, namespace(t), "weather")
	ready(w)
	server, owned := w.get(), w.owned()
	if len(owned) != 12 {
		t.Errorf("%d objects are owned: %v", len(owned), owned)
	}
	for name, o := range owned {
		want := []metav1.OwnerReference{{
			APIVersion: "mcp.vestibule.dev/v1alpha1", Kind: "MCPServer", Name: server.Name, UID: server.UID,
			Controller: ptr.To(true), BlockOwnerDeletion: ptr.To(true),
		}}
		if diff := cmp.Diff(want, o.GetOwnerReferences()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if len(o.GetFinalizers()) > 0 {
			t.Errorf("%s has finalizers", name)
		}
	}
	// Who is on the way out is not brought back.
	w.change(func(s *v1alpha1.MCPServer) { s.Finalizers = []string{"example.com/wait"} })
	must(t, admin.Delete(t.Context(), server))
	w.remove(&corev1.Service{}, w.gateway())
	w.pass(reconciler(robot))
	if _, ok := w.owned()["Service/weather-gateway"]; ok {
		t.Error("an MCPServer that is being deleted gets a new Service")
	}
	w.change(func(s *v1alpha1.MCPServer) { s.Finalizers = nil })
	w.pass(reconciler(robot)) // Nothing is left to look at.
}

// What is in the report is the gateways', and what is in a shard too.
func TestWhatGatewaysWroteStays(t *testing.T) {
	t.Parallel()
	w := newWorld(t, namespace(t), "weather")
	ready(w)
	r := reconciler(robot)
	shard := &corev1.Secret{}
	w.read("weather-gateway-grants-0", shard)
	if len(shard.ManagedFields) > 0 {
		t.Errorf("a shard has managed fields: %v", shard.ManagedFields)
	}
	if diff := cmp.Diff(map[string][]byte{"_shard": {1}}, shard.Data); diff != "" {
		t.Errorf("a new shard (-want +got):\n%s", diff)
	}
	before := shard.DeepCopy()
	shard.Data["record"] = []byte("sealed")
	must(t, admin.Patch(t.Context(), shard, client.MergeFrom(before)))
	report := &corev1.ConfigMap{}
	w.read("weather-gateway-report", report)
	w.pass(r)
	w.pass(reconciler(robot))

	var shardNow corev1.Secret
	var reportNow corev1.ConfigMap
	w.read(shard.Name, &shardNow)
	w.read(report.Name, &reportNow)
	if diff := cmp.Diff(shard.Data, shardNow.Data); diff != "" || len(shardNow.ManagedFields) > 0 {
		t.Errorf("the shard, with %d managed fields (-want +got):\n%s", len(shardNow.ManagedFields), diff)
	}
	if diff := cmp.Diff(report.Data, reportNow.Data); diff != "" {
		t.Errorf("the report (-want +got):\n%s", diff)
	}
}

// Reports of pods that are gone do not fill the object up, and those of pods that
// are there stay.
func TestOldReportsAreCleared(t *testing.T) {
	t.Parallel()
	w := newWorld(t, namespace(t), "weather")
	ready(w)
	m := &corev1.ConfigMap{}
	w.read("weather-gateway-report", m)
	want, before := maps.Clone(m.Data), m.DeepCopy()
	for i := range manyReports + 1 {
		m.Data[fmt.Sprintf("gone-%d", i)] = "{}"
	}
	must(t, admin.Patch(t.Context(), m, client.MergeFrom(before)))
	w.pass(reconciler(robot))
	w.read("weather-gateway-report", m)
	if diff := cmp.Diff(want, m.Data); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A configuration goes when no pod has it any more, not before.
func TestOldConfigurationsAreRemoved(t *testing.T) {
	t.Parallel()
	w := newWorld(t, namespace(t), "weather")
	ready(w)
	r := reconciler(robot)
	configs := func() int {
		n := 0
		for name := range w.owned() {
			if strings.HasPrefix(name, "ConfigMap/weather-gateway-config-") {
				n++
			}
		}
		return n
	}
	w.change(func(s *v1alpha1.MCPServer) { s.Spec.OAuth.AccessTokenTTLSeconds = 600 })
	w.pass(r)
	if n := configs(); n != 2 {
		t.Errorf("%d configurations while old pods run, want 2", n)
	}
	pods := w.currentPods()
	for i := range pods {
		w.remove(&pods[i], pods[i].Name) // Evicted, and about to be made anew.
	}
	w.pass(r)
	if n := configs(); n != 2 {
		t.Errorf("%d configurations while old pods may come back, want 2", n)
	}
	for i := range pods {
		pods[i].ResourceVersion, pods[i].UID = "", ""
		w.create(&pods[i])
	}
	w.deploymentSays(progressing(corev1.ConditionTrue, "NewReplicaSetAvailable", "")) // But pods are still there.
	w.pass(r)
	if n := configs(); n != 2 {
		t.Errorf("%d configurations while old pods end, want 2", n)
	}
	w.rollOut()
	w.pass(r)
	if n := configs(); n != 1 {
		t.Errorf("%d configurations after the rollout, want 1", n)
	}
}

// What gateways read at their start rolls them; what they watch does not.
func TestWhatRollsGateways(t *testing.T) {
	t.Parallel()
	w := newWorld(t, namespace(t), "weather")
	ready(w)
	r := reconciler(robot)
	for _, c := range []struct {
		name   string
		change func()
		rolls  bool
	}{
		{"a lifetime", func() { w.change(func(s *v1alpha1.MCPServer) { s.Spec.OAuth.AccessTokenTTLSeconds = 600 }) }, true},
		{"a secret's content", func() { w.secret("an0ther") }, true},
		{"a secret's label", func() {
			s := &corev1.Secret{}
			w.read("weather-oidc", s)
			s.Labels["a"] = "b"
			must(t, admin.Update(t.Context(), s))
		}, false},
		{"a scope", func() {
			w.change(func(s *v1alpha1.MCPServer) {
				s.Spec.OAuth.Scopes = append(s.Spec.OAuth.Scopes, v1alpha1.Scope{Name: "weather:write"})
			})
		}, false},
		{"a required scope", func() { w.change(func(s *v1alpha1.MCPServer) { s.Spec.Routes[0].RequiredScopes = nil }) }, false},
		{"an access rule", func() {
			w.change(func(s *v1alpha1.MCPServer) {
				s.Spec.Access = &v1alpha1.Access{Rules: []v1alpha1.AccessRule{{Name: "all", Expression: "true"}}}
			})
		}, false},
		{"an origin", func() {
			w.change(func(s *v1alpha1.MCPServer) { s.Spec.Gateway.AllowedOrigins = []string{"https://app.example.com"} })
		}, false},
		{"the image", func() { r.Image = "registry.example.com/vestibule/gateway:v2" }, true},
		{"a secret that is gone", func() { w.remove(&corev1.Secret{}, "weather-oidc") }, false},
		{"the same secret again", func() { w.secret("an0ther") }, false},
		{"a secret that is not allowed any more", func() { w.allow("") }, false},
		{"a secret that is allowed for all", func() { w.allow(v1alpha1.AllowedForAny) }, false},
		{"a Service that is gone", func() { w.remove(&corev1.Service{}, "weather-backend") }, false},
		{"a rule that does not compile", func() { w.change(func(s *v1alpha1.MCPServer) { s.Spec.Access.Rules[0].Expression = "claims." }) }, false},
	} {
		before := w.deployment().Generation
		c.change()
		w.pass(r)
		if rolled := w.deployment().Generation != before; rolled != c.rolls {
			t.Errorf("%s: rolled is %v", c.name, rolled)
		}
	}
}
