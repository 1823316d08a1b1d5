//go:build integration

package controllers

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/controllers/internal/resources"
	"vestibule.dev/vestibule/gateway/config"
)

const image = "registry.example.com/vestibule/gateway:v1"

// world is one MCPServer in a namespace, and everybody who acts on it but the
// controller: the developer, the Deployment controller, the kubelet, gateways.
type world struct {
	t         *testing.T
	namespace string
	name      string
}

// newWorld has a backend that is ready and a Secret to refer to, but no MCPServer.
func newWorld(t *testing.T, namespace, name string) *world {
	w := &world{t, namespace, name}
	w.service()
	w.endpoints(true)
	w.secret("s3cret")
	return w
}

// server makes the MCPServer, changed.
func (w *world) server(changes ...func(*v1alpha1.MCPServer)) *v1alpha1.MCPServer {
	w.t.Helper()
	s := &v1alpha1.MCPServer{
		ObjectMeta: w.meta(w.name),
		Spec: v1alpha1.MCPServerSpec{
			PublicURL: "https://" + w.name + "." + w.namespace + ".example.com",
			Bindings: v1alpha1.Bindings{
				MCPObject: v1alpha1.MCPObject{
					Type:    v1alpha1.MCPObjectService,
					Service: &v1alpha1.ServicePort{Name: w.name + "-backend", Port: intstr.FromString("http")},
				},
				OAuthKV: v1alpha1.OAuthKV{
					Type:       v1alpha1.OAuthKVKubernetes,
					Kubernetes: &v1alpha1.KubernetesKV{Kind: v1alpha1.ShardSecret, MinShards: 1, MaxShards: 8},
				},
			},
			Routes: []v1alpha1.Route{{Name: "mcp", Path: "/mcp", RequiredScopes: []string{"weather:read"}}},
			OAuth:  v1alpha1.OAuth{Scopes: []v1alpha1.Scope{{Name: "weather:read", Description: "Read the forecast"}}},
			Upstreams: []v1alpha1.Upstream{{Name: "corp", Type: v1alpha1.UpstreamOIDC, OIDC: &v1alpha1.OIDCUpstream{
				IssuerURL: "https://idp.example.com", UpstreamClient: v1alpha1.UpstreamClient{
					ClientID:        "weather",
					ClientSecretRef: &v1alpha1.KeyReference{Name: w.name + "-oidc", Key: "client-secret"},
				},
			}}},
		},
	}
	for _, change := range changes {
		change(s)
	}
	must(w.t, admin.Create(w.t.Context(), s))
	w.t.Cleanup(w.leave)
	return w.get()
}

// leave removes what would be in the way of other tests: the MCPServer, whose URL is
// taken, and the Service, since addresses are few and nobody collects garbage.
func (w *world) leave() {
	for _, o := range []client.Object{
		&v1alpha1.MCPServer{ObjectMeta: w.meta(w.name)},
		&corev1.Service{ObjectMeta: w.meta(w.gateway())},
	} {
		if err := client.IgnoreNotFound(admin.Delete(context.Background(), o)); err != nil {
			w.t.Error(err)
		}
	}
}

func (w *world) meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: w.namespace, Name: name}
}

func (w *world) get() *v1alpha1.MCPServer {
	w.t.Helper()
	s := &v1alpha1.MCPServer{}
	w.read(w.name, s)
	return s
}

func (w *world) read(name string, o client.Object) {
	w.t.Helper()
	must(w.t, admin.Get(w.t.Context(), client.ObjectKey{Namespace: w.namespace, Name: name}, o))
}

// change changes the MCPServer as the developer does.
func (w *world) change(f func(*v1alpha1.MCPServer)) {
	w.t.Helper()
	s := w.get()
	before := s.DeepCopy()
	f(s)
	must(w.t, admin.Patch(w.t.Context(), s, client.MergeFrom(before)))
}

func (w *world) create(o client.Object) {
	w.t.Helper()
	must(w.t, admin.Create(w.t.Context(), o))
}

