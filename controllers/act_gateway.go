package controllers

import (
	"context"
	"fmt"
	"maps"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/controllers/internal/conditions"
	"vestibule.dev/vestibule/controllers/internal/resources"
	"vestibule.dev/vestibule/gateway/config"
)

// applyRights lets the gateway do what it must, and nothing else.
func (r *Reconciler) applyRights(ctx context.Context, s *scope) error {
	name := resources.Name(s.server)
	if _, err := apply(ctx, r, s, child{kindServiceAccount, name}, resources.ServiceAccount(s.server)); err != nil {
		return err
	}
	before, err := r.configsInUse(ctx, s)
	if err != nil {
		return err
	}
	role := resources.Role(s.server, s.clientShards, s.grantShards, before...)
	if _, err := apply(ctx, r, s, child{kindRole, name}, role); err != nil {
		return err
	}
	_, err = apply(ctx, r, s, child{kindRoleBinding, name}, resources.RoleBinding(s.server))
	return err
}

// configsInUse are the configurations of pods, and of the template that new ones are made
// from, but for the one that they are to have. What these need they may not lose as long
// as they run, or a rollout that does not come would end them.
func (r *Reconciler) configsInUse(ctx context.Context, s *scope) ([]*config.Config, error) {
	if err := r.render(s); err != nil {
		return nil, err
	}
	names := map[string]bool{}
	if d := s.seen.Gateway.Deployment; d != nil {
		//rule:rights-of-template
		names[d.Spec.Template.Annotations[resources.AnnotationConfig]] = true
	}
	for i := range s.seen.Gateway.Pods {
		//rule:rights-of-pods
		names[s.seen.Gateway.Pods[i].Annotations[resources.AnnotationConfig]] = true
	}
	if m := s.rendered.config; m != nil {
		delete(names, m.Name)
	}
	var all []*config.Config
	for _, name := range slices.Sorted(maps.Keys(names)) {
		c, err := r.configOf(ctx, s, name)
		if err != nil {
			return nil, err
		}
		if c != nil {
			all = append(all, c)
		}
	}
	return all, nil
}

// configOf is the configuration of a name, or nil if there is none of this server's.
func (r *Reconciler) configOf(ctx context.Context, s *scope, name string) (*config.Config, error) {
	id := memoID(client.ObjectKeyFromObject(s.server), child{kindConfigMap, name})
	if c, ok := r.configs.at(id, name); ok {
		return c, nil
	}
	m := &corev1.ConfigMap{}
	err := r.Live.Get(ctx, client.ObjectKey{Namespace: s.server.Namespace, Name: name}, m)
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("reading ConfigMap %s: %w", name, err)
	}
	var c *config.Config
	if err == nil && resources.IsOf(s.server, m) {
		if c, err = resources.ParseConfig(s.server, m); err != nil {
			log.FromContext(ctx).Info("a configuration that pods have is not read, and what it needs is not granted", "configmap", name, "error", err.Error())
		}
	}
	r.configs.remember(id, name, c)
	return c, nil
}

// applyAskedPolicy applies the policy if anything but the controller has changed. It comes
// before the steps that can fail, and before the one that stops at errors in the spec: a
// user can be locked out while other things are broken. Only errors in the rules
// themselves keep them from taking effect.
func (r *Reconciler) applyAskedPolicy(ctx context.Context, s *scope) error {
	d, c := s.seen.Gateway.Deployment, child{kindConfigMap, resources.PolicyName(s.server)}
	//rule:policy-that-waits
	if s.own(c) == nil || d != nil && !asked(s, d) || slices.ContainsFunc(s.seen.Refusals, conditions.Refusal.OfRules) {
		return nil
	}
	return r.applyPolicy(ctx, s)
}

// applyPolicy makes the policy what it ought to be, but for gateways of another release,
// which go on with the one that they can read.
func (r *Reconciler) applyPolicy(ctx context.Context, s *scope) error {
	if s.seen.Waits {
		return nil
	}
	c := child{kindConfigMap, resources.PolicyName(s.server)}
	policy, err := resources.PolicyMap(s.server)
	if err != nil {
		return err
	}
	_, err = apply(ctx, r, s, c, policy)
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
	if m == nil || s.lacks() {
		return r.hold(ctx, s)
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
	if s.orphan(c) {
		return r.adoptConfig(ctx, s, c)
	}
	_, err := r.create(ctx, s, kindConfigMap, m)
	return err
}

// hold leaves the gateways as they are, and stops. What leads to them is made again if it
// is gone.
func (r *Reconciler) hold(ctx context.Context, s *scope) error {
	s.seen.Held = true
	//rule:held-without-service
	if s.seen.Gateway.Deployment != nil && s.own(child{kindService, resources.Name(s.server)}) == nil {
		if err := r.applyService(ctx, s); err != nil {
			return err
		}
	}
	return errStop
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
	withheld := map[string]bool{}
	for _, ref := range s.seen.References {
		withheld[ref.ID()] = ref.NotAllowed
	}
	deployment, err := resources.Deployment(s.server, resources.Pod{
		Image:        r.Image,
		Config:       m.Name,
		References:   s.contents(),
		Withheld:     withheld,
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

// contents maps Reference.ID to a digest of what the spec refers to. For an object that is
// missing, or that cannot be used, it is the digest of before: gateways still have that
// content, and must not be replaced by gateways without it.
func (s *scope) contents() map[string]string {
	contents, before := map[string]string{}, resources.TemplateReferences(s.seen.Gateway.Deployment)
	for _, ref := range s.seen.References {
		switch id := ref.ID(); {
		case ref.Followed:
		case ref.Found:
			contents[id] = ref.Digest
		case ref.NotAllowed:
			contents[id] = ""
		default:
			//rule:missing-content-replaces-gateways
			contents[id] = before[id]
		}
	}
	return contents
}

// lacks says that new gateways could not serve, for want of a certificate, or would take
// the place of such as serve without what the spec refers to since it has changed, or what
// they may not have any more. What is missing otherwise, only the part of a gateway misses
// that it is for.
func (s *scope) lacks() bool {
	d := s.seen.Gateway.Deployment
	before := resources.TemplateReferences(d)
	return slices.ContainsFunc(s.seen.References, func(ref conditions.Reference) bool {
		if ref.Followed {
			return !ref.Found || ref.Unusable != ""
		}
		_, had := before[ref.ID()]
		//rule:held-without-deployment slip-replaces-gateways
		return d != nil && !ref.Found && (ref.NotAllowed || !had)
	})
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
