package controllers

import (
	"context"
	"fmt"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/controllers/internal/conditions"
)

// Two installs of the controller can be given the same namespaces by mistake. Each would undo
// what the other applies, and roll the gateways for it, without end. So the status of an
// MCPServer names the install that manages it, and another install leaves it alone as long as
// the Lease of the first is renewed.

// LeaseName is the name of the Lease by which the controllers of one install elect a leader.
// The install is identified by it: "<namespace>/<name>".
const LeaseName = "vestibule-controller"

const (
	// goneAfter is the age of the last renewal at which an install counts as gone. One whose
	// controller is being replaced, or whose node was lost, must not lose its MCPServers.
	goneAfter = 5 * time.Minute
	// retryIncumbent is when to look again whether the other install is gone.
	retryIncumbent = time.Minute
	// repeatConflict is the age at which the install that stands aside writes its condition
	// anew, and dropConflict that at which the one that manages the MCPServer drops it: the
	// other was uninstalled.
	repeatConflict = 5 * time.Minute
	dropConflict   = 12 * time.Minute
)

// take makes this install the one that manages an MCPServer, and returns it as it is then. If
// another install does, it writes a condition, and nothing else, and returns nil.
func (r *Reconciler) take(ctx context.Context, server *v1alpha1.MCPServer) (*v1alpha1.MCPServer, error) {
	holder := server.Status.Controller
	if holder == r.Identity {
		return server, nil
	}
	if holder != "" {
		i, err := r.incumbent(ctx, holder)
		if err != nil {
			return nil, err
		}
		//rule:controller-fights
		if i != nil {
			return nil, r.standAside(ctx, server, i)
		}
	}
	next := server.DeepCopy()
	next.Status.Controller = r.Identity
	meta.RemoveStatusCondition(&next.Status.Conditions, v1alpha1.ConditionControllerConflict)
	// If two begin at once, the API server takes the status of one.
	if err := r.patchStatus(ctx, server, next); err != nil {
		return nil, err
	}
	r.settle(ctx, &scope{server: next, written: map[child]string{{kindMCPServer, next.Name}: stateOf(server)}})
	return next, nil
}

// incumbent returns the install that manages an MCPServer, or nil if it is gone.
func (r *Reconciler) incumbent(ctx context.Context, holder string) (*conditions.Incumbent, error) {
	namespace, name, _ := strings.Cut(holder, "/")
	lease := &coordinationv1.Lease{}
	switch err := r.Live.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, lease); {
	case apierrors.IsNotFound(err):
		return nil, nil
	case apierrors.IsForbidden(err):
		return &conditions.Incumbent{Install: holder, Self: r.Identity, Unreadable: true}, nil
	case err != nil:
		return nil, fmt.Errorf("reading Lease %s: %w", holder, err)
	case lease.Spec.RenewTime == nil || r.Now().Sub(lease.Spec.RenewTime.Time) > goneAfter:
		return nil, nil
	}
	return &conditions.Incumbent{Install: holder, Self: r.Identity}, nil
}

// standAside says in a condition that another install manages the MCPServer.
func (r *Reconciler) standAside(ctx context.Context, server *v1alpha1.MCPServer, i *conditions.Incumbent) error {
	all := conditions.All(&conditions.Observation{Server: server, Incumbent: i})
	c := *meta.FindStatusCondition(all, v1alpha1.ConditionControllerConflict)
	said := meta.FindStatusCondition(server.Status.Conditions, c.Type)
	if said != nil && said.Message == c.Message && r.Now().Sub(said.LastTransitionTime.Time) < repeatConflict {
		return nil
	}
	next := server.DeepCopy()
	c.LastTransitionTime = metav1.NewTime(r.Now())
	meta.RemoveStatusCondition(&next.Status.Conditions, c.Type)
	next.Status.Conditions = append(next.Status.Conditions, c)
	return r.patchStatus(ctx, server, next)
}

// contested returns the condition of another install that stands aside, or nil. It notes when
// that is to be dropped.
func (r *Reconciler) contested(s *scope) *metav1.Condition {
	c := meta.FindStatusCondition(s.server.Status.Conditions, v1alpha1.ConditionControllerConflict)
	if c == nil {
		return nil
	}
	until := c.LastTransitionTime.Add(dropConflict)
	if !r.Now().Before(until) {
		return nil
	}
	s.lookAgain(until)
	return c
}
