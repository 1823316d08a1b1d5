//go:build integration

package controllers

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vestibule.dev/vestibule/api/v1alpha1"
)

// Who does not want what the cluster does not have costs no request, and those who
// do cost one in a while together.
func TestWhatTheClusterDoesNotHaveIsLookedForNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		looked, watched, there, trouble := 0, 0, false, error(nil)
		var gone func()
		a := &apis{
			every: retryAPI, now: time.Now,
			has: func(string) (bool, error) { looked++; return there, trouble },
			watch: func(_ string, g func()) (client.Reader, error) {
				watched++
				gone = g
				return admin, nil
			},
		}
		ask := func(wanted, want bool, wantLooked, wantWatched int) {
			t.Helper()
			reader, err := a.reader(kindPodMonitor, wanted)
			if (reader != nil) != want || (err != nil) != (trouble != nil) || looked != wantLooked || watched != wantWatched {
				t.Errorf("there is %v (%v), after %d looks and %d watches; want %v, %d, %d", reader != nil, err, looked, watched, want, wantLooked, wantWatched)
			}
		}
		ask(false, false, 1, 0) // There may be objects of before.
		for range 10 {
			ask(false, false, 1, 0)
			ask(true, false, 1, 0)
		}
		time.Sleep(retryAPI)
		ask(false, false, 1, 0)
		ask(true, false, 2, 0)
		there = true
		ask(true, false, 2, 0)
		time.Sleep(retryAPI)
		for range 10 {
			ask(true, true, 3, 1)
			ask(false, true, 3, 1)
		}
		there = false
		gone()
		ask(true, false, 4, 1)
		time.Sleep(retryAPI)
		trouble = errors.New("no answer")
		ask(true, false, 5, 1)
		ask(false, false, 5, 1)
		time.Sleep(retryAPI)
		there, trouble = true, nil
		ask(true, true, 6, 2)
	})
}

// An API that may not be watched is found out about by one pass, and no other waits.
func TestNobodyWaitsForAnAPIThatMayNotBeWatched(t *testing.T) {
	watching, forbidden := make(chan struct{}), make(chan error)
	a := &apis{
		every: time.Hour, now: time.Now,
		has: func(string) (bool, error) { return true, nil },
		watch: func(string, func()) (client.Reader, error) {
			close(watching)
			return nil, <-forbidden
		},
	}
	first := make(chan error)
	go func() {
		_, err := a.reader(kindPodMonitor, true)
		first <- err
	}()
	<-watching
	for _, wanted := range []bool{true, false} {
		if _, err := a.reader(kindPodMonitor, wanted); !errors.Is(err, errLooking) {
			t.Errorf("another is told %v", err)
		}
	}
	trouble := errors.New("may not be watched")
	forbidden <- trouble
	if err := <-first; !errors.Is(err, trouble) {
		t.Errorf("the one that looks is told %v", err)
	}
	if _, err := a.reader(kindPodMonitor, true); !errors.Is(err, trouble) {
		t.Errorf("whoever comes next is told %v", err)
	}
}

// Who unsets a field while nobody can say whether the cluster has the API is looked after
// later: the object does not stay for ever.
func TestWhatIsUnsetWhileNobodyCanSay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		trouble := errors.New("no answer")
		a := &apis{
			every: retryAPI, now: time.Now,
			has:   func(string) (bool, error) { return trouble == nil, trouble },
			watch: func(string, func()) (client.Reader, error) { return admin, nil },
		}
		r := &Reconciler{Now: time.Now}
		s := newScope(&v1alpha1.MCPServer{})
		_, err := a.reader(kindIngress, false)
		s.optional = map[string]error{kindIngress: err}
		if err := r.applyOptionalChild(t.Context(), s, child{kindIngress, "weather-gateway"}); err != nil || s.again.IsZero() {
			t.Errorf("the pass says %v, and the next is at %v", err, s.again)
		}
		trouble = nil
		time.Sleep(time.Until(s.again))
		if reader, err := a.reader(kindIngress, false); reader == nil || err != nil {
			t.Errorf("the next pass finds %v, %v", reader, err)
		}
	})
}

