package controllers

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vestibule.dev/vestibule/controllers/internal/conditions"
	"vestibule.dev/vestibule/controllers/internal/resources"
)

// DefaultUpgrades is how many gateways a new controller replaces at a time, unless it
// is told otherwise.
const DefaultUpgrades = 5

// retryTurn is when to look again whether it is a gateway's turn.
const retryTurn = 10 * time.Second

// awaitTurn says whether the gateways stay as they are for now. What their server, what
// it refers to, or their store asks for takes effect at once; what another controller
// would merely render otherwise, such as their image, waits for one of a few places. A
// release that does not start so stops after these, while all others serve.
//
// Who has a place is written on the Deployment, since a controller that begins anew must
// not begin with everybody. It is kept until every pod has been replaced.
func (r *Reconciler) awaitTurn(ctx context.Context, s *scope) error {
	d := s.seen.Gateway.Deployment
	if d == nil {
		return nil
	}
	if err := r.render(s); err != nil {
		return err
	}
	if s.rendered.deployment == nil {
		return nil
	}
	from, to := d.Spec.Template.Labels[resources.LabelTemplate], templateOf(s.rendered.deployment)
	// Nobody is protected by waiting where nobody is served, or would be after a restart.
	if from == to || asked(s, d) || d.Status.AvailableReplicas == 0 || s.own(child{kindConfigMap, resources.PolicyName(s.server)}) == nil {
		return nil
	}
	c := child{kindConfigMap, d.Spec.Template.Annotations[resources.AnnotationConfig]}
	if err := r.observeChild(ctx, s, c, true); err != nil {
		return err
	}
	if s.own(c) == nil {
		return nil
	}
	upgrading, err := r.takePlace(ctx, client.ObjectKeyFromObject(s.server), to)
	if err != nil {
		return err
	}
	if s.upgrading = upgrading; upgrading {
		return nil
	}
	s.seen.Waits = true
	s.lookAgain(r.Now().Add(retryTurn))
	return nil
}

// asked says whether anything but the controller has changed since the Deployment was
// applied.
func asked(s *scope, d *appsv1.Deployment) bool {
	before := d.Labels[resources.LabelInputs]
	if before == "" { // By an older controller, which has said at least what spec it knew.
		return s.server.Generation != s.server.Status.ObservedGeneration
	}
	return before != inputs(s)
}

// inputs stands for all that the pods depend on besides the controller. Controllers of
// different releases compare it, so neither its form nor what is in it may depend on how
// a release sees these things: a change of it replaces all gateways at once.
func inputs(s *scope) string {
	lines := []string{
		fmt.Sprintf("generation %d", s.server.Generation),
		fmt.Sprintf("shards %d %d", s.clientShards, s.grantShards),
		"sealed to " + resources.SealedTo(s.server, s.keys()),
	}
	for ref, b := range s.seen.Backends {
		lines = append(lines, fmt.Sprintf("port %s %s: %d %q %q", ref.Name, ref.Port.String(), b.Port.Number, b.Port.Name, b.Port.AppProtocol))
	}
	contents := s.contents()
	for _, ref := range s.seen.References {
		if ref.Followed {
			continue
		}
		lines = append(lines, fmt.Sprintf("reference %s %s %s: %s", ref.Kind, ref.Name, ref.Key, contents[ref.ID()]))
	}
	slices.Sort(lines)
	return resources.Digest([]byte(strings.Join(slices.Compact(lines), "\n")))
}

// keepsPlace says whether a Deployment that is applied with this template has one of the
// places: since now, or still.
func keepsPlace(s *scope, to string) bool {
	d := s.seen.Gateway.Deployment
	if s.upgrading || d == nil {
		return s.upgrading
	}
	template := d.Spec.Template.Labels[resources.LabelTemplate]
	return d.Labels[resources.LabelUpgrading] == template && (template == to || !conditions.RolledOut(d))
}

func templateOf(d *appsv1ac.DeploymentApplyConfiguration) string {
	return d.Spec.Template.Labels[resources.LabelTemplate]
}

