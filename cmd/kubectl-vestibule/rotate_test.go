//go:build integration

package main

import (
	"errors"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/cmd/internal/manifest"
	"vestibule.dev/vestibule/controllers"
	"vestibule.dev/vestibule/hack/testenv"
)

// rotate runs the command as a user would type it.
func rotate(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	return typed(t, append([]string{"rotate-keys"}, args...)...)
}

// typed runs any command.
func typed(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, errOut buffer
	err = command(t.Context(), args, &out, &errOut)
	return out.String(), errOut.String(), err
}

func TestTheArgumentsOfRotateKeys(t *testing.T) {
	for _, c := range []struct {
		args string
		says string
	}{
		{"", "which MCPServer"},
		{"--compromised", "which MCPServer"},
		{"weather other", `unexpected argument "other"`},
		{"weather --compromised other", `unexpected argument "other"`},
		{"weather --kubeconfig /nowhere", "/nowhere"},
	} {
		if _, _, err := rotate(t, strings.Fields(c.args)...); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("rotate-keys %s: %v", c.args, err)
		}
	}
	for _, args := range []string{"-h", "weather -x"} {
		if _, usage, err := rotate(t, strings.Fields(args)...); !errors.Is(err, flag.ErrHelp) || !strings.Contains(usage, "clients register again") {
			t.Errorf("rotate-keys %s: %v, and says %s", args, err, usage)
		}
	}
}

// The command is an annotation, which a controller that runs carries out.
func TestRotateKeys(t *testing.T) {
	env, err := testenv.Start(testenv.Options{CRDs: []string{"../../config/crd/bases"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := env.Stop(); err != nil {
			t.Error(err)
		}
	}()
	scheme, err := controllers.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(env.Config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	m, err := manifest.Load(data)
	if err != nil {
		t.Fatal(err)
	}
	server := m.Server
	server.Name, server.Namespace, server.UID = "weather", "tools", ""
	for _, o := range []client.Object{&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "tools"}}, server} {
		if err := c.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("KUBECONFIG", env.Kubeconfig())

	for _, row := range []struct{ args, annotation, says string }{
		{"-n tools weather", v1alpha1.AnnotationRotateKeys, "nobody notices"},
		{"weather --namespace tools --compromised", v1alpha1.AnnotationDropKeys, "all users log in again"},
	} {
		begun := time.Now().Truncate(time.Second)
		out, _, err := rotate(t, strings.Fields(row.args)...)
		if err != nil {
			t.Fatalf("%s: %v", row.args, err)
		}
		if !strings.Contains(out, row.says) || !strings.Contains(out, "kubectl -n tools events --for mcpserver/weather") {
			t.Errorf("%s says %s", row.args, out)
		}
		if err := c.Get(t.Context(), client.ObjectKeyFromObject(server), server); err != nil {
			t.Fatal(err)
		}
		at, err := time.Parse(time.RFC3339, server.Annotations[row.annotation])
		if err != nil || at.Before(begun) || at.After(time.Now()) {
			t.Errorf("%s: the annotation is %q", row.args, server.Annotations[row.annotation])
		}
	}
	if len(server.Annotations) != 2 {
		t.Errorf("the annotations are %v", server.Annotations)
	}
	for args, says := range map[string]string{
		"-n tools other":                  "there is no MCPServer other in namespace tools",
		"weather":                         "there is no MCPServer weather in namespace default",
		"-n tools weather --context none": "none",
	} {
		if _, _, err := rotate(t, strings.Fields(args)...); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", args, err)
		}
	}
}
