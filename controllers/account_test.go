//go:build integration

package controllers

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// generatedRules are what config/rbac/role.yaml grants the controller.
func generatedRules() ([]rbacv1.PolicyRule, error) {
	data, err := os.ReadFile("../config/rbac/role.yaml")
	if err != nil {
		return nil, err
	}
	role := &rbacv1.ClusterRole{}
	first, _, _ := strings.Cut(strings.TrimPrefix(string(data), "---\n"), "\n---\n")
	if err := yaml.UnmarshalStrict([]byte(first), role); err != nil {
		return nil, err
	}
	if role.Kind != "ClusterRole" || len(role.Rules) == 0 {
		return nil, errors.New("role.yaml does not begin with the rules of a ClusterRole")
	}
	return role.Rules, nil
}

// newAccount makes a service account for a controller. It may do what the generated
// role says in these namespaces, or in all if there are none, and nothing else.
func newAccount(ctx context.Context, home string, namespaces ...string) (*rest.Config, error) {
	rules, err := generatedRules()
	if err != nil {
		return nil, err
	}
	sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: home, GenerateName: "controller-"}}
	if err := admin.Create(ctx, sa); err != nil {
		return nil, err
	}
	subjects := []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: home, Name: sa.Name}}
	ref := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: home + "-" + sa.Name}
	meta := metav1.ObjectMeta{Name: ref.Name}
	var grants []client.Object
	if len(namespaces) == 0 {
		grants = append(grants, &rbacv1.ClusterRole{ObjectMeta: meta, Rules: rules},
			&rbacv1.ClusterRoleBinding{ObjectMeta: meta, RoleRef: ref, Subjects: subjects})
	}
	for _, n := range namespaces {
		meta.Namespace, ref.Kind = n, "Role"
		grants = append(grants, &rbacv1.Role{ObjectMeta: meta, Rules: rules},
			&rbacv1.RoleBinding{ObjectMeta: meta, RoleRef: ref, Subjects: subjects})
	}
	for _, o := range grants {
		if err := admin.Create(ctx, o); err != nil {
			return nil, err
		}
	}
	return env.ServiceAccount(ctx, home, sa.Name)
}

func account(t *testing.T, home string, namespaces ...string) *rest.Config {
	t.Helper()
	cfg, err := newAccount(t.Context(), home, namespaces...)
	must(t, err)
	return cfg
}
