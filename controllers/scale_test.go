//go:build integration

package controllers

import (
	"slices"
	"sync"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vestibule.dev/vestibule/api/v1alpha1"
)

// scaled collects every number of replicas that the Deployment ever had from now on.
func (w *world) scaled() (seen func() []int32) {
	w.t.Helper()
	watch, err := admin.Watch(w.t.Context(), &appsv1.DeploymentList{}, client.InNamespace(w.namespace))
	must(w.t, err)
	var all []int32
	var mu sync.Mutex
	go func() {
		for e := range watch.ResultChan() {
			if d, ok := e.Object.(*appsv1.Deployment); ok {
				mu.Lock()
				all = append(all, *d.Spec.Replicas)
				mu.Unlock()
			}
		}
	}()
	w.t.Cleanup(watch.Stop)
	return func() []int32 {
		mu.Lock()
		defer mu.Unlock()
		return slices.Compact(slices.Clone(all))
	}
}

// autoscale does what an autoscaler does.
func (w *world) autoscale(replicas int32) {
	w.t.Helper()
	scale := &autoscalingv1.Scale{Spec: autoscalingv1.ScaleSpec{Replicas: replicas}}
	must(w.t, admin.SubResource("scale").Update(w.t.Context(), w.deployment(), client.WithSubResourceBody(scale), client.FieldOwner("kube-controller-manager")))
}

func autoscaling(s *v1alpha1.MCPServer) {
	s.Spec.Gateway.Autoscaling = &v1alpha1.Autoscaling{MinReplicas: 2, MaxReplicas: 6}
}

// Replicas pass from the spec to an autoscaler and back, and a Deployment never loses
// its pods on the way.
func TestReplicasAreLeftToAnAutoscaler(t *testing.T) {
	t.Parallel()
	w := newWorld(t, namespace(t), "weather")
	w.server(func(s *v1alpha1.MCPServer) { s.Spec.Gateway.Replicas = 3 })
	r := reconciler(robot)
	w.pass(r)
	seen := w.scaled()
	want := func(replicas int32, when string) {
		t.Helper()
		w.pass(r)
		w.pass(r)
		if got := *w.deployment().Spec.Replicas; got != replicas {
			t.Errorf("%s, there are %d replicas, want %d", when, got, replicas)
		}
	}
	w.change(autoscaling)
	want(3, "with an autoscaler that has not decided yet")
	a := &autoscalingv2.HorizontalPodAutoscaler{}
	w.read(w.gateway(), a)
	if a.Spec.ScaleTargetRef.Name != w.gateway() || *a.Spec.MinReplicas != 2 || a.Spec.MaxReplicas != 6 {
		t.Errorf("the autoscaler: %v", a.Spec)
	}
	// It changes the pods as well, and still leaves their number alone.
	labelled := func(value string) {
		w.change(func(s *v1alpha1.MCPServer) {
			s.Spec.Gateway.PodTemplate = &v1alpha1.PodTemplate{Labels: map[string]string{"team": value}}
		})
	}
	labelled("one")
	want(3, "with other pods")
	w.autoscale(5)
	want(5, "with an autoscaler that has decided")
	labelled("two")
	want(5, "with other pods then")
	r = reconciler(robot)
	want(5, "with another controller")
	w.rollOut()
	w.pass(r)
	w.wants(v1alpha1.ConditionGatewayAvailable, isTrue, v1alpha1.ReasonAvailable)
	if m := w.condition(v1alpha1.ConditionGatewayAvailable).Message; m != "5 of 5 replicas are available with the current configuration." {
		t.Errorf("the condition says: %s", m)
	}
	w.read(w.gateway(), a)
	a.Status.Conditions = []autoscalingv2.HorizontalPodAutoscalerCondition{{Type: autoscalingv2.ScalingActive, Status: corev1.ConditionFalse, Message: "no metrics"}}
	must(t, admin.Status().Update(t.Context(), a))
	w.pass(r)
	w.wants(v1alpha1.ConditionGatewayAvailable, isTrue, v1alpha1.ReasonNotScaling)

	w.autoscale(0) // which is for maintenance, and no autoscaler ends it
	want(2, "after there were none")
	w.autoscale(4)
	want(4, "with an autoscaler that has decided again")

	w.change(func(s *v1alpha1.MCPServer) { s.Spec.Gateway.Autoscaling = nil })
	want(3, "without it")
	if _, ok := w.owned()["HorizontalPodAutoscaler/"+w.gateway()]; ok {
		t.Error("the autoscaler stays")
	}
	w.autoscale(4)
	want(3, "when somebody scales by hand")
	w.change(autoscaling)
	want(3, "with an autoscaler again")
	// 0 is when somebody asked for none, and 2 the minimum after that.
	all := []int32{3, 5, 0, 2, 4, 3, 4, 3}
	w.eventually("every number of replicas", func() bool { return len(seen()) >= len(all) })
	if !slices.Equal(seen(), all) {
		t.Errorf("there were %v replicas, want %v", seen(), all)
	}
}

