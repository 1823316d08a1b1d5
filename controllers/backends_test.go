//go:build integration

package controllers

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/controllers/internal/resources"
	"vestibule.dev/vestibule/gateway/config"
)

// configured is the configuration that the gateways are to have.
func (w *world) configured() *config.Config {
	w.t.Helper()
	m := &corev1.ConfigMap{}
	w.read(w.deployment().Spec.Template.Annotations[resources.AnnotationConfig], m)
	c, err := config.Parse([]byte(m.Data["config.json"]))
	must(w.t, err)
	return c
}

// A route's own Service is looked at, and followed, as the shared one is.
func TestARouteWithABackendOfItsOwn(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	start(t, account(t, ns, ns), ns)
	w := newWorld(t, ns, "weather")
	w.server(routeTo(&v1alpha1.MCPObject{
		Type: v1alpha1.MCPObjectService, Service: &v1alpha1.ServicePort{Name: "admin", Port: intstr.FromInt32(80)},
	}))
	w.becomes(v1alpha1.ConditionMCPObjectBound, isFalse, v1alpha1.ReasonServiceMissing)
	err := admin.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: w.gateway()}, &appsv1.Deployment{})
	if !apierrors.IsNotFound(err) {
		t.Fatalf("a gateway is deployed that cannot know its backend: %v", err)
	}

	service := &corev1.Service{ObjectMeta: w.meta("admin"), Spec: corev1.ServiceSpec{
		ClusterIP: corev1.ClusterIPNone, Selector: map[string]string{"app": "admin"},
		Ports: []corev1.ServicePort{{Port: 80, AppProtocol: ptr.To("kubernetes.io/h2c")}},
	}}
	w.create(service)
	c := w.becomes(v1alpha1.ConditionMCPObjectBound, isFalse, v1alpha1.ReasonNoReadyEndpoints)
	if !strings.Contains(c.Message, "Service admin") {
		t.Errorf("it does not say which: %s", c.Message)
	}
	slice := w.meta("admin-1")
	slice.Labels = map[string]string{discoveryv1.LabelServiceName: "admin"}
	w.create(&discoveryv1.EndpointSlice{
		ObjectMeta:  slice,
		AddressType: discoveryv1.AddressTypeIPv4, Ports: []discoveryv1.EndpointPort{{Name: ptr.To(""), Port: ptr.To[int32](3000)}},
		Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.1.2.4"}}},
	})
	w.becomes(v1alpha1.ConditionMCPObjectBound, isUnknown, v1alpha1.ReasonNotReported)
	backends := func() (shared, own config.Backend) {
		c := w.configured()
		return c.Backend, *c.Routes[1].Backend
	}
	shared, own := backends()
	if own.URL != "http://admin."+ns+".svc:80" || !own.H2C || own.Pods == nil || own.Pods.Service != "admin" || own.Pods.Port != "" {
		t.Errorf("the route's backend is %+v", own)
	}
	if !strings.HasPrefix(shared.URL, "http://weather-backend.") || shared.H2C || *shared.Pods != (config.BackendPods{Service: "weather-backend", Port: "http"}) {
		t.Errorf("the shared backend is %+v", shared)
	}

	before := service.DeepCopy()
	service.Spec.Ports[0].AppProtocol = ptr.To("https")
	must(t, admin.Patch(t.Context(), service, client.MergeFrom(before)))
	w.eventually("the Service's new word for how it speaks", func() bool {
		_, own := backends()
		return own.URL == "https://admin."+ns+".svc:80" && !own.H2C
	})
	w.reports(w.rollOut(), func(_ int, r *config.Report) { r.Routes["admin"] = config.Check{Status: "True"} })
	c = w.becomes(v1alpha1.ConditionMCPObjectBound, isTrue, v1alpha1.ReasonBound)
	if want := "ready behind Service weather-backend, Service admin"; !strings.Contains(c.Message, want) {
		t.Errorf("it says %s", c.Message)
	}
}