func (w *world) remove(o client.Object, name string) {
	w.t.Helper()
	o.SetNamespace(w.namespace)
	o.SetName(name)
	must(w.t, admin.Delete(w.t.Context(), o, client.GracePeriodSeconds(0)))
}

func (w *world) service() {
	w.t.Helper()
	w.create(&corev1.Service{ObjectMeta: w.meta(w.name + "-backend"), Spec: corev1.ServiceSpec{
		ClusterIP: corev1.ClusterIPNone, // Addresses are few here.
		Selector:  map[string]string{"app": w.name},
		Ports:     []corev1.ServicePort{{Name: "http", Port: 8000, TargetPort: intstr.FromInt32(3000)}},
	}})
}

// endpoints are what the EndpointSlice controller would write.
func (w *world) endpoints(ready bool) {
	w.t.Helper()
	slice := &discoveryv1.EndpointSlice{ObjectMeta: w.meta(w.name + "-backend-1")}
	slice.Labels = map[string]string{discoveryv1.LabelServiceName: w.name + "-backend"}
	slice.AddressType = discoveryv1.AddressTypeIPv4
	slice.Ports = []discoveryv1.EndpointPort{{Name: ptr.To("http"), Port: ptr.To[int32](3000)}}
	slice.Endpoints = []discoveryv1.Endpoint{{Addresses: []string{"10.1.2.3"}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}}}
	err := admin.Create(w.t.Context(), slice)
	if err != nil {
		err = admin.Update(w.t.Context(), slice)
	}
	must(w.t, err)
}

func (w *world) secret(value string) {
	w.t.Helper()
	s := &corev1.Secret{ObjectMeta: w.allowed(w.name + "-oidc"), Data: map[string][]byte{"client-secret": []byte(value)}}
	err := admin.Create(w.t.Context(), s)
	if err != nil {
		err = admin.Update(w.t.Context(), s)
	}
	must(w.t, err)
}

// allowed is the metadata of a Secret that the MCPServer may use.
func (w *world) allowed(name string) metav1.ObjectMeta {
	meta := w.meta(name)
	meta.Labels = map[string]string{v1alpha1.LabelAllowedFor: w.name}
	return meta
}

// tls writes the Secret of withTLS.
func (w *world) tls(cert, key string) {
	w.t.Helper()
	s := &corev1.Secret{ObjectMeta: w.allowed(w.name + "-tls"), Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{"tls.crt": []byte(cert), "tls.key": []byte(key)}}
	err := admin.Create(w.t.Context(), s)
	if err != nil {
		err = admin.Update(w.t.Context(), s)
	}
	must(w.t, err)
}

func (w *world) gateway() string { return w.name + "-gateway" }

func (w *world) deployment() *appsv1.Deployment {
	w.t.Helper()
	d := &appsv1.Deployment{}
	w.read(w.gateway(), d)
	return d
}

// deploymentSays is what the Deployment controller says of a rollout.
func (w *world) deploymentSays(conditions ...appsv1.DeploymentCondition) {
	w.t.Helper()
	d := w.deployment()
	d.Status = appsv1.DeploymentStatus{
		ObservedGeneration: d.Generation, Replicas: *d.Spec.Replicas, UpdatedReplicas: *d.Spec.Replicas, Conditions: conditions,
	}
	must(w.t, admin.Status().Update(w.t.Context(), d))
}

func progressing(status corev1.ConditionStatus, reason, message string) appsv1.DeploymentCondition {
	return appsv1.DeploymentCondition{Type: appsv1.DeploymentProgressing, Status: status, Reason: reason, Message: message}
}

// rollOut replaces all pods by ready ones of the current template.
func (w *world) rollOut() []*corev1.Pod {
	w.t.Helper()
	pods := w.pods(func(p *corev1.Pod) {
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	})
	w.deploymentSays(progressing(corev1.ConditionTrue, "NewReplicaSetAvailable", ""))
	return pods
}

