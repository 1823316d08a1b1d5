//go:build integration

package config

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vestibule.dev/vestibule/api/v1alpha1"
)

// needsPods are lines that wait for what only a kubelet brings about, or are Helm's, which
// TestARelease runs.
var needsPods = regexp.MustCompile(`rollout status|condition=Ready| logs |^helm `)

// Each command of docs/operations.md does what it says as far as an API server can tell.
// The page ends with the removal of everything.
func TestTheOperationsPage(t *testing.T) {
	t.Cleanup(func() { installAgain(t) })
	const namespace = "operations" // stands for team-a, which another test uses
	page, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	dir, bin := overlay(t, "default", overlaidImages), t.TempDir()
	for _, command := range []string{"controller", "kubectl-vestibule"} {
		build(t, filepath.Join(bin, command), "../cmd/"+command)
	}
	if err := os.Symlink(kubectl, filepath.Join(bin, "kubectl")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "client-secret.txt"), []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	// Those of other tests have the same URL.
	var others v1alpha1.MCPServerList
	if err := admin.List(t.Context(), &others); err != nil {
		t.Fatal(err)
	}
	for i := range others.Items {
		if err := admin.Delete(t.Context(), &others.Items[i]); err != nil {
			t.Fatal(err)
		}
	}
	create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	applySample(t, namespace)
	output := start(t, filepath.Join(bin, "controller"), "vestibule-system")
	t.Cleanup(func() {
		if t.Failed() {
			server := &v1alpha1.MCPServer{}
			err := admin.Get(context.Background(), client.ObjectKey{Namespace: namespace, Name: "weather"}, server)
			t.Logf("%v, the MCPServer's status is %+v, and the controller says:\n%s", err, server.Status.Conditions, output)
		}
	})
	gateways := &appsv1.Deployment{}
	eventually(t, "gateways", func() bool {
		return admin.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: "weather-gateway"}, gateways) == nil
	})

	// What each block is to bring about, by a word in it.
	effects := map[string]func() bool{
		"rotate-keys weather": func() bool { return strings.Count(keysOf(t, namespace), `"id"`) == 2 },
		"create secret generic": func() bool {
			s := &corev1.Secret{}
			err := admin.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: "weather-oidc"}, s)
			return err == nil && string(s.Data["client-secret"]) == "another" && s.Labels[v1alpha1.LabelAllowedFor] == "weather"
		},
		// The key of a moment ago may be of the same second, and then it stays.
		"--compromised": func() bool { return strings.Contains(keysOf(t, namespace), `"dropped"`) },
		"/spec/access/rules/0": func() bool {
			m := &corev1.ConfigMap{}
			err := admin.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: "weather-gateway-policy"}, m)
			return err == nil && strings.Contains(m.Data["policy.json"], "248289761001")
		},
		"get mcpserver weather -o yaml": func() bool {
			records, err := os.ReadFile(filepath.Join(dir, "weather.json"))
			return err == nil && strings.Contains(string(records), "weather-gateway-keys") && strings.Contains(string(records), "weather-gateway-grants-0")
		},
		"delete mcpservers --all": func() bool {
			var all v1alpha1.MCPServerList
			return admin.List(t.Context(), &all) == nil && len(all.Items) == 0
		},
	}
	blocks := regexp.MustCompile("(?s)\n```sh\n(.*?)\n```\n").FindAllStringSubmatch(string(page), -1)
	if len(blocks) < 10 {
		t.Fatalf("the page has %d blocks", len(blocks))
	}
	for _, block := range blocks {
		lines := strings.Split(block[1], "\n")
		kept := lines[:0:0]
		for _, line := range lines {
			if !needsPods.MatchString(line) {
				kept = append(kept, line)
			}
		}
		// Nobody here ends a namespace.
		script := strings.NewReplacer("delete -k .", "delete -k . --wait=false", "team-a", namespace).Replace(strings.Join(kept, "\n"))
		if strings.Contains(block[1], "helm uninstall") {
			continue // The line behind it: kubectl delete -k has taken the CRD already.
		}
		cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", script)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "KUBECONFIG="+env.Kubeconfig(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s\n%v\n%s", script, err, out)
		}
		for word, effect := range effects {
			if strings.Contains(script, word) {
				eventually(t, "what is said of\n"+script, effect)
				delete(effects, word)
			}
		}
	}
	for word := range effects {
		t.Errorf("no block has %q", word)
	}
}

// installAgain applies config/default to a cluster that it was removed from. The API
// server alone never ends the removal of a namespace.
func installAgain(t *testing.T) {
	ctx := context.Background()
	ns := &corev1.Namespace{}
	key := client.ObjectKey{Name: "vestibule-system"}
	if err := admin.Get(ctx, key, ns); err == nil && ns.DeletionTimestamp != nil {
		ns.Spec.Finalizers = nil
		if err := admin.SubResource("finalize").Update(ctx, ns); err != nil {
			t.Error(err)
		}
	}
	eventually(t, "the end of the namespace", func() bool { return apierrors.IsNotFound(admin.Get(ctx, key, ns)) })
	if err := apply(ctx, env.Kubeconfig(), "-k", "default"); err != nil {
		t.Error(err)
	}
}

func keysOf(t *testing.T, namespace string) string {
	t.Helper()
	s := &corev1.Secret{}
	if err := admin.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: "weather-gateway-keys"}, s); err != nil {
		t.Fatal(err)
	}
	return string(s.Data["keyset.json"])
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for begun := time.Now(); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Since(begun) > 30*time.Second {
			t.Fatalf("%s does not come", what)
		}
	}
}
