package resources_test

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/controllers/internal/resources"
	"vestibule.dev/vestibule/gateway/config"
)

// What gateways may do follows what they run with, so nobody may make that up.
func TestAConfigurationThatSomebodyHasMadeUp(t *testing.T) {
	server := &v1alpha1.MCPServer{ObjectMeta: metav1.ObjectMeta{Name: "weather", Namespace: "tools", UID: "uid"}}
	c, err := config.Load("testdata/everything.json")
	if err != nil {
		t.Fatal(err)
	}
	m, err := resources.Config(server, c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := resources.ParseConfig(server, m); err != nil {
		t.Errorf("one of ours: %v", err)
	}
	m.Data["config.json"] += " "
	if _, err := resources.ParseConfig(server, m); err == nil {
		t.Error("one that is not what its name stands for is read")
	}
}
