package resources_test

import (
	"testing"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/controllers/internal/resources"
)

// What leads to the Service names the port that it has, with TLS or without.
func TestWhatLeadsThereNamesThePort(t *testing.T) {
	for _, tls := range []*v1alpha1.GatewayTLS{nil, {}} {
		routed, ingressed := read(t, "exposed"), read(t, "ingress")
		routed.Spec.Gateway.TLS, ingressed.Spec.Gateway.TLS = tls, tls
		want := *resources.ServicePort(routed).Port
		if got := *resources.HTTPRoute(routed).Spec.Rules[0].BackendRefs[0].Port; got != want {
			t.Errorf("the HTTPRoute leads to port %d, want %d", got, want)
		}
		if got := *resources.Ingress(ingressed).Spec.Rules[0].HTTP.Paths[0].Backend.Service.Port.Number; got != want {
			t.Errorf("the Ingress leads to port %d, want %d", got, want)
		}
		if (want == 443) != (tls != nil) {
			t.Errorf("the Service has port %d", want)
		}
	}
}
