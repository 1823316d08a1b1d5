//go:build integration

package manifest_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vestibule.dev/vestibule/api/v1alpha1"
)

// What the controller writes into the status is what kubectl get shows.
func TestColumns(t *testing.T) {
	servers := cluster.Post().Namespace(metav1.NamespaceDefault).Resource("mcpservers")
	created, err := servers.SetHeader("Content-Type", "application/yaml").
		Body(sample(t, edits{"metadata.name": "columns"})).Do(t.Context()).Raw()
	if err != nil {
		t.Fatalf("%v: %s", err, created)
	}
	var server v1alpha1.MCPServer
	if err := json.Unmarshal(created, &server); err != nil {
		t.Fatal(err)
	}
	server.Status = v1alpha1.MCPServerStatus{
		ObservedGeneration: server.Generation,
		URL:                "https://weather.example.com/mcp",
		GatewayVersion:     "v1.2.3",
		Conditions: []metav1.Condition{
			{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: "SecretNotFound", LastTransitionTime: metav1.Now()},
		},
	}
	body, err := json.Marshal(server)
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := cluster.Put().Namespace(server.Namespace).Resource("mcpservers").Name(server.Name).SubResource("status").
		SetHeader("Content-Type", "application/json").Body(body).Do(t.Context()).Raw(); err != nil {
		t.Fatalf("%v: %s", err, answer)
	}

	answer, err := cluster.Get().Namespace(server.Namespace).Resource("mcpservers").Name(server.Name).
		SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io").Do(t.Context()).Raw()
	if err != nil {
		t.Fatalf("%v: %s", err, answer)
	}
	var table metav1.Table
	if err := json.Unmarshal(answer, &table); err != nil {
		t.Fatal(err)
	}
	shown := map[string]any{}
	for i, column := range table.ColumnDefinitions {
		shown[column.Name] = table.Rows[0].Cells[i]
	}
	delete(shown, "Age")
	want := map[string]any{"Name": "columns", "URL": "https://weather.example.com/mcp", "Ready": "False", "Reason": "SecretNotFound", "Version": "v1.2.3"}
	if diff := cmp.Diff(want, shown); diff != "" {
		t.Errorf("kubectl get shows something else (-want +got):\n%s", diff)
	}
}
