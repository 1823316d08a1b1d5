//go:build integration

package controllers

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/gateway/config"
)

// httpRoutes is the CRD of the Gateway API's own release.
func httpRoutes(t *testing.T) *apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/gateway-api").Output()
	must(t, err)
	data, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "config", "crd", "standard", "gateway.networking.k8s.io_httproutes.yaml"))
	must(t, err)
	crd := &apiextensionsv1.CustomResourceDefinition{}
	must(t, yaml.Unmarshal(data, crd))
	return crd
}

// parentsSay is what whoever implements the Gateway API writes.
func (w *world) parentsSay(status metav1.ConditionStatus, reason, message string) {
	w.t.Helper()
	route := &gatewayv1.HTTPRoute{}
	w.read(w.gateway(), route)
	route.Status.Parents = []gatewayv1.RouteParentStatus{{
		ParentRef: route.Spec.ParentRefs[0], ControllerName: "example.com/controller",
		Conditions: []metav1.Condition{{
			Type: string(gatewayv1.RouteConditionAccepted), Status: status, Reason: reason, Message: message,
			ObservedGeneration: route.Generation, LastTransitionTime: metav1.Now(),
		}},
	}}
	must(w.t, admin.Status().Update(w.t.Context(), route))
}

// A server is exposed by an HTTPRoute, then by an Ingress, then by neither, and says at
// each step what comes of it.
func TestAServerIsExposed(t *testing.T) {
	start(t, account(t, "default"))
	w := newWorld(t, namespace(t), "weather")
	w.server(func(s *v1alpha1.MCPServer) {
		s.Spec.PublicURL = "https://" + w.namespace + ".example.com/team/weather"
		s.Spec.Gateway.HTTPRoute = &v1alpha1.HTTPRoute{
			ParentRefs:  []v1alpha1.ParentRef{{Name: "public", Namespace: "infrastructure", SectionName: "https", Port: 443}},
			Labels:      map[string]v1alpha1.LabelValue{"team": "weather"},
			Annotations: map[string]v1alpha1.AnnotationValue{"example.com/note": "a: b"},
		}
	})
	if c := w.becomes(v1alpha1.ConditionExposed, metav1.ConditionFalse, v1alpha1.ReasonAPIMissing); !strings.HasPrefix(c.Message, "gateway.httpRoute: ") {
		t.Errorf("it says %s", c.Message)
	}
	pods := w.rollOut()
	w.reports(pods, func(_ int, r *config.Report) { r.Public = config.Check{} })
	w.becomes(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady) // It does not wait for that.

	crd := httpRoutes(t)
	install(t, crd)
	w.becomes(v1alpha1.ConditionExposed, metav1.ConditionUnknown, v1alpha1.ReasonRoutePending)
	w.eventually("the HTTPRoute", func() bool { return w.child(kindHTTPRoute) != nil })
	route := &gatewayv1.HTTPRoute{}
	w.read(w.gateway(), route)
	if diff := cmp.Diff([]gatewayv1.Hostname{gatewayv1.Hostname(w.namespace + ".example.com")}, route.Spec.Hostnames); diff != "" {
		t.Error(diff)
	}
	if rule := route.Spec.Rules[0]; len(rule.Matches) != 4 || *rule.Timeouts.Request != "0s" || *rule.BackendRefs[0].Port != 80 || string(rule.BackendRefs[0].Name) != w.gateway() {
		t.Errorf("the rule is %+v", rule)
	}
	if route.Labels["team"] != "weather" || route.Annotations["example.com/note"] != "a: b" {
		t.Errorf("its metadata is %+v", route.ObjectMeta)
	}
	w.parentsSay(metav1.ConditionFalse, "NotAllowedByListeners", "Not from this namespace.")
	if c := w.becomes(v1alpha1.ConditionExposed, metav1.ConditionFalse, v1alpha1.ReasonRouteRejected); !strings.Contains(c.Message, "Not from this namespace.") {
		t.Errorf("it says %s", c.Message)
	}
	w.parentsSay(metav1.ConditionTrue, "Accepted", "")
	w.becomes(v1alpha1.ConditionExposed, metav1.ConditionUnknown, v1alpha1.ReasonNotReported)
	w.reports(pods, nil)
	w.becomes(v1alpha1.ConditionExposed, metav1.ConditionTrue, v1alpha1.ReasonExposed)

	// Whoever changes it by hand is put right.
	w.read(w.gateway(), route)
	route.Spec.Hostnames = []gatewayv1.Hostname{"else.example.com"}
	must(t, admin.Update(t.Context(), route))
	w.eventually("the host again", func() bool { w.read(w.gateway(), route); return route.Spec.Hostnames[0] != "else.example.com" })

	w.change(func(s *v1alpha1.MCPServer) {
		s.Spec.Gateway.HTTPRoute = nil
		s.Spec.Gateway.Ingress = &v1alpha1.Ingress{ClassName: "nginx", TLS: &v1alpha1.IngressTLS{SecretName: "weather-tls"}}
	})
	w.reports(pods, func(_ int, r *config.Report) { r.Public = config.Check{} })
	w.becomes(v1alpha1.ConditionExposed, metav1.ConditionUnknown, v1alpha1.ReasonIngressPending)
	w.eventually("the end of the HTTPRoute", func() bool { return w.child(kindHTTPRoute) == nil })
	ingress := &networkingv1.Ingress{}
	w.read(w.gateway(), ingress)
	if len(ingress.Spec.Rules[0].HTTP.Paths) != 4 || ingress.Spec.TLS[0].SecretName != "weather-tls" || ptr.Deref(ingress.Spec.IngressClassName, "") != "nginx" {
		t.Errorf("the Ingress is %+v", ingress.Spec)
	}
	ingress.Status.LoadBalancer.Ingress = []networkingv1.IngressLoadBalancerIngress{{IP: "192.0.2.1"}}
	must(t, admin.Status().Update(t.Context(), ingress))
	w.becomes(v1alpha1.ConditionExposed, metav1.ConditionUnknown, v1alpha1.ReasonNotReported)

	w.change(func(s *v1alpha1.MCPServer) { s.Spec.Gateway.Ingress = nil })
	w.eventually("the end of the Ingress", func() bool { return w.child(kindIngress) == nil })
	w.reports(pods, nil)
	w.becomes(v1alpha1.ConditionExposed, metav1.ConditionTrue, v1alpha1.ReasonExposed)
}
