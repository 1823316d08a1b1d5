package controllers

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/controllers/internal/conditions"
	"vestibule.dev/vestibule/controllers/internal/resources"
	"vestibule.dev/vestibule/gateway/config"
)

// What the controller may do. It may do all that it lets a gateway do, so it needs
// no right to grant more than it has. Where it runs for some namespaces only, the
// same rules are bound in these.
//
// +kubebuilder:rbac:groups=mcp.vestibule.dev,resources=mcpservers,verbs=get;list;watch
// +kubebuilder:rbac:groups=mcp.vestibule.dev,resources=mcpservers/status,verbs=get;patch
// +kubebuilder:rbac:groups=mcp.vestibule.dev,resources=mcpservers/finalizers,verbs=update
// +kubebuilder:rbac:groups="",resources=services;serviceaccounts,verbs=get;list;watch;create;patch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;list;watch;create;patch
// +kubebuilder:rbac:groups="",resources=configmaps,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups="",resources=pods,verbs=list;watch
// +kubebuilder:rbac:groups=discovery.k8s.io,resources=endpointslices,verbs=list;watch
// +kubebuilder:rbac:groups=apps,resources=deployments,verbs=get;list;watch;create;patch
// +kubebuilder:rbac:groups=autoscaling,resources=horizontalpodautoscalers,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=networking.k8s.io,resources=networkpolicies,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=policy,resources=poddisruptionbudgets,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=rbac.authorization.k8s.io,resources=roles;rolebindings,verbs=get;list;watch;create;patch
// +kubebuilder:rbac:groups=rbac.authorization.k8s.io,resources=rolebindings,verbs=delete
// +kubebuilder:rbac:groups=gateway.networking.k8s.io,resources=httproutes,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=networking.k8s.io,resources=ingresses,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=monitoring.coreos.com,resources=podmonitors,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch
//
// Of another install it may read whether that is still there.
//
// +kubebuilder:rbac:groups=coordination.k8s.io,resources=leases,resourceNames=vestibule-controller,verbs=get
//
// In its own namespace it takes the lease by which one of several leads, and says so.
//
// +kubebuilder:rbac:groups=coordination.k8s.io,resources=leases,namespace=vestibule-system,verbs=get;create;update
// +kubebuilder:rbac:groups="",resources=events,namespace=vestibule-system,verbs=create;patch

// Reconciler brings the cluster to what one MCPServer asks for.
type Reconciler struct {
	// Client writes, and reads what is watched: Secrets and ConfigMaps as
	// metadata only.
	Client client.Client
	// Cached is what Client reads from, if that is a cache, which a pass waits for at its
	// end.
	Cached client.Reader
	// Contents reads the ConfigMaps with reports and policies, content and all.
	Contents client.Reader
	// Live reads from the API server itself: the content of Secrets and
	// ConfigMaps, and whether what is not in the cache is really not there.
	Live client.Reader
	// Events tells the user what a condition could be overlooked for.
	Events events.EventRecorder
	// Image is that of the gateways.
	Image string
	// Identity names the install of the controller by its Lease: "<namespace>/<name>". One
	// without a Lease leaves alone what another install manages, and is not noticed by it.
	Identity string
	// Upgrades is how many gateways that are available are replaced at a time when
	// another controller renders them otherwise; 0 for DefaultUpgrades.
	Upgrades int
	// Now tells the time.
	Now func() time.Time

	// What was read, and when, of what the cache has no content of.
	contents memo[referred]
	reported memo[map[types.UID]*config.Report]
	// counted is how many shards there were, which the cache may be late to know.
	counted memo[int]
	// configs are configurations by name, which stands for their content.
	configs memo[*config.Config]
	applied applied
	places  places
	keys    memo[knownKeys]
	// schema is the cluster's of MCPServers, and unknown what of a spec it has beyond ours.
	schema  published
	unknown memo[[]string]
	// apis are those that the cluster may not have.
	apis apis
	// said are the events that are made once.
	said memo[struct{}]
}

