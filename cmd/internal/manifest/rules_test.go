//go:build integration

package manifest_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// row is the sample with edits. It is accepted, or one of the mistakes that are
// found in it holds the text of refused.
type row struct {
	name    string
	edits   edits
	refused string
}

// change is an update of an MCPServer, from the sample with edits to the sample
// with other edits.
type change struct {
	name     string
	from, to edits
	refused  string
}

// Every row is judged by a real API server and by Load. They must say the same,
// in the same words, and agree on what the defaults are.
func TestBothJudgesAgree(t *testing.T) {
	var found []string
	for _, r := range slices.Concat(metadataRows, publicURLRows, objectRows, ownObjectRows(), bindingRows, identityRows, etcdRows, routeRows, oauthRows, clientRows, upstreamRows, presetRows, gatewayRows, operationRows, exposureRows, podRows, scaleRows) {
		t.Run(r.name, func(t *testing.T) {
			found = append(found, both(t, sample(t, r.edits), r.refused)...)
		})
	}
	for i, c := range changes {
		t.Run(c.name, func(t *testing.T) {
			updated := update(t, c, edits{"metadata.name": fmt.Sprintf("change-%d", i)})
			found = append(found, updated.mistakes...)
			expect(t, updated, c.refused)
		})
	}

	// What no row breaks, nothing tests.
	t.Run("every rule and bound of the schema is broken by a row", func(t *testing.T) {
		index := regexp.MustCompile(`\[\d+\]`)
		for _, o := range obligations("", definition(t)) {
			if !slices.ContainsFunc(found, func(mistake string) bool {
				field, says, _ := strings.Cut(mistake, ": ")
				return strings.Contains(says, o.says) && (field == o.field || index.ReplaceAllString(field, "[]") == o.field ||
					o.field == "" && field == "<nil>")
			}) {
				t.Errorf("no row shows at %q the error %q", o.field, o.says)
			}
		}
	})
}

// The messages of rules are what a developer reads instead of the rules.
func TestMessagesAreSentencesAboutAField(t *testing.T) {
	sentence := regexp.MustCompile(`^[a-zA-Z]+((\[\])?\.[a-zA-Z]+)* (must|cannot) .+\.$`)
	for _, o := range obligations("", definition(t)) {
		if o.rule && !sentence.MatchString(o.says) {
			t.Errorf("%q is not a sentence that begins with the field to change", o.says)
		}
	}
}

// kubectl apply keeps the whole object in an annotation, which is bounded.
func TestTheCRDFitsIntoClientSideApply(t *testing.T) {
	data, err := json.Marshal(definition(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(data) > 200_000 {
		t.Errorf("the CRD's schema has %d bytes", len(data))
	}
}

// Edits cannot write a key twice.
func TestBothJudgesRefuseDuplicates(t *testing.T) {
	document := string(sample(t))
	for _, twice := range []string{"kind: MCPServer\n", "  publicURL: https://weather.example.com\n"} {
		doubled := strings.Replace(document, twice, twice+twice, 1)
		name, _, _ := strings.Cut(strings.TrimSpace(twice), ":")
		both(t, []byte(doubled), fmt.Sprintf("key %q already set in map", name))
	}
	// JSON is YAML too.
	both(t, []byte(`{"apiVersion": "mcp.vestibule.dev/v1alpha1", "kind": "MCPServer", "metadata": {"name": "a", "name": "a"}}`),
		`key "name" already set in map`)
}

// both lets both judges judge the document and compares what they say. It
// returns the mistakes.
func both(t *testing.T, document []byte, refused string) []string {
	t.Helper()
	off, on := offline(t, document), online(t.Context(), t, document)
	if diff := cmp.Diff(on.mistakes, off.mistakes); diff != "" {
		t.Errorf("Load finds other mistakes than the API server (-API server +Load):\n%s", diff)
	}
	expect(t, on, refused)
	if on.server != nil && off.server != nil {
		if diff := cmp.Diff(on.server.Spec, off.server.Spec); diff != "" {
			t.Errorf("Load fills in other defaults than the API server (-API server +Load):\n%s", diff)
		}
	}
	return on.mistakes
}

func expect(t *testing.T, v verdict, refused string) {
	t.Helper()
	switch {
	case refused == "" && v.mistakes != nil:
		t.Errorf("refused:\n%s", strings.Join(v.mistakes, "\n"))
	case refused != "" && v.mistakes == nil:
		t.Errorf("accepted, want: %s", refused)
	case refused != "" && !strings.Contains(strings.Join(v.mistakes, "\n"), refused):
		t.Errorf("refused for another reason:\n%s\nwant: %s", strings.Join(v.mistakes, "\n"), refused)
	}
}

// update creates an MCPServer as c says and lets the API server judge the change.
func update(t *testing.T, c change, name edits) verdict {
	t.Helper()
	created, err := cluster.Post().Namespace(metav1.NamespaceDefault).Resource("mcpservers").
		SetHeader("Content-Type", "application/yaml").Body(sample(t, c.from, name)).Do(t.Context()).Raw()
	if err != nil {
		t.Fatalf("creating what is to be changed: %v: %s", err, created)
	}
	var before metav1.PartialObjectMetadata
	if err := yaml.Unmarshal(created, &before); err != nil {
		t.Fatal(err)
	}
	version := edits{"metadata.resourceVersion": before.ResourceVersion}
	return judge(t.Context(), t, cluster.Put().Namespace(metav1.NamespaceDefault).Resource("mcpservers").Name(before.Name).
		Param("fieldValidation", "Strict").
		SetHeader("Content-Type", "application/yaml").Body(sample(t, c.to, name, version)))
}
