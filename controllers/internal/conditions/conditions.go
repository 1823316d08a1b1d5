package conditions

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vestibule.dev/vestibule/api/v1alpha1"
)

// All are the conditions of what was observed, always the same types in the same
// order. Who writes them knows when each last changed.
func All(o *Observation) []metav1.Condition {
	gating := []metav1.Condition{
		accepted(o),
		objectBound(o),
		kvBound(o),
		upstreamReady(o),
	}
	gating = append(gating, gatewayAvailable(o, gating))
	all := slices.Concat(gating, []metav1.Condition{
		exposed(o),
		compatible(o, gating),
		storeAdopted(o),
		reconciling(o, gating),
		stalled(gating),
		ready(gating),
	})
	if o.Incumbent != nil {
		all = append(all, controllerConflict(o))
	}
	for i := range all {
		all[i].ObservedGeneration = o.Server.Generation
		all[i].Message = bounded(all[i].Message)
	}
	return all
}

// fact is a condition before it has a type.
type fact struct {
	status          metav1.ConditionStatus
	reason, message string
}

func (f fact) of(conditionType string) metav1.Condition {
	return metav1.Condition{Type: conditionType, Status: f.status, Reason: f.reason, Message: f.message}
}

func yes(reason, format string, args ...any) fact {
	return fact{metav1.ConditionTrue, reason, fmt.Sprintf(format, args...)}
}

func no(reason, format string, args ...any) fact {
	return fact{metav1.ConditionFalse, reason, fmt.Sprintf(format, args...)}
}

func unknown(reason, format string, args ...any) fact {
	return fact{metav1.ConditionUnknown, reason, fmt.Sprintf(format, args...)}
}

func notObserved() fact {
	return unknown(v1alpha1.ReasonNotObserved, "The cluster could not be asked; this is tried again.")
}

// messageLimit leaves room for all of them in an object that people read.
const messageLimit = 1024

func bounded(message string) string {
	if len(message) <= messageLimit {
		return message
	}
	return strings.ToValidUTF8(message[:messageLimit], "") + "…"
}
