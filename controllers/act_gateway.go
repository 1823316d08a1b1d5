package controllers

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/controllers/internal/conditions"
	"vestibule.dev/vestibule/controllers/internal/resources"
)

// applyRights lets the gateway do what it must, and nothing else.
func (r *Reconciler) applyRights(ctx context.Context, s *scope) error {
	name := resources.Name(s.server)
	if _, err := apply(ctx, r, s, child{kindServiceAccount, name}, resources.ServiceAccount(s.server)); err != nil {
		return err
	}
	role := resources.Role(s.server, s.clientShards, s.grantShards)
	if _, err := apply(ctx, r, s, child{kindRole, name}, role); err != nil {
		return err
	}
	_, err := apply(ctx, r, s, child{kindRoleBinding, name}, resources.RoleBinding(s.server))
	return err
}

// applyPolicy changes what gateways do while they run.
func (r *Reconciler) applyPolicy(ctx context.Context, s *scope) error {
	if s.seen.Waits {
		return nil
	}
	policy, err := resources.PolicyMap(s.server)
	if err != nil {
		return err
	}
	_, err = apply(ctx, r, s, child{kindConfigMap, resources.PolicyName(s.server)}, policy)
	return err
}

func (r *Reconciler) applyService(ctx context.Context, s *scope) error {
	_, err := apply(ctx, r, s, child{kindService, resources.Name(s.server)}, resources.Service(s.server))
	return err
}

// remove deletes the very object that was seen.
func (r *Reconciler) remove(ctx context.Context, c child, o client.Object) error {
	uid := o.GetUID()
	err := r.Client.Delete(ctx, o, client.Preconditions{UID: &uid})
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting %s %s: %w", c.kind, c.name, err)
	}
	return nil
}

// ensureConfig creates the configuration that the gateways are to have. It is the
// first of the steps that could take away a gateway that works, so it stops where
// something is missing that a new one would need.
func (r *Reconciler) ensureConfig(ctx context.Context, s *scope) error {
	if err := r.render(s); err != nil {
		return err
	}
	m := s.rendered.config
	if m == nil {
		return errStop
	}
	if s.seen.Waits {
		return nil // All but the configuration and the Deployment is as ever.
	}
	s.config = m.Name
	c := child{kindConfigMap, m.Name}
	if err := r.observeChild(ctx, s, c, false); err != nil {
		return err
	}
	if s.own(c) != nil {
		return nil
	}
	_, err := r.create(ctx, s, kindConfigMap, m)
	return err
}

// rendered is what the gateways are to be made of, once it was asked for; without
// content where something is missing that a new one would need.
type rendered struct {
	config     *corev1.ConfigMap
	deployment *appsv1ac.DeploymentApplyConfiguration
}

func (r *Reconciler) render(s *scope) error {
	if s.rendered != nil {
		return nil
	}
	s.rendered = &rendered{}
	ports, ok := backendPorts(s)
	if !ok {
		return nil
	}
	for _, ref := range s.seen.References {
		if !ref.Found || ref.Unusable != "" {
			return nil
		}
	}
	m, err := resources.Config(s.server, resources.GatewayConfig(s.server, resources.Inputs{
		Ports:        ports,
		Directory:    resources.Directory,
		ClientShards: s.clientShards,
		GrantShards:  s.grantShards,
		SealedTo:     resources.SealedTo(s.server, s.keys()),
		Cluster:      resources.Cluster(s.server),
	}))
	if err != nil {
		return err
	}
	references, err := json.Marshal(slices.DeleteFunc(slices.Clone(s.seen.References), func(r conditions.Reference) bool { return r.Followed }))
	if err != nil {
		return fmt.Errorf("encoding the references: %w", err)
	}
	deployment, err := resources.Deployment(s.server, resources.Pod{
		Image:        r.Image,
		Config:       m.Name,
		References:   resources.Digest(references),
		ClientShards: s.clientShards,
		GrantShards:  s.grantShards,
		Inputs:       inputs(s),
	})
	if err != nil {
		return err
	}
	s.rendered = &rendered{m, deployment}
	return nil
}

// backendPorts are the ports of all backends, or not ok if one is missing: nothing but
// its Service says how a backend speaks.
func backendPorts(s *scope) (ports map[v1alpha1.ServicePort]resources.Port, ok bool) {
	ports = map[v1alpha1.ServicePort]resources.Port{}
	for ref, b := range s.seen.Backends {
		if b.Port.Number == 0 {
			return nil, false
		}
		ports[ref] = b.Port
	}
	return ports, true
}

func (r *Reconciler) applyDeployment(ctx context.Context, s *scope) error {
	if s.seen.Waits {
		return errStop
	}
	if err := r.render(s); err != nil {
		return err
	}
	deployment := s.rendered.deployment
	replicas, err := r.replicas(ctx, s)
	if err != nil {
		return err
	}
	resources.Scale(deployment, replicas)
	upgrading := keepsPlace(s, templateOf(deployment))
	if upgrading {
		deployment.WithLabels(map[string]string{resources.LabelUpgrading: templateOf(deployment)})
	}
	changed, err := apply(ctx, r, s, child{kindDeployment, resources.Name(s.server)}, deployment)
	s.seen.Applied = err == nil
	if err != nil && s.server.Spec.Gateway.PodTemplate != nil {
		return refusedAs("gateway.podTemplate", s, err)
	}
	if err == nil && !upgrading {
		r.places.leave(client.ObjectKeyFromObject(s.server))
	}
	if err != nil || !changed {
		return err
	}
	s.seen.Gateway.Deployment = &appsv1.Deployment{}
	return convert(deployment, s.seen.Gateway.Deployment)
}

// collectConfigs removes the configurations of templates that are gone. As long as
// a rollout is under way, the pods before it may still have to be made anew.
func (r *Reconciler) collectConfigs(ctx context.Context, s *scope) error {
	d := s.seen.Gateway.Deployment
	if d.Status.ObservedGeneration < d.Generation || d.Status.UpdatedReplicas != d.Status.Replicas {
		return nil
	}
	used := map[string]bool{s.config: true}
	for i := range s.seen.Gateway.Pods {
		used[s.seen.Gateway.Pods[i].Annotations[resources.AnnotationConfig]] = true
	}
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(groups[kindConfigMap].WithKind("ConfigMapList"))
	if err := r.Client.List(ctx, list, client.InNamespace(s.server.Namespace),
		client.MatchingLabels(resources.Labels(s.server, resources.ComponentConfig))); err != nil {
		return fmt.Errorf("listing configurations: %w", err)
	}
	for i := range list.Items {
		o := &list.Items[i]
		if used[o.Name] || !resources.IsOf(s.server, o) {
			continue
		}
		if err := r.remove(ctx, child{kindConfigMap, o.Name}, o); err != nil {
			return err
		}
	}
	return nil
}
