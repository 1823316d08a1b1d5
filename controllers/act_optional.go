package controllers

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/controllers/internal/conditions"
	"vestibule.dev/vestibule/controllers/internal/resources"
)

// wanted says whether there is to be an object, of those that not every spec asks for.
func wanted(server *v1alpha1.MCPServer, kind string) bool {
	switch kind {
	case kindDisruptionBudget:
		return resources.DisruptionBudget(server) != nil
	case kindAutoscaler:
		return server.Spec.Gateway.Autoscaling != nil
	case kindNetworkPolicy:
		return server.Spec.Gateway.NetworkPolicy != nil
	}
	return true
}

// applyDisruptionBudget also removes the budget when there is none any more.
func (r *Reconciler) applyDisruptionBudget(ctx context.Context, s *scope) error {
	c := child{kindDisruptionBudget, resources.Name(s.server)}
	if !wanted(s.server, c.kind) {
		return r.removeOwn(ctx, s, c)
	}
	_, err := apply(ctx, r, s, c, resources.DisruptionBudget(s.server))
	return err
}

// applyNetworkPolicy also removes the policy when there is none any more.
func (r *Reconciler) applyNetworkPolicy(ctx context.Context, s *scope) error {
	c := child{kindNetworkPolicy, resources.Name(s.server)}
	if !wanted(s.server, c.kind) {
		return r.removeOwn(ctx, s, c)
	}
	policy, err := resources.NetworkPolicy(s.server)
	if err != nil {
		return err
	}
	_, err = apply(ctx, r, s, c, policy)
	return refusedAs("gateway.networkPolicy", s, err)
}

// applyAutoscaler also removes the autoscaler when there is none any more, before the
// replicas are set again by the step that applies the Deployment.
func (r *Reconciler) applyAutoscaler(ctx context.Context, s *scope) error {
	c := child{kindAutoscaler, resources.Name(s.server)}
	if !wanted(s.server, c.kind) {
		return r.removeOwn(ctx, s, c)
	}
	_, err := apply(ctx, r, s, c, resources.Autoscaler(s.server))
	return err
}

// replicasHolder holds the replicas of a Deployment from when the controller does not
// set them any more until the autoscaler first does.
const replicasHolder = client.FieldOwner("vestibule-replicas")

// replicas are how many the Deployment is applied with; 0 leaves that to an autoscaler.
//
// What the controller has applied and applies no more falls back to its default, which
// would be 1. So before it first leaves replicas out, another owner says what they are.
// Should somebody have changed them meanwhile, that is a conflict, and is tried again.
func (r *Reconciler) replicas(ctx context.Context, s *scope) (int32, error) {
	a, d := s.server.Spec.Gateway.Autoscaling, s.seen.Gateway.Deployment
	switch {
	case a == nil:
		return s.server.Spec.Gateway.Replicas, nil
	case d == nil || d.Spec.Replicas != nil && *d.Spec.Replicas == 0:
		// An autoscaler does nothing for who has none. The next pass leaves it alone.
		return a.MinReplicas, nil
	case d.Annotations[resources.AnnotationReplicas] != "" || d.Spec.Replicas == nil:
		return 0, nil
	}
	hold := resources.HeldReplicas(s.server, *d.Spec.Replicas).WithUID(d.UID)
	if err := r.Client.Apply(ctx, hold, replicasHolder); err != nil {
		return 0, fmt.Errorf("leaving the replicas of Deployment %s to its autoscaler: %w", d.Name, err)
	}
	return 0, nil
}

func (r *Reconciler) removeOwn(ctx context.Context, s *scope, c child) error {
	if o := s.own(c); o != nil {
		return r.remove(ctx, c, o)
	}
	return nil
}

// refusedAs makes a refusal of what the API server finds invalid in an object that has
// something as it is in a field of the spec: to try it again would not help.
func refusedAs(field string, s *scope, err error) error {
	if !apierrors.IsInvalid(err) {
		return err
	}
	says := err.Error()
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		says = status.Status().Message
	}
	s.seen.Refusals = append(s.seen.Refusals, conditions.Refusal{
		Reason: v1alpha1.ReasonObjectRefused, Message: fmt.Sprintf("%s: change what the API server refuses, which says: %s", field, says),
	})
	return errStop
}
