package manifest_test

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"sigs.k8s.io/yaml"
)

const samplePath = "../../../config/samples/weather.yaml"

// edits changes an object: each key is a path such as spec.routes[0].path, and
// its value what is put there. Nil removes. Shorter paths are changed first.
type edits map[string]any

// sample returns the sample with edits, as YAML; without any, it is the file itself.
func sample(t *testing.T, changes ...edits) []byte {
	t.Helper()
	data, err := os.ReadFile(samplePath)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(changes, func(e edits) bool { return len(e) > 0 }) {
		return data
	}
	object := map[string]any{}
	if err := yaml.Unmarshal(data, &object); err != nil {
		t.Fatal(err)
	}
	for _, edits := range changes {
		for _, path := range slices.Sorted(maps.Keys(edits)) {
			set(object, steps(path), edits[path])
		}
	}
	if data, err = yaml.Marshal(object); err != nil {
		t.Fatal(err)
	}
	return data
}

var step = regexp.MustCompile(`[^.\[\]]+`)

// steps takes a path apart, into names of fields and indices.
func steps(path string) []any {
	var steps []any
	for _, s := range step.FindAllString(path, -1) {
		if i, err := strconv.Atoi(s); err == nil {
			steps = append(steps, i)
		} else {
			steps = append(steps, s)
		}
	}
	return steps
}

// set returns in with the value at the path.
func set(in any, path []any, value any) any {
	if len(path) == 0 {
		return value
	}
	switch at := path[0].(type) {
	case int:
		list, _ := in.([]any)
		if at == len(list) {
			list = append(list, nil)
		}
		list[at] = set(list[at], path[1:], value)
		return list
	default:
		object, _ := in.(map[string]any)
		if object == nil {
			object = map[string]any{}
		}
		name := at.(string)
		if len(path) == 1 && value == nil {
			delete(object, name)
			return object
		}
		object[name] = set(object[name], path[1:], value)
		return object
	}
}