// step is one of the things that a pass does.
type step struct {
	doing string
	run   func(context.Context, *scope) error
}

// errStop is how an acting step says that those after it must not run, for a
// reason that is in the scope.
var errStop = errors.New("stopped")

// retryConflict is when to look again for an object in the way that is not
// watched, because it is not ours.
const retryConflict = 30 * time.Second

// retryPredecessor is when to look again whether it was collected.
const retryPredecessor = 5 * time.Second

// Reconcile observes first, then acts. Whatever happens, the status says so.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	server := &v1alpha1.MCPServer{}
	if err := r.Client.Get(ctx, request.NamespacedName, server); err != nil {
		if client.IgnoreNotFound(err) == nil {
			r.forget(request.NamespacedName)
		}
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !server.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil // What it owns goes with it.
	}
	//rule:asked-pass-remembers
	if server.Annotations[v1alpha1.AnnotationReconcile] != server.Status.LastHandledReconcileAt {
		r.forget(request.NamespacedName)
	}
	server, err := r.take(ctx, server)
	switch {
	case apierrors.IsConflict(err):
		return ctrl.Result{RequeueAfter: time.Second}, nil
	case err != nil:
		return ctrl.Result{}, err
	case server == nil:
		return ctrl.Result{RequeueAfter: retryIncumbent}, nil
	}
	s := newScope(server)
	s.seen.Failure = r.pass(ctx, s)
	if errors.Is(s.seen.Failure, errUnseen) {
		written := s.written
		s = newScope(server)
		s.sure, s.written = true, written
		s.seen.Failure = r.pass(ctx, s)
	}
	//rule:deleted-namespace
	if terminating(s.seen.Failure) {
		return ctrl.Result{}, nil // All goes, and nobody is to be told that it is lost.
	}
	defer r.settle(ctx, s)
	if err := errors.Join(s.seen.Failure, r.writeStatus(ctx, s)); err != nil {
		if apierrors.IsConflict(err) {
			log.FromContext(ctx).V(1).Info("somebody else wrote first", "error", err.Error())
			return ctrl.Result{RequeueAfter: time.Second}, nil
		}
		return ctrl.Result{}, err
	}
	for _, refusal := range s.seen.Refusals {
		switch refusal.Reason {
		case v1alpha1.ReasonNameConflict:
			return ctrl.Result{RequeueAfter: retryConflict}, nil
		case v1alpha1.ReasonPredecessorRemains:
			return ctrl.Result{RequeueAfter: retryPredecessor}, nil
		}
	}
	if !s.again.IsZero() {
		return ctrl.Result{RequeueAfter: max(s.again.Sub(r.Now()), time.Second)}, nil
	}
	return ctrl.Result{}, nil
}

func (r *Reconciler) pass(ctx context.Context, s *scope) error {
	var errs []error
	for _, observe := range []step{
		{"looking at the backends", r.observeBackends},
		{"reading what the spec refers to", r.observeReferences},
		{"looking at the gateway", r.observeGateway},
		{"looking at the store", r.observeStore},
		{"looking at what a cluster may not have", r.observeOptional},
		{"checking the spec", r.observeRefusals},
	} {
		// One that fails says nothing about the others.
		if err := observe.run(ctx, s); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", observe.doing, err))
		}
	}
	if len(errs) > 0 {
		return errors.Join(errs...) // Who has not seen all does nothing.
	}
	err := r.act(ctx, s)
	if mayAct(ctx, s) == nil && s.own(child{kindService, resources.Name(s.server)}) != nil {
		if e := r.applyOptional(ctx, s); e != nil {
			err = errors.Join(err, fmt.Errorf("applying what a cluster may not have: %w", e))
		}
	}
	return err
}

