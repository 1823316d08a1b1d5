package controllers

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/openapi"
	"k8s.io/client-go/openapi3"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/gateway/version"
)

// A CRD may be newer than the controller. Then a spec may have fields that the controller's
// types drop. A field that restricts access must not be dropped in silence.

// retrySchema is how long the cluster's schema of MCPServers is taken for unchanged.
const retrySchema = 5 * time.Minute

// published is the schema of MCPServers that the cluster has. The zero value is ready, and
// knows none.
type published struct {
	// read returns the schema; nil where nobody can say.
	read func() (jsonSchema, error)
	now  func() time.Time

	mu     sync.Mutex
	at     time.Time
	schema jsonSchema
	newer  bool
}

// jsonSchema is one of OpenAPI version 3.
type jsonSchema map[string]any

// newerThanOurs returns the schema if it has a field of the spec that this controller does
// not know, or nil. If the cluster cannot be asked, the schema that was read last counts.
// While one caller reads it again, other callers do not wait.
func (p *published) newerThanOurs() (jsonSchema, error) {
	if p.read == nil {
		return nil, nil
	}
	p.mu.Lock()
	due := p.schema == nil || p.now().Sub(p.at) >= retrySchema
	if due {
		p.at = p.now()
	}
	p.mu.Unlock()
	var read jsonSchema
	var err error
	if due {
		read, err = p.read()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case due && err == nil:
		p.schema, p.newer = read, read.exceeds(specType)
	case p.schema == nil:
		return nil, fmt.Errorf("reading the cluster's schema of MCPServers: %w", err)
	}
	if !p.newer {
		return nil, nil
	}
	return p.schema, nil
}

var specType = reflect.TypeFor[v1alpha1.MCPServerSpec]()

// specSchema asks the API server, as any service account may.
func specSchema(c openapi.Client) func() (jsonSchema, error) {
	return func() (jsonSchema, error) {
		document, err := openapi3.NewRoot(c).GVSpecAsMap(v1alpha1.SchemeGroupVersion)
		if err != nil {
			return nil, err
		}
		schemas := jsonSchema(document).member("components").member("schemas")
		for _, name := range slices.Sorted(maps.Keys(schemas)) {
			if spec := schemas.member(name).member("properties").member("spec"); spec != nil && strings.HasSuffix(name, ".MCPServer") {
				return spec, nil
			}
		}
		return nil, fmt.Errorf("%s has no MCPServer", v1alpha1.SchemeGroupVersion)
	}
}

func (s jsonSchema) member(name string) jsonSchema {
	m, _ := s[name].(map[string]any)
	return m
}

// exceeds says whether a schema has a field that a type has not.
func (s jsonSchema) exceeds(t reflect.Type) bool {
	t = plain(t)
	if t == nil {
		return false
	}
	switch t.Kind() {
	case reflect.Slice:
		return s.member("items").exceeds(t.Elem())
	case reflect.Map:
		return s.member("additionalProperties").exceeds(t.Elem())
	case reflect.Struct:
		properties := s.member("properties")
		for name := range properties {
			of, known := fieldOf(t, name)
			if !known || properties.member(name).exceeds(of) {
				return true
			}
		}
	}
	return false
}

// unknown are the paths of what a value has and a type has not. What is the schema's own
// default nobody has asked for.
func (s jsonSchema) unknown(value any, t reflect.Type, path string) []string {
	t = plain(t)
	if t == nil {
		return nil
	}
	var found []string
	switch value := value.(type) {
	case []any:
		if t.Kind() != reflect.Slice {
			return nil
		}
		for i, v := range value {
			found = append(found, s.member("items").unknown(v, t.Elem(), path+"["+nameOf(v, i)+"]")...)
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(value)) {
			if t.Kind() == reflect.Map {
				found = append(found, s.member("additionalProperties").unknown(value[name], t.Elem(), path+"["+name+"]")...)
				continue
			}
			if t.Kind() != reflect.Struct {
				return nil
			}
			at, property := strings.TrimPrefix(path+"."+name, "."), s.member("properties").member(name)
			of, known := fieldOf(t, name)
			switch standard, has := property["default"]; {
			case known:
				found = append(found, property.unknown(value[name], of, at)...)
			//rule:unknown-default-refused
			case !has || !reflect.DeepEqual(standard, value[name]):
				found = append(found, at)
			}
		}
	}
	return found
}

// nameOf is by what an item of a list is known.
func nameOf(item any, i int) string {
	m, _ := item.(map[string]any)
	for _, key := range []string{"name", "clientID"} {
		if name, ok := m[key].(string); ok {
			return name
		}
	}
	return fmt.Sprint(i)
}

// plain is a type without pointers, or nil if it decodes itself.
func plain(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()) {
		return nil
	}
	return t
}

// fieldOf is the type of the field that JSON has by a name.
func fieldOf(t reflect.Type, name string) (reflect.Type, bool) {
	for i := range t.NumField() {
		f := t.Field(i)
		tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if tag == name && tag != "" {
			return f.Type, true
		}
		if f.Anonymous && tag == "" {
			if inner := plain(f.Type); inner != nil && inner.Kind() == reflect.Struct {
				if found, ok := fieldOf(inner, name); ok {
					return found, true
				}
			}
		}
	}
	return nil, false
}

// unknownFields are those of the spec that this controller does not know. What it decodes
// has lost them, so the object is read once more, once for each generation, and only while
// the cluster's schema has such fields at all.
func (r *Reconciler) unknownFields(ctx context.Context, s *scope) ([]string, error) {
	schema, err := r.schema.newerThanOurs()
	if schema == nil || err != nil {
		return nil, err
	}
	key := client.ObjectKeyFromObject(s.server)
	id, state := memoID(key, child{kindMCPServer, "fields"}), fmt.Sprintf("%s/%d", s.server.UID, s.server.Generation)
	if found, ok := r.unknown.at(id, state); ok {
		return found, nil
	}
	raw := &unstructured.Unstructured{}
	raw.SetGroupVersionKind(v1alpha1.SchemeGroupVersion.WithKind(kindMCPServer))
	if err := r.Live.Get(ctx, key, raw); err != nil {
		return nil, fmt.Errorf("reading MCPServer %s with all its fields: %w", key.Name, err)
	}
	found := schema.unknown(raw.Object["spec"], specType, "")
	if raw.GetGeneration() == s.server.Generation {
		r.unknown.remember(id, state, found)
	}
	return found, nil
}

// fieldsUnknown says of fields that nothing is done about them.
func fieldsUnknown(fields []string) string {
	return fmt.Sprintf("%s: this controller (%s) does not know this, and changes nothing of this MCPServer: the CRD is newer. Update the controller.",
		strings.Join(fields, ", "), version.Version)
}
