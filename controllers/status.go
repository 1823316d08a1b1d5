package controllers

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/controllers/internal/conditions"
	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/version"
)

// writeStatus says what was seen, if that is news.
func (r *Reconciler) writeStatus(ctx context.Context, s *scope) error {
	next := s.server.DeepCopy()
	status := &next.Status
	status.ObservedGeneration = s.server.Generation
	status.ControllerVersion = version.Version
	//rule:asked-pass-unsaid
	status.LastHandledReconcileAt = s.server.Annotations[v1alpha1.AnnotationReconcile]
	status.URL = config.RouteURL(s.server.Spec.PublicURL, s.server.Spec.Routes[0].Path)
	if d := s.seen.Gateway; d != nil && d.Deployment != nil && conditions.RolledOut(d.Deployment) {
		status.GatewayVersion = imageVersion(imageOf(d.Deployment))
	}
	status.Claims = claims(s, r.Now())
	s.noteAdoption(r.Now())
	all := conditions.All(&s.seen)
	//rule:store-before-applied store-before-bound
	if s.seen.Applied && meta.IsStatusConditionTrue(all, v1alpha1.ConditionOAuthKVBound) {
		status.Store = s.server.Spec.Bindings.OAuthKV.Type
	}
	if f := s.keyFingerprint(); f != "" {
		status.KeyFingerprint = f
	}
	if s.retains {
		status.DeletionPolicy = cmp.Or(s.server.Spec.DeletionPolicy, v1alpha1.DeletionDelete)
	}
	kept := status.Conditions[:0:0]
	for _, c := range status.Conditions {
		if meta.FindStatusCondition(all, c.Type) != nil {
			kept = append(kept, c) // One that an older controller knew is dropped.
		}
	}
	if c := r.contested(s); c != nil {
		kept = append(kept, *c)
	}
	status.Conditions = kept
	for _, c := range all {
		meta.SetStatusCondition(&status.Conditions, c)
	}
	if equality.Semantic.DeepEqual(s.server.Status, next.Status) {
		return nil
	}
	if err := r.patchStatus(ctx, s.server, next); err != nil {
		return err
	}
	s.wrote(child{kindMCPServer, s.server.Name}, s.server, next)
	r.warn(s, next)
	return nil
}

// patchStatus writes the status, but not over what another controller wrote since before was
// read: it may have seen more. next is then what the API server has.
func (r *Reconciler) patchStatus(ctx context.Context, before, next *v1alpha1.MCPServer) error {
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := r.Client.Status().Patch(ctx, next, patch, fieldOwner); err != nil {
		return fmt.Errorf("writing the status: %w", err)
	}
	return nil
}

// imageVersion is what an image reference says of the version: its tag, else the
// beginning of its digest.
func imageVersion(image string) string {
	name, digest, pinned := strings.Cut(image, "@sha256:")
	if _, tag, ok := strings.Cut(name[strings.LastIndexByte(name, '/')+1:], ":"); ok {
		return tag
	}
	if pinned {
		return "sha256:" + digest[:min(12, len(digest))]
	}
	return ""
}

// warn makes an event of a loss, once.
func (r *Reconciler) warn(s *scope, next *v1alpha1.MCPServer) {
	before := meta.FindStatusCondition(s.server.Status.Conditions, v1alpha1.ConditionOAuthKVBound)
	now := meta.FindStatusCondition(next.Status.Conditions, v1alpha1.ConditionOAuthKVBound)
	switch now.Reason {
	case v1alpha1.ReasonKeysLost, v1alpha1.ReasonKeysReplaced, v1alpha1.ReasonStoreObjectLost:
		if before != nil && before.Reason == now.Reason && before.Message == now.Message {
			return
		}
	case v1alpha1.ReasonKeysMismatch:
		if before != nil && before.Reason == now.Reason {
			return // The message counts replicas, and records.
		}
	default:
		return
	}
	r.Events.Eventf(next, nil, corev1.EventTypeWarning, now.Reason, "Observe", "%s", now.Message)
}
