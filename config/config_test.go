//go:build integration

// Package config holds no code, but what is applied to clusters. Its tests apply it
// to an API server, with kubectl.
package config

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vestibule.dev/vestibule/api/v1alpha1"
	_ "vestibule.dev/vestibule/controllers" // what cmd/controller is made of: see TestEveryInputIsRead
	"vestibule.dev/vestibule/hack/testenv"
)

var (
	env     *testenv.Env
	admin   client.Client
	kubectl string // the path of the program
	scheme  = runtime.NewScheme()
)

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// run starts an API server on which config/default is applied.
func run(m *testing.M) (code int, err error) {
	if kubectl, err = findKubectl(); err != nil {
		return 1, err
	}
	if env, err = testenv.Start(testenv.Options{}); err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, env.Stop()) }()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return 1, err
	}
	if admin, err = client.New(env.Config, client.Options{Scheme: scheme}); err != nil {
		return 1, err
	}
	if err := apply(context.Background(), env.Kubeconfig(), "-k", "default"); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// findKubectl prefers the one that comes with a downloaded API server.
func findKubectl() (string, error) {
	path := filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kubectl")
	if _, err := os.Stat(path); err == nil && filepath.IsAbs(path) {
		return path, nil
	}
	build := exec.Command("../hack/cluster/build.sh", "kubectl")
	build.Stderr = os.Stderr // It says why it takes minutes.
	out, err := build.Output()
	if err != nil {
		return "", fmt.Errorf("building kubectl: %w", err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "kubectl"), nil
}

// apply applies manifests as docs/install.md says. An unknown field is an error,
// and so is a warning, such as that of a pod which the namespace would refuse.
func apply(ctx context.Context, kubeconfig string, args ...string) error {
	args = append([]string{"--kubeconfig", kubeconfig, "apply", "--server-side", "--validate=strict", "--warnings-as-errors"}, args...)
	if out, err := exec.CommandContext(ctx, kubectl, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("kubectl %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// overlay writes a kustomization as a platform team would, and returns where.
func overlay(t *testing.T, base, rest string) string {
	t.Helper()
	dir := t.TempDir()
	here, err := filepath.Abs(base)
	if err != nil {
		t.Fatal(err)
	}
	// kustomize takes no absolute paths.
	path, err := filepath.Rel(dir, here)
	if err != nil {
		t.Fatal(err)
	}
	content := fmt.Sprintf("resources: [%s]\n%s", path, rest)
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func create(t *testing.T, objects ...client.Object) {
	t.Helper()
	for _, o := range objects {
		if err := admin.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
}

// applySample applies samples/weather.yaml in a namespace, with the Secret and the Service
// that it refers to.
func applySample(t *testing.T, namespace string) {
	t.Helper()
	create(t,
		&corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "weather-oidc", Labels: map[string]string{v1alpha1.LabelAllowedFor: "weather"}},
			StringData: map[string]string{"client-secret": "a secret"},
		},
		&corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "weather"},
			Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "http", Port: 80}}},
		})
	if err := apply(t.Context(), env.Kubeconfig(), "-n", namespace, "-f", "samples/weather.yaml"); err != nil {
		t.Fatal(err)
	}
}

func connect(t *testing.T, cfg *rest.Config) client.Client {
	t.Helper()
	c, err := client.New(cfg, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// account connects as a service account.
func account(t *testing.T, namespace, name string) client.Client {
	t.Helper()
	cfg, err := env.ServiceAccount(t.Context(), namespace, name)
	if err != nil {
		t.Fatal(err)
	}
	return connect(t, cfg)
}

// may asks the API server what c may do. The action is "VERB RESOURCE.GROUP", or
// "VERB RESOURCE.GROUP/SUBRESOURCE"; namespace "" is the cluster.
func may(t *testing.T, c client.Client, action, namespace string) bool {
	t.Helper()
	verb, what, _ := strings.Cut(action, " ")
	what, subresource, _ := strings.Cut(what, "/")
	resource, group, _ := strings.Cut(what, ".")
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: namespace, Verb: verb, Group: group, Resource: resource, Subresource: subresource,
		},
	}}
	if err := c.Create(t.Context(), review); err != nil {
		t.Fatal(err)
	}
	return review.Status.Allowed
}

