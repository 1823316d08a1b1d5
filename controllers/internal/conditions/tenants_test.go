package conditions_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/controllers/internal/conditions"
	"vestibule.dev/vestibule/controllers/internal/resources"
)

// Whichever field it is that names a Secret which is not allowed, a condition that gates
// Ready names that field.
func TestEverySecretIsAskedFor(t *testing.T) {
	files, err := filepath.Glob("../resources/testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("there are %v: %v", files, err)
	}
	asked := 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		server := &v1alpha1.MCPServer{}
		if err := yaml.UnmarshalStrict(data, server); err != nil {
			t.Fatal(err)
		}
		for _, r := range resources.References(server) {
			if r.Kind != "Secret" {
				continue
			}
			asked++
			o := good()
			o.References = []conditions.Reference{{Reference: r, Exists: true, NotAllowed: true}}
			c := meta.FindStatusCondition(conditions.All(o), v1alpha1.ConditionReady)
			if c.Status != metav1.ConditionFalse || c.Reason != v1alpha1.ReasonSecretNotAllowed || !strings.Contains(c.Message, r.Field) {
				t.Errorf("%s: %s is not allowed, and Ready is %s/%s: %s", file, r.Field, c.Status, c.Reason, c.Message)
			}
		}
	}
	if asked < 5 {
		t.Errorf("%d references only", asked)
	}
}
