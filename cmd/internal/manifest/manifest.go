// Package manifest reads a file with an MCPServer in it as the API server would,
// without one: what Load accepts, kubectl apply accepts, and what it refuses, it
// refuses with the same words.
package manifest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"vestibule.dev/vestibule/api/v1alpha1"
)

// Manifest is what a file holds. Namespaces are set, to default where the file
// names none.
type Manifest struct {
	// Server is the one MCPServer, with the schema's defaults.
	Server *v1alpha1.MCPServer
	// Secrets have what the file wrote as stringData in their data.
	Secrets []corev1.Secret
	// ConfigMaps are as written.
	ConfigMaps []corev1.ConfigMap
}

// Load reads YAML documents, or one JSON document: one MCPServer and any number
// of the Secrets and ConfigMaps that it refers to. Its error has one line for
// each mistake, which names the document.
func Load(data []byte) (*Manifest, error) {
	m := &Manifest{}
	var errs []error
	documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
	for n := 1; ; n++ {
		text, err := documents.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			// What follows cannot be told apart any more.
			return nil, errors.Join(append(errs, fmt.Errorf("document %d: %w", n, err))...)
		}
		doc, err := parse(text)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("document %d: %w", n, err))
		case doc != nil:
			for _, err := range m.add(doc) {
				errs = append(errs, fmt.Errorf("document %d (%s): %w", n, doc, err))
			}
		}
	}
	// A document that could not be read may have been meant as one.
	if m.Server == nil && len(errs) == 0 {
		errs = append(errs, errors.New("the file holds no MCPServer"))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return m, nil
}

// SecretKey returns what ref refers to among the Secrets of the file, if the server
// may use it, as it must in a cluster.
func (m *Manifest) SecretKey(ref v1alpha1.KeyReference) ([]byte, error) {
	for i := range m.Secrets {
		s := &m.Secrets[i]
		if s.Name == ref.Name && s.Namespace == m.Server.Namespace {
			if !m.Server.MayUse(s) {
				return nil, fmt.Errorf("the file's Secret %s has no label %s: %s, without which this MCPServer may not use it",
					ref.Name, v1alpha1.LabelAllowedFor, m.Server.Name)
			}
			if value, ok := s.Data[ref.Key]; ok {
				return value, nil
			}
			return nil, fmt.Errorf("the file's Secret %s has no key %s", ref.Name, ref.Key)
		}
	}
	return nil, fmt.Errorf("the file holds no Secret %s in namespace %s", ref.Name, m.Server.Namespace)
}

// ConfigMapKey returns what ref refers to among the ConfigMaps of the file.
func (m *Manifest) ConfigMapKey(ref v1alpha1.KeyReference) ([]byte, error) {
	for _, c := range m.ConfigMaps {
		if c.Name == ref.Name && c.Namespace == m.Server.Namespace {
			if value, ok := c.Data[ref.Key]; ok {
				return []byte(value), nil
			}
			if value, ok := c.BinaryData[ref.Key]; ok {
				return value, nil
			}
			return nil, fmt.Errorf("the file's ConfigMap %s has no key %s", ref.Name, ref.Key)
		}
	}
	return nil, fmt.Errorf("the file holds no ConfigMap %s in namespace %s", ref.Name, m.Server.Namespace)
}

// document is one object of the file.
type document struct {
	metav1.PartialObjectMetadata
	json []byte
	// strict are mistakes that the API server overlooks unless it is asked to be
	// strict, as kubectl asks it.
	strict []error
}

// String names the document as kubectl does in its messages.
func (d *document) String() string { return d.Kind + " " + d.Name }

// parse returns nil for a document that holds nothing, or only comments.
func parse(text []byte) (*document, error) {
	doc := &document{}
	var err error
	if doc.json, err = yaml.YAMLToJSON(text); err != nil {
		return nil, errors.New(oneLine(err.Error()))
	}
	if string(doc.json) == "null" {
		return nil, nil
	}
	if _, err := yaml.YAMLToJSONStrict(text); err != nil {
		doc.strict = append(doc.strict, errors.New(oneLine(err.Error())))
	}
	// As much as is well-formed; of the rest speaks whoever reads the whole object.
	_ = json.UnmarshalCaseSensitivePreserveInts(doc.json, &doc.PartialObjectMetadata)
	if doc.Kind == "" || doc.APIVersion == "" {
		return nil, errors.New("not an object of the Kubernetes API, which has apiVersion and kind")
	}
	if doc.Name == "" {
		// The API server could make one up, but kubectl apply would not let it.
		return nil, fmt.Errorf("%s: %w", doc.Kind, field.Required(field.NewPath("metadata", "name"), ""))
	}
	return doc, nil
}

// add reads the document by its kind.
func (m *Manifest) add(doc *document) []error {
	switch doc.GroupVersionKind() {
	case v1alpha1.SchemeGroupVersion.WithKind("MCPServer"):
		if m.Server != nil {
			return []error{fmt.Errorf("the file holds a second MCPServer; %s is the first", m.Server.Name)}
		}
		// Set even if it is refused, so that a second one is noticed too.
		m.Server = &v1alpha1.MCPServer{}
		m.Server.Name = doc.Name
		return readServer(doc, m.Server)
	case corev1.SchemeGroupVersion.WithKind("Secret"):
		secret := corev1.Secret{}
		errs := readCore(doc, &secret, &secret.ObjectMeta)
		if secret.Data == nil {
			secret.Data = map[string][]byte{}
		}
		for key, value := range secret.StringData {
			secret.Data[key] = []byte(value)
		}
		secret.StringData = nil
		m.Secrets = append(m.Secrets, secret)
		return errs
	case corev1.SchemeGroupVersion.WithKind("ConfigMap"):
		configMap := corev1.ConfigMap{}
		errs := readCore(doc, &configMap, &configMap.ObjectMeta)
		m.ConfigMaps = append(m.ConfigMaps, configMap)
		return errs
	default:
		return []error{fmt.Errorf("%s is not read: the file may hold one MCPServer of %s and Secrets and ConfigMaps of v1",
			doc.APIVersion, v1alpha1.SchemeGroupVersion)}
	}
}

// readCore reads a document into one of the API server's own types.
func readCore(doc *document, into any, meta *metav1.ObjectMeta) []error {
	strict, err := json.UnmarshalStrict(doc.json, into)
	if err != nil {
		return []error{err}
	}
	if strict = append(doc.strict, strict...); len(strict) > 0 {
		return strict
	}
	return asErrors(validateMeta(meta))
}

// validateMeta checks metadata as the API server does, in the namespace that
// kubectl would take.
func validateMeta(meta *metav1.ObjectMeta) field.ErrorList {
	path := field.NewPath("metadata")
	if meta.Namespace == "" {
		meta.Namespace = metav1.NamespaceDefault
	}
	return validation.ValidateObjectMeta(meta, true, validation.NameIsDNSSubdomain, path)
}

// oneLine joins the lines that YAML's errors have, one for each key that is there
// twice.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func asErrors(list field.ErrorList) []error {
	errs := make([]error, len(list))
	for i, err := range list {
		errs[i] = err
	}
	return errs
}
