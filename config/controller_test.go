//go:build integration

package config

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vestibule.dev/vestibule/hack/testlog"
)

// The program, started as its Deployment says and with the rights that it is given,
// brings a gateway into being, whose service account the policy knows.
func TestTheControllerWorks(t *testing.T) {
	program := filepath.Join(t.TempDir(), "controller")
	build(t, program, "../cmd/controller")
	t.Run("for the cluster", func(t *testing.T) {
		works(t, program, "vestibule-system", "b-developers")
	})
	t.Run("for one namespace", func(t *testing.T) {
		create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "team-b"}})
		if err := apply(t.Context(), env.Kubeconfig(), "-k", overlay(t, "namespaced", "namespace: team-b")); err != nil {
			t.Fatal(err)
		}
		works(t, program, "team-b", "team-b")
	})
}

// works runs the controller that is installed in one namespace, and the sample in
// another or the same.
func works(t *testing.T, program, installed, developers string) {
	t.Helper()
	output := start(t, program, installed)
	if developers != installed {
		create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: developers}})
	}
	applySample(t, developers)

	gateways := &appsv1.Deployment{}
	err := wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, 30*time.Second, true, func(ctx context.Context) (bool, error) {
		err := admin.Get(ctx, client.ObjectKey{Namespace: developers, Name: "weather-gateway"}, gateways)
		return err == nil, client.IgnoreNotFound(err)
	})
	if err != nil {
		t.Fatalf("no gateways: %v\n%s", err, output)
	}
	if got := gateways.Spec.Template.Spec.Containers[0].Image; got != "gateway" {
		t.Errorf("the gateways' image is %s, not the one of the controller's environment", got)
	}
	if strings.Contains(output.String(), "is forbidden") {
		t.Errorf("the controller tries what it may not do:\n%s", output)
	}

	gateway := account(t, developers, "weather-gateway")
	for _, o := range []client.Object{
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: developers, Name: "weather-gateway-clients-0"}},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: developers, Name: "weather-gateway-grants-0"}},
	} {
		if err := patch(t.Context(), gateway, o, `[{"op":"add","path":"/data/record","value":"bmV3"}]`); err != nil {
			t.Errorf("a record: %v", err)
		}
		denied(t, gateway, o)
	}
	report := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: developers, Name: "weather-gateway-report"}}
	denied(t, gateway, report)
}

// denied makes sure that the policy, and not RBAC, keeps a gateway from metadata.
func denied(t *testing.T, gateway client.Client, o client.Object) {
	t.Helper()
	err := patch(t.Context(), gateway, o, `[{"op":"add","path":"/metadata/finalizers","value":["example.com/stay"]}]`)
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "A gateway writes data") {
		t.Errorf("%s: a finalizer is answered with %v, want that the policy forbids it", o.GetName(), err)
	}
}

// start runs the controller as the kubelet would, until the test ends.
func start(t *testing.T, program, namespace string) *testlog.Buffer {
	t.Helper()
	deployment := &appsv1.Deployment{}
	if err := admin.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: "vestibule-controller"}, deployment); err != nil {
		t.Fatal(err)
	}
	container := deployment.Spec.Template.Spec.Containers[0]
	values := map[string]string{}
	for _, e := range container.Env {
		values[e.Name] = e.Value
		if e.ValueFrom != nil {
			values[e.Name] = namespace // The one field that is referred to.
		}
	}
	// The rest is what a pod gets from its kubelet, and ports that are free.
	rights, err := env.ServiceAccount(t.Context(), namespace, deployment.Spec.Template.Spec.ServiceAccountName)
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig, err := env.WriteKubeconfig(rights)
	if err != nil {
		t.Fatal(err)
	}
	args := []string{
		"--kubeconfig", kubeconfig, "--leader-election-namespace", namespace,
		"--metrics-bind-address=127.0.0.1:0", "--health-probe-bind-address=127.0.0.1:0",
	}
	for _, arg := range container.Args {
		args = append(args, os.Expand(strings.NewReplacer("$(", "${", ")", "}").Replace(arg), func(name string) string { return values[name] }))
	}
	cmd := exec.Command(program, args...)
	var out testlog.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("the controller: %v\n%s", err, &out)
		}
	})
	return &out
}
