package controllers

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
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
	result := metadataOf(c.kind)
	result.SetNamespace(key.Namespace)
	result.SetName(key.Name)
	err = r.Client.Patch(ctx, result, client.RawPatch(types.JSONPatchType, patch), fieldOwner)
	if apierrors.IsInvalid(err) {
		delete(s.children, c)
		return r.remove(ctx, c, there)
	}
	if err != nil {
		return fmt.Errorf("taking %s %s over: %w", c.kind, c.name, withoutContent(err))
	}
	s.wrote(c, s.children[c], result)
	s.children[c] = result
	return nil
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
	var before, after struct {
		Metadata map[string]any `json:"metadata"`
	}
	members := [2]map[string]any{}
	for i, o := range []any{there, wanted} {
		if err := convert(o, &members[i]); err != nil {
			return nil, err
		}
		if err := convert(o, map[int]any{0: &before, 1: &after}[i]); err != nil {
			return nil, err
		}
		for _, name := range []string{"apiVersion", "kind", "metadata", "status"} {
			delete(members[i], name)
		}
	}
	patch := []operation{{"test", "/metadata/uid", there.GetUID()}, {"test", "/metadata/resourceVersion", there.GetResourceVersion()}}
	for name := range members[0] {
		//rule:orphan-in-part
		if _, stays := members[1][name]; !stays {
			patch = append(patch, operation{Op: "remove", Path: "/" + name})
		}
	}
	for name, value := range members[1] {
		patch = append(patch, operation{"add", "/" + name, value})
	}
	for _, name := range []string{"labels", "annotations", "finalizers"} {
		if value, ok := after.Metadata[name]; ok {
			patch = append(patch, operation{"add", "/metadata/" + name, value})
		} else if _, ok := before.Metadata[name]; ok {
			patch = append(patch, operation{Op: "remove", Path: "/metadata/" + name})
		}
	}
	patch = append(patch,
		operation{"add", "/metadata/ownerReferences", []any{owner}},
		operation{"add", "/metadata/managedFields", []any{map[string]any{}}})
	slices.SortStableFunc(patch[2:], func(a, b operation) int { return len(a.Path) - len(b.Path) })
	return json.Marshal(patch)
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
	result := metadataOf(c.kind)
	result.SetNamespace(m.Namespace)
	result.SetName(m.Name)
	if err := r.Client.Patch(ctx, result, client.RawPatch(types.MergePatchType, patch), fieldOwner); err != nil {
		return fmt.Errorf("taking ConfigMap %s over: %w", c.name, withoutContent(err))
	}
	s.wrote(c, s.children[c], result)
	s.children[c] = result
	return nil
}
