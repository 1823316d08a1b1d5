package controllers

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/controllers/internal/conditions"
	"vestibule.dev/vestibule/controllers/internal/resources"
	"vestibule.dev/vestibule/gateway/config"
)

// shards are those that exist, by part and number.
type shards map[resources.Part]map[int]client.Object

// part is what the count of the shards of one kind depends on.
type part struct {
	name       resources.Part
	annotation string
	filling    func(*config.Report) bool
	count      *int // where the count goes
}

func (s *scope) parts() []part {
	return []part{
		{resources.Clients, resources.AnnotationClientShards, func(r *config.Report) bool { return r.FillingClients }, &s.clientShards},
		{resources.Grants, resources.AnnotationGrantShards, func(r *config.Report) bool { return r.FillingGrants }, &s.grantShards},
	}
}

// observeStore looks for the keys and the shards, and for those that ought to be
// there. They are created in a fixed order: the keys, the shards by number, then
// the Role that names them and the Deployment that is told their count. So what
// is missing before something that exists has been deleted.
func (r *Reconciler) observeStore(ctx context.Context, s *scope) error {
	if s.seen.Gateway == nil {
		return nil // What ought to exist is not known, and an error is on its way.
	}
	seen := &conditions.Store{}
	keys := child{kindSecret, resources.KeysName(s.server)}
	if err := r.observeChild(ctx, s, keys, s.sure); err != nil {
		return err
	}
	if err := r.observeKeys(ctx, s, seen); err != nil {
		return err
	}
	if err := r.observeShards(ctx, s, seen); err != nil {
		return err
	}
	used := len(s.shards[resources.Clients]) > 0 || len(s.shards[resources.Grants]) > 0 ||
		s.seen.Gateway.Deployment != nil || s.role() != nil || wasBound(s.server) ||
		s.server.Status.KeyFingerprint != ""
	if s.children[keys] == nil && used {
		if err := r.observeChild(ctx, s, keys, true); err != nil {
			return err
		}
		if err := r.observeKeys(ctx, s, seen); err != nil {
			return err
		}
		seen.KeysLost = s.children[keys] == nil
	}
	if seen.KeysLost || len(seen.Lost) > 0 {
		if err := r.notTerminating(ctx, s); err != nil {
			return err
		}
	}
	if s.retainedDiffers() != "" {
		seen.Lost = nil // It is not known to be the server's.
	}
	s.seen.Store = seen
	return nil
}

// notTerminating returns an error if the namespace is being deleted, with all that seems
// to be lost. The API server says so to whoever would create something; the controller may
// not read namespaces.
func (r *Reconciler) notTerminating(ctx context.Context, s *scope) error {
	probe := resources.Report(s.server)
	probe.Name += "-probe"
	err := r.Client.Create(ctx, probe, client.DryRunAll)
	if terminating(err) {
		return err
	}
	return nil // Others say nothing of that.
}

// terminating says whether an error is that a namespace is being deleted.
func terminating(err error) bool {
	return apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause)
}

func (r *Reconciler) observeShards(ctx context.Context, s *scope, seen *conditions.Store) error {
	s.shards = shards{resources.Clients: {}, resources.Grants: {}}
	kv := s.server.Spec.Bindings.OAuthKV.Kubernetes
	if kv == nil {
		return r.observeLeft(ctx, s, seen)
	}
	found, err := r.listShards(ctx, s, string(kv.Kind))
	if err != nil {
		return err
	}
	if keys := s.keys(); keys != nil && resources.IsRetained(s.server, keys) {
		// Nothing but its objects says of what kind they were.
		if s.left, err = r.shardsOfKinds(ctx, s, map[string]string{kindSecret: kindConfigMap, kindConfigMap: kindSecret}[string(kv.Kind)]); err != nil {
			return err
		}
	}
	for _, o := range found {
		part, n, _ := resources.ParseShardName(s.server, o.GetName())
		s.shards[part][n] = o
	}
	for _, p := range s.parts() {
		if err := r.observePart(ctx, s, p, seen); err != nil {
			return err
		}
	}
	return nil
}

// listShards are the shards of a kind that are the server's, or may be adopted.
func (r *Reconciler) listShards(ctx context.Context, s *scope, kind string) ([]client.Object, error) {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(groups[kind].WithKind(kind + "List"))
	if err := r.Client.List(ctx, list, client.InNamespace(s.server.Namespace), client.UnsafeDisableDeepCopy,
		client.MatchingLabels(resources.ComponentLabels(resources.ComponentStore))); err != nil {
		return nil, fmt.Errorf("listing the shards: %w", err)
	}
	var found []client.Object
	for i := range list.Items {
		o := &list.Items[i]
		if _, n, ok := resources.ParseShardName(s.server, o.Name); ok && n < mostShards && (resources.IsOf(s.server, o) || resources.IsRetained(s.server, o)) {
			found = append(found, o.DeepCopy())
		}
	}
	return found, nil
}

