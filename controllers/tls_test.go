//go:build integration

package controllers

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vestibule.dev/vestibule/api/v1alpha1"
)

// newPair makes a certificate and its key, for the gateway of weather's Service.
func newPair(t *testing.T) (cert, key string) {
	t.Helper()
	return pairFor(t, "weather-gateway", time.Now().Add(time.Hour))
}

func pairFor(t *testing.T, name string, notAfter time.Time) (cert, key string) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotAfter: notAfter}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	must(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	must(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
}

func (w *world) servicePort() string {
	w.t.Helper()
	s := &corev1.Service{}
	w.read(w.gateway(), s)
	if len(s.Spec.Ports) != 1 {
		w.t.Errorf("ports: %v", s.Spec.Ports)
	}
	return s.Spec.Ports[0].Name
}

// A renewal rolls no pods. What is missing or bad changes neither pods nor Service,
// so that they go on to fit.
func TestACertificateIsRenewedWithoutARollout(t *testing.T) {
	t.Parallel()
	w := newWorld(t, namespace(t), "weather")
	ready(w)
	r := reconciler(robot)
	w.pass(r)
	generation := w.deployment().Generation

	w.change(withTLS)
	w.pass(r)
	w.wants(v1alpha1.ConditionGatewayAvailable, metav1.ConditionFalse, v1alpha1.ReasonReferenceMissing)
	if g := w.deployment().Generation; g != generation || w.servicePort() != "http" {
		t.Errorf("without the Secret, the Deployment is at %d and the Service has the port %s", g, w.servicePort())
	}
	w.tls(newPair(t))
	w.pass(r)
	generation = w.deployment().Generation
	if port := w.deployment().Spec.Template.Spec.Containers[0].Ports[0].Name; port != "https" || w.servicePort() != "https" {
		t.Errorf("with TLS, the pods have the port %s and the Service %s", port, w.servicePort())
	}
	w.rollOut()
	w.pass(r)
	w.wants(v1alpha1.ConditionGatewayAvailable, metav1.ConditionTrue, v1alpha1.ReasonAvailable)

	w.tls(newPair(t))
	w.pass(r)
	w.wants(v1alpha1.ConditionGatewayAvailable, metav1.ConditionTrue, v1alpha1.ReasonAvailable)
	cert, _ := newPair(t)
	_, key := newPair(t)
	w.tls(cert, key)
	w.pass(r)
	w.wants(v1alpha1.ConditionGatewayAvailable, metav1.ConditionFalse, v1alpha1.ReasonCertificateInvalid)
	w.tls(newPair(t))
	w.pass(r)
	w.wants(v1alpha1.ConditionGatewayAvailable, metav1.ConditionTrue, v1alpha1.ReasonAvailable)
	if g := w.deployment().Generation; g != generation {
		t.Errorf("renewals change the Deployment: %d, want %d", g, generation)
	}
	// What else is referred to is read at the start alone.
	w.secret("another")
	w.pass(r)
	if g := w.deployment().Generation; g == generation {
		t.Error("a client secret changes, and no pod is rolled")
	}

	w.change(func(s *v1alpha1.MCPServer) { s.Spec.Gateway.TLS = nil })
	w.pass(r)
	if port := w.deployment().Spec.Template.Spec.Containers[0].Ports[0].Name; port != "http" || w.servicePort() != "http" {
		t.Errorf("without TLS again, the pods have the port %s and the Service %s", port, w.servicePort())
	}
}

// Nobody takes a certificate that has expired, or is for another name: that is said, and
// the gateways go on with it, since they have no other.
func TestACertificateThatNobodyTakes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, namespace(t), "weather")
	w.tls(newPair(t))
	w.server(withTLS)
	r := reconciler(robot)
	w.pass(r)
	w.finish()
	w.pass(r)
	w.wants(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	template := w.deployment().Spec.Template.Labels["mcp.vestibule.dev/template"]

	w.tls(pairFor(t, "other.example.com", time.Now().Add(time.Hour)))
	w.pass(r)
	w.wants(v1alpha1.ConditionGatewayAvailable, metav1.ConditionFalse, v1alpha1.ReasonCertificateNameDiffers)
	for _, name := range []string{"weather." + w.namespace + ".example.com", "*." + w.namespace + ".example.com", "weather-gateway." + w.namespace + ".svc"} {
		w.tls(pairFor(t, name, time.Now().Add(time.Hour)))
		w.pass(r)
		w.wants(v1alpha1.ConditionGatewayAvailable, metav1.ConditionTrue, v1alpha1.ReasonAvailable)
	}
	// It expires while nothing else happens.
	r.Now = func() time.Time { return time.Now().Add(59 * time.Minute) }
	result, err := r.Reconcile(t.Context(), w.request())
	if err != nil || result.RequeueAfter == 0 || result.RequeueAfter > 2*time.Minute {
		t.Errorf("a certificate that expires in a minute is looked at again after %v, %v", result.RequeueAfter, err)
	}
	r.Now = func() time.Time { return time.Now().Add(2 * time.Hour) }
	w.pass(r)
	w.wants(v1alpha1.ConditionGatewayAvailable, metav1.ConditionFalse, v1alpha1.ReasonCertificateExpired)
	if got := w.deployment().Spec.Template.Labels["mcp.vestibule.dev/template"]; got != template {
		t.Error("gateways are replaced for it")
	}
}
