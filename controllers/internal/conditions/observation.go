// Package conditions says what is right and what is wrong with an MCPServer. Each
// condition is a pure function of one observation.
package conditions

import (
	"cmp"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/controllers/internal/resources"
	"vestibule.dev/vestibule/gateway/config"
)

// Observation is all that one pass of the controller saw. What is nil could not
// be observed.
type Observation struct {
	// Server is the MCPServer.
	Server *v1alpha1.MCPServer
	// Refusals are why the spec is not accepted. Nil means that this is not
	// known, empty that it is.
	Refusals []Refusal
	// Backends are what is known of the Services that the spec names. Nil means
	// nothing.
	Backends map[v1alpha1.ServicePort]*Backend
	// Store is what is known of bindings.oauthKV.
	Store *Store
	// References are what is known of the objects that the spec refers to. Nil
	// means nothing, empty that it refers to none.
	References []Reference
	// Gateway is what is known of the pods.
	Gateway *Gateway
	// Route and Ingress are what leads to the gateway by the spec. Nil means that it is
	// not there, or was not seen.
	Route   *gatewayv1.HTTPRoute
	Ingress *networkingv1.Ingress
	// Autoscaler is the gateway's, or nil.
	Autoscaler *autoscalingv2.HorizontalPodAutoscaler
	// At is when this was observed.
	At time.Time
	// Missing are what the spec asks for and the cluster has no API of.
	Missing []Missing
	// Incumbent is another install of the controller, which manages the MCPServer. Nil if
	// this one does.
	Incumbent *Incumbent
	// Failure is what went wrong in this pass, so that it is repeated.
	Failure error
	// Held says that the gateways stay as they were, since they would lack something.
	Held bool
	// Waits says that the gateways are those of another controller, and are replaced
	// when it is their turn.
	Waits bool
	// Applied says that the Deployment is as the spec wants it since this pass, or
	// was before.
	Applied bool
}

// Missing is a kind of objects that the cluster does not have, and the field that asks
// for one.
type Missing struct{ Field, Kind, API string }

// Refusal is one reason not to accept a spec.
type Refusal struct {
	Reason, Message string
	// Passes says that the reason goes away by itself.
	Passes bool
}

// OfRules says whether it is about rules that gateways could not decide by.
func (r Refusal) OfRules() bool {
	return r.Reason == v1alpha1.ReasonAccessRuleInvalid || r.Reason == v1alpha1.ReasonScopeRuleInvalid || r.Reason == v1alpha1.ReasonFieldUnknown
}

// Backend is what the cluster says of a Service and of what is behind it.
type Backend struct {
	// Exists says that the Service does.
	Exists bool
	// External says that it stands for a name outside the cluster.
	External bool
	// Port is the one that the spec names. Its number is 0 if the Service has no such
	// port.
	Port resources.Port
	// Ready is how many endpoints of this port are ready.
	Ready int
}

// Store is what the cluster says of the objects of a store.
type Store struct {
	// KeysLost says that the keys are gone.
	KeysLost bool
	// KeysReplaced says that the keys are not those that the status names.
	KeysReplaced bool
	// SealedTo is the UID of the MCPServer that has made the keys and the records. Empty
	// means that this is not known.
	SealedTo string
	// Lost are the names of shards that are gone, in order.
	Lost []string
	// NotGrown is why there are not as many shards as there ought to be, or nil.
	NotGrown error
	// Dropping is a drop of keys that not all gateways have followed yet, or nil.
	Dropping *Dropping
	// Left says that there are shards of a store that the spec does not have any
	// more, and that all of their records are in the one that it has.
	Left bool
}

// Dropping is a drop of keys that gateways have to follow.
type Dropping struct {
	// Keys are the ids of the dropped keys.
	Keys []int
	// Pods are the names of those that run and have not said that they dropped them.
	Pods []string
}

// Reference is what the cluster says of one key that the spec refers to.
type Reference struct {
	resources.Reference
	// Exists says that the object does, Found that it may be used and has the key.
	Exists, Found bool
	// NotAllowed says that it is a Secret without the label for this MCPServer.
	NotAllowed bool `json:"-"`
	// Digest stands for what is under the key.
	Digest string
	// Expired is when the certificate that is there has expired, or zero, and Misnamed
	// says that it is for none of the names that gateways are reached by.
	Expired  time.Time `json:"-"`
	Misnamed bool      `json:"-"`
	// Unusable is why what is there is not what it has to be; empty if it is.
	Unusable string `json:"-"`
}

// Gateway is what the cluster says of the gateway's pods, and what they say.
type Gateway struct {
	// Deployment is nil if there is none.
	Deployment *appsv1.Deployment
	// Pods are all of the server's gateway pods, of this template or another.
	Pods []corev1.Pod
	// Reports are by the UID of the pod that wrote it.
	Reports map[types.UID]*config.Report
}

// Taking are the names of running pods that may still take what is under one of these
// keys, and of those among them, as lost, that the cluster cannot reach any more. Gateways
// that are too old to say so may.
func (g *Gateway) Taking(keys []int, now time.Time) (taking, lost []string) {
	for i := range g.Pods {
		p := &g.Pods[i]
		if p.Status.Phase == corev1.PodPending || over(p) {
			continue
		}
		//rule:old-gateway-confirms-drop
		r := g.Reports[p.UID]
		dropped := r != nil && r.Keys != nil && !slices.ContainsFunc(keys, func(key int) bool { return !slices.Contains(r.Keys.Dropped, key) })
		switch {
		case dropped:
		case p.Status.Reason == "NodeLost" || p.DeletionTimestamp != nil && now.Sub(p.DeletionTimestamp.Time) > nodeSilent:
			lost = append(lost, p.Name)
		default:
			taking = append(taking, p.Name)
		}
	}
	slices.Sort(taking)
	slices.Sort(lost)
	return taking, lost
}

// nodeSilent is how long after its time a pod that ends may still be there.
const nodeSilent = time.Minute

// Current are the pods that were made from the current template and are not on
// their way out, by name.
func (g *Gateway) Current() []*corev1.Pod {
	if g.Deployment == nil {
		return nil
	}
	template := g.Deployment.Spec.Template.Labels[resources.LabelTemplate]
	var current []*corev1.Pod
	for i := range g.Pods {
		if p := &g.Pods[i]; p.Labels[resources.LabelTemplate] == template && p.DeletionTimestamp.IsZero() && !over(p) {
			current = append(current, p)
		}
	}
	slices.SortFunc(current, func(a, b *corev1.Pod) int { return cmp.Compare(a.Name, b.Name) })
	return current
}

// over says that a pod has ended for good, as one does that was evicted. Others
// have been made in its place, and it stays until somebody removes it.
func over(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded
}

// Counted are the reports that count: those of ready pods of the current template,
// about the configuration that they have now.
func (g *Gateway) Counted() []*config.Report { return g.reported(isReady) }

// refusing are the reports of those that do not serve from their store, and say why.
// They are not ready, and are not going to be.
func (g *Gateway) refusing() []*config.Report {
	return slices.DeleteFunc(g.reported(func(p *corev1.Pod) bool { return !isReady(p) }), func(r *config.Report) bool {
		return r.Store.Reason != config.ReasonStoreIncomplete
	})
}

func (g *Gateway) reported(counts func(*corev1.Pod) bool) []*config.Report {
	var reported []*config.Report
	for _, p := range g.Current() {
		r := g.Reports[p.UID]
		if r != nil && counts(p) && r.Config == p.Annotations[resources.AnnotationConfig] {
			reported = append(reported, r)
		}
	}
	return reported
}

func isReady(p *corev1.Pod) bool {
	return slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}
