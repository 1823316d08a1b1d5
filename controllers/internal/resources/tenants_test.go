package resources_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/controllers/internal/resources"
)

// everyServer calls f with each server of testdata and with all that is made for it.
func everyServer(t *testing.T, f func(t *testing.T, server *v1alpha1.MCPServer, children []any)) {
	t.Helper()
	files, err := filepath.Glob("testdata/children/*.yaml")
	if err != nil || len(files) < 4 {
		t.Fatalf("there are %v: %v", files, err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		t.Run(name, func(t *testing.T) {
			server := read(t, name)
			f(t, server, children(t, server))
		})
	}
}

// decoded are those of the children that are of one kind.
func decoded[T any](t *testing.T, kind string, children []any) []*T {
	t.Helper()
	var all []*T
	for _, child := range children {
		data, err := json.Marshal(child)
		if err != nil {
			t.Fatal(err)
		}
		var meta metav1.TypeMeta
		if err := json.Unmarshal(data, &meta); err != nil {
			t.Fatal(err)
		}
		o := new(T)
		if meta.Kind != kind {
			continue
		}
		if err := json.Unmarshal(data, o); err != nil {
			t.Fatal(err)
		}
		all = append(all, o)
	}
	return all
}

func deploymentOf(t *testing.T, children []any) *appsv1.Deployment {
	t.Helper()
	all := decoded[appsv1.Deployment](t, "Deployment", children)
	if len(all) != 1 {
		t.Fatalf("there are %d Deployments", len(all))
	}
	return all[0]
}

// Whatever the spec says, its pods are what the level "restricted" of Pod Security lets
// through, by the judge that API servers have built in.
func TestAttackPodsWithMoreRights(t *testing.T) {
	checks := policy.DefaultChecks()
	evaluator, err := policy.NewEvaluator(checks, nil)
	if err != nil {
		t.Fatal(err)
	}
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	everyServer(t, func(t *testing.T, _ *v1alpha1.MCPServer, children []any) {
		template := &deploymentOf(t, children).Spec.Template
		judge := func() policy.AggregateCheckResult {
			return policy.AggregateCheckResults(evaluator.EvaluatePod(restricted, &template.ObjectMeta, &template.Spec))
		}
		if got := judge(); !got.Allowed {
			t.Errorf("the pods are forbidden: %s", got.ForbiddenDetail())
		}
		template.Spec.HostNetwork = true
		if judge().Allowed {
			t.Error("nobody judges here")
		}
	})
}

// Pods are given no Secret but the keys and what the spec refers to, since what it refers
// to must be allowed for it.
func TestAttackSecretsPastTheReferences(t *testing.T) {
	everyServer(t, func(t *testing.T, server *v1alpha1.MCPServer, children []any) {
		known := []string{resources.KeysName(server)}
		for _, r := range resources.References(server) {
			if r.Kind == "Secret" {
				known = append(known, r.Name)
			}
		}
		pod := deploymentOf(t, children).Spec.Template.Spec
		for _, name := range secretsOf(&pod) {
			if !slices.Contains(known, name) {
				t.Errorf("the pods are given the Secret %s, which is no reference", name)
			}
		}
		if got := secretsOf(&pod); !slices.Contains(got, known[0]) {
			t.Errorf("%v is found, without the keys, so nothing is tested", got)
		}
	})
}

// secretsOf are the Secrets that containers can read; those to pull images with they cannot.
func secretsOf(pod *corev1.PodSpec) []string {
	var all []string
	for _, v := range pod.Volumes {
		if v.Secret != nil {
			all = append(all, v.Secret.SecretName)
		}
		if v.Projected == nil {
			continue
		}
		for _, source := range v.Projected.Sources {
			if source.Secret != nil {
				all = append(all, source.Secret.Name)
			}
		}
	}
	for _, c := range slices.Concat(pod.InitContainers, pod.Containers) {
		for _, from := range c.EnvFrom {
			if from.SecretRef != nil {
				all = append(all, from.SecretRef.Name)
			}
		}
		for _, e := range c.Env {
			if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
				all = append(all, e.ValueFrom.SecretKeyRef.Name)
			}
		}
	}
	return all
}

// What a gateway may do, it may do to objects of its own by name; only EndpointSlices it
// has to look for.
func TestAttackRightsToAll(t *testing.T) {
	everyServer(t, func(t *testing.T, server *v1alpha1.MCPServer, children []any) {
		if cluster := decoded[rbacv1.ClusterRole](t, "ClusterRole", children); len(cluster) > 0 {
			t.Error("a gateway has a ClusterRole")
		}
		roles := decoded[rbacv1.Role](t, "Role", children)
		if len(roles) != 1 || len(roles[0].Rules) == 0 {
			t.Fatalf("there are %d Roles", len(roles))
		}
		for _, rule := range roles[0].Rules {
			if fmt.Sprint(rule.Resources, rule.Verbs, rule.ResourceNames) == "[endpointslices] [list watch] []" {
				continue
			}
			if len(rule.ResourceNames) == 0 {
				t.Errorf("the rule %v names no object", rule)
			}
			for _, name := range rule.ResourceNames {
				if !strings.HasPrefix(name, resources.Name(server)+"-") {
					t.Errorf("the rule %v names %s, which is not the server's", rule, name)
				}
			}
			for _, verb := range rule.Verbs {
				if !slices.Contains([]string{"get", "watch", "patch"}, verb) {
					t.Errorf("the rule %v lets a gateway %s", rule, verb)
				}
			}
		}
	})
}

// The keys and records of a server are Secrets of its namespace, too: nothing that the
// controller makes is allowed for anybody.
func TestAttackKeysAsASecretOfTheSpec(t *testing.T) {
	everyServer(t, func(t *testing.T, server *v1alpha1.MCPServer, children []any) {
		secrets := 0
		for _, child := range children {
			s, ok := child.(*corev1.Secret)
			if !ok {
				continue
			}
			secrets++
			if server.MayUse(s) {
				t.Errorf("the server may refer to %s", s.Name)
			}
		}
		if secrets == 0 {
			t.Error("there is no Secret")
		}
	})
}
