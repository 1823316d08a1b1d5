package conditions

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/gateway/config"
)

func upstreamReady(o *Observation) metav1.Condition {
	return upstreamFact(o).of(v1alpha1.ConditionUpstreamReady)
}

func upstreamFact(o *Observation) fact {
	if o.References == nil {
		return notObserved()
	}
	if f, ok := referred(o, ofUpstream); !ok {
		return f
	}
	if f, ok := worst(o, func(r *config.Report) []check {
		var checks []check
		for _, u := range o.Server.Spec.Upstreams {
			checks = append(checks, check{"upstreams[" + u.Name + "]", r.Upstreams[u.Name]})
		}
		return checks
	}); !ok {
		return f
	}
	return yes(v1alpha1.ReasonDiscovered, "Each identity provider answers, with the issuer that is configured.")
}
