package conditions

import (
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/controllers/internal/resources"
)

// storeAdopted tells of an adoption for as long as the server serves what it has adopted.
// If the keys cannot be looked at, an adoption that the status tells of still has been one.
func storeAdopted(o *Observation) metav1.Condition {
	before := meta.FindStatusCondition(o.Server.Status.Conditions, v1alpha1.ConditionStoreAdopted)
	if before != nil && before.Status != metav1.ConditionTrue {
		before = nil
	}
	switch {
	//rule:adoption-forgotten
	case before != nil && (o.Store == nil || o.Store.SealedTo == ""):
		return *before
	case o.Store == nil:
		return notObserved().of(v1alpha1.ConditionStoreAdopted)
	case o.Store.SealedTo == "" || o.Store.SealedTo == string(o.Server.UID):
		return no(v1alpha1.ReasonNotAdopted, "This MCPServer has adopted no keys and no records of an earlier one.").of(v1alpha1.ConditionStoreAdopted)
	}
	at := metav1.NewTime(o.At)
	if before != nil {
		at = before.LastTransitionTime
	}
	c := yes(v1alpha1.ReasonAdopted,
		"Secret %s and the records that its keys open were made by an earlier MCPServer, with the UID %s. They were adopted at %s.",
		resources.KeysName(o.Server), o.Store.SealedTo, at.UTC().Format(time.RFC3339)).of(v1alpha1.ConditionStoreAdopted)
	c.LastTransitionTime = at
	return c
}