// pods replaces all pods by pods of the current template, of this status.
func (w *world) pods(status func(*corev1.Pod)) []*corev1.Pod {
	w.t.Helper()
	d := w.deployment()
	var old corev1.PodList
	must(w.t, admin.List(w.t.Context(), &old, client.InNamespace(w.namespace), client.MatchingLabels(d.Spec.Selector.MatchLabels)))
	for i := range old.Items {
		w.remove(&old.Items[i], old.Items[i].Name)
	}
	var pods []*corev1.Pod
	for i := range *d.Spec.Replicas {
		p := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: w.namespace, GenerateName: fmt.Sprintf("%s-%d-", w.gateway(), i),
				Labels: maps.Clone(d.Spec.Template.Labels), Annotations: maps.Clone(d.Spec.Template.Annotations),
			},
			// The service account's token and volumes are the kubelet's business.
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "gateway", Image: image}}},
		}
		p.Spec.AutomountServiceAccountToken = ptr.To(false)
		w.podAccount()
		w.create(p)
		status(p)
		must(w.t, admin.Status().Update(w.t.Context(), p))
		pods = append(pods, p)
	}
	return pods
}

// podAccount makes the service account that admission wants every pod to have, and
// that a controller makes where there is one.
func (w *world) podAccount() {
	w.t.Helper()
	a := &corev1.ServiceAccount{ObjectMeta: w.meta("default")}
	if err := admin.Create(w.t.Context(), a); err != nil && client.IgnoreAlreadyExists(err) != nil {
		w.t.Fatal(err)
	}
}

// report is what a gateway says that finds nothing wrong.
func report(p *corev1.Pod) *config.Report {
	ok := config.Check{Status: "True"}
	return &config.Report{
		Version: config.Version, Config: p.Annotations[resources.AnnotationConfig], Policy: ok, Store: ok,
		Upstreams: map[string]config.Check{"corp": ok}, Routes: map[string]config.Check{"mcp": ok}, Public: ok,
	}
}

// reports lets every pod report what is in order, changed.
func (w *world) reports(pods []*corev1.Pod, change func(i int, r *config.Report)) {
	w.t.Helper()
	m := &corev1.ConfigMap{}
	w.read(w.gateway()+"-report", m)
	before := m.DeepCopy()
	if m.Data == nil {
		m.Data = map[string]string{}
	}
	for i, p := range pods {
		r := report(p)
		if change != nil {
			change(i, r)
		}
		data, err := json.Marshal(r)
		must(w.t, err)
		m.Data[string(p.UID)] = string(data)
	}
	must(w.t, admin.Patch(w.t.Context(), m, client.MergeFrom(before)))
}

// condition of the MCPServer; its status is empty if there is none.
func (w *world) condition(conditionType string) metav1.Condition {
	w.t.Helper()
	if c := meta.FindStatusCondition(w.get().Status.Conditions, conditionType); c != nil {
		return *c
	}
	return metav1.Condition{}
}

func (w *world) wants(conditionType string, status metav1.ConditionStatus, reason string) {
	w.t.Helper()
	if c := w.condition(conditionType); c.Status != status || c.Reason != reason {
		w.t.Errorf("%s is %s/%s, want %s/%s: %s", conditionType, c.Status, c.Reason, status, reason, c.Message)
	}
}

// reconciler is one that is not run by a manager: a test says when it passes.
func reconciler(c client.Client) *Reconciler {
	return &Reconciler{Client: c, Live: c, Contents: c, Events: events.NewFakeRecorder(1000), Image: image, Now: time.Now}
}

func (w *world) request() ctrl.Request {
	return ctrl.Request{NamespacedName: client.ObjectKey{Namespace: w.namespace, Name: w.name}}
}

// pass reconciles once.
func (w *world) pass(r *Reconciler) {
	w.t.Helper()
	if _, err := r.Reconcile(w.t.Context(), w.request()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) currentPods() []corev1.Pod {
	w.t.Helper()
	var pods corev1.PodList
	must(w.t, admin.List(w.t.Context(), &pods, client.InNamespace(w.namespace), client.MatchingLabels(w.deployment().Spec.Selector.MatchLabels)))
	return pods.Items
}
