package controllers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vestibule.dev/vestibule/controllers/internal/resources"
)

// takeOver makes an orphan the server's, and all of it what is wanted: nothing of what
// somebody else has put there stays, such as a container. One whose kind does not let it
// become that is deleted, and made anew.
func (r *Reconciler) takeOver(ctx context.Context, s *scope, c child, wanted any) error {
	key := client.ObjectKey{Namespace: s.server.Namespace, Name: c.name}
	there := newObject(c.kind)
	if err := r.Live.Get(ctx, key, there); err != nil {
		return fmt.Errorf("reading %s %s: %w", c.kind, c.name, err)
	}
	patch, err := replacement(there, wanted, resources.OwnerReference(s.server))
	if err != nil {
		return err
	}
	result, err := r.patch(ctx, s, c, types.JSONPatchType, patch)
	//rule:immutable-orphan-stays
	if apierrors.IsInvalid(err) {
		delete(s.children, c)
		return r.remove(ctx, c, there)
	}
	if err != nil {
		return err
	}
	s.tookOver(c, result)
	return nil
}

// tookOver notes that an orphan is the server's now.
func (s *scope) tookOver(c child, result *metav1.PartialObjectMetadata) {
	s.wrote(c, s.children[c], result)
	s.children[c] = result
}

// operation is one of a JSON Patch (RFC 6902).
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

// replacement is the patch that makes an object what is wanted, with an owner, and that
// nobody is said to have written: whoever applies it next owns all of it.
func replacement(there client.Object, wanted any, owner any) ([]byte, error) {
	var before, after map[string]any
	if err := errors.Join(convert(there, &before), convert(wanted, &after)); err != nil {
		return nil, err
	}
	patch := []operation{{"test", "/metadata/uid", there.GetUID()}, {"test", "/metadata/resourceVersion", there.GetResourceVersion()}}
	replace := func(parent string, before, after map[string]any, name string) {
		value, stays := after[name]
		_, is := before[name]
		switch {
		case stays:
			patch = append(patch, operation{"add", parent + name, value})
		//rule:orphan-in-part
		case is:
			patch = append(patch, operation{Op: "remove", Path: parent + name})
		}
	}
	members := maps.Clone(before)
	maps.Copy(members, after)
	for name := range members {
		if !slices.Contains([]string{"apiVersion", "kind", "metadata", "status"}, name) {
			replace("/", before, after, name)
		}
	}
	metaBefore, _ := before["metadata"].(map[string]any)
	metaAfter, _ := after["metadata"].(map[string]any)
	for _, name := range []string{"labels", "annotations", "finalizers"} {
		replace("/metadata/", metaBefore, metaAfter, name)
	}
	return json.Marshal(append(patch,
		operation{"add", "/metadata/ownerReferences", []any{owner}},
		operation{"add", "/metadata/managedFields", []any{map[string]any{}}}))
}

// adoptConfig makes a configuration the server's, whose content its name stands for.
func (r *Reconciler) adoptConfig(ctx context.Context, s *scope, c child) error {
	m := &corev1.ConfigMap{}
	if err := r.Live.Get(ctx, client.ObjectKey{Namespace: s.server.Namespace, Name: c.name}, m); err != nil {
		return fmt.Errorf("reading ConfigMap %s: %w", c.name, err)
	}
	if _, err := resources.ParseConfig(s.server, m); err != nil {
		return r.remove(ctx, c, m) // and the next pass makes it anew
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid": m.UID, "ownerReferences": []any{resources.OwnerReference(s.server)},
	}})
	if err != nil {
		return fmt.Errorf("encoding the owner of ConfigMap %s: %w", c.name, err)
	}
	result, err := r.patch(ctx, s, c, types.MergePatchType, patch)
	if err != nil {
		return err
	}
	s.tookOver(c, result)
	return nil
}
