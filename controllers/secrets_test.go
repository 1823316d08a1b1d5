//go:build integration

package controllers

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vestibule.dev/vestibule/api/v1alpha1"
)

// allow labels the Secret of the upstream, or takes the label away.
func (w *world) allow(value string) {
	w.t.Helper()
	s := &corev1.Secret{}
	w.read(w.name+"-oidc", s)
	s.Labels = nil
	if value != "" {
		s.Labels = map[string]string{v1alpha1.LabelAllowedFor: value}
	}
	must(w.t, admin.Update(w.t.Context(), s))
}

// Who may write an MCPServer, and read no Secret, has no gateway send one to where
// they like: a Secret says itself who may use it.
func TestAttackSecretOfSomebodyElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t, namespace(t), "weather")
	w.server()
	tapped := newTap(nil)
	r := reconciler(tapped)
	for _, label := range []string{"", "forecast", "Any", "weather-oidc"} {
		w.allow(label)
		w.pass(r)
		w.wants(v1alpha1.ConditionUpstreamReady, metav1.ConditionFalse, v1alpha1.ReasonSecretNotAllowed)
		command := "kubectl label secret weather-oidc -n " + w.namespace + " mcp.vestibule.dev/allowed-for=weather"
		if c := w.condition(v1alpha1.ConditionReady); c.Reason != v1alpha1.ReasonSecretNotAllowed || !strings.Contains(c.Message, command) {
			t.Errorf("with the label %q Ready says %s: %s", label, c.Reason, c.Message)
		}
		for _, v := range w.deployment().Spec.Template.Spec.Volumes {
			if v.Projected != nil && len(v.Projected.Sources) > 0 {
				t.Fatalf("with the label %q the gateway has %v", label, v.Projected.Sources)
			}
		}
	}
	if slices.Contains(tapped.calls, "get *v1.Secret weather-oidc") {
		t.Error("the controller reads what it may not use")
	}

	w.allow("weather")
	w.pass(r)
	if !slices.Contains(tapped.calls, "get *v1.Secret weather-oidc") {
		t.Error("the controller does not read what it may use, so the test before says nothing")
	}
	w.reports(w.rollOut(), nil)
	w.pass(r)
	w.wants(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)

	// Taken back: the gateway that runs stays as it is, and nothing new gets the Secret.
	running := w.deployment().Generation
	w.allow("")
	w.change(func(s *v1alpha1.MCPServer) { s.Spec.Upstreams[0].OIDC.IssuerURL = "https://mallory.example.com" })
	w.pass(r)
	w.wants(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonSecretNotAllowed)
	if w.deployment().Generation != running {
		t.Error("a gateway is rolled out with a Secret that it may not use")
	}
	w.allow(v1alpha1.AllowedForAny)
	w.pass(r)
	if w.deployment().Generation == running {
		t.Error("a Secret that is for all is not used")
	}
}