// act does one thing after the other, and stops at the first that fails.
func (r *Reconciler) act(ctx context.Context, s *scope) error {
	for _, act := range []step{
		{"rotating the keys", r.rotateKeys},
		{"making what is kept outlive it, or not", r.retain},
		{"applying the policy that was asked for", r.applyAskedPolicy},
		{"making sure that nothing stands against it", mayAct},
		{"adopting what was retained", r.adopt},
		{"creating the keys", r.ensureKeys},
		{"creating the store", r.ensureShards},
		{"creating the report", r.ensureReport},
		{"clearing the report", r.clearReport},
		{"waiting for the gateway's turn", r.awaitTurn},
		{"granting the gateway its rights", r.applyRights},
		{"applying the policy", r.applyPolicy},
		{"applying the disruption budget", r.applyDisruptionBudget},
		{"applying the network policy", r.applyNetworkPolicy},
		{"creating the configuration", r.ensureConfig},
		{"applying the Service", r.applyService},
		{"applying the autoscaler", r.applyAutoscaler},
		{"applying the Deployment", r.applyDeployment},
		{"removing configurations that nobody uses", r.collectConfigs},
	} {
		switch err := act.run(ctx, s); {
		case errors.Is(err, errStop):
			return nil
		case err != nil:
			return fmt.Errorf("%s: %w", act.doing, err)
		}
	}
	return nil
}

// forget what is remembered of a server that is gone.
func (r *Reconciler) forget(server types.NamespacedName) {
	prefix := server.String() + "/"
	r.contents.forget(prefix)
	r.reported.forget(prefix)
	r.counted.forget(prefix)
	r.configs.forget(prefix)
	r.applied.forget(prefix)
	r.keys.forget(prefix)
	r.unknown.forget(prefix)
	r.said.forget(prefix)
	r.places.leave(server)
}

// scope is what one pass saw and decided.
type scope struct {
	server *v1alpha1.MCPServer
	seen   conditions.Observation
	// sure says that the API server is asked for what the cache does not have.
	sure bool
	// written are the objects that this pass has changed, with their versions before.
	written map[child]string

	children children
	shards   shards
	// fingerprint is that of the key Secret, or empty if it was not read.
	fingerprint string
	// left are the shards that are there though the spec has no store of that type, by
	// their kinds.
	left map[string][]client.Object
	// placed says that no other MCPServer has a place that the spec asks for.
	placed bool
	// retains says that the deletionPolicy of the spec is in effect.
	retains bool
	// How many shards there have to be.
	clientShards, grantShards int
	// upgrading says that the Deployment has a place among those that are replaced.
	upgrading bool
	rendered  *rendered
	// config is the name of the current configuration.
	config string
	// optional says of each kind that a cluster may not have why its child could not be
	// looked at, or nil.
	optional map[string]error
	// again is when to look again though nothing has changed; zero for never.
	again time.Time
}

// lookAgain asks for another pass at a time, or sooner if that was asked for; zero asks
// for none.
func (s *scope) lookAgain(at time.Time) {
	if !at.IsZero() && (s.again.IsZero() || at.Before(s.again)) {
		s.again = at
	}
}

func newScope(server *v1alpha1.MCPServer) *scope {
	// What was in the way may be so still, and then nothing is written.
	inTheWay := meta.FindStatusCondition(server.Status.Conditions, v1alpha1.ConditionAccepted)
	return &scope{
		server: server, seen: conditions.Observation{Server: server}, written: map[child]string{},
		sure: inTheWay != nil && inTheWay.Reason == v1alpha1.ReasonNameConflict,
	}
}

// mayAct stops where the spec is not accepted, or records would be lost.
func mayAct(_ context.Context, s *scope) error {
	if len(s.seen.Refusals) > 0 || s.seen.Store.KeysLost || s.seen.Store.KeysReplaced || len(s.seen.Store.Lost) > 0 {
		return errStop
	}
	return nil
}