// Not a test of anything: go test reuses a result until a file that a test has read,
// or a package that it imports, has changed. What kubectl and go build have read, it
// does not know of.
func TestEveryInputIsRead(t *testing.T) {
	for _, root := range []string{".", "../cmd/controller", "../cmd/kubectl-vestibule", "../hack/release"} {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			_, err = os.ReadFile(path)
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// What the controller needs where it is responsible, and what would be too much
// anywhere: who may bind or escalate is administrator by a detour.
var (
	needed = []string{
		"watch mcpservers.mcp.vestibule.dev", "patch mcpservers.mcp.vestibule.dev/status",
		"create secrets", "patch secrets", "patch configmaps", "create services",
		"create deployments.apps", "create poddisruptionbudgets.policy",
		"create roles.rbac.authorization.k8s.io", "create rolebindings.rbac.authorization.k8s.io",
	}
	tooMuch = []string{
		"delete secrets", "deletecollection configmaps", "create pods", "create pods/exec", "create serviceaccounts/token",
		"bind roles.rbac.authorization.k8s.io", "escalate roles.rbac.authorization.k8s.io",
		"impersonate users", "update mcpservers.mcp.vestibule.dev", "delete mcpservers.mcp.vestibule.dev",
		"create clusterroles.rbac.authorization.k8s.io", "patch validatingadmissionpolicies.admissionregistration.k8s.io",
	}
)

func TestTheControllerOfTheCluster(t *testing.T) {
	create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "a-developers"}})
	controller := account(t, "vestibule-system", "vestibule-controller")
	for _, action := range needed {
		if !may(t, controller, action, "a-developers") {
			t.Errorf("the controller may not %s", action)
		}
	}
	for _, action := range tooMuch {
		if may(t, controller, action, "") || may(t, controller, action, "vestibule-system") {
			t.Errorf("the controller may %s", action)
		}
	}
	leads(t, controller, "vestibule-system")
	if may(t, controller, "create leases.coordination.k8s.io", "a-developers") {
		t.Error("the controller may make leases that are not its own")
	}
	grants(t, controller, "a-developers")
}

// builtInRoles are the ClusterRoles of every cluster that people are bound to. Each may do
// what those before it may.
var builtInRoles = []string{"view", "edit", "admin"}

// builtIn returns a Role with the rules of a built-in ClusterRole and of the ClusterRoles
// that are aggregated to it. In a real cluster a controller adds these.
func builtIn(t *testing.T, namespace, name string) *rbacv1.Role {
	t.Helper()
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	var all rbacv1.ClusterRoleList
	if err := admin.List(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	for i := range all.Items {
		for _, to := range builtInRoles[:slices.Index(builtInRoles, name)+1] {
			if all.Items[i].Labels["rbac.authorization.k8s.io/aggregate-to-"+to] == "true" {
				role.Rules = append(role.Rules, all.Items[i].Rules...)
				break
			}
		}
	}
	return role
}

// The built-in roles view, edit and admin grant the same rights for MCPServers.
func TestPeopleWithBuiltInRoles(t *testing.T) {
	const namespace = "people"
	create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	least := map[string]string{
		"list mcpservers.mcp.vestibule.dev":         "view",
		"get mcpservers.mcp.vestibule.dev/status":   "view",
		"create mcpservers.mcp.vestibule.dev":       "edit",
		"patch mcpservers.mcp.vestibule.dev":        "edit",
		"delete mcpservers.mcp.vestibule.dev":       "edit",
		"patch mcpservers.mcp.vestibule.dev/status": "admin",
	}
	for i, name := range builtInRoles {
		create(t, builtIn(t, namespace, name), &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "may-" + name}},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
		})
		user, err := env.User("may-" + name)
		if err != nil {
			t.Fatal(err)
		}
		c := connect(t, user)
		for action, role := range least {
			if got, want := may(t, c, action, namespace), i >= slices.Index(builtInRoles, role); got != want {
				t.Errorf("with the role %s, a user may %s: %v, want %v", name, action, got, want)
			}
			if may(t, c, action, "default") {
				t.Errorf("with the role %s in one namespace, a user may %s in another", name, action)
			}
		}
	}
}

// The administrator of one namespace installs Vestibule there.
func TestTheControllerOfOneNamespace(t *testing.T) {
	const namespace = "team-a"
	create(t,
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
			Name: namespace, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted"},
		}},
		builtIn(t, namespace, "admin"),
		&rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "admin"},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "amy"}},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "admin"},
		})
	amy, err := env.User("amy")
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig, err := env.WriteKubeconfig(amy)
	if err != nil {
		t.Fatal(err)
	}
	if err := apply(t.Context(), kubeconfig, "-k", overlay(t, "namespaced", "namespace: "+namespace)); err != nil {
		t.Fatal(err)
	}

	controller := account(t, namespace, "vestibule-controller")
	for _, action := range needed {
		if !may(t, controller, action, namespace) {
			t.Errorf("the controller may not %s", action)
		}
		if may(t, controller, action, "") || may(t, controller, action, "default") {
			t.Errorf("the controller may %s elsewhere", action)
		}
	}
	for _, action := range tooMuch {
		if may(t, controller, action, namespace) {
			t.Errorf("the controller may %s", action)
		}
	}
	for _, other := range []string{"default", "kube-system", "vestibule-system"} {
		nothingIn(t, controller, other)
	}
	leads(t, controller, namespace)
	grants(t, controller, namespace)
	runs(t, namespace, "--namespaces=$(NAMESPACE)")
}

