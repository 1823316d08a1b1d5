package testenv

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Shards makes what the controller makes for a gateway's store: Secrets in the
// namespace default, so many for clients and for grants, and a service account, both
// of this name, that may touch nothing else. It returns a kubeconfig of the account.
func (e *Env) Shards(ctx context.Context, name string, clients, grants int) (kubeconfig string, err error) {
	unlimited := rest.CopyConfig(e.Config)
	unlimited.QPS = -1
	c, err := client.New(unlimited, client.Options{})
	if err != nil {
		return "", fmt.Errorf("connecting to the control plane: %w", err)
	}
	var names []string
	for part, count := range map[string]int{"clients": clients, "grants": grants} {
		for n := range count {
			shard := &corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: fmt.Sprintf("%s-%s-%d", name, part, n)},
				Data:       map[string][]byte{"_shard": {1}},
			}
			names = append(names, shard.Name)
			if err := c.Create(ctx, shard); err != nil {
				return "", fmt.Errorf("creating a shard: %w", err)
			}
			// Or every key of every record would be listed there too.
			strip := client.RawPatch(types.JSONPatchType, []byte(`[{"op":"replace","path":"/metadata/managedFields","value":[{}]}]`))
			if err := c.Patch(ctx, shard, strip); err != nil {
				return "", fmt.Errorf("emptying a shard's managed fields: %w", err)
			}
		}
	}
	meta := metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: name}
	for _, o := range []client.Object{
		&corev1.ServiceAccount{ObjectMeta: meta},
		&rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{{
			APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get", "watch", "patch"}, ResourceNames: names,
		}}},
		&rbacv1.RoleBinding{
			ObjectMeta: meta,
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: meta.Namespace, Name: name}},
		},
	} {
		if err := c.Create(ctx, o); err != nil {
			return "", fmt.Errorf("creating the account of a store: %w", err)
		}
	}
	account, err := e.ServiceAccount(ctx, meta.Namespace, name)
	if err != nil {
		return "", err
	}
	return e.WriteKubeconfig(account)
}
