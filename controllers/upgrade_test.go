//go:build integration

package controllers

import (
	"context"
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/controllers/internal/conditions"
	"vestibule.dev/vestibule/controllers/internal/resources"
)

// finish is the Deployment controller, which has replaced all pods.
func (w *world) finish() {
	w.t.Helper()
	w.reports(w.rollOut(), nil)
	w.available(*w.deployment().Spec.Replicas)
}

func (w *world) available(n int32) {
	w.t.Helper()
	d := w.deployment()
	d.Status.AvailableReplicas, d.Status.ReadyReplicas = n, n
	must(w.t, admin.Status().Update(w.t.Context(), d))
}

func (w *world) runs() string { return w.deployment().Spec.Template.Spec.Containers[0].Image }

// fleet are servers whose gateways a controller has set up.
type fleet []*world

func newFleet(t *testing.T, r *Reconciler, n int) fleet {
	t.Helper()
	var f fleet
	namespace := namespace(t)
	for i := range n {
		w := newWorld(t, namespace, fmt.Sprintf("weather-%d", i))
		w.server(func(s *v1alpha1.MCPServer) { s.Spec.Gateway.Replicas = 1 })
		t.Cleanup(func() { // Nobody collects what would keep a place.
			if err := admin.Delete(context.Background(), &appsv1.Deployment{ObjectMeta: w.meta(w.gateway())}); err != nil {
				t.Error(err)
			}
		})
		w.pass(r)
		w.finish()
		w.pass(r)
		w.wants(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
		f = append(f, w)
	}
	return f
}

// of says which of the fleet run an image, after each was passed over once.
func (f fleet) of(r *Reconciler, image string) (all []int) {
	for i, w := range f {
		w.t.Helper()
		w.pass(r)
		if w.runs() == image {
			all = append(all, i)
		}
	}
	return all
}

func release(v string, places int) *Reconciler {
	r := reconciler(robot)
	r.Image, r.Upgrades = "registry.example.com/vestibule/gateway:"+v, places
	return r
}

// A new controller replaces a few gateways at a time. The others stay as they are to
// the last byte, and say so.
func TestAnUpgradeIsStaged(t *testing.T) { // alone: places are those of the whole cluster
	old, r := release("v1", 2), release("v2", 2)
	f := newFleet(t, old, 7)
	is := func(r *Reconciler, want ...int) {
		t.Helper()
		if got := f.of(r, r.Image); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%v run %s, want %v", got, r.Image, want)
		}
	}
	// As the controller before would have rendered it.
	policy := &corev1.ConfigMap{}
	f[2].read("weather-2-gateway-policy", policy)
	policy.Data["policy.json"] = `{"version":1}`
	must(t, admin.Update(t.Context(), policy))
	before := f[2].bytes(policy)
	f[2].remove(&corev1.Service{}, "weather-2-gateway")

	is(r, 0, 1)
	is(r, 0, 1)
	is(release("v2", 2), 0, 1) // Another that begins anew finds the places taken.
	w := f[2]
	w.wants(v1alpha1.ConditionGatewayAvailable, metav1.ConditionTrue, v1alpha1.ReasonWaitingForUpgrade)
	w.wants(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	if v := w.get().Status.GatewayVersion; v != "v1" {
		t.Errorf("one that waits is said to run %q", v)
	}
	if m := w.condition(v1alpha1.ConditionGatewayAvailable).Message; !strings.Contains(m, "when it is their turn") {
		t.Errorf("one that waits says: %s", m)
	}
	if w.bytes(policy) != before {
		t.Error("the policy of one that waits has changed")
	}
	w.read("weather-2-gateway", &corev1.Service{}) // What is lost is repaired all the same.
	for i, waits := range map[int]bool{1: false, 2: true} {
		result, err := r.Reconcile(t.Context(), f[i].request())
		must(t, err)
		if again := result.RequeueAfter > 0 && result.RequeueAfter <= retryTurn; again != waits {
			t.Errorf("%d is looked at again after %v", i, result.RequeueAfter)
		}
	}

	f[1].finish()
	is(r, 0, 1, 2)
	if w.bytes(policy) == before {
		t.Error("the policy of one that is replaced is the one before")
	}
	// Of the others, each that a user changes, or that serves nobody, needs no place.
	f[4].change(func(s *v1alpha1.MCPServer) { s.Spec.OAuth.AccessTokenTTLSeconds = 600 })
	f[5].secret("an0ther")
	f[6].available(0)
	is(r, 0, 1, 2, 4, 5, 6)
	is(release("v2", 2), 0, 1, 2, 4, 5, 6)

	// 0 keeps its place, whatever its user tries. 2 has had its time, and 1 runs the same.
	f[0].change(func(s *v1alpha1.MCPServer) { s.Spec.OAuth.AccessTokenTTLSeconds = 600 })
	f[2].deploymentSays(progressing(corev1.ConditionFalse, "ProgressDeadlineExceeded", "stuck"))
	f[2].available(1)
	for _, i := range []int{4, 5, 6} {
		f[i].finish()
	}
	is(r, 0, 1, 2, 3, 4, 5, 6)
	f[3].finish()
	fixed := release("v3", 2)
	is(fixed, 0, 1)
	f[0].finish()
	f[1].finish()
	is(fixed, 0, 1, 2, 3)
	for range 3 {
		for _, w := range f {
			w.finish()
		}
		f.of(fixed, "")
	}
	is(fixed, 0, 1, 2, 3, 4, 5, 6)
	// Whoever was replaced and has lost its pods later has no place any more.
	f[0].available(0)
	is(release("v4", 2), 0, 1, 2)
}

// One namespace holds up nobody: what it refuses, nobody waits for. But a release that
// fails wherever it comes first stops there.
func TestOneNamespaceHoldsUpNobody(t *testing.T) { // alone, too
	f := newFleet(t, release("v1", 2), 9)
	r := release("v2", 2)
	runs := func(want ...int) {
		t.Helper()
		if got := f.of(r, r.Image); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%v are replaced, want %v", got, want)
		}
	}
	stuck := func(i int, c appsv1.DeploymentCondition) {
		t.Helper()
		f[i].deploymentSays(c)
		f[i].available(1)
	}
	late := progressing(corev1.ConditionFalse, "ProgressDeadlineExceeded", "stuck")
	runs(0, 1)
	stuck(0, late)
	stuck(1, late)
	runs(0, 1) // Nobody has run it yet: it may be the release.
	stuck(0, appsv1.DeploymentCondition{Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Reason: "FailedCreate", Message: "exceeded quota"})
	runs(0, 1, 2)
	f[2].pods(func(p *corev1.Pod) {
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable}}
	})
	f[2].available(1)
	runs(0, 1, 2, 3)
	f[3].finish()
	runs(0, 1, 2, 3, 4, 5) // 1 has had its time, and 3 runs the same.
	if v := f[3].get().Status.GatewayVersion; v != "v2" {
		t.Errorf("one that was replaced is said to run %q", v)
	}
	stuck(4, late)
	stuck(5, late)
	runs(0, 1, 2, 3, 4, 5) // Five fail, which is enough.
	f[0].finish()
	runs(0, 1, 2, 3, 4, 5, 6, 7)
}

