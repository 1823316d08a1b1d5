//go:build integration

package testenv

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// abandonEnv makes the test binary the test process of TestADeadTestLeavesNothing.
const abandonEnv = "TESTENV_ABANDON"

func TestMain(m *testing.M) {
	if os.Getenv(abandonEnv) != "" {
		abandon()
	}
	os.Exit(m.Run())
}

// abandon starts a control plane, says where, and waits to be killed.
func abandon() {
	env, err := Start(Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(env.dir)
	select {}
}

const widgets = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.testenv.example}
spec:
  group: testenv.example
  names: {kind: Widget, listKind: WidgetList, plural: widgets, singular: widget}
  scope: Namespaced
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}
`

func TestAControlPlaneFromStartToStop(t *testing.T) {
	crd := filepath.Join(t.TempDir(), "widgets.yaml")
	if err := os.WriteFile(crd, []byte(widgets), 0o600); err != nil {
		t.Fatal(err)
	}
	env, err := Start(Options{CRDs: []string{crd}})
	if err != nil {
		t.Fatal(err)
	}
	stopped := false
	t.Cleanup(func() {
		if !stopped {
			if err := env.Stop(); err != nil {
				t.Error(err)
			}
		}
	})
	admin := connect(t, env.Config)

	t.Run("serves the CRDs", func(t *testing.T) {
		kind := schema.GroupVersionKind{Group: "testenv.example", Version: "v1", Kind: "WidgetList"}
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(kind)
		if err := admin.List(t.Context(), list); err != nil {
			t.Errorf("listing what the CRD defines: %v", err)
		}
	})

	t.Run("restricts users by RBAC", func(t *testing.T) {
		cfg, err := env.User("mallory", "readers")
		if err != nil {
			t.Fatal(err)
		}
		mallory := connect(t, cfg)
		mayReadSecrets(t, mallory, false)
		grantSecrets(t, admin, "group", rbacv1.Subject{Kind: "Group", Name: "readers"})
		mayReadSecrets(t, mallory, true)
	})

	t.Run("restricts service accounts by RBAC", func(t *testing.T) {
		if _, err := env.ServiceAccount(t.Context(), "default", "absent"); !apierrors.IsNotFound(err) {
			t.Errorf("a token for a service account that does not exist: %v, want not found", err)
		}
		account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "gateway"}}
		if err := admin.Create(t.Context(), account); err != nil {
			t.Fatal(err)
		}
		cfg, err := env.ServiceAccount(t.Context(), "default", "gateway")
		if err != nil {
			t.Fatal(err)
		}
		gateway := connect(t, cfg)
		mayReadSecrets(t, gateway, false)
		grantSecrets(t, admin, "account", rbacv1.Subject{Kind: "ServiceAccount", Namespace: "default", Name: "gateway"})
		mayReadSecrets(t, gateway, true)

		path, err := env.WriteKubeconfig(cfg)
		if err != nil {
			t.Fatal(err)
		}
		mayReadSecrets(t, connectFile(t, path), true)
	})

	t.Run("gives a child process the way in", func(t *testing.T) {
		mayReadSecrets(t, connectFile(t, env.Kubeconfig()), true)
	})

	t.Run("is shared with other processes", func(t *testing.T) {
		t.Setenv(SharedEnv, env.Kubeconfig())
		joined, err := Start(Options{CRDs: []string{crd}})
		if err != nil {
			t.Fatal(err)
		}
		if joined.Config.Host != strings.TrimSuffix(env.Config.Host, "/") {
			t.Errorf("it connects to %s, and not to %s", joined.Config.Host, env.Config.Host)
		}
		cfg, err := joined.ServiceAccount(t.Context(), "default", "gateway")
		if err != nil {
			t.Fatal(err)
		}
		mayReadSecrets(t, connect(t, cfg), true)
		mayReadSecrets(t, connectFile(t, joined.Kubeconfig()), true)
		if _, err := joined.User("mallory"); err == nil {
			t.Error("it has users")
		}
		if err := joined.Stop(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(joined.dir); !os.IsNotExist(err) {
			t.Errorf("its files are still there: %v", err)
		}
		mayReadSecrets(t, admin, true) // the control plane goes on
	})

	t.Run("leaves nothing", func(t *testing.T) {
		pids := running(t, env.dir)
		if len(pids) != 2 {
			t.Fatalf("%d processes run the control plane, want etcd and kube-apiserver", len(pids))
		}
		stopped = true
		if err := env.Stop(); err != nil {
			t.Fatal(err)
		}
		gone(t, env.dir, pids)
	})
}

// A test that panics or runs into go test's timeout never calls Stop.
func TestADeadTestLeavesNothing(t *testing.T) {
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), abandonEnv+"=1")
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("reading the child's directory: %v", errors.Join(err, child.Wait()))
	}
	dir := strings.TrimSpace(line)
	pids := running(t, dir)
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := child.Wait(); err == nil {
		t.Fatal("the child was not killed")
	}
	gone(t, dir, pids)
}

func TestAMissingBinaryIsAnError(t *testing.T) {
	t.Setenv("KUBEBUILDER_ASSETS", t.TempDir())
	env, err := Start(Options{})
	if err == nil {
		t.Fatal(errors.Join(errors.New("started without binaries"), env.Stop()))
	}
	if !strings.Contains(err.Error(), "kube-apiserver") {
		t.Errorf("error %q does not name what is missing", err)
	}
}

func connect(t *testing.T, cfg *rest.Config) client.Client {
	t.Helper()
	c, err := client.New(cfg, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func connectFile(t *testing.T, kubeconfig string) client.Client {
	t.Helper()
	cfg, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	return connect(t, cfg)
}

func grantSecrets(t *testing.T, admin client.Client, name string, subject rbacv1.Subject) {
	t.Helper()
	meta := metav1.ObjectMeta{Namespace: "default", Name: name}
	for _, object := range []client.Object{
		&rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"list"}},
		}},
		&rbacv1.RoleBinding{
			ObjectMeta: meta, Subjects: []rbacv1.Subject{subject},
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
		},
	} {
		if err := admin.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
}

// mayReadSecrets waits for the answer that is wanted: the API server's authorizer
// learns of a new role through a watch.
func mayReadSecrets(t *testing.T, c client.Client, want bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for {
		err := c.List(ctx, &corev1.SecretList{}, client.InNamespace("default"))
		switch {
		case err == nil && want, apierrors.IsForbidden(err) && !want:
			return
		case err != nil && !apierrors.IsForbidden(err):
			t.Fatalf("listing secrets: %v", err)
		case !want:
			t.Fatal("secrets can be listed, though nothing grants it")
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// running is the processes that the control plane of dir runs.
func running(t *testing.T, dir string) []int {
	t.Helper()
	noted, err := os.ReadFile(filepath.Join(dir, "pids"))
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for line := range strings.Lines(string(noted)) {
		pid, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil {
			t.Fatal(err)
		}
		if alive(pid) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// gone waits until the directory and the processes are no more.
func gone(t *testing.T, dir string, pids []int) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		_, err := os.Stat(dir)
		clean := errors.Is(err, os.ErrNotExist)
		for _, pid := range pids {
			clean = clean && !alive(pid)
		}
		if clean {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the control plane's directory or one of its processes %v is still there", pids)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// alive says whether the process runs. A zombie, which only waits for an init that
// reaps it, has no command line.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	cmdline, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
	return err != nil || len(cmdline) > 0
}
