package conditions

import (
	"fmt"
	"net/url"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/controllers/internal/resources"
	"vestibule.dev/vestibule/gateway/config"
)

// exposed says whether clients find this server at publicURL. What was asked for and is
// refused comes first, then what gateways see there, then what is awaited.
func exposed(o *Observation) metav1.Condition {
	return exposedFact(o).of(v1alpha1.ConditionExposed)
}

func exposedFact(o *Observation) fact {
	if u, err := url.Parse(o.Server.Spec.PublicURL); err == nil && config.IsLoopback(u.Hostname()) {
		return unknown(v1alpha1.ReasonLoopbackURL, "publicURL is on loopback, which is another one for every machine and pod: only who calls it can know what answers there.")
	}
	if o.Gateway == nil {
		return notObserved()
	}
	for _, m := range o.Missing {
		if m.Field == "gateway.httpRoute" || m.Field == "gateway.ingress" {
			return no(v1alpha1.ReasonAPIMissing, "%s", m)
		}
	}
	awaited, refused := led(o)
	if refused != nil {
		return *refused
	}
	f := answered(o)
	if awaited != nil && f.status == metav1.ConditionUnknown && len(o.Refusals) == 0 { // Of what is refused nothing is applied.
		return *awaited
	}
	return f
}

// led says what is awaited of the HTTPRoute or Ingress that is asked for, and what is
// refused.
func led(o *Observation) (awaited, refused *fact) {
	name := resources.Name(o.Server)
	switch g := &o.Server.Spec.Gateway; {
	case g.HTTPRoute != nil:
		accepted := false
		if o.Route != nil {
			for i := range o.Route.Status.Parents {
				p := &o.Route.Status.Parents[i]
				for _, t := range []gatewayv1.RouteConditionType{gatewayv1.RouteConditionAccepted, gatewayv1.RouteConditionResolvedRefs} {
					c := parentCondition(o.Route, p, t)
					if c != nil && c.Status == metav1.ConditionFalse {
						f := no(v1alpha1.ReasonRouteRejected, "%s says that %s of HTTPRoute %s is False, %s: %s Change gateway.httpRoute.parentRefs, or what it finds fault with.",
							parentName(p), t, name, c.Reason, c.Message)
						return nil, &f
					}
					accepted = accepted || t == gatewayv1.RouteConditionAccepted && c != nil && c.Status == metav1.ConditionTrue
				}
			}
		}
		if !accepted {
			f := unknown(v1alpha1.ReasonRoutePending, "No Gateway has accepted HTTPRoute %s yet: see that those in gateway.httpRoute.parentRefs exist, and that what implements them runs.", name)
			return &f, nil
		}
	case g.Ingress != nil:
		if o.Ingress == nil || len(o.Ingress.Status.LoadBalancer.Ingress) == 0 {
			f := unknown(v1alpha1.ReasonIngressPending, "Ingress %s has no address yet: see that there is an Ingress controller, and that it serves gateway.ingress.className.", name)
			return &f, nil
		}
	}
	return nil, nil
}

// parentCondition is what a parent says of the route as it is now.
func parentCondition(route *gatewayv1.HTTPRoute, p *gatewayv1.RouteParentStatus, t gatewayv1.RouteConditionType) *metav1.Condition {
	for i := range p.Conditions {
		if c := &p.Conditions[i]; c.Type == string(t) && c.ObservedGeneration >= route.Generation {
			return c
		}
	}
	return nil
}

func parentName(p *gatewayv1.RouteParentStatus) string {
	name := "Gateway " + string(p.ParentRef.Name)
	if p.ParentRef.Namespace != nil {
		name += fmt.Sprintf(" in namespace %s", *p.ParentRef.Namespace)
	}
	return name
}

// insideAlone are the reasons that prove nothing about who calls from outside of the
// cluster: many clusters cannot reach their own front.
var insideAlone = map[string]bool{config.ReasonPublicURLUnreachable: true, config.ReasonPublicURLUntrusted: true}

// answered is what gateways see at publicURL. A wrong answer that one gets counts, then a
// right one, and then that one cannot ask.
func answered(o *Observation) fact {
	counted := o.Gateway.Counted()
	var wrong, unasked, right int
	var firstWrong, firstUnasked check
	for _, r := range counted {
		c := check{"publicURL", r.Public}
		switch {
		case c.Status == string(metav1.ConditionTrue):
			right++
		case c.Status != string(metav1.ConditionFalse):
		case insideAlone[c.Reason]:
			if unasked++; unasked == 1 {
				firstUnasked = c
			}
		default:
			if wrong++; wrong == 1 {
				firstWrong = c
			}
		}
	}
	switch {
	case wrong > 0:
		return failed(firstWrong, wrong, len(counted))
	case right > 0:
		return yes(v1alpha1.ReasonExposed, "publicURL answers with the metadata of this server.")
	case unasked > 0:
		f := failed(firstUnasked, unasked, len(counted))
		f.status = metav1.ConditionUnknown
		return f
	}
	return unknown(v1alpha1.ReasonNotReported, "No gateway has reported on this yet.")
}
