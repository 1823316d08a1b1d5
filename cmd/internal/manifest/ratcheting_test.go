package manifest

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/model"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/common"

	"vestibule.dev/vestibule/api/v1alpha1"
)

// update lists what the rules of the CRD say to an update, as an API server applies them:
// what an update leaves as it is, it does not refuse.
func update(t *testing.T, old, now map[string]string) []string {
	t.Helper()
	s, err := theSchema()
	if err != nil {
		t.Fatal(err)
	}
	object := func(env map[string]string) map[string]any {
		variables := []any{}
		for _, name := range slices.Sorted(maps.Keys(env)) {
			variables = append(variables, map[string]any{"name": name, "value": env[name]})
		}
		return map[string]any{"spec": map[string]any{"gateway": map[string]any{"podTemplate": map[string]any{"env": variables}}}}
	}
	before, after := object(old), object(now)
	correlated := common.NewCorrelatedObject(after, before, &model.Structural{Structural: s.structural})
	errs, _ := s.rules.Validate(t.Context(), nil, s.structural, after, before, celconfig.RuntimeCELCostBudget, cel.WithRatcheting(correlated))
	var refusals []string
	for _, err := range errs {
		if strings.Contains(err.Error(), "gateway.podTemplate.env") {
			refusals = append(refusals, err.Field)
		}
	}
	return refusals
}

// A stored variable that is not allowed must not keep an owner from changing the rest.
func TestAStoredVariableRefusesNoUpdate(t *testing.T) {
	stored := map[string]string{"GODEBUG": "http2debug=2", "TZ": "UTC"}
	for name, c := range map[string]struct {
		now     map[string]string
		refused bool
	}{
		"nothing of it":        {stored, false},
		"another variable":     {map[string]string{"GODEBUG": "http2debug=2", "TZ": "CET", "GOGC": "50"}, false},
		"the variable's value": {map[string]string{"GODEBUG": "http2debug=1", "TZ": "UTC"}, true},
		"a second one":         {map[string]string{"GODEBUG": "http2debug=2", "SSLKEYLOGFILE": "/dev/stdout", "TZ": "UTC"}, true},
		"its removal":          {map[string]string{"TZ": "UTC"}, false},
	} {
		if refusals := update(t, stored, c.now); (len(refusals) > 0) != c.refused {
			t.Errorf("changing %s: refused at %v, want refused: %v", name, refusals, c.refused)
		}
	}
}

// The rule in the CRD and the list of the controller are one.
func TestAVariableThatIsAllowedReachesPods(t *testing.T) {
	for _, name := range []string{
		"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "GOMEMLIMIT", "GOGC", "GOMAXPROCS", "TZ",
		"OTEL_RESOURCE_ATTRIBUTES", "OTEL_SERVICE_NAME",
		"GODEBUG", "POD_UID", "SSL_CERT_FILE", "OTEL_EXPORTER_OTLP_HEADERS", "ALL_PROXY", "tz", "GOTRACEBACK",
	} {
		e := v1alpha1.EnvVar{Name: name}
		if refused := len(update(t, nil, map[string]string{name: "1"})) > 0; refused == e.Allowed() {
			t.Errorf("%s: refused by the CRD: %v, given to pods: %v", name, refused, e.Allowed())
		}
	}
}
