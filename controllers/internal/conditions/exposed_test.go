package conditions_test

import (
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/controllers/internal/conditions"
	"vestibule.dev/vestibule/gateway/config"
)

const document = "https://weather.example.com/.well-known/oauth-authorization-server"

// public lets some replicas report that the check of publicURL fails.
func public(reason, message string, pods ...int) func(*conditions.Observation) {
	return func(o *conditions.Observation) {
		for _, i := range pods {
			report(o, i).Public = failed(reason, message)
		}
	}
}

// routed asks for an HTTPRoute, of which parents say this.
func routed(parents ...gatewayv1.RouteParentStatus) func(*conditions.Observation) {
	return func(o *conditions.Observation) {
		o.Server.Spec.Gateway.HTTPRoute = &v1alpha1.HTTPRoute{ParentRefs: []v1alpha1.ParentRef{{Name: "public"}}}
		o.Route = &gatewayv1.HTTPRoute{ObjectMeta: metav1.ObjectMeta{Generation: 3}}
		o.Route.Status.Parents = parents
	}
}

func parent(name string, conditions ...metav1.Condition) gatewayv1.RouteParentStatus {
	namespace := gatewayv1.Namespace("infrastructure")
	return gatewayv1.RouteParentStatus{
		ParentRef:  gatewayv1.ParentReference{Name: gatewayv1.ObjectName(name), Namespace: &namespace},
		Conditions: conditions,
	}
}

func said(conditionType string, status metav1.ConditionStatus, reason, message string) metav1.Condition {
	return metav1.Condition{Type: conditionType, Status: status, Reason: reason, Message: message, ObservedGeneration: 3}
}

// ingress asks for an Ingress, which has these addresses.
func ingress(addresses ...string) func(*conditions.Observation) {
	return func(o *conditions.Observation) {
		o.Server.Spec.Gateway.Ingress = &v1alpha1.Ingress{}
		o.Ingress = &networkingv1.Ingress{}
		for _, a := range addresses {
			o.Ingress.Status.LoadBalancer.Ingress = append(o.Ingress.Status.LoadBalancer.Ingress, networkingv1.IngressLoadBalancerIngress{IP: a})
		}
	}
}

func both(seen ...func(*conditions.Observation)) func(*conditions.Observation) {
	return func(o *conditions.Observation) {
		for _, s := range seen {
			s(o)
		}
	}
}

