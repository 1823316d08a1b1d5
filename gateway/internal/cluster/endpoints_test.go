//go:build integration

package cluster

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"vestibule.dev/vestibule/gateway/internal/apiserver"
	"vestibule.dev/vestibule/gateway/internal/pods"
)

func TestEndpointsAreFollowed(t *testing.T) {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "endpoints-"}}
	create(t, namespace)
	meta := metav1.ObjectMeta{Namespace: namespace.Name, Name: "gateway"}
	create(t, &corev1.ServiceAccount{ObjectMeta: meta})
	create(t, &rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{"discovery.k8s.io"}, Resources: []string{"endpointslices"}, Verbs: []string{"list", "watch"}},
	}})
	create(t, &rbacv1.RoleBinding{
		ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "gateway"},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace.Name, Name: "gateway"}},
	})
	account, err := env.ServiceAccount(t.Context(), namespace.Name, "gateway")
	if err != nil {
		t.Fatal(err)
	}
	c, err := apiserver.New(account, apiserver.EndpointSlices, namespace.Name, nil)
	if err != nil {
		t.Fatal(err)
	}

	four := newSlice(namespace.Name, "weather-4", "weather", discoveryv1.AddressTypeIPv4, "http",
		pod("10.0.0.1", "a", true, true), pod("10.0.0.2", "b", false, true), pod("10.0.0.3", "", true, true))
	six := newSlice(namespace.Name, "weather-6", "weather", discoveryv1.AddressTypeIPv6, "http", pod("fd00::1", "a", true, true))
	create(t, four)
	create(t, six)
	create(t, newSlice(namespace.Name, "weather-admin", "weather", discoveryv1.AddressTypeIPv4, "admin", pod("10.0.0.9", "c", true, true)))
	create(t, newSlice(namespace.Name, "other", "other", discoveryv1.AddressTypeIPv4, "http", pod("10.0.0.8", "d", true, true)))

	heard := make(chan []pods.Endpoint, 10)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	e := &Endpoints{Client: c, Service: "weather", Port: "http", Log: slog.New(slog.DiscardHandler)}
	go e.Follow(ctx, func(all []pods.Endpoint) { heard <- all })
	hears(t, heard, []pods.Endpoint{
		{UID: "a", Addr: "10.0.0.1:8080", Ready: true, Serving: true},
		{UID: "b", Addr: "10.0.0.2:8080", Serving: true},
		{UID: "10.0.0.3:8080", Addr: "10.0.0.3:8080", Ready: true, Serving: true},
		{UID: "a", Addr: "[fd00::1]:8080", Ready: true, Serving: true},
	})
	four.Endpoints = four.Endpoints[1:2]
	if err := admin.Update(t.Context(), four); err != nil {
		t.Fatal(err)
	}
	hears(t, heard, []pods.Endpoint{
		{UID: "b", Addr: "10.0.0.2:8080", Serving: true},
		{UID: "a", Addr: "[fd00::1]:8080", Ready: true, Serving: true},
	})
	if err := admin.Delete(t.Context(), six); err != nil {
		t.Fatal(err)
	}
	hears(t, heard, []pods.Endpoint{{UID: "b", Addr: "10.0.0.2:8080", Serving: true}})
}

func newSlice(namespace, name, service string, family discoveryv1.AddressType, port string, endpoints ...discoveryv1.Endpoint) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: service},
		},
		AddressType: family, Endpoints: endpoints,
		Ports: []discoveryv1.EndpointPort{{Name: &port, Port: new(int32(8080))}, {Name: new(port + "-udp"), Port: new(int32(53)), Protocol: new(corev1.ProtocolUDP)}},
	}
}

func pod(address, uid string, ready, serving bool) discoveryv1.Endpoint {
	e := discoveryv1.Endpoint{Addresses: []string{address}, Conditions: discoveryv1.EndpointConditions{Ready: &ready, Serving: &serving}}
	if uid != "" {
		e.TargetRef = &corev1.ObjectReference{Kind: "Pod", UID: types.UID(uid)}
	}
	return e
}

func hears(t *testing.T, heard <-chan []pods.Endpoint, want []pods.Endpoint) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	var last []pods.Endpoint
	for {
		select {
		case last = <-heard:
			if cmp.Equal(last, want) {
				return
			}
		case <-deadline:
			t.Fatalf("heard at last:\n%s", cmp.Diff(want, last))
		}
	}
}