// Who could not go on as it is, does not wait.
func TestWhoCannotWait(t *testing.T) { // alone, too
	f := newFleet(t, release("v1", 1), 4)
	r := release("v2", 1)
	f[0].pass(r)
	f[1].remove(&corev1.ConfigMap{}, f[1].deployment().Spec.Template.Annotations["mcp.vestibule.dev/config"])
	f[2].remove(&corev1.ConfigMap{}, "weather-2-gateway-policy")
	if got := f.of(r, r.Image); fmt.Sprint(got) != "[0 1 2]" {
		t.Errorf("%v are replaced", got)
	}
	// A Deployment of a controller that wrote no such labels waits like others, unless
	// its user has changed something that nobody has seen.
	d := f[3].deployment()
	delete(d.Labels, resources.LabelInputs)
	must(t, admin.Update(t.Context(), d))
	f[3].pass(r)
	if f[3].runs() == r.Image {
		t.Error("one of an older controller does not wait")
	}
	f[3].change(func(s *v1alpha1.MCPServer) { s.Spec.OAuth.AccessTokenTTLSeconds = 600 })
	f[3].pass(r)
	if f[3].runs() != r.Image {
		t.Error("one of an older controller waits, though its user has changed it")
	}
}

// A controller that runs, with several passes at a time and a cache that is late, never
// has more gateways on the way than it may, and has replaced all in the end.
func TestARunningControllerStagesAnUpgrade(t *testing.T) {
	t.Parallel()
	const places = 2
	f := newFleet(t, release("v1", places), 6)
	r := release("v2", places)
	startAs(t, account(t, f[0].namespace, f[0].namespace), func(inner *Reconciler) { inner.Image, inner.Upgrades = r.Image, places }, f[0].namespace)
	most := 0
	f[0].eventually("the end of the upgrade", func() bool {
		var all appsv1.DeploymentList
		must(t, admin.List(t.Context(), &all, client.InNamespace(f[0].namespace)))
		done, busy := 0, 0
		for i := range all.Items {
			if d := &all.Items[i]; d.Spec.Template.Spec.Containers[0].Image == r.Image {
				if done++; !conditions.RolledOut(d) {
					busy++
				}
			}
		}
		if most = max(most, busy); busy == places || done == len(f) {
			for _, w := range f {
				if d := w.deployment(); !conditions.RolledOut(d) {
					w.finish()
				}
			}
		}
		return done == len(f)
	})
	if most != places {
		t.Errorf("at most %d gateways were on the way at a time, want %d", most, places)
	}
}