// places are those that were given away and are not in the cache yet. After a restart
// the cache has all of them.
type places struct {
	mu    sync.Mutex
	taken map[types.NamespacedName]string
}

// takePlace says whether a server's Deployment may be changed to a template.
func (r *Reconciler) takePlace(ctx context.Context, server types.NamespacedName, to string) (bool, error) {
	r.places.mu.Lock()
	defer r.places.mu.Unlock()
	var all appsv1.DeploymentList
	if err := r.Client.List(ctx, &all, client.MatchingLabels(resources.ManagedLabels()), client.UnsafeDisableDeepCopy); err != nil {
		return false, fmt.Errorf("listing the gateways that are being replaced: %w", err)
	}
	proven := map[string]bool{} // images that some gateway runs
	for i := range all.Items {
		if d := &all.Items[i]; conditions.RolledOut(d) && d.Status.AvailableReplicas > 0 {
			proven[imageOf(d)] = true
		}
	}
	others, failing := map[types.NamespacedName]bool{}, 0
	for i := range all.Items {
		d := &all.Items[i]
		key, template := types.NamespacedName{Namespace: d.Namespace, Name: resources.OwnerOf(d)}, d.Spec.Template.Labels[resources.LabelTemplate]
		if d.Labels[resources.LabelUpgrading] != template {
			continue
		}
		if r.places.taken[key] == template {
			delete(r.places.taken, key)
		}
		if conditions.RolledOut(d) {
			continue
		}
		lost, err := r.losesPlace(ctx, d, proven)
		if err != nil {
			return false, err
		}
		if lost {
			failing++
			continue
		}
		others[key] = true
	}
	for key := range r.places.taken {
		others[key] = true
	}
	delete(others, server)
	//rule:everybody-fails
	if failing >= max(leastFailing, len(all.Items)/10) {
		return false, nil
	}
	//rule:everybody-upgraded
	if most := cmp.Or(r.Upgrades, DefaultUpgrades); len(others) >= most {
		return false, nil
	}
	if r.places.taken == nil {
		r.places.taken = map[types.NamespacedName]string{}
	}
	r.places.taken[server] = to
	return true, nil
}

// leastFailing is how many gateways that have lost their places may be failing at once,
// or a tenth of all, if that is more.
const leastFailing = 5

// losesPlace says whether a Deployment that is not rolled out keeps no other waiting. One
// whose pods do not even start for a reason of its namespace, such as a quota, never does:
// a tenant could hold up the upgrade of all others. One whose pods fail does, until its
// time is over and another gateway runs the same image: if the first ones all fail, that
// is the release.
func (r *Reconciler) losesPlace(ctx context.Context, d *appsv1.Deployment, proven map[string]bool) (bool, error) {
	//rule:namespace-holds-up-all
	if conditions.PodsRefused(d) != nil {
		return true, nil
	}
	//rule:failure-holds-up-all
	if conditions.TimeIsOver(d) != nil && proven[imageOf(d)] {
		return true, nil
	}
	var pods corev1.PodList
	template := client.MatchingLabels{resources.LabelTemplate: d.Spec.Template.Labels[resources.LabelTemplate]}
	if err := r.Client.List(ctx, &pods, client.InNamespace(d.Namespace), template, client.UnsafeDisableDeepCopy); err != nil {
		return false, fmt.Errorf("listing the pods of a gateway that is being replaced: %w", err)
	}
	for i := range pods.Items {
		if conditions.Unschedulable(&pods.Items[i]) != nil {
			return true, nil
		}
	}
	return false, nil
}

// imageOf is that of a Deployment's gateways.
func imageOf(d *appsv1.Deployment) string {
	for i := range d.Spec.Template.Spec.Containers {
		if c := &d.Spec.Template.Spec.Containers[i]; c.Name == resources.ContainerName {
			return c.Image
		}
	}
	return ""
}

// leave is for a server that is gone, or whose Deployment was changed for another reason.
func (p *places) leave(server types.NamespacedName) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.taken, server)
}
