//go:build integration

package controllers

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/gateway/config"
)

// What is lost while no controller runs, and with what would have told, is missed by the
// next one; what comes back later is taken up.
func TestWhatIsLostWhileNobodyLooks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, namespace(t), "weather")
	cfg := account(t, w.namespace, w.namespace)
	r := start(t, cfg, w.namespace)
	w.server(of(v1alpha1.ShardSecret, 2))
	w.becomesReady()
	r.rest(w)
	r.stop()
	shard := w.lose(v1alpha1.ShardSecret, "grants-1")
	w.remove(&appsv1.Deployment{}, w.gateway())

	start(t, cfg, w.namespace)
	w.becomes(v1alpha1.ConditionOAuthKVBound, metav1.ConditionFalse, v1alpha1.ReasonStoreObjectLost)
	w.becomes(v1alpha1.ConditionGatewayAvailable, metav1.ConditionFalse, v1alpha1.ReasonNotDeployed)
	w.warned(v1alpha1.ReasonStoreObjectLost)
	keys := w.lose(v1alpha1.ShardSecret, "keys")
	w.becomes(v1alpha1.ConditionOAuthKVBound, metav1.ConditionFalse, v1alpha1.ReasonKeysLost)
	w.warned(v1alpha1.ReasonKeysLost)
	for _, o := range []client.Object{keys, shard} {
		o.SetResourceVersion("")
		o.SetUID("")
		w.create(o)
	}
	w.becomes(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	w.deployment()
}

// The report and the policy can be made again. Until gateways have reported again, which
// they do by themselves, nothing is known of what they see; the policy is back at once.
func TestTheReportAndThePolicyAreLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, namespace(t), "weather")
	r := start(t, account(t, w.namespace, w.namespace), w.namespace)
	w.server()
	w.becomesReady()
	r.rest(w)
	uid := func(name string) types.UID {
		m := &corev1.ConfigMap{}
		must(t, client.IgnoreNotFound(admin.Get(t.Context(), client.ObjectKey{Namespace: w.namespace, Name: name}, m)))
		return m.UID
	}
	for _, name := range []string{"weather-gateway-policy", "weather-gateway-report"} {
		before := uid(name)
		w.remove(&corev1.ConfigMap{}, name)
		w.eventually("another "+name, func() bool { now := uid(name); return now != "" && now != before })
		r.rest(w)
		if name == "weather-gateway-policy" {
			w.wants(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
		}
	}
	w.becomes(v1alpha1.ConditionReady, metav1.ConditionUnknown, v1alpha1.ReasonNotReported)
	w.becomes(v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonProgressing)
	var pods []*corev1.Pod
	for _, p := range w.currentPods() {
		pods = append(pods, &p)
	}
	w.reports(pods, nil)
	w.becomes(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)

	// Keys that are others are a loss, too.
	w.reports(pods, func(_ int, r *config.Report) {
		r.Store = config.Check{Status: "False", Reason: config.ReasonKeysMismatch, Message: "none of 12 records opens with the keys of this gateway"}
	})
	w.becomes(v1alpha1.ConditionOAuthKVBound, metav1.ConditionFalse, v1alpha1.ReasonKeysMismatch)
	w.warned(v1alpha1.ReasonKeysMismatch)
}
