//go:build integration

package controllers

import (
	"context"
	"slices"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vestibule.dev/vestibule/api/v1alpha1"
)

// contender is a controller of its own, with a Lease in a namespace of its own.
type contender struct {
	*Reconciler
	tap   *tap
	lease *coordinationv1.Lease
}

func newContender(t *testing.T, c client.WithWatch) *contender {
	t.Helper()
	i := &contender{tap: newTap(nil), lease: &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: namespace(t), Name: LeaseName}}}
	must(t, admin.Create(t.Context(), i.lease))
	i.renewed(t, time.Now())
	i.Reconciler = reconciler(i.tap)
	if c != nil {
		i.Live = c
	}
	i.Identity = i.lease.Namespace + "/" + i.lease.Name
	return i
}

// renewed sets when a Lease was renewed.
func (i *contender) renewed(t *testing.T, at time.Time) {
	t.Helper()
	i.lease.Spec.HolderIdentity, i.lease.Spec.RenewTime = ptr.To(""), ptr.To(metav1.NewMicroTime(at)) // released
	must(t, admin.Update(t.Context(), i.lease))
}

// Of two installs that are given one MCPServer, the second changes nothing and says so,
// until the first is gone. Then it is the other way round.
func TestTwoControllersDoNotFight(t *testing.T) {
	t.Parallel()
	w := newWorld(t, namespace(t), "weather")
	w.server()
	first, second := newContender(t, nil), newContender(t, nil)
	second.Image = "registry.example.com/vestibule/gateway:v2"
	w.pass(first.Reconciler)
	w.pass(first.Reconciler)
	if got := w.get().Status.Controller; got != first.Identity {
		t.Fatalf("the status names %q, want %q", got, first.Identity)
	}

	before := w.owned()
	for range 3 {
		w.pass(second.Reconciler)
		w.pass(first.Reconciler)
	}
	if writes := second.tap.writes; !slices.Equal(writes, []string{"patch status of *v1alpha1.MCPServer weather"}) {
		t.Errorf("the second controller writes %v", writes)
	}
	for name, o := range w.owned() {
		if before[name].GetResourceVersion() != o.GetResourceVersion() {
			t.Errorf("%s was changed", name)
		}
	}
	w.wants(v1alpha1.ConditionControllerConflict, isTrue, v1alpha1.ReasonAnotherController)
	w.wants(v1alpha1.ConditionAccepted, isTrue, v1alpha1.ReasonAccepted)

	// The condition is written anew while the second is there, and dropped after that.
	later := time.Now().Add(repeatConflict + time.Minute)
	second.Now = func() time.Time { return later }
	first.renewed(t, later)
	w.pass(second.Reconciler)
	if at := w.condition(v1alpha1.ConditionControllerConflict).LastTransitionTime; at.Before(ptr.To(metav1.NewTime(later.Truncate(time.Second)))) {
		t.Errorf("after %v the condition is of %v", repeatConflict, at)
	}
	later = later.Add(dropConflict)
	first.Now = func() time.Time { return later }
	w.pass(first.Reconciler)
	if c := meta.FindStatusCondition(w.get().Status.Conditions, v1alpha1.ConditionControllerConflict); c != nil {
		t.Errorf("the second is gone, and the condition stays: %v", c)
	}

	// The first is gone, and comes back.
	first.renewed(t, later.Add(-goneAfter+time.Minute))
	second.Now = first.Now
	w.pass(second.Reconciler)
	if got := w.get().Status.Controller; got != first.Identity {
		t.Fatalf("the first is away for a moment, and the status names %q", got)
	}
	second.renewed(t, later)
	first.renewed(t, later.Add(-goneAfter-time.Minute))
	w.pass(second.Reconciler)
	w.pass(first.Reconciler)
	if got := w.get().Status.Controller; got != second.Identity {
		t.Errorf("the first is gone, and the status names %q", got)
	}
	w.wants(v1alpha1.ConditionControllerConflict, isTrue, v1alpha1.ReasonAnotherController)
	if got := w.deployment().Spec.Template.Spec.Containers[0].Image; got != second.Image {
		t.Errorf("the gateways run %s", got)
	}
	must(t, admin.Delete(t.Context(), second.lease))
	w.pass(first.Reconciler)
	if got := w.get().Status.Controller; got != first.Identity {
		t.Errorf("the second has no Lease any more, and the status names %q", got)
	}
}

// A controller that may not read the other's Lease cannot tell whether the other is gone.
func TestAControllerThatCannotTellStandsAside(t *testing.T) {
	t.Parallel()
	w := newWorld(t, namespace(t), "weather")
	w.server()
	limited, err := connect(account(t, w.namespace, w.namespace))
	must(t, err)
	first, second := newContender(t, nil), newContender(t, limited)
	w.pass(first.Reconciler)
	first.renewed(t, time.Now().Add(-time.Hour))
	w.pass(second.Reconciler)
	if c := w.condition(v1alpha1.ConditionControllerConflict); c.Status != isTrue || w.get().Status.Controller != first.Identity {
		t.Fatalf("the condition is %v, the controller %s", c, w.get().Status.Controller)
	}
	// What docs/operations.md says to do.
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"status":{"controller":null}}`))
	must(t, admin.Status().Patch(t.Context(), w.get(), patch))
	w.pass(second.Reconciler)
	if got := w.get().Status.Controller; got != second.Identity {
		t.Errorf("the status names %q, want %q", got, second.Identity)
	}
}

// Two controllers begin at once: one of them manages the MCPServer.
func TestTwoControllersBeginAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, namespace(t), "weather")
	seen := w.server()
	first, second := newContender(t, nil), newContender(t, nil)
	if _, err := first.take(context.Background(), seen.DeepCopy()); err != nil {
		t.Fatal(err)
	}
	if server, err := second.take(context.Background(), seen.DeepCopy()); err == nil {
		t.Fatalf("the second read the server before the first had taken it, and takes it too: %v", server)
	}
	w.pass(second.Reconciler)
	if got := w.get().Status.Controller; got != first.Identity {
		t.Errorf("the status names %q, want %q", got, first.Identity)
	}
}
