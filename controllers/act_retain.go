package controllers

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/controllers/internal/resources"
)

// eventAdopted is the reason of the event that says that a server goes on with what an
// earlier one has left.
const eventAdopted = "StoreAdopted"

// retain makes the keys and the shards that are the server's go with it, or outlive it.
// It stands before the step that stops for a spec that is not accepted: whoever has
// asked for their records to be kept does not have to write a perfect spec first.
func (r *Reconciler) retain(ctx context.Context, s *scope) error {
	if s.seen.Store.KeysReplaced {
		return nil
	}
	if err := r.claimAll(ctx, s, resources.IsOf); err != nil {
		return err
	}
	s.retains = true
	return nil
}

// adopt takes over what was retained of an earlier server, the keys first: nothing
// but they says what the rest is.
func (r *Reconciler) adopt(ctx context.Context, s *scope) error {
	if !s.adopts() {
		return nil
	}
	if err := r.claimAll(ctx, s, resources.IsRetained); err != nil {
		return err
	}
	r.Events.Eventf(s.server, nil, corev1.EventTypeNormal, eventAdopted, "Adopt",
		"The keys and the records of an earlier MCPServer of this name are this one's now. Its clients stay registered, and its users logged in.")
	return nil
}

// adopts says whether there is something to adopt.
func (s *scope) adopts() bool {
	return slices.ContainsFunc(s.kept(), func(k kept) bool { return resources.IsRetained(s.server, k.Object) })
}

// keys is the Secret with the keys that the server has or may adopt, or nil.
func (s *scope) keys() client.Object {
	c := child{kindSecret, resources.KeysName(s.server)}
	if s.foreign(c) {
		return nil
	}
	return s.children[c]
}

// boundStore is the type of the store that has all records, or empty if there is none.
// A server that has adopted them hears it from the keys, until it has seen for itself.
func (s *scope) boundStore() v1alpha1.OAuthKVType {
	//rule:adopted-store-unread
	if keys := s.keys(); keys != nil && s.server.Status.Store == "" && resources.SealedTo(s.server, keys) != string(s.server.UID) {
		return resources.RetainedStore(keys)
	}
	return s.server.Status.Store
}

// retainedDiffers is why what was retained cannot be adopted, or empty.
func (s *scope) retainedDiffers() string {
	keys := s.keys()
	if keys == nil || !resources.IsRetained(s.server, keys) {
		return ""
	}
	if !resources.FitsPublicURL(s.server, keys) {
		return fmt.Sprintf("metadata.name: Secret %s and the objects of its store were retained of an MCPServer of this name with another publicURL: create this one with that publicURL, or under another name. To begin without what they hold, see docs/stores.md.", keys.GetName())
	}
	if kv := s.server.Spec.Bindings.OAuthKV.Kubernetes; kv != nil && len(s.left) > 0 {
		return fmt.Sprintf("bindings.oauthKV.kubernetes.kind: the records that were retained of an MCPServer of this name are not in objects of kind %s: create it with the other kind. To begin without what they hold, see docs/stores.md.", kv.Kind)
	}
	return ""
}

// kept is one of the objects that deletionPolicy is about.
type kept struct {
	child
	client.Object
}

// kept are the keys and the shards that the server has or may adopt, in their order.
func (s *scope) kept() []kept {
	var all []kept
	add := func(kind string, o client.Object) { all = append(all, kept{child{kind, o.GetName()}, o}) }
	if keys := s.keys(); keys != nil {
		add(kindSecret, keys)
	}
	if kv := s.server.Spec.Bindings.OAuthKV.Kubernetes; kv != nil {
		for _, p := range s.parts() {
			for _, n := range slices.Sorted(maps.Keys(s.shards[p.name])) {
				add(string(kv.Kind), s.shards[p.name][n])
			}
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(s.left)) {
		for _, o := range s.left[kind] {
			add(kind, o)
		}
	}
	return all
}

// claimAll claims what is there, if it is of these.
func (r *Reconciler) claimAll(ctx context.Context, s *scope, of func(*v1alpha1.MCPServer, metav1.Object) bool) error {
	sealedTo := resources.SealedTo(s.server, s.keys())
	for _, k := range s.kept() {
		if !of(s.server, k.Object) {
			continue
		}
		labels := resources.ShardLabels(sealedTo)
		if k.name == resources.KeysName(s.server) {
			//rule:store-by-spec
			labels = resources.KeysLabels(s.server, sealedTo, cmp.Or(s.boundStore(), resources.StoreToBegin(s.server)))
		}
		if err := r.claim(ctx, s, k.child, k.Object, labels); err != nil {
			return err
		}
	}
	return nil
}

// claim makes keys or a shard the server's as its spec wants it, with these labels.
func (r *Reconciler) claim(ctx context.Context, s *scope, c child, o client.Object, labels map[string]string) error {
	patch, err := resources.Claim(s.server, o, labels)
	if err != nil || patch == nil {
		return err
	}
	claimed, err := r.patch(ctx, s, c, types.MergePatchType, patch)
	if err != nil {
		return err
	}
	s.wrote(c, o, claimed)
	o.SetLabels(claimed.GetLabels())
	o.SetOwnerReferences(claimed.GetOwnerReferences())
	o.SetResourceVersion(claimed.GetResourceVersion())
	o.SetManagedFields(claimed.GetManagedFields())
	return nil
}
