package controllers

import (
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"vestibule.dev/vestibule/config/crd"
)

// ourSchema is that of the spec in the CRD of this version.
func ourSchema(t *testing.T) jsonSchema {
	t.Helper()
	var c map[string]any
	if err := yaml.Unmarshal(crd.MCPServers, &c); err != nil {
		t.Fatal(err)
	}
	versions, _ := jsonSchema(c).member("spec")["versions"].([]any)
	first, _ := versions[0].(map[string]any)
	return jsonSchema(first).member("schema").member("openAPIV3Schema").member("properties").member("spec")
}

// newerSchema has fields besides ours: of a route, of an upstream's client, of the pods.
func newerSchema(t *testing.T) jsonSchema {
	t.Helper()
	s := ourSchema(t)
	route := s.member("properties").member("routes").member("items").member("properties")
	route["deniedTools"] = map[string]any{"type": "array"}
	route["mode"] = map[string]any{"type": "string", "default": "Usual"}
	s.member("properties").member("upstreams").member("items").member("properties").member("oidc").member("properties")["brandNew"] = map[string]any{"type": "string"}
	return s
}

func TestOurSchemaHasNothingUnknown(t *testing.T) {
	if ourSchema(t).exceeds(specType) {
		t.Error("our own CRD has a field that our types have not")
	}
	if !newerSchema(t).exceeds(specType) {
		t.Error("a newer CRD is not noticed")
	}
}

func TestUnknownFields(t *testing.T) {
	for name, row := range map[string]struct {
		spec string
		want []string
	}{
		"none":                        {`{"publicURL":"https://h","routes":[{"name":"mcp","path":"/mcp","unlistedTools":"Deny"}]}`, nil},
		"a field of a list":           {`{"routes":[{"name":"mcp","deniedTools":["x"]}]}`, []string{"routes[mcp].deniedTools"}},
		"a default":                   {`{"routes":[{"name":"mcp","mode":"Usual"}]}`, nil},
		"another than the default":    {`{"routes":[{"name":"mcp","mode":"Strict"}]}`, []string{"routes[mcp].mode"}},
		"beside what types share":     {`{"upstreams":[{"name":"corp","oidc":{"issuerURL":"x","clientID":"c","brandNew":"x"}}]}`, []string{"upstreams[corp].oidc.brandNew"}},
		"what decodes itself":         {`{"bindings":{"mcpObject":{"service":{"name":"weather","port":8080}}}}`, nil},
		"what is made of other types": {`{"gateway":{"podTemplate":{"affinity":{"nodeAffinity":{}},"labels":{"anything":"x"}}}}`, nil},
	} {
		var spec any
		if err := json.Unmarshal([]byte(row.spec), &spec); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(row.want, newerSchema(t).unknown(spec, specType, "")); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// The cluster is asked now and then, and not for each MCPServer. An answer that does not
// come changes nothing, but for the first, without which nobody can say.
func TestTheSchemaIsReadNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked, trouble, answer := 0, errors.New("no answer"), ourSchema(t)
		p := &published{now: time.Now, read: func() (jsonSchema, error) { asked++; return answer, trouble }}
		ask := func(wantAsked int, wantNewer, wantErr bool) {
			t.Helper()
			s, err := p.newerThanOurs()
			if asked != wantAsked || (s != nil) != wantNewer || (err != nil) != wantErr {
				t.Errorf("after %d questions: newer %v, %v; want %d, %v, %v", asked, s != nil, err, wantAsked, wantNewer, wantErr)
			}
		}
		ask(1, false, true)
		trouble = nil
		ask(2, false, false)
		answer = newerSchema(t)
		ask(2, false, false)
		time.Sleep(retrySchema)
		ask(3, true, false)
		trouble = errors.New("no answer")
		time.Sleep(retrySchema)
		ask(4, true, false)
		ask(4, true, false)
	})
}
