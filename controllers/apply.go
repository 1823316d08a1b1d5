package controllers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
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
// cluster at rest writes nothing, and need not be looked at more closely.
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
// is the same one. One that the cache does not have is created, and never changed if it
// is there after all: whose it is has to be looked at first, which errUnseen asks for.
func apply[T any](ctx context.Context, r *Reconciler, s *scope, c child, configuration applyConfiguration[T]) (changed bool, err error) {
	data, err := json.Marshal(configuration)
	if err != nil {
		return false, fmt.Errorf("encoding %s %s: %w", c.kind, c.name, err)
	}
	id, wanted := memoID(client.ObjectKeyFromObject(s.server), c), resources.Digest(data)
	note, err := noteOf(c, data)
	if err != nil {
		return false, err
	}
	if s.orphan(c) {
		if err := r.takeOver(ctx, s, c, configuration); err != nil {
			return false, err
		}
	}
	o := s.own(c)
	options := []client.ApplyOption{fieldOwner}
	if o != nil {
		likeness, known := r.applied.at(id, wanted)
		done := known && likeness == likenessOf(o)
		if !known || !done && o.GetGeneration() == 0 { // Its status may be all that has changed.
			if done, err = r.isApplied(ctx, o, note, data); err != nil {
				return false, fmt.Errorf("reading %s %s: %w", c.kind, c.name, err)
			}
		}
		if done {
			r.applied.remember(id, wanted, likenessOf(o))
			return false, nil
		}
		configuration.WithUID(o.GetUID())
		options = append(options, client.ForceOwnership)
	} else if absent, ok := any(configuration).(interface{ WithResourceVersion(string) T }); ok {
		//rule:foreign-object-changed
		absent.WithResourceVersion(versionOfNone)
	}
	if noted, ok := any(configuration).(interface{ WithAnnotations(map[string]string) T }); ok {
		noted.WithAnnotations(map[string]string{resources.AnnotationApplied: note})
	}
	if err := r.Client.Apply(ctx, configuration, options...); err != nil {
		err = fmt.Errorf("applying %s %s: %w", c.kind, c.name, err)
		if o == nil && !s.sure && apierrors.IsConflict(err) {
			err = errors.Join(errUnseen, err)
		}
		return false, err
	}
	result := metadataOf(c.kind)
	if err := convert(configuration, result); err != nil {
		return false, err
	}
	s.wrote(c, o, result)
	s.children[c] = result
	r.applied.remember(id, wanted, likenessOf(result))
	return true, nil
}

// versionOfNone is a resource version that no object has. To apply it creates an object
// that does not exist, and is a conflict if it does: the API server compares the version
// with that of an object only where there is one.
const versionOfNone = "1"

// errUnseen is why a pass is done again that looks at the API server for what the cache
// does not have: something is there that it has not.
var errUnseen = errors.New("there is an object that the cache does not have")

// noteOf is what the annotation says of what was applied. Of a Deployment it does not say
// what the labels say that are on it alone: another annotation is another generation.
func noteOf(c child, data []byte) (string, error) {
	if c.kind != kindDeployment {
		return resources.Digest(data), nil
	}
	var d appsv1ac.DeploymentApplyConfiguration
	if err := json.Unmarshal(data, &d); err != nil {
		return "", fmt.Errorf("decoding %s %s: %w", c.kind, c.name, err)
	}
	delete(d.Labels, resources.LabelInputs)
	delete(d.Labels, resources.LabelUpgrading)
	data, err := json.Marshal(&d)
	return resources.Digest(data), err
}

// isApplied says whether an object is as it was left by whoever applied it last: its
// annotation says that the same was applied, so nothing is to be removed, and all of it
// is still there. Where it errs there is an apply, which then is no change.
func (r *Reconciler) isApplied(ctx context.Context, o client.Object, wanted string, data []byte) (bool, error) {
	if _, slim := o.(*metav1.PartialObjectMetadata); slim {
		if o.GetObjectKind().GroupVersionKind().Kind != kindConfigMap {
			return false, nil
		}
		m := &corev1.ConfigMap{}
		if err := r.Contents.Get(ctx, client.ObjectKeyFromObject(o), m); err != nil || stateOf(m) != stateOf(o) {
			return false, client.IgnoreNotFound(err)
		}
		o = m
	}
	if o.GetAnnotations()[resources.AnnotationApplied] != wanted {
		return false, nil
	}
	var asked, there map[string]any
	if err := errors.Join(json.Unmarshal(data, &asked), convert(o, &there)); err != nil {
		return false, err
	}
	delete(asked, "apiVersion") // What is cached does not say it, and is of no other.
	delete(asked, "kind")
	return holds(there, asked), nil
}

