package conditions

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vestibule.dev/vestibule/api/v1alpha1"
)

// Incumbent is another install of the controller, which manages the MCPServer.
type Incumbent struct {
	// Install and Self are the Leases of the other install and of this one, each as
	// "<namespace>/<name>". Self is empty for a controller without leader election.
	Install, Self string
	// Unreadable says that this controller may not read the other's Lease, and so cannot
	// tell whether the other is still there.
	Unreadable bool
}

// controllerConflict is the condition of an MCPServer that another install manages. This
// install stands aside, and writes no other condition.
func controllerConflict(o *Observation) metav1.Condition {
	i, self := o.Incumbent, "this controller"
	if i.Self != "" {
		self = "the controller with Lease " + i.Self
	}
	f := yes(v1alpha1.ReasonAnotherController,
		"The controller with Lease %s manages this MCPServer, and %s changes nothing: uninstall one of the two, or give them different namespaces.", i.Install, self)
	if i.Unreadable {
		f = yes(v1alpha1.ReasonAnotherController,
			"The controller with Lease %s manages this MCPServer, or did: %s may not read that Lease, and changes nothing. If the other is gone, take status.controller away, as in docs/operations.md.", i.Install, self)
	}
	return f.of(v1alpha1.ConditionControllerConflict)
}
