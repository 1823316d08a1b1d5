package controllers

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/controllers/internal/conditions"
	"vestibule.dev/vestibule/controllers/internal/resources"
)

// observeBackends looks at the Service of each mcpObject, and behind it.
func (r *Reconciler) observeBackends(ctx context.Context, s *scope) error {
	seen := map[v1alpha1.ServicePort]*conditions.Backend{}
	for _, object := range resources.Objects(s.server) {
		ref := object.Service
		if ref == nil || seen[*ref] != nil {
			continue
		}
		b, err := r.observeBackend(ctx, s.server.Namespace, ref)
		if err != nil {
			return err
		}
		seen[*ref] = b
	}
	s.seen.Backends = seen
	return nil
}

func (r *Reconciler) observeBackend(ctx context.Context, namespace string, ref *v1alpha1.ServicePort) (*conditions.Backend, error) {
	service := &corev1.Service{}
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: ref.Name}, service)
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("reading Service %s: %w", ref.Name, err)
	}
	if err != nil {
		return &conditions.Backend{}, nil
	}
	var slices discoveryv1.EndpointSliceList
	if err := r.Client.List(ctx, &slices, client.InNamespace(namespace),
		client.MatchingLabels{discoveryv1.LabelServiceName: ref.Name}); err != nil {
		return nil, fmt.Errorf("listing the endpoints of Service %s: %w", ref.Name, err)
	}
	b := &conditions.Backend{Exists: true, External: service.Spec.Type == corev1.ServiceTypeExternalName}
	if port := findPort(service, ref.Port); port != nil {
		b.Port = resources.Port{Number: port.Port, Name: port.Name, AppProtocol: ptr.Deref(port.AppProtocol, "")}
		b.Ready = readyEndpoints(slices.Items, port.Name)
	}
	return b, nil
}

func findPort(service *corev1.Service, ref intstr.IntOrString) *corev1.ServicePort {
	for i := range service.Spec.Ports {
		p := &service.Spec.Ports[i]
		matches := ref.Type == intstr.String && p.Name == ref.StrVal || ref.Type == intstr.Int && p.Port == ref.IntVal
		if matches && (p.Protocol == corev1.ProtocolTCP || p.Protocol == "") {
			return p
		}
	}
	return nil
}

// readyEndpoints counts them by address: a Service of two families has each pod in
// two slices, and then each counts twice, which changes nothing of what it is for.
func readyEndpoints(slices []discoveryv1.EndpointSlice, port string) int {
	ready := 0
	for _, slice := range slices {
		serves := false
		for _, p := range slice.Ports {
			serves = serves || p.Name == nil && port == "" || p.Name != nil && *p.Name == port
		}
		if !serves {
			continue
		}
		for _, e := range slice.Endpoints {
			if e.Conditions.Ready == nil || *e.Conditions.Ready { // Unknown is to be read as ready.
				ready++
			}
		}
	}
	return ready
}
