package controllers

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vestibule.dev/vestibule/controllers/internal/resources"
	"vestibule.dev/vestibule/gateway/config"
)

// ensureKeys creates the keys, before anything that depends on them.
func (r *Reconciler) ensureKeys(ctx context.Context, s *scope) error {
	if s.own(child{kindSecret, resources.KeysName(s.server)}) != nil {
		return nil
	}
	keys, err := resources.Keys(s.server, config.NewKeySet(r.Now()))
	if err != nil {
		return err
	}
	there, err := r.create(ctx, s, kindSecret, keys)
	if err != nil {
		return err
	}
	if !resources.IsOf(s.server, there) {
		return fmt.Errorf("the Secret %s was retained: %w", keys.Name, errUnseen)
	}
	s.children[child{kindSecret, keys.Name}] = there
	if there == client.Object(keys) { // Made just now, so there is no need to read them.
		s.fingerprint = r.rememberKeys(s, keys).fingerprints.Current()
	}
	return nil
}

// ensureShards creates the shards that are not there yet, in the order of their
// numbers.
func (r *Reconciler) ensureShards(ctx context.Context, s *scope) error {
	kv := s.server.Spec.Bindings.OAuthKV.Kubernetes
	if kv == nil {
		return nil
	}
	for _, p := range s.parts() {
		for n := range *p.count {
			o := s.shards[p.name][n]
			if o == nil {
				var err error
				o, err = r.create(ctx, s, string(kv.Kind), resources.Shard(s.server, p.name, n, resources.SealedTo(s.server, s.keys())))
				//rule:growth-that-stops-all
				if apierrors.IsForbidden(err) && n >= max(s.told(p), 1) {
					// A quota, perhaps. Those that there are do, until they are full.
					s.seen.Store.NotGrown, *p.count = err, n
					s.lookAgain(r.Now().Add(retryGrowth))
					break
				}
				if err != nil {
					return err
				}
			}
			if resources.IsRetained(s.server, o) {
				if err := r.claim(ctx, s, child{string(kv.Kind), o.GetName()}, o, resources.ShardLabels(resources.SealedTo(s.server, s.keys()))); err != nil {
					return err
				}
			}
			if err := r.untrack(ctx, s, string(kv.Kind), o); err != nil {
				return err
			}
		}
		id := memoID(client.ObjectKeyFromObject(s.server), child{string(kv.Kind), string(p.name)})
		r.counted.remember(id, string(s.server.UID), *p.count)
	}
	if counts := resources.CountLabels(s.server, s.clientShards, s.grantShards); counts != nil && s.keys() != nil {
		return r.claim(ctx, s, child{kindSecret, resources.KeysName(s.server)}, s.keys(), counts)
	}
	return nil
}

// retryGrowth is when to look again for room for another shard.
const retryGrowth = 30 * time.Second

// untrack empties managedFields, in which the API server would list every record
// of a shard at each write. From then on it lists none.
func (r *Reconciler) untrack(ctx context.Context, s *scope, kind string, o client.Object) error {
	if len(o.GetManagedFields()) == 0 {
		return nil
	}
	c := child{kind, o.GetName()}
	if _, err := r.patch(ctx, s, c, types.JSONPatchType, fmt.Appendf(nil,
		`[{"op":"test","path":"/metadata/uid","value":%q},{"op":"replace","path":"/metadata/managedFields","value":[{}]}]`, o.GetUID())); err != nil {
		return fmt.Errorf("emptying the managed fields: %w", err)
	}
	s.written[c] = stateOf(o)
	return nil
}

// ensureReport creates the place for reports. What is in it is the gateways'.
func (r *Reconciler) ensureReport(ctx context.Context, s *scope) error {
	c := child{kindConfigMap, resources.ReportName(s.server)}
	if s.own(c) != nil {
		return nil
	}
	if s.orphan(c) {
		return r.takeOver(ctx, s, c, resources.Report(s.server))
	}
	_, err := r.create(ctx, s, kindConfigMap, resources.Report(s.server))
	return err
}

// manyReports is how many reports of pods that are gone are left lying about.
const manyReports = 32

// clearReport removes the reports of pods that are gone, when they are many: the
// object must not fill up. The cache may not know a new pod yet, whose report must
// not be lost, so the API server is asked.
func (r *Reconciler) clearReport(ctx context.Context, s *scope) error {
	if len(s.seen.Gateway.Reports) <= len(s.seen.Gateway.Pods)+manyReports {
		return nil
	}
	pods, err := r.pods(ctx, r.Live, s)
	if err != nil {
		return err
	}
	gone := map[types.UID]bool{}
	for uid := range s.seen.Gateway.Reports {
		gone[uid] = true
	}
	for i := range pods {
		delete(gone, pods[i].UID)
	}
	var patch []byte
	for uid := range gone {
		patch = fmt.Appendf(patch, `,%q:null`, uid)
	}
	if len(gone) == 0 {
		return nil
	}
	m := &corev1.ConfigMap{}
	m.Namespace, m.Name = s.server.Namespace, resources.ReportName(s.server)
	merge := fmt.Appendf(nil, `{"data":{%s}}`, patch[1:])
	if err := r.Client.Patch(ctx, m, client.RawPatch(types.MergePatchType, merge), fieldOwner); err != nil {
		return fmt.Errorf("removing old reports: %w", err)
	}
	return nil
}
