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
	for _, r := range o.References {
		missing, keyMissing := v1alpha1.ReasonSecretMissing, v1alpha1.ReasonSecretKeyMissing
		if r.Kind == "ConfigMap" {
			missing, keyMissing = v1alpha1.ReasonCABundleMissing, v1alpha1.ReasonCABundleKeyMissing
		}
		switch {
		case !r.Exists:
			return no(missing, "There is no %s %s in this namespace: create it with the key %s, or change %s.", r.Kind, r.Name, r.Key, r.Field)
		case !r.Found:
			return no(keyMissing, "%s %s has no key %s: add it, or change %s.key.", r.Kind, r.Name, r.Key, r.Field)
		}
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
	return yes(v1alpha1.ReasonDiscovered, "The identity provider answers, with the issuer that is configured.")
}
