package conditions

import (
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vestibule.dev/vestibule/api/v1alpha1"
)

// ready stands for the first of the others that is False, else the first that is
// Unknown: what is wrong is said before what is not known.
func ready(gating []metav1.Condition) metav1.Condition {
	for _, status := range []metav1.ConditionStatus{metav1.ConditionFalse, metav1.ConditionUnknown} {
		for _, c := range gating {
			if c.Status == status {
				return fact{status, c.Reason, c.Type + ": " + c.Message}.of(v1alpha1.ConditionReady)
			}
		}
	}
	return yes(v1alpha1.ReasonReady, "Clients can log in and call the MCP server.").of(v1alpha1.ConditionReady)
}

// reconciling is True while something changes by itself: not what is Unknown
// because no gateway runs, for which the user must do something.
func reconciling(o *Observation, gating []metav1.Condition) metav1.Condition {
	if o.Failure != nil {
		return yes(v1alpha1.ReasonRetrying, "The last attempt failed and is repeated: %v", o.Failure).of(v1alpha1.ConditionReconciling)
	}
	if c := gating[0]; c.Reason == v1alpha1.ReasonPredecessorRemains {
		return yes(v1alpha1.ReasonProgressing, "Waiting for %s: %s", c.Type, c.Message).of(v1alpha1.ConditionReconciling)
	}
	if o.Held || slices.ContainsFunc(gating, waitsForUser) {
		return no(v1alpha1.ReasonSettled, "Nothing is under way until what is False is mended.").of(v1alpha1.ConditionReconciling)
	}
	if len(o.Missing) > 0 {
		return yes(v1alpha1.ReasonAPIMissing, "%s", o.Missing[0]).of(v1alpha1.ConditionReconciling)
	}
	for _, c := range gating {
		if c.Status == metav1.ConditionUnknown {
			// What only gateways can find out, they find out when they start.
			if gateway := gating[len(gating)-1]; c.Reason == v1alpha1.ReasonNotReported && gateway.Status == metav1.ConditionFalse {
				c = gateway
			}
			return yes(v1alpha1.ReasonProgressing, "Waiting for %s: %s", c.Type, c.Message).of(v1alpha1.ConditionReconciling)
		}
	}
	return no(v1alpha1.ReasonSettled, "Nothing is under way.").of(v1alpha1.ConditionReconciling)
}

// stalled is True when the controller has stopped acting until the user does
// something. What it waits for while it acts, such as a pod, is not that.
func stalled(gating []metav1.Condition) metav1.Condition {
	for _, c := range gating {
		if stops(c) {
			return yes(c.Reason, "%s: %s", c.Type, c.Message).of(v1alpha1.ConditionStalled)
		}
	}
	return no(v1alpha1.ReasonNotStalled, "The controller acts on the spec.").of(v1alpha1.ConditionStalled)
}

// stops says that the controller does nothing any more because of a condition.
func stops(c metav1.Condition) bool {
	lost := c.Reason == v1alpha1.ReasonKeysLost || c.Reason == v1alpha1.ReasonKeysReplaced || c.Reason == v1alpha1.ReasonStoreObjectLost
	return c.Status == metav1.ConditionFalse && (c.Type == v1alpha1.ConditionAccepted || lost)
}

func waitsForUser(c metav1.Condition) bool {
	return stops(c) || c.Status == metav1.ConditionFalse && c.Reason == v1alpha1.ReasonNotDeployed
}

func (m Missing) String() string {
	return fmt.Sprintf("%s: the cluster has no %s of %s: have it installed, or unset the field. It is looked for every 30 seconds.", m.Field, m.Kind, m.API)
}

func sprintReplicas(ready, replicas int) string {
	return fmt.Sprintf("%d of %d replicas are ready: ", ready, replicas)
}
