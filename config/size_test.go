//go:build integration

package config

import (
	"os"
	"os/exec"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// kubectl apply, unless it is told to leave it to the server, keeps a copy of what it
// applies in an annotation, and an object's annotations have 256 KiB together.
const (
	lastApplied = "kubectl.kubernetes.io/last-applied-configuration"
	crdLimit    = 220 << 10 // leaves room for what others annotate, and time to notice
)

func TestTheCRDLeavesRoomForItsCopy(t *testing.T) {
	content, err := os.ReadFile("crd/bases/mcp.vestibule.dev_mcpservers.yaml")
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := yaml.YAMLToJSON(content)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the CRD has %d bytes of JSON", len(encoded))
	if len(encoded) > crdLimit {
		t.Errorf("the CRD has %d bytes of JSON, more than %d: shorten comments", len(encoded), crdLimit)
	}
}

func TestApplyOnTheClientsSide(t *testing.T) {
	for range 2 { // The second one has the copy to compare with.
		if out, err := exec.CommandContext(t.Context(), kubectl, "--kubeconfig", env.Kubeconfig(), "apply", "--validate=strict", "-k", "default").CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	crd := &unstructured.Unstructured{}
	crd.SetAPIVersion("apiextensions.k8s.io/v1")
	crd.SetKind("CustomResourceDefinition")
	if err := admin.Get(t.Context(), client.ObjectKey{Name: "mcpservers.mcp.vestibule.dev"}, crd); err != nil {
		t.Fatal(err)
	}
	if crd.GetAnnotations()[lastApplied] == "" {
		t.Error("the CRD has no copy, so there was nothing to test")
	}
}
