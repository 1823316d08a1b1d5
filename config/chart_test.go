//go:build integration

package config

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/hack/testenv"
)

const (
	repository = "registry.example.com/vestibule"
	// setImages and overlaidImages say the same to helm and to kustomize.
	setImages      = "images.repository=" + repository + ",images.tag=v1.2.3"
	overlaidImages = `
images:
- {name: controller, newName: ` + repository + `/controller, newTag: v1.2.3}
- {name: gateway, newName: ` + repository + `/gateway, newTag: v1.2.3}
`
	// clusterless leaves out what is in no namespace.
	clusterless = ",scope=ReleaseNamespace,crd.install=false,admissionPolicy.install=false,peopleRoles.install=false"
)

// helm runs it, and keeps what it writes for itself in a directory of the test's.
func helm(t *testing.T, kubeconfig string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"tool", "-modfile=../hack/release/go.mod", "helm"}, args...)...)
	home := t.TempDir()
	cmd.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig, "HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("helm %s: %w\n%s", args[0], err, &stderr)
	}
	return stdout.String(), nil
}

func mustHelm(t *testing.T, kubeconfig string, args ...string) string {
	t.Helper()
	out, err := helm(t, kubeconfig, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// objects are those of a stream, by kind and name.
func objects(t *testing.T, stream string) map[string]any {
	t.Helper()
	all := map[string]any{}
	for document := range strings.SplitSeq("\n"+stream, "\n---\n") {
		o := unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(document), &o.Object); err != nil {
			t.Fatalf("%v in\n%s", err, document)
		}
		if len(o.Object) == 0 {
			continue
		}
		// kustomize does not know that these are in no namespace.
		if strings.HasPrefix(o.GetKind(), "ValidatingAdmissionPolicy") {
			o.SetNamespace("")
		}
		// It is helm's own: what it deletes, and what it leaves.
		annotations := o.GetAnnotations()
		if delete(annotations, "helm.sh/resource-policy"); len(annotations) == 0 {
			annotations = nil
		}
		o.SetAnnotations(annotations)
		name := o.GetKind() + " " + o.GetNamespace() + "/" + o.GetName()
		if all[name] != nil {
			t.Errorf("%s is there twice", name)
		}
		all[name] = o.Object
	}
	return all
}

// The chart and the kustomizations are two ways to the same objects.
func TestTheChartIsTheKustomization(t *testing.T) {
	for _, c := range []struct{ overlay, namespace, set string }{
		{overlay(t, "default", "namespace: platform"+overlaidImages), "platform", setImages},
		{overlay(t, "namespaced", "namespace: team-c"+overlaidImages), "team-c", setImages + clusterless},
		{"cluster", "platform", "controller.install=false"},
	} {
		out, err := exec.CommandContext(t.Context(), kubectl, "kustomize", c.overlay).Output()
		if err != nil {
			t.Fatal(err)
		}
		want := objects(t, string(out))
		// helm has a namespace made, or takes one that is there.
		maps.DeleteFunc(want, func(name string, _ any) bool { return strings.HasPrefix(name, "Namespace ") })
		got := objects(t, mustHelm(t, "", "template", "vestibule", "chart", "-n", c.namespace, "--set", c.set))
		if len(got) < 5 {
			t.Errorf("%s: the chart has %d objects only", c.overlay, len(got))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s and the chart with %s differ (-kustomize +helm):\n%s", c.overlay, c.set, diff)
		}
	}
}

// Each value arrives where it belongs, and the API server takes it.
func TestTheChartsValues(t *testing.T) {
	values := filepath.Join(t.TempDir(), "values.yaml")
	err := os.WriteFile(values, []byte(`
images:
  controller: registry.example.com/c@sha256:`+strings.Repeat("0", 64)+`
  gateway: registry.example.com/g:v2
imagePullSecrets: [{name: registry}]
replicas: 2
resources: {requests: {cpu: 100m}}
goMemoryLimit: 900MiB
extraArgs: [--log-level=DEBUG]
podAnnotations: {example.com/a: b}
podLabels: {example.com/team: platform}
nodeSelector: {kubernetes.io/os: linux}
tolerations: [{key: platform, operator: Exists}]
affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {a: b}}}]}}
priorityClassName: system-cluster-critical
`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	out := mustHelm(t, "", "template", "vestibule", "chart", "-n", "vestibule-system", "-f", values)
	manifest := filepath.Join(t.TempDir(), "out.yaml")
	if err := os.WriteFile(manifest, []byte(out), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := apply(t.Context(), env.Kubeconfig(), "--dry-run=server", "--force-conflicts", "-f", manifest); err != nil {
		t.Error(err)
	}
	content, err := yaml.Marshal(objects(t, out)["Deployment vestibule-system/vestibule-controller"])
	if err != nil {
		t.Fatal(err)
	}
	d := &appsv1.Deployment{}
	if err := yaml.UnmarshalStrict(content, d); err != nil {
		t.Fatal(err)
	}
	template, pod := d.Spec.Template, d.Spec.Template.Spec
	c := pod.Containers[0]
	for name, got := range map[string]bool{
		"images.controller": strings.HasPrefix(c.Image, "registry.example.com/c@sha256:0"),
		"images.gateway":    slices.Contains(c.Env, corev1.EnvVar{Name: "GATEWAY_IMAGE", Value: "registry.example.com/g:v2"}),
		"imagePullSecrets":  len(pod.ImagePullSecrets) == 1 && pod.ImagePullSecrets[0].Name == "registry",
		"replicas":          *d.Spec.Replicas == 2,
		"resources":         c.Resources.Requests.Cpu().String() == "100m",
		"goMemoryLimit":     slices.Contains(c.Env, corev1.EnvVar{Name: "GOMEMLIMIT", Value: "900MiB"}),
		"extraArgs":         slices.Contains(c.Args, "--log-level=DEBUG"),
		"podAnnotations":    template.Annotations["example.com/a"] == "b",
		"podLabels":         template.Labels["example.com/team"] == "platform",
		"nodeSelector":      pod.NodeSelector["kubernetes.io/os"] == "linux",
		"tolerations":       len(pod.Tolerations) == 1 && pod.Tolerations[0].Key == "platform",
		"affinity":          pod.Affinity != nil && pod.Affinity.PodAntiAffinity != nil,
		"priorityClassName": pod.PriorityClassName == "system-cluster-critical",
	} {
		if !got {
			t.Errorf("%s does not arrive in\n%s", name, content)
		}
	}
}

func TestTheChartRefuses(t *testing.T) {
	for set, want := range map[string]string{
		"replicas=2":                           "set images.repository, or images.controller",
		setImages + ",scope=Cluster":           "scope",
		setImages + ",replica=2":               "replica",
		setImages + ",replicas=two":            "replicas",
		setImages + ",crd.install=maybe":       "crd",
		setImages + ",extraArgs={debug}":       "extraArgs",
		setImages + ",goMemoryLimit=lots":      "goMemoryLimit",
		"images.repository=example.com/v/":     "repository",
		setImages + ",imagePullSecrets={mine}": "imagePullSecrets",
	} {
		if out, err := helm(t, "", "template", "vestibule", "chart", "--set", set); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("--set %s: %v, want it to name %s\n%s", set, err, want, out)
		}
	}
}

// A release comes, is upgraded together with its CRD, and goes, but for the CRD and the
// MCPServers.
func TestARelease(t *testing.T) {
	env, err := testenv.Start(testenv.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := env.Stop(); err != nil {
			t.Error(err)
		}
	})
	admin, err := client.New(env.Config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig, dir := env.Kubeconfig(), t.TempDir()
	mustHelm(t, "", "package", "chart", "-d", dir, "--version", "1.2.3", "--app-version", "v1.2.3")
	archive := filepath.Join(dir, "vestibule-1.2.3.tgz")
	mustHelm(t, kubeconfig, "install", "vestibule", archive, "-n", "vestibule-system", "--create-namespace", "--set", "images.repository="+repository)
	d := &appsv1.Deployment{}
	key := client.ObjectKey{Namespace: "vestibule-system", Name: "vestibule-controller"}
	if err := admin.Get(t.Context(), key, d); err != nil {
		t.Fatal(err)
	}
	if got := d.Spec.Template.Spec.Containers[0].Image; got != repository+"/controller:v1.2.3" {
		t.Errorf("the image is %s, not of the chart's version", got)
	}
	if err := apply(t.Context(), kubeconfig, "-f", "samples/weather.yaml"); err != nil {
		t.Fatal(err)
	}

	// The next version has another CRD.
	next := filepath.Join(dir, "next")
	if err := os.CopyFS(next, os.DirFS("chart")); err != nil {
		t.Fatal(err)
	}
	crd, err := os.ReadFile(filepath.Join(next, "files", "crd.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	crd = bytes.Replace(crd, []byte("\n    singular: mcpserver\n"), []byte("\n    shortNames: [mcp]\n    singular: mcpserver\n"), 1)
	if err := os.WriteFile(filepath.Join(next, "files", "crd.yaml"), crd, 0o600); err != nil {
		t.Fatal(err)
	}
	mustHelm(t, kubeconfig, "upgrade", "vestibule", next, "-n", "vestibule-system", "--reset-then-reuse-values", "--set", "replicas=2")
	if err := admin.Get(t.Context(), key, d); err != nil {
		t.Fatal(err)
	}
	if got := d.Spec.Template.Spec.Containers[0].Image; got != repository+"/controller:dev" || *d.Spec.Replicas != 2 {
		t.Errorf("after the upgrade there are %d of the image %s", *d.Spec.Replicas, got)
	}
	installed := &unstructured.Unstructured{}
	installed.SetAPIVersion("apiextensions.k8s.io/v1")
	installed.SetKind("CustomResourceDefinition")
	of := client.ObjectKey{Name: "mcpservers.mcp.vestibule.dev"}
	if err := admin.Get(t.Context(), of, installed); err != nil {
		t.Fatal(err)
	}
	if names, _, _ := unstructured.NestedStringSlice(installed.Object, "spec", "names", "shortNames"); !slices.Equal(names, []string{"mcp"}) {
		t.Error("helm upgrade leaves the CRD as it was")
	}

	mustHelm(t, kubeconfig, "uninstall", "vestibule", "-n", "vestibule-system")
	if err := admin.Get(t.Context(), key, d); !apierrors.IsNotFound(err) {
		t.Errorf("the controller is still there: %v", err)
	}
	if err := admin.Get(t.Context(), client.ObjectKey{Namespace: "default", Name: "weather"}, &v1alpha1.MCPServer{}); err != nil {
		t.Errorf("helm uninstall takes the MCPServer along: %v", err)
	}
	// Of the same name, a release takes the CRD over; another has to say so.
	mustHelm(t, kubeconfig, "install", "vestibule", archive, "-n", "vestibule-system", "--set", setImages)
	mustHelm(t, kubeconfig, "uninstall", "vestibule", "-n", "vestibule-system")
	other := []string{"install", "vestibule-cluster", archive, "-n", "vestibule-system", "--set", "controller.install=false"}
	if _, err := helm(t, kubeconfig, other...); err == nil || !strings.Contains(err.Error(), "mcpservers.mcp.vestibule.dev") {
		t.Errorf("a release of another name takes the CRD over: %v", err)
	}
	mustHelm(t, kubeconfig, append(other, "--take-ownership")...)
}

// The administrator of one namespace needs nobody to install a release there, once what
// is in no namespace is there.
func TestAReleaseOfOneNamespace(t *testing.T) {
	const namespace = "team-d"
	create(t,
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}}},
		&rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "admin"},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "dora"}},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "admin"},
		},
		builtIn(t, namespace, "admin"))
	dora, err := env.User("dora")
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig, err := env.WriteKubeconfig(dora)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := helm(t, kubeconfig, "install", "vestibule", "chart", "-n", namespace, "--set", setImages); err == nil {
		t.Error("somebody installs for the cluster who administers a namespace")
	}
	mustHelm(t, kubeconfig, "upgrade", "--install", "vestibule", "chart", "-n", namespace, "--set", setImages+clusterless)
	controller := account(t, namespace, "vestibule-controller")
	for _, action := range needed {
		if !may(t, controller, action, namespace) || may(t, controller, action, "default") {
			t.Errorf("the controller may not %s in its namespace, or may elsewhere", action)
		}
	}
	nothingIn(t, controller, "default")
	leads(t, controller, namespace)
}
