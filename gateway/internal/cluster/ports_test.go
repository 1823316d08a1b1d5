package cluster

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Somebody names the port of a Service, or renames it: its pods are the same, and are not
// cut off before there are gateways that know the name.
func TestAPortThatIsRenamed(t *testing.T) {
	for name, row := range map[string]struct {
		port         string
		before, then string
		want         int
	}{
		"an unnamed port is named":       {"", `[{"name":"","port":8080}]`, `[{"name":"http","port":8080}]`, 8080},
		"and the gateway starts anew":    {"", `[]`, `[{"name":"http","port":8080}]`, 8080},
		"and another port is added":      {"", `[{"name":"","port":8080}]`, `[{"name":"metrics","port":9090},{"name":"http","port":8080}]`, 8080},
		"a port is renamed":              {"http", `[{"name":"metrics","port":9090},{"name":"http","port":8080}]`, `[{"name":"metrics","port":9090},{"name":"web","port":8080}]`, 8080},
		"a port goes":                    {"http", `[{"name":"metrics","port":9090},{"name":"http","port":8080}]`, `[{"name":"metrics","port":9090}]`, 0},
		"a named port, never seen":       {"http", `[]`, `[{"name":"web","port":8080}]`, 0},
		"only datagrams have the number": {"http", `[{"name":"http","port":8080}]`, `[{"name":"quic","port":8080,"protocol":"UDP"}]`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			e := &Endpoints{Port: row.port}
			ask := func(ports string) []int {
				s := slice{}
				if err := json.Unmarshal([]byte(`{"ports":`+ports+`}`), &s); err != nil {
					t.Fatal(err)
				}
				return e.ports([]slice{s})
			}
			ask(row.before)
			for range 2 {
				if diff := cmp.Diff([]int{row.want}, ask(row.then)); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}
