//go:build integration

package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/controllers"
	"vestibule.dev/vestibule/hack/loopback"
	"vestibule.dev/vestibule/hack/testenv"
	"vestibule.dev/vestibule/hack/testlog"
)

func TestFlags(t *testing.T) {
	for args, want := range map[string]string{
		"":                                  "-gateway-image must be set",
		"-gateway-image g extra":            `unexpected argument "extra"`,
		"-gateway-image g -log-level SHOUT": "invalid value",
		"-gateway-image g -namespaces a,b":  "",

		"-gateway-image g -concurrent-upgrades 0":                 "-concurrent-upgrades must be at least 1",
		"-gateway-image g -namespaces a,b -concurrent-upgrades 1": "",

		"-gateway-image g -namespaces a,b -pprof-addr localhost:6060": "",
		"-gateway-image g -pprof-addr :6060":                          "-pprof-addr :6060: must be a loopback address",
		"-gateway-image g -pprof-addr 127.0.0.1":                      "must be a loopback address with a port",
	} {
		o, err := parse(strings.Fields(args))
		switch {
		case want == "" && (err != nil || len(split(o.namespaces)) != 2):
			t.Errorf("%q: %v", args, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%q: %v, want %q", args, err, want)
		}
	}
}

// The program, with the rights of its generated roles and no others: it takes the
// lease, answers probes, counts, acts, and gives the lease back at its end.
func TestTheProgram(t *testing.T) {
	logs := &testlog.Buffer{}
	logTo(logs, slog.LevelInfo) // Before anybody logs.
	env, err := testenv.Start(testenv.Options{CRDs: []string{"../../config/crd/bases"}})
	must(t, err)
	t.Cleanup(func() { must(t, env.Stop()) })
	scheme, err := controllers.NewScheme()
	must(t, err)
	admin, err := client.New(env.Config, client.Options{Scheme: scheme})
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	kubeconfig := install(ctx, t, env, admin)

	probes, metrics := loopback.FreeAddress(t), loopback.FreeAddress(t)
	o, err := parse([]string{
		"-gateway-image", "gateway", "-kubeconfig", kubeconfig, "-leader-election-namespace", home,
		"-health-probe-bind-address", probes, "-metrics-bind-address", metrics,
	})
	must(t, err)
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, o) }()

	server := mcpServer()
	must(t, admin.Create(ctx, server))
	eventually(t, "a condition", func() bool {
		must(t, admin.Get(ctx, client.ObjectKeyFromObject(server), server))
		return len(server.Status.Conditions) > 0
	})
	for _, url := range []string{"http://" + probes + "/healthz", "http://" + probes + "/readyz", "http://" + metrics + "/metrics"} {
		resp, err := http.Get(url)
		must(t, err)
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s answers %s: %s", url, resp.Status, body)
		}
		for _, series := range []string{`controller_runtime_reconcile_total{controller="mcpserver"`, `vestibule_mcpservers{condition="Ready",status="False"} 1`} {
			if strings.HasSuffix(url, "metrics") && !strings.Contains(string(body), series) {
				t.Errorf("the metrics have no %s", series)
			}
		}
	}

	for _, address := range []string{probes, metrics} {
		resp, err := http.Get("http://" + address + "/debug/pprof/")
		must(t, err)
		resp.Body.Close()
		if resp.StatusCode != http.StatusNotFound {
			t.Errorf("without a flag, profiles are at %s: %s", address, resp.Status)
		}
	}

	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: home, Name: "vestibule-controller"}}
	must(t, admin.Get(ctx, client.ObjectKeyFromObject(lease), lease))
	if lease.Spec.HolderIdentity == nil || *lease.Spec.HolderIdentity == "" {
		t.Error("nobody holds the lease")
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("it ends with %v", err)
	}
	must(t, admin.Get(t.Context(), client.ObjectKeyFromObject(lease), lease))
	if holder := lease.Spec.HolderIdentity; holder != nil && *holder != "" {
		t.Errorf("%s still holds the lease", *holder)
	}
	for line := range strings.Lines(logs.String()) {
		if strings.Contains(line, "forbidden") {
			t.Errorf("it lacks a right: %s", line)
		}
	}
}

const home = "vestibule-system"

// install applies config/rbac/role.yaml, binds both of its roles to a service
// account, and returns a kubeconfig of that.
func install(ctx context.Context, t *testing.T, env *testenv.Env, admin client.Client) string {
	t.Helper()
	create := func(o client.Object) {
		t.Helper()
		must(t, admin.Create(ctx, o))
	}
	create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: home}})
	meta := metav1.ObjectMeta{Namespace: home, Name: "controller"}
	create(&corev1.ServiceAccount{ObjectMeta: meta})
	data, err := os.ReadFile("../../config/rbac/role.yaml")
	must(t, err)
	clusterRole, role := &rbacv1.ClusterRole{}, &rbacv1.Role{}
	first, second, ok := strings.Cut(strings.TrimPrefix(string(data), "---\n"), "\n---\n")
	if !ok {
		t.Fatal("role.yaml is not two roles")
	}
	must(t, yaml.UnmarshalStrict([]byte(first), clusterRole))
	must(t, yaml.UnmarshalStrict([]byte(second), role))
	create(clusterRole)
	create(role)
	subjects := []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: home, Name: "controller"}}
	create(&rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "controller"}, Subjects: subjects,
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: clusterRole.Name}})
	create(&rbacv1.RoleBinding{ObjectMeta: meta, Subjects: subjects,
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name}})
	account, err := env.ServiceAccount(ctx, home, "controller")
	must(t, err)
	kubeconfig, err := env.WriteKubeconfig(account)
	must(t, err)
	return kubeconfig
}

func mcpServer() *v1alpha1.MCPServer {
	return &v1alpha1.MCPServer{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "weather"},
		Spec: v1alpha1.MCPServerSpec{
			PublicURL: "https://weather.example.com",
			Bindings: v1alpha1.Bindings{
				MCPObject: v1alpha1.MCPObject{Type: v1alpha1.MCPObjectService,
					Service: &v1alpha1.ServicePort{Name: "weather", Port: intstr.FromInt32(8000)}},
				OAuthKV: v1alpha1.OAuthKV{Type: v1alpha1.OAuthKVKubernetes, Kubernetes: &v1alpha1.KubernetesKV{}},
			},
			Routes: []v1alpha1.Route{{Name: "mcp", Path: "/mcp"}},
			Upstreams: []v1alpha1.Upstream{{Name: "corp", Type: v1alpha1.UpstreamOIDC,
				OIDC: &v1alpha1.OIDCUpstream{IssuerURL: "https://idp.example.com", UpstreamClient: v1alpha1.UpstreamClient{ClientID: "weather"}}}},
		},
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for begun := time.Now(); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Since(begun) > 30*time.Second {
			t.Fatalf("%s does not come", what)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
}
