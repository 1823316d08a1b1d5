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
		seen, err := r.lookAt(ctx, s, child{ref.Kind, ref.Name})
		if err != nil {
			return err
		}
		digest, found := seen.digests[ref.Key]
		references = append(references, conditions.Reference{
			Reference: ref, Exists: seen.exists, NotAllowed: seen.notAllowed, Found: found, Digest: digest,
		})
	}
	s.seen.References = references
	return nil
}

// referred is what is known of an object that the spec refers to.
type referred struct {
	exists, notAllowed bool
	// digests stand for what it has under each of its keys.
	digests map[string]string
}

// lookAt has the metadata from the cache, which says when to read the content again.
// That of a Secret that the server may not use is nobody's business.
func (r *Reconciler) lookAt(ctx context.Context, s *scope, c child) (referred, error) {
	key, id := client.ObjectKey{Namespace: s.server.Namespace, Name: c.name}, memoID(client.ObjectKeyFromObject(s.server), c)
	meta := metadataOf(c.kind)
	err := r.Client.Get(ctx, key, meta)
	if client.IgnoreNotFound(err) != nil {
		return referred{}, fmt.Errorf("reading the metadata of %s %s: %w", c.kind, c.name, err)
	}
	if err != nil {
		return referred{}, nil
	}
	if c.kind == kindSecret && !s.server.MayUse(meta) {
		return referred{exists: true, notAllowed: true}, nil
	}
	if digests, ok := r.contents.at(id, version(meta)); ok {
		return referred{exists: true, digests: digests}, nil
	}
	o := newObject(c.kind)
	err = r.Live.Get(ctx, key, o)
	if client.IgnoreNotFound(err) != nil {
		return referred{}, fmt.Errorf("reading %s %s: %w", c.kind, c.name, err)
	}
	if err != nil {
		return referred{}, nil
	}
	digests := digestsOf(o)
	r.contents.remember(id, version(o), digests)
	return referred{exists: true, digests: digests}, nil
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
