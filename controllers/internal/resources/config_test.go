package resources_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/controllers/internal/resources"
	"vestibule.dev/vestibule/gateway/config"
)

var update = flag.Bool("update", false, "write the golden files")

// ports are what a cluster would say of the Services that a server names.
func ports(server *v1alpha1.MCPServer) map[v1alpha1.ServicePort]resources.Port {
	all := map[v1alpha1.ServicePort]resources.Port{}
	for _, object := range resources.Objects(server) {
		if s := object.Service; s != nil {
			all[*s] = resources.Port{Number: 8080, Name: s.Port.StrVal, AppProtocol: protocols[s.Name]}
		}
	}
	return all
}

// protocols are the appProtocols of Services, by name.
var protocols = map[string]string{"admin": "kubernetes.io/h2c", "pages": "https"}

// What the controller renders from an MCPServer, as the API server stores it, the
// gateway loads; and both are what a reviewer sees in testdata.
func TestGatewayConfig(t *testing.T) {
	servers, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(servers) == 0 {
		t.Fatalf("no MCPServers in testdata: %v", err)
	}
	for _, path := range servers {
		t.Run(filepath.Base(path), func(t *testing.T) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			server := &v1alpha1.MCPServer{}
			if err := yaml.UnmarshalStrict(data, server); err != nil {
				t.Fatal(err)
			}
			rendered := resources.GatewayConfig(server, resources.Inputs{
				Ports: ports(server), Directory: "/etc/vestibule", ClientShards: 16, GrantShards: 17,
			})
			got, err := json.MarshalIndent(rendered, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, '\n')

			golden := strings.TrimSuffix(path, ".yaml") + ".json"
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(want, got) {
				t.Errorf("not what %s has; run go test with -update and review the difference (-want +got):\n%s",
					golden, cmp.Diff(string(want), string(got)))
			}
			loaded, err := config.Parse(want)
			if err != nil {
				t.Fatalf("the gateway does not load it: %v", err)
			}
			if diff := cmp.Diff(rendered, loaded); diff != "" {
				t.Errorf("the gateway loads something else (-rendered +loaded):\n%s", diff)
			}
		})
	}
}
