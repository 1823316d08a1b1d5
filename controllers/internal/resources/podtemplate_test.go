package resources

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"vestibule.dev/vestibule/api/v1alpha1"
)

func quantities(cpu, memory string) corev1.ResourceList {
	list := corev1.ResourceList{}
	for name, q := range map[corev1.ResourceName]string{corev1.ResourceCPU: cpu, corev1.ResourceMemory: memory} {
		if q != "" {
			list[name] = resource.MustParse(q)
		}
	}
	return list
}

// Whatever is set, requests are not above limits, and the collector works below the
// limit of the memory.
func TestResourcesFit(t *testing.T) {
	for _, c := range []struct {
		name                                     string
		wanted                                   v1alpha1.PodResources
		cpu, memory, cpuLimit, memoryLimit, goal string
	}{
		{"nothing", v1alpha1.PodResources{}, "50m", "64Mi", "", "512Mi", "450MiB"},
		{"a larger limit", v1alpha1.PodResources{Limits: quantities("", "2Gi")}, "50m", "64Mi", "", "2Gi", "1802MiB"},
		{"a small limit", v1alpha1.PodResources{Limits: quantities("20m", "32Mi")}, "20m", "32Mi", "20m", "32Mi", "28MiB"},
		{"a large request", v1alpha1.PodResources{Requests: quantities("2", "1Gi")}, "2", "1Gi", "", "1Gi", "901MiB"},
		{"both", v1alpha1.PodResources{Requests: quantities("1", "128Mi"), Limits: quantities("2", "256Mi")}, "1", "128Mi", "2", "256Mi", "225MiB"},
		{"a decimal limit", v1alpha1.PodResources{Limits: quantities("", "1G")}, "50m", "64Mi", "", "1G", "839MiB"},
	} {
		server := &v1alpha1.MCPServer{}
		server.Spec.Gateway.PodTemplate = &v1alpha1.PodTemplate{Resources: c.wanted}
		requests, limits := podResources(server)
		for _, q := range []struct {
			list corev1.ResourceList
			name corev1.ResourceName
			want string
		}{{requests, corev1.ResourceCPU, c.cpu}, {requests, corev1.ResourceMemory, c.memory}, {limits, corev1.ResourceCPU, c.cpuLimit}, {limits, corev1.ResourceMemory, c.memoryLimit}} {
			got, ok := q.list[q.name]
			if ok != (q.want != "") || ok && got.Cmp(resource.MustParse(q.want)) != 0 {
				t.Errorf("%s: %s is %s, want %q", c.name, q.name, got.String(), q.want)
			}
		}
		env := environment(server, limits[corev1.ResourceMemory])
		if got := *env[1].Value; *env[1].Name != "GOMEMLIMIT" || got != c.goal {
			t.Errorf("%s: GOMEMLIMIT is %s, want %s", c.name, got, c.goal)
		}
		server.Spec.Gateway.PodTemplate.Env = []v1alpha1.EnvVar{{Name: "GOMEMLIMIT", Value: "off"}}
		if env := environment(server, limits[corev1.ResourceMemory]); len(env) != 2 || *env[1].Value != "off" {
			t.Errorf("%s: with one of the user's, the variables are %d, and GOMEMLIMIT %s", c.name, len(env), *env[1].Value)
		}
	}
}

// An MCPServer that was stored before the rule can have any variable.
func TestOnlySomeVariablesReachPods(t *testing.T) {
	server := &v1alpha1.MCPServer{}
	server.Spec.Gateway.PodTemplate = &v1alpha1.PodTemplate{Env: []v1alpha1.EnvVar{
		{Name: "GODEBUG", Value: "http2debug=2"}, {Name: "HTTPS_PROXY", Value: "http://proxy:3128"}, {Name: "POD_UID", Value: "mine"},
		{Name: "SSL_CERT_FILE", Value: "/dev/null"}, {Name: "no_proxy", Value: "example.com"},
	}}
	var names []string
	for _, e := range environment(server, resource.MustParse("512Mi")) {
		names = append(names, *e.Name)
	}
	if want := []string{"POD_UID", "GOMEMLIMIT", "HTTPS_PROXY", "no_proxy"}; !slices.Equal(names, want) {
		t.Errorf("the pods have %v, want %v", names, want)
	}
	if names, want := VariablesLeftOut(server), []string{"GODEBUG", "POD_UID", "SSL_CERT_FILE"}; !slices.Equal(names, want) {
		t.Errorf("left out are %v, want %v", names, want)
	}
	if names := VariablesLeftOut(&v1alpha1.MCPServer{}); names != nil {
		t.Errorf("without variables, %v are left out", names)
	}
}
