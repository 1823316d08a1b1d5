package resources_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/yaml"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/controllers/internal/resources"
	"vestibule.dev/vestibule/gateway/config"
)

// children are all that the controller makes for a server in a cluster.
func children(t *testing.T, server *v1alpha1.MCPServer) []any {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	const clients, grants = 2, 3
	configuration, err := resources.Config(server, resources.GatewayConfig(server, resources.Inputs{
		Ports: ports(server), Directory: resources.Directory, ClientShards: clients, GrantShards: grants, Cluster: resources.Cluster(server),
	}))
	must(err)
	keys, err := resources.Keys(server, &config.KeySet{Version: config.Version, Keys: []config.Key{
		{ID: 1, NotBefore: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Secret: make([]byte, 32)},
	}})
	must(err)
	policy, err := resources.PolicyMap(server)
	must(err)
	replicas := server.Spec.Gateway.Replicas
	if server.Spec.Gateway.Autoscaling != nil {
		replicas = 0
	}
	deployment, err := resources.Deployment(server, resources.Pod{
		Image: "registry.example.com/gateway:v1", Config: configuration.Name, References: map[string]string{"Secret/weather-oidc/client-secret": "0123456789abcdef"}, Inputs: "fedcba9876543210",
		ClientShards: clients, GrantShards: grants,
	})
	must(err)
	resources.Scale(deployment, replicas)
	all := []any{keys}
	if server.Spec.Bindings.OAuthKV.Kubernetes != nil {
		all = append(all, resources.Shard(server, resources.Clients, 0, "uid"), resources.Shard(server, resources.Grants, 2, "uid"))
	}
	all = append(all, resources.Report(server), resources.ServiceAccount(server), resources.Role(server, clients, grants),
		resources.RoleBinding(server), policy, resources.Service(server))
	if budget := resources.DisruptionBudget(server); budget != nil {
		all = append(all, budget)
	}
	if route := resources.HTTPRoute(server); route != nil {
		all = append(all, route)
	}
	if ingress := resources.Ingress(server); ingress != nil {
		all = append(all, ingress)
	}
	if monitor := resources.PodMonitor(server); monitor != nil {
		all = append(all, monitor)
	}
	if scaler := resources.Autoscaler(server); scaler != nil {
		all = append(all, scaler)
	}
	network, err := resources.NetworkPolicy(server)
	must(err)
	if network != nil {
		all = append(all, network)
	}
	return append(all, configuration, deployment)
}

// A review shows what changes in users' clusters as a difference of these files.
func TestChildren(t *testing.T) {
	for _, name := range []string{"everything", "minimal", "memory", "migration", "exposed", "ingress", "retained"} {
		t.Run(name, func(t *testing.T) {
			var got []byte
			for _, child := range children(t, read(t, name)) {
				setKind(t, child)
				data, err := yaml.Marshal(child)
				if err != nil {
					t.Fatal(err)
				}
				got = append(append(got, "---\n"...), data...)
			}
			golden := filepath.Join("testdata", "children", name+".yaml")
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
		})
	}
}

// setKind completes an object that is created, so that the golden files are manifests.
// Objects that are applied have their kind.
func setKind(t *testing.T, child any) {
	t.Helper()
	o, ok := child.(runtime.Object)
	if !ok {
		return
	}
	kind, err := apiutil.GVKForObject(o, scheme.Scheme)
	if err != nil {
		t.Fatal(err)
	}
	o.GetObjectKind().SetGroupVersionKind(kind)
}

func read(t *testing.T, name string) *v1alpha1.MCPServer {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	server := &v1alpha1.MCPServer{}
	if err := yaml.UnmarshalStrict(data, server); err != nil {
		t.Fatal(err)
	}
	return server
}

// The policy is what may change without a rollout, so nothing of it may be in what
// causes one.
func TestThePolicyIsNotInTheConfiguration(t *testing.T) {
	render := func(change func(*v1alpha1.MCPServer)) (configuration, policy string) {
		server := read(t, "everything")
		change(server)
		c, err := resources.Config(server, resources.GatewayConfig(server, resources.Inputs{Ports: ports(server), Cluster: resources.Cluster(server)}))
		if err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal(resources.GatewayPolicy(server))
		if err != nil {
			t.Fatal(err)
		}
		return c.Name, string(data)
	}
	configuration, policy := render(func(*v1alpha1.MCPServer) {})
	for name, change := range map[string]func(*v1alpha1.MCPServer){
		"scopes":         func(s *v1alpha1.MCPServer) { s.Spec.OAuth.Scopes[0].Description = "Else" },
		"requiredScopes": func(s *v1alpha1.MCPServer) { s.Spec.Routes[0].RequiredScopes = []string{"else"} },
		"access":         func(s *v1alpha1.MCPServer) { s.Spec.Access.Rules[0].Expression = "true" },
		"allowedOrigins": func(s *v1alpha1.MCPServer) { s.Spec.Gateway.AllowedOrigins = nil },
	} {
		c, p := render(change)
		if c != configuration {
			t.Errorf("%s is in the configuration", name)
		}
		if p == policy {
			t.Errorf("%s is not in the policy", name)
		}
	}
	if c, _ := render(func(s *v1alpha1.MCPServer) { s.Spec.OAuth.AccessTokenTTLSeconds++ }); c == configuration {
		t.Error("the configuration's name does not stand for its content")
	}
}