// While discovery fails, a pass does everything else. An object that is unset meanwhile is
// removed when discovery works again.
func TestAnAPIThatFailsStopsNothingElse(t *testing.T) {
	t.Parallel()
	w, trouble := newWorld(t, namespace(t), "weather"), error(nil)
	started := func() *Reconciler {
		r := reconciler(robot)
		r.apis = apis{
			every: retryAPI, now: func() time.Time { return r.Now() },
			has:   func(kind string) (bool, error) { return kind == kindIngress, trouble },
			watch: func(string, func()) (client.Reader, error) { return admin, nil },
		}
		return r
	}
	w.server(func(s *v1alpha1.MCPServer) { s.Spec.Gateway.Ingress = &v1alpha1.Ingress{} })
	w.pass(started())
	if w.child(kindIngress) == nil {
		t.Fatal("there is no Ingress")
	}
	trouble = errors.New("no answer")
	r := started()
	w.change(func(s *v1alpha1.MCPServer) { s.Spec.Gateway.Ingress, s.Spec.Gateway.Replicas = nil, 3 })
	result, err := r.Reconcile(t.Context(), w.request())
	if err != nil || result.RequeueAfter == 0 || result.RequeueAfter > retryAPI {
		t.Errorf("the pass returns %v, and the next is in %v", err, result.RequeueAfter)
	}
	w.change(func(s *v1alpha1.MCPServer) {
		s.Spec.Gateway.Replicas, s.Spec.Gateway.PodMonitor = 4, &v1alpha1.PodMonitor{}
	})
	if _, err := r.Reconcile(t.Context(), w.request()); err == nil {
		t.Error("the pass returns no error, and the PodMonitor is not there")
	}
	w.wants(v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonRetrying)
	if d := w.deployment(); *d.Spec.Replicas != 4 {
		t.Errorf("the Deployment has %d replicas, want 4", *d.Spec.Replicas)
	}
	w.change(func(s *v1alpha1.MCPServer) { s.Spec.Gateway.PodMonitor = nil })
	trouble = nil
	r.Now = func() time.Time { return time.Now().Add(result.RequeueAfter) }
	w.pass(r)
	if w.child(kindIngress) != nil {
		t.Error("the Ingress is still there")
	}
}

// install adds a CRD to the cluster.
func install(t *testing.T, crd *apiextensionsv1.CustomResourceDefinition) {
	t.Helper()
	crd = crd.DeepCopy()
	must(t, admin.Create(t.Context(), crd))
	eventually(t, "CRD "+crd.Name, func() bool {
		must(t, admin.Get(t.Context(), client.ObjectKeyFromObject(crd), crd))
		for _, c := range crd.Status.Conditions {
			if c.Type == apiextensionsv1.Established && c.Status == apiextensionsv1.ConditionTrue {
				return true
			}
		}
		return false
	})
	t.Cleanup(func() { uninstall(t, crd) })
}

// uninstall removes a CRD, and waits until it is gone.
func uninstall(t *testing.T, crd *apiextensionsv1.CustomResourceDefinition) {
	t.Helper()
	ctx := t.Context()
	if ctx.Err() != nil {
		ctx = context.Background()
	}
	if err := client.IgnoreNotFound(admin.Delete(ctx, crd.DeepCopy())); err != nil {
		t.Error(err)
	}
	eventually(t, "the end of CRD "+crd.Name, func() bool {
		return apierrors.IsNotFound(admin.Get(ctx, client.ObjectKeyFromObject(crd), &apiextensionsv1.CustomResourceDefinition{}))
	})
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for begun := time.Now(); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Since(begun) > patience {
			t.Fatalf("%s does not come", what)
		}
	}
}

// podMonitors is a CRD of the name of the Prometheus Operator's.
var podMonitors = &apiextensionsv1.CustomResourceDefinition{
	ObjectMeta: metav1.ObjectMeta{Name: "podmonitors.monitoring.coreos.com"},
	Spec: apiextensionsv1.CustomResourceDefinitionSpec{
		Group: "monitoring.coreos.com", Scope: apiextensionsv1.NamespaceScoped,
		Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "podmonitors", Singular: "podmonitor", Kind: "PodMonitor", ListKind: "PodMonitorList"},
		Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
			Name: "v1", Served: true, Storage: true,
			Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{
				Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{
					"spec": {Type: "object", XPreserveUnknownFields: ptr.To(true)},
				},
			}},
		}},
	},
}

