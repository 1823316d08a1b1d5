//go:build integration

package config

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"vestibule.dev/vestibule/api/v1alpha1"
)

// The sample of a policy lets each namespace have the hosts that are its own.
func TestHostsOfNamespaces(t *testing.T) {
	if err := apply(t.Context(), env.Kubeconfig(), "-f", "samples/publicurl-hosts/policy.yaml"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // Of other tests it knows nothing.
		name := metav1.ObjectMeta{Name: "vestibule-publicurl-hosts"}
		for _, o := range []client.Object{
			&admissionregistrationv1.ValidatingAdmissionPolicyBinding{ObjectMeta: name},
			&admissionregistrationv1.ValidatingAdmissionPolicy{ObjectMeta: name},
		} {
			if err := admin.Delete(context.Background(), o); err != nil {
				t.Error(err)
			}
		}
		await(t, "the end of the policy", func(ctx context.Context) bool { return claim(ctx, t, "hosts-none", "https://a.example.com") == nil })
	})
	create(t,
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "hosts-none"}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "hosts-some", Annotations: map[string]string{
			"mcp.vestibule.dev/hosts": "*.team-a.example.com, mcp.example.com/team-a,weather.example.com",
		}}},
	)
	await(t, "the policy", func(ctx context.Context) bool {
		err := claim(ctx, t, "hosts-none", "https://a.example.com")
		return err != nil && strings.Contains(err.Error(), "publicURL: ")
	})
	for publicURL, allowed := range map[string]bool{
		"https://weather.example.com":              true,
		"https://weather.example.com:8443":         true,
		"https://weather.example.com/a":            true,
		"https://a.team-a.example.com/b":           true,
		"https://a.b.team-a.example.com":           true,
		"https://mcp.example.com/team-a":           true,
		"https://mcp.example.com/team-a/weather":   true,
		"https://mcp.example.com":                  false,
		"https://mcp.example.com/team-ab":          false,
		"https://mcp.example.com/team-b":           false,
		"https://team-a.example.com":               false,
		"https://evilteam-a.example.com":           false,
		"https://weather.example.com.evil.example": false,
		"https://else.example.com":                 false,
		"http://127.0.0.1:8788":                    false,
	} {
		err := claim(t.Context(), t, "hosts-some", publicURL)
		if allowed != (err == nil) {
			t.Errorf("%s: %v", publicURL, err)
		}
		if err != nil && (!apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "annotation mcp.vestibule.dev/hosts of namespace hosts-some allows: take one of them")) {
			t.Errorf("%s is refused in other words: %v", publicURL, err)
		}
		if claim(t.Context(), t, "hosts-none", publicURL) == nil {
			t.Errorf("%s is allowed where nothing is", publicURL)
		}
	}
}

// claim tries to create the sample with another URL.
func claim(ctx context.Context, t *testing.T, namespace, publicURL string) error {
	t.Helper()
	data, err := os.ReadFile("samples/weather.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s := &v1alpha1.MCPServer{}
	for _, document := range strings.Split(string(data), "\n---\n") {
		if err := yaml.Unmarshal([]byte(document), s); err == nil && s.Kind == "MCPServer" {
			break
		}
	}
	s.Namespace, s.Spec.PublicURL = namespace, publicURL
	return admin.Create(ctx, s, client.DryRunAll)
}

func await(t *testing.T, what string, ok func(context.Context) bool) {
	t.Helper()
	if err := wait.PollUntilContextTimeout(context.Background(), 20*time.Millisecond, 20*time.Second, true, func(ctx context.Context) (bool, error) {
		return ok(ctx), nil
	}); err != nil {
		t.Errorf("%s does not come", what)
	}
}