// whole are the fields of what is applied that are somebody's as a whole: an apply
// removes what somebody else has added to them.
var whole = []string{"rules", "subjects", "roleRef", "selector", "matchLabels", "nodeSelector", "tolerations"}

// holds says whether something in JSON has all that is asked for: lists item by item.
func holds(there, asked any) bool {
	switch asked := asked.(type) {
	case map[string]any:
		there, ok := there.(map[string]any)
		for k, v := range asked {
			if slices.Contains(whole, k) {
				ok = ok && reflect.DeepEqual(there[k], v)
			} else {
				ok = ok && holds(there[k], v)
			}
		}
		return ok
	case []any:
		there, ok := there.([]any)
		ok = ok && len(there) == len(asked)
		for i := range asked {
			ok = ok && holds(there[i], asked[i])
		}
		return ok
	}
	return there == asked
}

// likenessOf changes when anything does that is applied. An object with a
// generation has a status too, whose changes do not count.
func likenessOf(o client.Object) string {
	if o.GetGeneration() == 0 {
		return stateOf(o)
	}
	annotations := maps.Clone(o.GetAnnotations())
	maps.DeleteFunc(annotations, func(k, _ string) bool { return strings.HasPrefix(k, "deployment.kubernetes.io/") })
	data, err := json.Marshal([]any{o.GetUID(), o.GetGeneration(), o.GetLabels(), annotations, o.GetOwnerReferences()})
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

// patch changes a child, and asks back what is needed alone: not the records of a shard.
func (r *Reconciler) patch(ctx context.Context, s *scope, c child, t types.PatchType, data []byte) (*metav1.PartialObjectMetadata, error) {
	result := metadataOf(c.kind)
	result.SetNamespace(s.server.Namespace)
	result.SetName(c.name)
	if err := r.Client.Patch(ctx, result, client.RawPatch(t, data), fieldOwner); err != nil {
		return nil, fmt.Errorf("patching %s %s: %w", c.kind, c.name, withoutContent(err))
	}
	return result, nil
}

// create makes an object that is never applied. One that is there already is left
// alone: ours was made by another controller, or is not in the cache yet; another's
// is a refusal. It returns what is there, which may be one to adopt.
func (r *Reconciler) create(ctx context.Context, s *scope, kind string, o client.Object) (client.Object, error) {
	err := r.Client.Create(ctx, o, fieldOwner)
	if err == nil {
		s.wrote(child{kind, o.GetName()}, nil, o)
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
		s.seen.Refusals = append(s.seen.Refusals, s.inTheWay(child{kind, o.GetName()}))
		return nil, errStop
	}
	return there, nil
}

// withoutContent takes the text from an error that can quote the object, and leaves what
// it is.
func withoutContent(err error) error {
	if apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) {
		return quiet{err}
	}
	return err
}

type quiet struct{ error }

func (q quiet) Error() string {
	return "the API server answered " + string(apierrors.ReasonForError(q.error))
}

func (q quiet) Unwrap() error { return q.error }

// inTheWay is why nothing is done as long as a foreign object is there. One of an MCPServer
// of this name that was deleted goes by itself.
func (s *scope) inTheWay(c child) conditions.Refusal {
	//rule:predecessor-is-conflict
	if resources.OwnerOf(s.children[c]) == s.server.Name {
		return conditions.Refusal{Reason: v1alpha1.ReasonPredecessorRemains, Passes: true, Message: fmt.Sprintf(
			"%s %s is of an MCPServer of this name that was deleted: the cluster is about to collect it.", c.kind, c.name)}
	}
	if _, _, shard := resources.ParseShardName(s.server, c.name); shard || c.name == resources.KeysName(s.server) {
		return conditions.Refusal{Reason: v1alpha1.ReasonNameConflict, Message: fmt.Sprintf(
			"metadata.name: %s %s exists and is not this MCPServer's: create an MCPServer of another name. If it is from a backup, restore it with all its labels.", c.kind, c.name)}
	}
	return conditions.Refusal{Reason: v1alpha1.ReasonNameConflict, Message: fmt.Sprintf(
		"metadata.name: %s %s exists and is not this MCPServer's: remove it, or create an MCPServer of another name.", c.kind, c.name)}
}