// What the Pod Security Standard "restricted" asks for, and more.
func TestPodsAreRestricted(t *testing.T) {
	for _, child := range children(t, read(t, "everything")) {
		data, err := json.Marshal(child)
		if err != nil {
			t.Fatal(err)
		}
		d := &appsv1.Deployment{}
		if err := json.Unmarshal(data, d); err != nil || d.Kind != "Deployment" {
			continue
		}
		pod := d.Spec.Template.Spec
		c := pod.Containers[0]
		for what, ok := range map[string]bool{
			"runAsNonRoot":             *pod.SecurityContext.RunAsNonRoot,
			"seccomp":                  pod.SecurityContext.SeccompProfile.Type == corev1.SeccompProfileTypeRuntimeDefault,
			"allowPrivilegeEscalation": !*c.SecurityContext.AllowPrivilegeEscalation,
			"readOnlyRootFilesystem":   *c.SecurityContext.ReadOnlyRootFilesystem,
			"capabilities":             len(c.SecurityContext.Capabilities.Drop) == 1 && c.SecurityContext.Capabilities.Drop[0] == "ALL" && len(c.SecurityContext.Capabilities.Add) == 0,
			"service links":            !*pod.EnableServiceLinks,
			"host":                     !pod.HostNetwork && !pod.HostPID && !pod.HostIPC,
			"one container":            len(pod.Containers) == 1 && len(pod.InitContainers) == 0,
		} {
			if !ok {
				t.Errorf("%s is not as it should be", what)
			}
		}
		return
	}
	t.Error("there is no Deployment")
}

// While one source of a volume is missing, the kubelet updates no file of that volume. So
// keys, configuration and certificate share a volume with nothing, and references may be
// missing.
func TestAMissingReferenceHoldsUpNoFile(t *testing.T) {
	everyServer(t, func(t *testing.T, server *v1alpha1.MCPServer, children []any) {
		of := map[string]corev1.VolumeSource{}
		for _, v := range deploymentOf(t, children).Spec.Template.Spec.Volumes {
			of[v.Name] = v.VolumeSource
		}
		if m := of["config"].ConfigMap; m == nil {
			t.Errorf("the configuration is in %v", of["config"])
		}
		if s := of["keys"].Secret; s == nil || s.SecretName != resources.KeysName(server) {
			t.Errorf("the keys are in %v", of["keys"])
		}
		if tls := server.Spec.Gateway.TLS; tls != nil && (of["tls"].Secret == nil || of["tls"].Secret.SecretName != tls.SecretRef.Name) {
			t.Errorf("the certificate is in %v", of["tls"])
		}
		for _, source := range of["references"].Projected.Sources {
			s, m := source.Secret, source.ConfigMap
			if (s == nil || s.Optional == nil || !*s.Optional) && (m == nil || m.Optional == nil || !*m.Optional) {
				t.Errorf("%v must be there", source)
			}
		}
	})
}

// What is mounted and watched in a cluster, the gateway loads.
func TestTheGatewayLoadsWhatItIsGiven(t *testing.T) {
	for _, child := range children(t, read(t, "everything")) {
		data, err := json.Marshal(child)
		if err != nil {
			t.Fatal(err)
		}
		m := &corev1.ConfigMap{}
		if json.Unmarshal(data, m) != nil {
			continue
		}
		if document, ok := m.Data["config.json"]; ok {
			c, err := config.Parse([]byte(document))
			if err != nil || c.Cluster == nil {
				t.Errorf("the configuration: %v", err)
			}
		}
		if document, ok := m.Data[config.PolicyKey]; ok {
			if _, err := config.ParsePolicy([]byte(document)); err != nil {
				t.Errorf("the policy: %v", err)
			}
			targets, err := config.ParseTargets([]byte(m.Data[config.TargetsKey]))
			if err != nil || len(targets.Routes) == 0 || len(targets.Upstreams) == 0 {
				t.Errorf("the policy is for %+v: %v", targets, err)
			}
		}
	}
}

// Names of one server are never those of another, whatever the two are called.
func TestShardNames(t *testing.T) {
	server := &v1alpha1.MCPServer{ObjectMeta: metav1.ObjectMeta{Name: "weather"}}
	for name, want := range map[string]bool{
		"weather-gateway-clients-0":          true,
		"weather-gateway-grants-1023":        true,
		"weather-gateway-grants-01":          false,
		"weather-gateway-grants-":            false,
		"weather-gateway-keys":               false,
		"weather-gateway-grants-0-gateway":   false,
		"other-gateway-grants-0":             false,
		"weather-gateway-x-gateway-grants-0": false,
	} {
		part, n, ok := resources.ParseShardName(server, name)
		if ok != want || ok && resources.ShardName(server, part, n) != name {
			t.Errorf("%s: %s %d %v", name, part, n, ok)
		}
		o := &metav1.ObjectMeta{Name: name}
		if resources.IsShard(o) {
			t.Errorf("%s is a shard without an owner", name)
		}
		o.OwnerReferences = []metav1.OwnerReference{resources.OwnerReference(server)}
		if resources.IsShard(o) != want {
			t.Errorf("%s with an owner: %v", name, !want)
		}
	}
}