// child of a kind that is in no scheme; nil if there is none.
func (w *world) child(kind string) *unstructured.Unstructured {
	w.t.Helper()
	o := &unstructured.Unstructured{}
	o.SetGroupVersionKind(groups[kind].WithKind(kind))
	err := admin.Get(w.t.Context(), client.ObjectKey{Namespace: w.namespace, Name: w.gateway()}, o)
	if client.IgnoreNotFound(err) != nil && !meta.IsNoMatchError(err) {
		w.t.Fatal(err)
	}
	if err != nil {
		return nil
	}
	return o
}

// An API that is installed after the controller has started is used, and its end is
// said: the controller goes on, and uses it again when it is back.
func TestAnAPIComesAndGoes(t *testing.T) {
	r := start(t, account(t, "default"))
	w, other := newWorld(t, namespace(t), "weather"), newWorld(t, namespace(t), "other")
	other.server()
	w.server(func(s *v1alpha1.MCPServer) {
		s.Spec.Gateway.PodMonitor = &v1alpha1.PodMonitor{Labels: map[string]v1alpha1.LabelValue{"release": "prometheus"}}
	})
	other.becomes(v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonProgressing)
	w.becomes(v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonAPIMissing)
	w.deployment() // All else is done.
	r.rest(other)
	before := r.count(other)
	for range 2 {
		install(t, podMonitors)
		w.eventually("the PodMonitor", func() bool { return w.child(kindPodMonitor) != nil })
		w.becomes(v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonProgressing)
		if got := w.child(kindPodMonitor); got.GetLabels()["release"] != "prometheus" || !metav1.IsControlledBy(got, w.get()) {
			t.Errorf("the PodMonitor is %v", got)
		}
		// It is watched: who deletes it gets it back.
		must(t, admin.Delete(t.Context(), w.child(kindPodMonitor)))
		w.eventually("the PodMonitor again", func() bool { return w.child(kindPodMonitor) != nil })

		uninstall(t, podMonitors)
		w.becomes(v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonAPIMissing)
		time.Sleep(2 * time.Second) // It is looked for once in a while, and no more.
		passes := r.count(w)
		time.Sleep(3 * time.Second)
		if n := r.count(w) - passes; n > 5 {
			t.Errorf("%d passes in 3 s, for an API that is looked for every second", n)
		}
	}
	if n := r.count(other) - before; n > 0 {
		t.Errorf("%d passes for what does not ask for it", n)
	}
}

// What is not asked for any more is removed, by a controller that was not there when
// it was made as well; and what is another's stays.
func TestAPodMonitorIsRemoved(t *testing.T) {
	install(t, podMonitors)
	w := newWorld(t, namespace(t), "weather")
	foreign := &unstructured.Unstructured{}
	foreign.SetGroupVersionKind(groups[kindPodMonitor].WithKind(kindPodMonitor))
	foreign.SetNamespace(w.namespace)
	foreign.SetName(w.gateway())
	w.create(foreign.DeepCopy())
	r := start(t, account(t, "default"))
	w.server()
	w.becomes(v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	w.change(func(s *v1alpha1.MCPServer) { s.Spec.Gateway.PodMonitor = &v1alpha1.PodMonitor{} })
	w.becomes(v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonNameConflict)
	w.change(func(s *v1alpha1.MCPServer) { s.Spec.Gateway.PodMonitor = nil })
	w.becomes(v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	must(t, admin.Delete(t.Context(), foreign))

	w.change(func(s *v1alpha1.MCPServer) { s.Spec.Gateway.PodMonitor = &v1alpha1.PodMonitor{} })
	w.eventually("the PodMonitor", func() bool { return w.child(kindPodMonitor) != nil })
	r.stop()
	w.change(func(s *v1alpha1.MCPServer) { s.Spec.Gateway.PodMonitor = nil })
	start(t, account(t, "default"))
	w.eventually("its end", func() bool { return w.child(kindPodMonitor) == nil })
}
