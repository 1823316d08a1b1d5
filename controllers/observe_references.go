package controllers

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vestibule.dev/vestibule/controllers/internal/conditions"
	"vestibule.dev/vestibule/controllers/internal/resources"
)

// observeReferences looks at each key that the spec refers to.
func (r *Reconciler) observeReferences(ctx context.Context, s *scope) error {
	references := []conditions.Reference{} // Not nil: it is known that there is none.
	for _, ref := range resources.References(s.server) {
		digests, err := r.digests(ctx, s, child{ref.Kind, ref.Name})
		if err != nil {
			return err
		}
		digest, found := digests[ref.Key]
		references = append(references, conditions.Reference{Reference: ref, Exists: digests != nil, Found: found, Digest: digest})
	}
	s.seen.References = references
	return nil
}

// digests stand for what an object has under each of its keys. They are nil if
// there is no such object. The cache has its metadata alone, and says when to read
// it again.
func (r *Reconciler) digests(ctx context.Context, s *scope, c child) (map[string]string, error) {
	key, id := client.ObjectKey{Namespace: s.server.Namespace, Name: c.name}, memoID(client.ObjectKeyFromObject(s.server), c)
	meta := metadataOf(c.kind)
	err := r.Client.Get(ctx, key, meta)
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("reading the metadata of %s %s: %w", c.kind, c.name, err)
	}
	if err != nil {
		return nil, nil
	}
	if digests, ok := r.contents.at(id, version(meta)); ok {
		return digests, nil
	}
	o := newObject(c.kind)
	err = r.Live.Get(ctx, key, o)
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("reading %s %s: %w", c.kind, c.name, err)
	}
	if err != nil {
		return nil, nil
	}
	digests := digestsOf(o)
	r.contents.remember(id, version(o), digests)
	return digests, nil
}

func digestsOf(o client.Object) map[string]string {
	digests := map[string]string{}
	switch o := o.(type) {
	case *corev1.Secret:
		for k, v := range o.Data {
			digests[k] = resources.Digest(v)
		}
	case *corev1.ConfigMap:
		for k, v := range o.Data {
			digests[k] = resources.Digest([]byte(v))
		}
		for k, v := range o.BinaryData {
			digests[k] = resources.Digest(v)
		}
	}
	return digests
}
