//go:build integration

package config

import (
	"os"
	"slices"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"vestibule.dev/vestibule/api/v1alpha1"
)

// elsewhere are the fields that may name another namespace, since something there decides.
var elsewhere = []string{
	".spec.gateway.httpRoute.parentRefs[].namespace", // the Gateway's listeners say whose routes attach
	// Pods there are looked at by the scheduler alone, as any pod may ask it.
	affinity + "podAffinity.preferredDuringSchedulingIgnoredDuringExecution[].podAffinityTerm.namespaces",
	affinity + "podAffinity.requiredDuringSchedulingIgnoredDuringExecution[].namespaces",
	affinity + "podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[].podAffinityTerm.namespaces",
	affinity + "podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[].namespaces",
}

const affinity = ".spec.gateway.podTemplate.affinity."

// An MCPServer names objects of its own namespace: there is no field for another.
func TestAttackObjectsOfAnotherNamespace(t *testing.T) {
	content, err := os.ReadFile("crd/bases/mcp.vestibule.dev_mcpservers.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var crd struct {
		Spec struct {
			Versions []struct {
				Schema struct {
					OpenAPIV3Schema schemaNode `json:"openAPIV3Schema"`
				} `json:"schema"`
			} `json:"versions"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal(content, &crd); err != nil {
		t.Fatal(err)
	}
	fields := 0
	for _, v := range crd.Spec.Versions {
		v.Schema.OpenAPIV3Schema.walk("", func(path, name string) {
			fields++
			if (name == "namespace" || name == "namespaces") && !slices.Contains(elsewhere, path) {
				t.Errorf("%s names a namespace: say in docs/security.md what decides there", path)
			}
		})
	}
	if fields < 100 {
		t.Errorf("%d fields were looked at only", fields)
	}
}

// schemaNode is as much of a schema as leads to its fields.
type schemaNode struct {
	Properties map[string]schemaNode `json:"properties"`
	Items      *schemaNode           `json:"items"`
}

func (n schemaNode) walk(path string, see func(path, name string)) {
	for name, p := range n.Properties {
		see(path+"."+name, name)
		p.walk(path+"."+name, see)
	}
	if n.Items != nil {
		n.Items.walk(path+"[]", see)
	}
}

// Who may edit the MCPServers of one namespace, and has no other right, can do that and
// nothing more with the API server: what they get beyond it, they get through a gateway.
func TestAttackByAnEditor(t *testing.T) {
	const namespace = "tenant"
	create(t,
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "database"}},
		&rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "editor"},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "eve"}},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "vestibule-mcpserver-editor"},
		})
	as := rest.CopyConfig(env.Config)
	as.Impersonate.UserName = "eve"
	eve := connect(t, as)

	sample, err := os.ReadFile("samples/weather.yaml")
	if err != nil {
		t.Fatal(err)
	}
	server := func(namespace string) *v1alpha1.MCPServer {
		s := &v1alpha1.MCPServer{}
		if err := yaml.UnmarshalStrict(sample, s); err != nil {
			t.Fatal(err)
		}
		s.Namespace = namespace
		return s
	}
	own := server(namespace)
	if err := eve.Create(t.Context(), own); err != nil {
		t.Fatalf("an editor may not edit: %v", err)
	}
	if err := eve.Create(t.Context(), server("default")); !apierrors.IsForbidden(err) {
		t.Errorf("an MCPServer of another namespace: %v", err)
	}
	// To allow herself a Secret, she would need to write it.
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "database"}}
	label := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"mcp.vestibule.dev/allowed-for":"any"}}}`))
	if err := eve.Patch(t.Context(), secret, label); !apierrors.IsForbidden(err) {
		t.Errorf("the label of a Secret: %v", err)
	}
	status := client.RawPatch("application/merge-patch+json", []byte(`{"status":{"store":"Etcd"}}`))
	if err := eve.Status().Patch(t.Context(), own, status); !apierrors.IsForbidden(err) {
		t.Errorf("what the controller remembers in the status: %v", err)
	}
	for _, action := range []string{
		"get secrets", "list secrets", "get configmaps", "create pods", "create pods/exec", "create serviceaccounts/token",
		"create services", "create endpointslices.discovery.k8s.io", "create deployments.apps", "create roles.rbac.authorization.k8s.io",
	} {
		if may(t, eve, action, namespace) {
			t.Errorf("an editor of MCPServers may %s", action)
		}
	}
	nothingIn(t, eve, "default")
}

// nothingIn makes sure that c may do nothing in a namespace that a service account may
// not which nobody has given anything.
func nothingIn(t *testing.T, c client.Client, namespace string) {
	t.Helper()
	nobody := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "nobody"}}
	if err := client.IgnoreAlreadyExists(admin.Create(t.Context(), nobody)); err != nil {
		t.Fatal(err)
	}
	everybodys := rulesIn(t, account(t, nobody.Namespace, nobody.Name), namespace)
	for _, rule := range rulesIn(t, c, namespace) {
		if !slices.Contains(everybodys, rule) {
			t.Errorf("in %s it may %s", namespace, rule)
		}
	}
}

// rulesIn is what c may do in a namespace, and with what is in none.
func rulesIn(t *testing.T, c client.Client, namespace string) []string {
	t.Helper()
	review := &authorizationv1.SelfSubjectRulesReview{Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: namespace}}
	if err := c.Create(t.Context(), review); err != nil {
		t.Fatal(err)
	}
	if review.Status.Incomplete {
		t.Errorf("not all is known of what it may do in %s: %s", namespace, review.Status.EvaluationError)
	}
	var rules []string
	for _, rule := range review.Status.ResourceRules {
		rules = append(rules, rule.String())
	}
	return rules
}