func TestExposed(t *testing.T) {
	const unreachable, elsewhere = config.ReasonPublicURLUnreachable, config.ReasonPublicURLNotServed
	accepted := parent("public", said("Accepted", isTrue, "Accepted", ""), said("ResolvedRefs", isTrue, "ResolvedRefs", ""))
	for name, tc := range map[string]struct {
		seen    func(o *conditions.Observation)
		status  metav1.ConditionStatus
		reason  string
		message string
	}{
		"gateways alone decide":                      {func(*conditions.Observation) {}, isTrue, v1alpha1.ReasonExposed, ""},
		"an older gateway does not say":              {func(o *conditions.Observation) { clearPublic(o, 0, 1, 2) }, isUnknown, v1alpha1.ReasonNotReported, ""},
		"some are older":                             {func(o *conditions.Observation) { clearPublic(o, 0, 1) }, isTrue, v1alpha1.ReasonExposed, ""},
		"one sees another answer":                    {public(elsewhere, "404", 1), isFalse, v1alpha1.ReasonPublicURLNotServed, "1 of 3 replicas: publicURL: 404. Let what serves publicURL"},
		"one cannot ask, and others have the answer": {public(unreachable, "timeout", 0, 1), isTrue, v1alpha1.ReasonExposed, ""},
		"none can ask":                               {public(unreachable, "timeout", 0, 1, 2), isUnknown, v1alpha1.ReasonPublicURLUnreachable, "3 of 3 replicas: publicURL: timeout. Gateways cannot reach publicURL from inside"},
		"none trusts":                                {public(config.ReasonPublicURLUntrusted, "who?", 0, 1, 2), isUnknown, v1alpha1.ReasonPublicURLUntrusted, "Clients may trust it"},
		"a wrong answer is more than none":           {both(public(unreachable, "timeout", 0, 1), public(elsewhere, "404", 2)), isFalse, v1alpha1.ReasonPublicURLNotServed, "1 of 3"},
		"a reason of a newer gateway":                {public("TooNew", "odd", 0), isFalse, v1alpha1.ReasonCheckFailed, "odd (TooNew)"},
		"loopback":                                   {func(o *conditions.Observation) { o.Server.Spec.PublicURL = "http://localhost:8788/a" }, isUnknown, v1alpha1.ReasonLoopbackURL, ""},
		"the cluster could not be asked":             {func(o *conditions.Observation) { o.Gateway = nil }, isUnknown, v1alpha1.ReasonNotObserved, ""},
		"a missing PodMonitor is another matter": {func(o *conditions.Observation) {
			o.Missing = []conditions.Missing{{Field: "gateway.podMonitor"}}
		}, isTrue, v1alpha1.ReasonExposed, ""},

		"accepted, and it answers": {routed(accepted), isTrue, v1alpha1.ReasonExposed, ""},
		"a route of before stands": {routed(), isTrue, v1alpha1.ReasonExposed, ""},
		"not accepted, though something answers": {routed(parent("public", said("Accepted", isFalse, "NoMatchingParent", "No such listener."))), isFalse, v1alpha1.ReasonRouteRejected,
			"Gateway public in namespace infrastructure says that Accepted of HTTPRoute weather-gateway is False, NoMatchingParent: No such listener. Change"},
		"accepted by one of two": {routed(accepted, parent("inner", said("Accepted", isFalse, "NoMatchingParent", "No such listener."))), isFalse, v1alpha1.ReasonRouteRejected, "Gateway inner"},
		"refs that lead nowhere": {routed(parent("public", said("Accepted", isTrue, "Accepted", ""), said("ResolvedRefs", isFalse, "BackendNotFound", "No Service."))), isFalse, v1alpha1.ReasonRouteRejected, "ResolvedRefs"},
		"refused in another generation": {both(nobodyReports, routed(parent("public", metav1.Condition{
			Type: "Accepted", Status: isFalse, ObservedGeneration: 2}))), isUnknown, v1alpha1.ReasonRoutePending, "HTTPRoute weather-gateway"},
		"accepted, and nobody can ask":   {both(routed(accepted), public(unreachable, "timeout", 0, 1, 2)), isUnknown, v1alpha1.ReasonPublicURLUnreachable, ""},
		"awaited, and nobody can ask":    {both(routed(), public(unreachable, "timeout", 0, 1, 2)), isUnknown, v1alpha1.ReasonRoutePending, ""},
		"awaited, and something answers": {both(routed(), public(elsewhere, "404", 0, 1, 2)), isFalse, v1alpha1.ReasonPublicURLNotServed, ""},
		"not there yet":                  {both(nobodyReports, routed(), func(o *conditions.Observation) { o.Route = nil }), isUnknown, v1alpha1.ReasonRoutePending, ""},
		"not applied, as the spec is refused": {both(nobodyReports, routed(), func(o *conditions.Observation) {
			o.Refusals = []conditions.Refusal{{Reason: v1alpha1.ReasonPublicURLTaken}}
		}), isUnknown, v1alpha1.ReasonNotReported, ""},
		"an Ingress without an address":   {both(nobodyReports, ingress()), isUnknown, v1alpha1.ReasonIngressPending, ""},
		"without one, and it answers":     {ingress(), isTrue, v1alpha1.ReasonExposed, ""},
		"an Ingress, and nobody said":     {both(nobodyReports, ingress("192.0.2.1")), isUnknown, v1alpha1.ReasonNotReported, ""},
		"an Ingress that leads elsewhere": {both(ingress("192.0.2.1"), public(elsewhere, "404", 0, 1, 2)), isFalse, v1alpha1.ReasonPublicURLNotServed, ""},
	} {
		t.Run(name, func(t *testing.T) {
			o := good()
			tc.seen(o)
			all := conditions.All(o)
			c := meta.FindStatusCondition(all, v1alpha1.ConditionExposed)
			if c.Status != tc.status || c.Reason != tc.reason || !strings.Contains(c.Message, tc.message) {
				t.Errorf("%s/%s: %s", c.Status, c.Reason, c.Message)
			}
			if r := meta.FindStatusCondition(all, v1alpha1.ConditionReady); strings.HasPrefix(r.Message, v1alpha1.ConditionExposed) {
				t.Errorf("Ready waits for it: %s", r.Message)
			}
		})
	}
}

func clearPublic(o *conditions.Observation, pods ...int) {
	for _, i := range pods {
		report(o, i).Public = config.Check{}
	}
}
