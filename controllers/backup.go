package controllers

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/controllers/internal/resources"
)

// Backup reads the keys and the shards of an MCPServer, or those that were retained of
// one, so that they can be created in another namespace or cluster: an MCPServer of the
// same name and publicURL that is created there later goes on with them. The keys are
// the last of the list, since no record is under a key that was made after it was read.
func Backup(ctx context.Context, c client.Reader, namespace, name string) ([]client.Object, error) {
	server := &v1alpha1.MCPServer{}
	server.Namespace, server.Name = namespace, name
	exists := true
	if err := c.Get(ctx, client.ObjectKeyFromObject(server), server); client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("reading MCPServer %s: %w", name, err)
	} else if err != nil {
		exists = false
	}
	var all []client.Object
	counts := map[resources.Part]int{}
	shard := func(o client.Object) bool {
		part, n, ok := resources.ParseShardName(server, o.GetName())
		if !ok || resources.OwnerOf(o) != name {
			return false
		}
		counts[part] = max(counts[part], n+1)
		return true
	}
	shards := []client.ListOption{client.InNamespace(namespace), client.MatchingLabels(resources.ComponentLabels(resources.ComponentStore))}
	var secrets corev1.SecretList
	var maps corev1.ConfigMapList
	for _, list := range []client.ObjectList{&secrets, &maps} {
		if err := c.List(ctx, list, shards...); err != nil {
			return nil, fmt.Errorf("listing the shards: %w", err)
		}
	}
	for i := range secrets.Items {
		if s := &secrets.Items[i]; shard(s) {
			all = append(all, restorableSecret(s))
		}
	}
	for i := range maps.Items {
		if m := &maps.Items[i]; shard(m) {
			restorable := &corev1.ConfigMap{ObjectMeta: resources.Restorable(m), Data: m.Data, BinaryData: m.BinaryData}
			restorable.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind(kindConfigMap))
			all = append(all, restorable)
		}
	}
	keys := &corev1.Secret{}
	if err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: resources.KeysName(server)}, keys); err != nil {
		return nil, fmt.Errorf("reading the keys: %w", err)
	}
	if resources.OwnerOf(keys) != name {
		return nil, fmt.Errorf("the Secret %s is not that of an MCPServer", keys.Name)
	}
	restorable := restorableSecret(keys)
	if !exists {
		server = nil
	}
	resources.CompleteKeys(&restorable.ObjectMeta, server, counts)
	return slices.Concat(all, []client.Object{restorable}), nil
}

// BackupAll is Backup of all MCPServers of the cluster, and of those that were retained.
// Each object says in which namespace it was.
func BackupAll(ctx context.Context, c client.Reader) ([]client.Object, error) {
	var keys corev1.SecretList
	if err := c.List(ctx, &keys, client.MatchingLabels(resources.ComponentLabels(resources.ComponentKeys))); err != nil {
		return nil, fmt.Errorf("listing the keys: %w", err)
	}
	var all []client.Object
	for i := range keys.Items {
		name := resources.OwnerOf(&keys.Items[i])
		if name == "" {
			continue
		}
		namespace := keys.Items[i].Namespace
		objects, err := Backup(ctx, c, namespace, name)
		if err != nil {
			return nil, fmt.Errorf("MCPServer %s in namespace %s: %w", name, namespace, err)
		}
		for _, o := range objects {
			o.SetNamespace(namespace)
		}
		all = append(all, objects...)
	}
	return all, nil
}

func restorableSecret(s *corev1.Secret) *corev1.Secret {
	restorable := &corev1.Secret{ObjectMeta: resources.Restorable(s), Type: s.Type, Data: s.Data}
	restorable.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind(kindSecret))
	return restorable
}