// What controllers of different releases compare has one form for good. If this test
// fails, an upgrade replaces all gateways at once: bring the form back.
func TestInputsHaveOneForm(t *testing.T) {
	t.Parallel()
	server := &v1alpha1.MCPServer{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "weather", UID: "uid", Generation: 7}}
	s := newScope(server)
	s.clientShards, s.grantShards = 16, 32
	s.seen.Backends = map[v1alpha1.ServicePort]*conditions.Backend{
		{Name: "weather", Port: intstr.FromString("http")}: {Exists: true, Ready: 2, Port: resources.Port{Number: 8000, Name: "http", AppProtocol: "kubernetes.io/h2c"}},
		{Name: "news", Port: intstr.FromInt32(80)}:         {Exists: true, Ready: 2, Port: resources.Port{Number: 80}},
	}
	s.seen.Gateway = &conditions.Gateway{}
	s.seen.References = []conditions.Reference{
		{Reference: resources.Reference{Field: "f", Kind: "Secret", Name: "weather-oidc", Key: "client-secret", Path: "p"}, Exists: true, Found: true, Digest: "d"},
		{Reference: resources.Reference{Field: "g", Kind: "Secret", Name: "weather-oidc", Key: "client-secret", Path: "q"}, Exists: true, Found: true, Digest: "d"},
	}
	const frozen = "c585a78106c7f12f"
	if got := inputs(s); got != frozen {
		t.Errorf("the inputs are %s, want %s", got, frozen)
	}
	// What a newer release may see otherwise does not count.
	s.seen.References[0].Field, s.seen.References[1].Path = "another", "another"
	server.Spec.PublicURL = "https://weather.example.com"
	if got := inputs(s); got != frozen {
		t.Errorf("the inputs are %s, want %s", got, frozen)
	}
	for name, change := range map[string]func(){
		"the spec":    func() { server.Generation++ },
		"the shards":  func() { s.grantShards++ },
		"a port":      func() { s.seen.Backends[v1alpha1.ServicePort{Name: "news", Port: intstr.FromInt32(80)}].Port.Number++ },
		"a reference": func() { s.seen.References[0].Digest, s.seen.References[1].Digest = "e", "e" },
	} {
		before := inputs(s)
		if change(); inputs(s) == before {
			t.Errorf("%s does not count", name)
		}
	}
}