// With an autoscaler from the start, it begins with what it has at least.
func TestAnAutoscaledServerBeginsWithItsMinimum(t *testing.T) {
	t.Parallel()
	w := newWorld(t, namespace(t), "weather")
	w.server(autoscaling)
	r := reconciler(robot)
	for range 3 {
		w.pass(r)
		if got := *w.deployment().Spec.Replicas; got != 2 {
			t.Errorf("%d replicas", got)
		}
	}
	w.autoscale(6)
	w.pass(r)
	if got := *w.deployment().Spec.Replicas; got != 6 {
		t.Errorf("%d replicas", got)
	}
}

func TestANetworkPolicyComesAndGoes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, namespace(t), "weather")
	mine := &networkingv1.NetworkPolicy{ObjectMeta: w.meta(w.gateway())}
	w.create(mine) // of somebody else, whose name is not needed
	w.server()
	r := reconciler(robot)
	w.pass(r)
	w.wants(v1alpha1.ConditionAccepted, isTrue, v1alpha1.ReasonAccepted)
	policy := func(operator metav1.LabelSelectorOperator) {
		w.change(func(s *v1alpha1.MCPServer) {
			s.Spec.Gateway.NetworkPolicy = &v1alpha1.NetworkPolicy{IngressFrom: []v1alpha1.NetworkPolicyPeer{{
				NamespaceSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: corev1.LabelMetadataName, Operator: operator, Values: []string{"ingress"}}}},
			}}}
		})
		w.pass(r)
	}
	policy(metav1.LabelSelectorOpIn)
	w.wants(v1alpha1.ConditionAccepted, isFalse, v1alpha1.ReasonNameConflict)
	w.remove(mine, w.gateway())
	w.pass(r)
	w.wants(v1alpha1.ConditionAccepted, isTrue, v1alpha1.ReasonAccepted)
	p := &networkingv1.NetworkPolicy{}
	w.read(w.gateway(), p)
	if len(p.Spec.Ingress) != 1 || p.Spec.Ingress[0].Ports[0].Port.IntValue() != 8080 || len(p.Spec.Egress) > 0 || len(p.Spec.PolicyTypes) != 1 {
		t.Errorf("the policy: %v", p.Spec)
	}
	policy("Beside")
	w.wants(v1alpha1.ConditionAccepted, isFalse, v1alpha1.ReasonObjectRefused)
	w.change(func(s *v1alpha1.MCPServer) { s.Spec.Gateway.NetworkPolicy = nil })
	w.pass(r)
	w.wants(v1alpha1.ConditionAccepted, isTrue, v1alpha1.ReasonAccepted)
	if _, ok := w.owned()["NetworkPolicy/"+w.gateway()]; ok {
		t.Error("the policy stays")
	}
}
