package manifest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/config/crd"
)

// schema is the CRD's schema in the forms that the API server keeps of it.
type schema struct {
	structural *structuralschema.Structural
	values     validation.SchemaValidator
	rules      *cel.Validator
}

// theSchema is compiled once, on first use: that takes a moment.
var theSchema = sync.OnceValues(newSchema)

func newSchema() (*schema, error) {
	var definition apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(crd.MCPServers, &definition); err != nil {
		return nil, fmt.Errorf("reading the CRD: %w", err)
	}
	for _, version := range definition.Spec.Versions {
		if version.Name != v1alpha1.SchemeGroupVersion.Version {
			continue
		}
		var internal apiextensions.CustomResourceValidation
		if err := apiextensionsv1.Convert_v1_CustomResourceValidation_To_apiextensions_CustomResourceValidation(
			version.Schema, &internal, nil); err != nil {
			return nil, fmt.Errorf("reading the CRD's schema: %w", err)
		}
		structural, err := structuralschema.NewStructural(internal.OpenAPIV3Schema)
		if err != nil {
			return nil, fmt.Errorf("reading the CRD's schema: %w", err)
		}
		values, _, err := validation.NewSchemaValidator(internal.OpenAPIV3Schema)
		if err != nil {
			return nil, fmt.Errorf("reading the CRD's schema: %w", err)
		}
		return &schema{structural, values, cel.NewValidator(structural, true, celconfig.PerCallLimit)}, nil
	}
	return nil, fmt.Errorf("the CRD has no version %s", v1alpha1.SchemeGroupVersion.Version)
}

// readServer takes the same steps in the same order as the API server does on
// creation: decode strictly, apply defaults, validate.
func readServer(doc *document, into *v1alpha1.MCPServer) []error {
	s, err := theSchema()
	if err != nil {
		return []error{err}
	}
	object := map[string]any{}
	strict, err := json.UnmarshalStrict(doc.json, &object)
	if err != nil {
		return []error{err}
	}
	meta, unknown, err := s.normalize(object)
	if err != nil {
		return []error{err}
	}
	strict = append(doc.strict, strict...)
	for _, path := range unknown {
		strict = append(strict, fmt.Errorf("unknown field %q", path))
	}
	if len(strict) > 0 {
		return strict
	}

	if errs := append(validateMeta(meta), s.validate(object)...); len(errs) > 0 {
		// The schema's properties are in a map: without an order, each run has its own.
		slices.SortFunc(errs, func(a, b *field.Error) int { return strings.Compare(a.Error(), b.Error()) })
		return asErrors(errs)
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object, into); err != nil {
		return []error{err}
	}
	into.ObjectMeta = *meta
	return nil
}

// normalize applies defaults and removes what the API server would not store. It
// returns the metadata, and the paths of fields that the schema does not know.
func (s *schema) normalize(object map[string]any) (meta *metav1.ObjectMeta, unknown []string, err error) {
	meta, _, unknown, err = objectmeta.GetObjectMetaWithOptions(object, objectmeta.ObjectMetaOptions{ReturnUnknownFieldPaths: true})
	if err != nil {
		return nil, nil, err
	}
	defaulting.PruneNonNullableNullsWithoutDefaults(object, s.structural)
	defaulting.Default(object, s.structural)
	unknown = append(unknown, pruning.PruneWithOptions(object, s.structural, true,
		structuralschema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})...)
	if err := objectmeta.SetObjectMeta(object, meta); err != nil {
		return nil, nil, err
	}
	// The status of a new object is the controller's to write.
	delete(object, "status")
	return meta, unknown, nil
}

func (s *schema) validate(object map[string]any) field.ErrorList {
	errs := validation.ValidateCustomResource(nil, object, s.values)
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, s.structural, object)...)
	for _, err := range errs {
		switch err.Type {
		case field.ErrorTypeNotSupported, field.ErrorTypeRequired, field.ErrorTypeTooLong, field.ErrorTypeTooMany, field.ErrorTypeTypeInvalid:
			// Rules may rely on types and bounds, so the API server does not run them either.
			return append(errs, field.Invalid(nil, nil,
				"some validation rules were not checked because the object was invalid; correct the existing errors to complete validation"))
		}
	}
	// Rules are bounded by their cost, not by time.
	broken, _ := s.rules.Validate(context.Background(), nil, s.structural, object, nil, celconfig.RuntimeCELCostBudget)
	return append(errs, broken...)
}