// observeLeft looks for the shards of a store that was moved away from, or merely
// taken out of the spec.
func (r *Reconciler) observeLeft(ctx context.Context, s *scope, seen *conditions.Store) error {
	var err error
	if s.left, err = r.shardsOfKinds(ctx, s, kindSecret, kindConfigMap); err != nil {
		return err
	}
	// They may be deleted, and made anew when somebody moves back.
	r.counted.forget(client.ObjectKeyFromObject(s.server).String() + "/")
	seen.Left = len(s.left) > 0 && s.boundStore() == s.server.Spec.Bindings.OAuthKV.Type
	return nil
}

func (r *Reconciler) shardsOfKinds(ctx context.Context, s *scope, kinds ...string) (map[string][]client.Object, error) {
	all := map[string][]client.Object{}
	for _, kind := range kinds {
		found, err := r.listShards(ctx, s, kind)
		if err != nil {
			return nil, err
		}
		if len(found) > 0 {
			all[kind] = found
		}
	}
	return all, nil
}

// observePart decides how many shards there have to be: those that there are, more
// of them if gateways ask for it.
func (r *Reconciler) observePart(ctx context.Context, s *scope, p part, seen *conditions.Store) error {
	kv := s.server.Spec.Bindings.OAuthKV.Kubernetes
	told, id := s.told(p), memoID(client.ObjectKeyFromObject(s.server), child{string(kv.Kind), string(p.name)})
	// Never fewer than there were: what is lost is to be noticed.
	expected := told
	if before, ok := r.counted.at(id, string(s.server.UID)); ok { // Not of one of the same name.
		expected = max(expected, before)
	}
	if s.seen.Gateway.Deployment == nil {
		expected = max(expected, s.named(p.name))
	}
	if keys := s.keys(); keys != nil {
		expected = max(expected, min(resources.RetainedShards(keys, p.name), mostShards))
	}
	// Where nothing else says how many there were, those in a row do: one far beyond them
	// is none of ours, whatever its labels are.
	//rule:planted-shard
	for s.shards[p.name][expected] != nil {
		expected++
	}
	// What is moved here from elsewhere was bound there.
	if wasBound(s.server) && s.server.Spec.Bindings.OAuthKV.MigrateFrom != v1alpha1.MigrateFromEtcd {
		expected = max(expected, 1)
	}
	*p.count = max(int(kv.MinShards), expected)
	for _, report := range s.seen.Gateway.Counted() {
		if p.filling(report) {
			// A multiple of what the report is about: what was added since, it does not know.
			*p.count = max(*p.count, min(growth*told, int(kv.MaxShards)))
		}
	}
	for n := range *p.count {
		if s.shards[p.name][n] != nil {
			continue
		}
		c := child{string(kv.Kind), resources.ShardName(s.server, p.name, n)}
		if err := r.observeChild(ctx, s, c, n < expected); err != nil {
			return err
		}
		switch o := s.children[c]; {
		case o != nil && !s.foreign(c):
			s.shards[p.name][n] = o
		case o == nil && n < expected:
			seen.Lost = append(seen.Lost, c.name)
		}
	}
	return nil
}

// told is how many shards the gateways are told there are.
func (s *scope) told(p part) int {
	d := s.seen.Gateway.Deployment
	if c := (child{kindDeployment, resources.Name(s.server)}); d == nil && s.orphan(c) {
		d, _ = s.children[c].(*appsv1.Deployment)
	}
	if d == nil {
		return 0
	}
	n, err := strconv.Atoi(d.Spec.Template.Annotations[p.annotation])
	if err != nil {
		return 0
	}
	return min(n, mostShards)
}

// growth is how many shards take the place of one that fills. Each step is a rollout: few
// of them lead from the least to the most, and what is not needed yet costs a watch.
const growth = 4

// mostShards is how many of a part the schema allows.
const mostShards = 1024

// named is how many shards the Role names: what is left to go by where somebody has
// deleted the Deployment.
func (s *scope) named(p resources.Part) int {
	role := s.role()
	if role == nil {
		return 0
	}
	count := 0
	for _, rule := range role.Rules {
		for _, name := range rule.ResourceNames {
			if of, n, ok := resources.ParseShardName(s.server, name); ok && of == p {
				count = max(count, min(n+1, mostShards))
			}
		}
	}
	return count
}

func (s *scope) role() *rbacv1.Role {
	c := child{kindRole, resources.Name(s.server)}
	role, _ := s.children[c].(*rbacv1.Role)
	if s.foreign(c) {
		return nil
	}
	return role
}

// boundBefore are the reasons of a store that is not bound, and was.
var boundBefore = []string{v1alpha1.ReasonKeysLost, v1alpha1.ReasonKeysReplaced, v1alpha1.ReasonStoreObjectLost, v1alpha1.ReasonKeyDropPending}

// wasBound says whether, by the status, the store has been in use.
func wasBound(server *v1alpha1.MCPServer) bool {
	c := meta.FindStatusCondition(server.Status.Conditions, v1alpha1.ConditionOAuthKVBound)
	if c == nil {
		return false
	}
	return c.Status == metav1.ConditionTrue || slices.Contains(boundBefore, c.Reason)
}
