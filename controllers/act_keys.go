package controllers

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/controllers/internal/conditions"
	"vestibule.dev/vestibule/controllers/internal/resources"
)

// Reasons of events about the keys.
const (
	eventKeyRotated     = "KeyRotated"
	eventKeysDropped    = "KeysDropped"
	eventKeysExhausted  = "KeysExhausted"
	eventCommandInvalid = "KeyCommandInvalid"
	eventCommandPending = "KeyCommandPending"
)

// rotateKeys makes, drops and removes keys as far as that is due, by the clock or by
// command. It stands before the step that stops for a spec that is not accepted: a
// compromise does not wait for that. Gateways follow the Secret, so none is rolled.
func (r *Reconciler) rotateKeys(ctx context.Context, s *scope) error {
	c := child{kindSecret, resources.KeysName(s.server)}
	meta := s.own(c)
	if meta == nil || s.seen.Store.KeysReplaced {
		return nil
	}
	now, commands := r.Now(), resources.KeyCommands{
		Rotate: r.keyCommand(s, v1alpha1.AnnotationRotateKeys), Drop: r.keyCommand(s, v1alpha1.AnnotationDropKeys),
	}
	if known, ok := r.keys.at(s.keysID(), stateOf(meta)); ok {
		changes, err := resources.TurnKeys(known.blank.DeepCopy(), s.server, commands, now)
		if err == nil && !changes.Changed && len(changes.Dropping) == 0 {
			r.afterKeys(s, changes)
			return nil
		}
	}
	secret, err := r.readKeys(ctx, s)
	if err != nil {
		return err
	}
	if secret == nil || !resources.IsOf(s.server, secret) || !resources.FingerprintKeys(secret).Fit(s.server) {
		return nil // The next pass says that it is gone, or replaced.
	}
	before := secret.DeepCopy()
	changes, err := resources.TurnKeys(secret, s.server, commands, now)
	if err != nil {
		return fmt.Errorf("reading the keys in Secret %s: %w", c.name, err)
	}
	if changes.Changed {
		if err := r.writeKeys(ctx, s, before, secret); err != nil {
			return err
		}
		if len(changes.Removed) > 0 {
			log.FromContext(ctx).Info("keys under which nothing lives any more were removed", "ids", changes.Removed)
		}
	}
	if len(changes.Dropping) > 0 {
		if err := r.followDrop(ctx, s, secret, changes.Dropping); err != nil {
			return err
		}
	}
	s.fingerprint = r.rememberKeys(s, secret).fingerprints.Current()
	r.afterKeys(s, changes)
	return nil
}

// writeKeys writes the Secret with the keys, but not over what another controller wrote
// since it was read.
func (r *Reconciler) writeKeys(ctx context.Context, s *scope, before, secret *corev1.Secret) error {
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := r.Client.Patch(ctx, secret, patch, fieldOwner); err != nil {
		return fmt.Errorf("writing Secret %s: %w", secret.Name, withoutContent(err))
	}
	s.wrote(child{kindSecret, secret.Name}, before, secret)
	return nil
}

// retryDrop is when to look again whether gateways have followed a drop.
const retryDrop = 10 * time.Second

// followDrop looks whether all gateways have dropped the keys that were dropped. Only when
// all have does it make the event.
func (r *Reconciler) followDrop(ctx context.Context, s *scope, secret *corev1.Secret, keys []int) error {
	taking, lost := s.seen.Gateway.Taking(keys, r.Now())
	if len(taking) == 0 {
		// The cache may not know a new pod yet.
		pods, err := r.pods(ctx, r.Live, s)
		if err != nil {
			return err
		}
		now := conditions.Gateway{Pods: pods, Reports: s.seen.Gateway.Reports}
		taking, lost = now.Taking(keys, r.Now())
	}
	if len(taking) > 0 {
		s.seen.Store.Dropping = &conditions.Dropping{Keys: keys, Pods: taking}
		s.lookAgain(r.Now().Add(retryDrop))
		return nil
	}
	before := secret.DeepCopy()
	if err := resources.ConfirmDrop(secret); err != nil {
		return fmt.Errorf("reading the keys in Secret %s: %w", secret.Name, err)
	}
	if err := r.writeKeys(ctx, s, before, secret); err != nil {
		return err
	}
	beyond := ""
	if len(lost) > 0 {
		beyond = fmt.Sprintf(" Not known of pods that the cluster cannot reach: %s. Make sure that their nodes are off.", strings.Join(lost, ", "))
	}
	r.Events.Eventf(s.server, nil, corev1.EventTypeWarning, eventKeysDropped, "Rotate",
		"Keys %v were dropped by command, by every gateway. What is under them has ended: clients register and users log in anew.%s", keys, beyond)
	return nil
}

// afterKeys says what has changed, and when to look again.
func (r *Reconciler) afterKeys(s *scope, changes resources.KeyChanges) {
	s.lookAgain(changes.Next)
	if changes.Added != nil && len(changes.Dropping) == 0 {
		r.Events.Eventf(s.server, nil, corev1.EventTypeNormal, eventKeyRotated, "Rotate",
			"Key %d was made, and is minted with from %s on.", changes.Added.ID, changes.Added.NotBefore.Format(time.RFC3339))
	}
	if err := changes.Exhausted; err != nil {
		r.once(s, eventKeysExhausted, err.Error(), corev1.EventTypeWarning, eventKeysExhausted,
			"A new key is due, and cannot be made: "+err.Error()+". It will be when an old one is not needed any more.")
	}
}

// keyCommand is the time in an annotation, or zero.
func (r *Reconciler) keyCommand(s *scope, annotation string) time.Time {
	value, ok := s.server.Annotations[annotation]
	if !ok {
		return time.Time{}
	}
	at, err := time.Parse(time.RFC3339, value)
	switch {
	case err != nil:
		r.once(s, annotation, value, corev1.EventTypeWarning, eventCommandInvalid,
			"The annotation "+annotation+" is ignored, since its value is no time such as 2026-01-02T15:04:05Z.")
		return time.Time{}
	case at.After(r.Now()):
		r.once(s, annotation, value, corev1.EventTypeWarning, eventCommandPending,
			"The time in the annotation "+annotation+" is to come by the controller's clock: it is carried out then.")
	}
	return at
}

// once makes an event about something, once for each state of it.
func (r *Reconciler) once(s *scope, about, state, eventType, reason, message string) {
	id := memoID(client.ObjectKeyFromObject(s.server), child{"event", about})
	if _, said := r.said.at(id, state); said {
		return
	}
	r.said.remember(id, state, struct{}{})
	r.Events.Eventf(s.server, nil, eventType, reason, "Rotate", "%s", message)
}
