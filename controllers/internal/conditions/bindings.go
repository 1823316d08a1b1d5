package conditions

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/controllers/internal/resources"
	"vestibule.dev/vestibule/gateway/config"
)

func objectBound(o *Observation) metav1.Condition {
	return objectFact(o).of(v1alpha1.ConditionMCPObjectBound)
}

// objectFact says of the first object with a fault what it is, and of all of them how
// their routes are answered.
func objectFact(o *Observation) fact {
	if o.Backends == nil {
		return notObserved()
	}
	var bound []string
	for _, object := range resources.Objects(o.Server) {
		if object.Service == nil {
			return unknown(v1alpha1.ReasonNotReported, "%s is not a Service, so there is nothing to look at.", object.Field)
		}
		b := o.Backends[*object.Service]
		if f, ok := serviceFact(b, object.Service, object.Field+".service"); !ok {
			return f
		}
		says := "Service " + object.Service.Name
		if !slices.Contains(bound, says) {
			bound = append(bound, says)
		}
	}
	if f, ok := referred(o, ofObject); !ok {
		return f
	}
	if f, ok := worst(o, func(r *config.Report) []check {
		var checks []check
		for _, route := range o.Server.Spec.Routes {
			checks = append(checks, check{"routes[" + route.Name + "]", r.Routes[route.Name]})
		}
		return checks
	}); !ok {
		return f
	}
	return yes(v1alpha1.ReasonBound, "There are pods that are ready behind %s, and every route is answered in its transport.", some(bound))
}

// serviceFact is what is wrong with a Service that a field names; or ok.
func serviceFact(b *Backend, s *v1alpha1.ServicePort, field string) (f fact, ok bool) {
	switch {
	case b == nil:
		return notObserved(), false
	case !b.Exists:
		return no(v1alpha1.ReasonServiceMissing,
			"There is no Service %s in this namespace: create it, or change %s.name.", s.Name, field), false
	case b.External:
		return no(v1alpha1.ReasonServiceNotSupported,
			"Service %s is of type ExternalName, behind which the cluster sees no pods: let %s.name be a Service with endpoints.", s.Name, field), false
	case b.Port.Number == 0:
		return no(v1alpha1.ReasonPortMissing,
			"Service %s has no TCP port %s: add it there, or change %s.port.", s.Name, s.Port.String(), field), false
	case b.Ready == 0:
		return no(v1alpha1.ReasonNoReadyEndpoints,
			"No pod behind Service %s is ready on port %s: look at the pods that its selector finds.", s.Name, s.Port.String()), false
	}
	return fact{}, true
}

func kvBound(o *Observation) metav1.Condition {
	return kvFact(o).of(v1alpha1.ConditionOAuthKVBound)
}

func kvFact(o *Observation) fact {
	switch s := o.Store; {
	case s == nil:
		return notObserved()
	case s.KeysLost:
		return no(v1alpha1.ReasonKeysLost,
			"The Secret with the gateway's keys is gone, without which no record can be read. Restore it with its labels from a backup; if there is none, see docs/stores.md for how clients register, and users log in, anew.")
	case s.KeysReplaced:
		return no(v1alpha1.ReasonKeysReplaced,
			"Secret %s does not hold the keys that this MCPServer has used, which have the fingerprint %s, so it is not adopted. Restore the Secret with its labels from a backup; if there is none, or if the Secret is right, see docs/stores.md.",
			resources.KeysName(o.Server), o.Server.Status.KeyFingerprint)
	case len(s.Lost) > 0:
		return no(v1alpha1.ReasonStoreObjectLost,
			"Objects that hold records are gone: %s. Restore them with their labels from a backup; if there is none, see docs/stores.md for how clients register, and users log in, anew.", some(s.Lost))
	}
	if d := o.Store.Dropping; d != nil {
		return no(v1alpha1.ReasonKeyDropPending,
			"Keys %v were dropped, and these pods may still take what is under them: %s. They follow within two minutes; delete one that does not.",
			d.Keys, some(d.Pods))
	}
	if f, ok := referred(o, ofStore); !ok {
		return f
	}
	if o.Gateway != nil {
		if refusing := o.Gateway.refusing(); len(refusing) > 0 {
			return failed(check{"bindings.oauthKV", refusing[0].Store}, len(refusing), len(o.Gateway.Current()))
		}
	}
	if f, ok := worst(o, func(r *config.Report) []check { return []check{{"bindings.oauthKV", r.Store}} }); !ok {
		return f
	}
	// A gateway is ready, and reports, only when all is copied.
	switch kv := &o.Server.Spec.Bindings.OAuthKV; {
	case kv.MigrateFrom != "" && !o.Applied:
		return unknown(v1alpha1.ReasonNotReported, "The gateways that copy the records are not there yet.")
	case kv.MigrateFrom != "":
		return yes(v1alpha1.ReasonMigrated,
			"Every client and every grant was copied from %s: remove bindings.oauthKV.migrateFrom, and the member of that type.", kv.MigrateFrom)
	case o.Store.Left:
		return yes(v1alpha1.ReasonMigrated,
			"Every gateway can read and write the store. The objects of the one before are not needed any more: delete those with the labels %s=%s and app.kubernetes.io/component=store.", resources.LabelServer, o.Server.Name)
	}
	if err := o.Store.NotGrown; err != nil {
		return yes(v1alpha1.ReasonStoreNotGrown,
			"Every gateway can read and write the store, which cannot have as many objects as it ought to, and may become full: %v. Raise the ResourceQuota, or let whatever refuses them allow them.", err)
	}
	return yes(v1alpha1.ReasonBound, "Every gateway can read and write the store.")
}

// some names the first few.
func some(names []string) string {
	const few = 5
	if len(names) > few {
		return strings.Join(names[:few], ", ") + ", and more"
	}
	return strings.Join(names, ", ")
}