// What is in no namespace can be applied by itself, and anything can be applied
// again.
func TestWhatBelongsToTheCluster(t *testing.T) {
	for _, dir := range []string{"cluster", "default"} {
		if err := apply(t.Context(), env.Kubeconfig(), "-k", dir); err != nil {
			t.Error(err)
		}
	}
}

func TestTheSamples(t *testing.T) {
	if err := apply(t.Context(), env.Kubeconfig(), "--dry-run=server", "-f", "samples"); err != nil {
		t.Error(err)
	}
}

// An overlay says where the controller runs and where the images are.
func TestAnOverlay(t *testing.T) {
	create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "platform"}})
	dir := overlay(t, "default", `
namespace: platform
images:
- {name: controller, newName: registry.example.com/vestibule/controller, newTag: v1.2.3}
- {name: gateway, newName: registry.example.com/vestibule/gateway, digest: "sha256:`+strings.Repeat("0", 64)+`"}
`)
	if err := apply(t.Context(), env.Kubeconfig(), "--dry-run=server", "-k", dir); err != nil {
		t.Error(err)
	}
	out, err := exec.CommandContext(t.Context(), kubectl, "kustomize", dir).Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"image: registry.example.com/vestibule/controller:v1.2.3\n",
		"value: registry.example.com/vestibule/gateway@sha256:" + strings.Repeat("0", 64) + "\n",
		"namespace: platform\n",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the overlay does not render %q", want)
		}
	}
	if strings.Contains(string(out), "namespace: vestibule-system\n") {
		t.Error("something is still in vestibule-system")
	}
}

func TestTheControllersPod(t *testing.T) { runs(t, "vestibule-system") }

// leads makes sure that c can be the leader: it has no right to delete the lease.
func leads(t *testing.T, c client.Client, namespace string) {
	t.Helper()
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "leader"}}
	if err := c.Create(t.Context(), lease); err != nil {
		t.Fatal(err)
	}
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(lease), lease); err != nil {
		t.Fatal(err)
	}
	lease.Annotations = map[string]string{"renewed": "yes"}
	if err := c.Update(t.Context(), lease); err != nil {
		t.Fatal(err)
	}
}

// grants makes sure that c can give a gateway what a gateway gets, and no more.
func grants(t *testing.T, c client.Client, namespace string) {
	t.Helper()
	role := func(name string, verbs ...string) *rbacv1.Role {
		return &rbacv1.Role{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
			Rules: []rbacv1.PolicyRule{{
				APIGroups: []string{""}, Resources: []string{"secrets", "configmaps"}, ResourceNames: []string{"weather-gateway-grants-0"}, Verbs: verbs,
			}},
		}
	}
	if err := c.Create(t.Context(), role("weather-gateway", "get", "watch", "patch")); err != nil {
		t.Error(err)
	}
	if err := c.Create(t.Context(), role("greedy", "update")); err == nil {
		t.Error("the controller can grant what it may not do itself")
	}
}

// runs makes sure that the namespace takes the controller's pod, and that it is
// started with these arguments among others.
func runs(t *testing.T, namespace string, args ...string) {
	t.Helper()
	deployment := &appsv1.Deployment{}
	if err := admin.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: "vestibule-controller"}, deployment); err != nil {
		t.Fatal(err)
	}
	template := deployment.Spec.Template
	pod := &corev1.Pod{ObjectMeta: template.ObjectMeta, Spec: template.Spec}
	pod.Namespace, pod.Name = namespace, "controller"
	if err := admin.Create(t.Context(), pod, client.DryRunAll); err != nil {
		t.Error(err)
	}
	for _, want := range append(args, "--gateway-image=$(GATEWAY_IMAGE)") {
		if !strings.Contains(strings.Join(pod.Spec.Containers[0].Args, "\n"), want) {
			t.Errorf("the controller is not started with %s", want)
		}
	}
}

// build builds a command as images are built, whose packages are compiled already.
func build(t *testing.T, program, command string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", program, command)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v\n%s", command, err, out)
	}
}
