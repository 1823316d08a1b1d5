package controllers

import (
	"context"
	"encoding/json"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/controllers/internal/conditions"
	"vestibule.dev/vestibule/controllers/internal/resources"
)

// fieldOwner is who owns the fields that are applied, whichever of several
// controllers applies them.
const fieldOwner = client.FieldOwner("vestibule-controller")

// applied remembers what was applied, and what the object was like after that. An
// object that is still like that needs no second apply, so that a pass over a
// cluster at rest writes nothing. A new controller applies everything once, which
// the API server finds to be no change.
type applied = memo[string]

// applyConfiguration is what the generated ones have in common.
type applyConfiguration[T any] interface {
	runtime.ApplyConfiguration
	WithUID(types.UID) T
}

// apply makes an object what the configuration says, as far as that says
// something. It is decoded into the configuration as it is then; changed is false
// if there was nothing to do.
//
// An object that exists was seen to be the server's, and the UID makes sure that it
// is the same one. One that does not exist was looked for a moment ago; should
// somebody create it in between, a difference is a conflict, and is not forced.
func apply[T any](ctx context.Context, r *Reconciler, s *scope, c child, configuration applyConfiguration[T]) (changed bool, err error) {
	data, err := json.Marshal(configuration)
	if err != nil {
		return false, fmt.Errorf("encoding %s %s: %w", c.kind, c.name, err)
	}
	id, wanted := memoID(client.ObjectKeyFromObject(s.server), c), resources.Digest(data)
	o := s.own(c)
	options := []client.ApplyOption{fieldOwner}
	if o != nil {
		if likeness, ok := r.applied.at(id, wanted); ok && likeness == likenessOf(o) {
			return false, nil
		}
		configuration.WithUID(o.GetUID())
		options = append(options, client.ForceOwnership)
	}
	if err := r.Client.Apply(ctx, configuration, options...); err != nil {
		return false, fmt.Errorf("applying %s %s: %w", c.kind, c.name, err)
	}
	result := metadataOf(c.kind)
	if err := convert(configuration, result); err != nil {
		return false, err
	}
	s.children[c] = result
	r.applied.remember(id, wanted, likenessOf(result))
	return true, nil
}

// likenessOf changes when anything does that is applied. An object with a
// generation has a status too, whose changes do not count.
func likenessOf(o client.Object) string {
	if o.GetGeneration() == 0 {
		return version(o)
	}
	data, err := json.Marshal([]any{o.GetUID(), o.GetGeneration(), o.GetLabels(), o.GetAnnotations(), o.GetOwnerReferences()})
	if err != nil {
		return ""
	}
	return resources.Digest(data)
}

func convert(from, to any) error {
	data, err := json.Marshal(from)
	if err != nil {
		return fmt.Errorf("encoding an answer of the API server: %w", err)
	}
	if err := json.Unmarshal(data, to); err != nil {
		return fmt.Errorf("decoding an answer of the API server: %w", err)
	}
	return nil
}

// create makes an object that is never applied. One that is there already is left
// alone: ours was made by another controller, or is not in the cache yet; another's
// is a refusal. It returns what is there, which may be one to adopt.
func (r *Reconciler) create(ctx context.Context, s *scope, kind string, o client.Object) (client.Object, error) {
	err := r.Client.Create(ctx, o, fieldOwner)
	if err == nil {
		return o, nil
	}
	if !apierrors.IsAlreadyExists(err) {
		return nil, fmt.Errorf("creating %s %s: %w", kind, o.GetName(), withoutContent(err))
	}
	there := metadataOf(kind)
	if err := r.Live.Get(ctx, client.ObjectKeyFromObject(o), there); err != nil {
		return nil, fmt.Errorf("reading the metadata of %s %s: %w", kind, o.GetName(), err)
	}
	s.children[child{kind, o.GetName()}] = there
	if s.foreign(child{kind, o.GetName()}) {
		s.seen.Refusals = append(s.seen.Refusals, conditions.Refusal{Reason: v1alpha1.ReasonNameConflict, Message: nameConflict(child{kind, o.GetName()})})
		return nil, errStop
	}
	return there, nil
}

// withoutContent takes the text from an error that can quote the object.
func withoutContent(err error) error {
	if apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) {
		return fmt.Errorf("the API server answered %s", apierrors.ReasonForError(err))
	}
	return err
}

func nameConflict(c child) string {
	return fmt.Sprintf("metadata.name: %s %s exists and is not this MCPServer's: remove it, or create an MCPServer of another name.", c.kind, c.name)
}
