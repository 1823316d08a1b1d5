//go:build integration

package manifest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/cmd/internal/manifest"
	"vestibule.dev/vestibule/config/crd"
	"vestibule.dev/vestibule/hack/testenv"
)

// cluster is the real API server that the offline judge is compared with.
var cluster *rest.RESTClient

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	env, err := testenv.Start(testenv.Options{CRDs: []string{filepath.FromSlash("../../../config/crd/bases")}})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() {
		if err := env.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}()
	cfg := rest.CopyConfig(env.Config)
	cfg.QPS = -1
	cfg.APIPath = "/apis"
	cfg.GroupVersion = &v1alpha1.SchemeGroupVersion
	cfg.NegotiatedSerializer = serializer.NewCodecFactory(runtime.NewScheme()).WithoutConversion()
	if cluster, err = rest.RESTClientFor(cfg); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// verdict is what a judge says of an MCPServer: the object with its defaults, or
// what is wrong with it, a line each.
type verdict struct {
	server   *v1alpha1.MCPServer
	mistakes []string
}

// offline lets Load judge.
func offline(t *testing.T, document []byte) verdict {
	t.Helper()
	m, err := manifest.Load(document)
	if err == nil {
		return verdict{server: m.Server}
	}
	var mistakes []string
	for line := range strings.SplitSeq(err.Error(), "\n") {
		document, mistake, _ := strings.Cut(line, "): ")
		if !strings.HasPrefix(document, "document 1 (MCPServer ") {
			t.Fatalf("%q does not name the document", line)
		}
		mistakes = append(mistakes, mistake)
	}
	slices.Sort(mistakes)
	return verdict{mistakes: mistakes}
}

// online lets the API server judge, as kubectl apply asks it to: strictly.
func online(ctx context.Context, t *testing.T, document []byte) verdict {
	t.Helper()
	request := cluster.Post().Namespace(metav1.NamespaceDefault).Resource("mcpservers").
		Param("fieldValidation", "Strict").Param("dryRun", "All").
		SetHeader("Content-Type", "application/yaml").Body(document)
	return judge(ctx, t, request)
}

// judge makes a verdict of the API server's answer.
func judge(ctx context.Context, t *testing.T, request *rest.Request) verdict {
	t.Helper()
	body, err := request.Do(ctx).Raw()
	if err == nil {
		server := &v1alpha1.MCPServer{}
		if err := json.Unmarshal(body, server); err != nil {
			t.Fatal(err)
		}
		return verdict{server: server}
	}
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		t.Fatal(err)
	}
	// The client's error has lost what the body says.
	var said metav1.Status
	if err := json.Unmarshal(body, &said); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	var mistakes []string
	switch said.Reason {
	case metav1.StatusReasonInvalid:
		for _, cause := range said.Details.Causes {
			mistakes = append(mistakes, cause.Field+": "+cause.Message)
		}
	case metav1.StatusReasonBadRequest:
		_, after, ok := strings.Cut(said.Message, "strict decoding error: ")
		if !ok {
			t.Fatalf("the API server could not read the document: %s", said.Message)
		}
		mistakes = strings.Split(strings.Join(strings.Fields(after), " "), ", ")
	default:
		t.Fatalf("the API server did not judge: %s", said.Message)
	}
	slices.Sort(mistakes)
	return verdict{mistakes: mistakes}
}

// definition is the CRD.
func definition(t *testing.T) *apiextensionsv1.JSONSchemaProps {
	t.Helper()
	var crdv1 apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(crd.MCPServers, &crdv1); err != nil {
		t.Fatal(err)
	}
	return crdv1.Spec.Versions[0].Schema.OpenAPIV3Schema
}

// obligation is something that the schema refuses, and so some row must break.
type obligation struct {
	field string // of the error, with indices removed
	says  string // what is in the error
	rule  bool   // whether it is a CEL rule
}

// obligations collects them from the schema at path.
func obligations(path string, schema *apiextensionsv1.JSONSchemaProps) []obligation {
	var list []obligation
	add := func(owes bool, field, says string) {
		if owes {
			list = append(list, obligation{field: field, says: says})
		}
	}
	for _, rule := range schema.XValidations {
		list = append(list, obligation{field: path + rule.FieldPath, says: rule.Message, rule: true})
	}
	add(schema.MaxLength != nil, path, "Too long")
	add(schema.MinLength != nil, path, "should be at least")
	add(schema.Pattern != "", path, "should match")
	add(schema.Minimum != nil, path, "should be greater than or equal to")
	add(schema.Maximum != nil, path, "should be less than or equal to")
	add(schema.MaxItems != nil, path, "Too many")
	add(schema.MaxProperties != nil, path, "Too many")
	add(schema.MinItems != nil, path, "should have at least")
	add(len(schema.Enum) > 0, path, "Unsupported value")
	if schema.XListType != nil && *schema.XListType != "atomic" {
		add(true, path+"[]", "Duplicate value")
	}
	for _, name := range schema.Required {
		add(true, child(path, name), "Required value")
	}
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		if property := schema.Properties[name]; path != "" || name != "status" {
			list = append(list, obligations(child(path, name), &property)...)
		}
	}
	if schema.Items != nil {
		list = append(list, obligations(path+"[]", schema.Items.Schema)...)
	}
	return list
}

func child(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
