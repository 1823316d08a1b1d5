//go:build integration

package controllers

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/gateway/config"
)

// chapter is a change to a server that takes a pass several writes.
type chapter struct {
	name string
	// given brings the server to where the chapter begins; from there on the
	// change is to be taken in.
	given, change func(w *world)
}

var chapters = []chapter{
	{"created", func(*world) {}, func(w *world) { w.server() }},
	{"grown", ready, func(w *world) {
		var pods []*corev1.Pod
		for _, p := range w.currentPods() {
			pods = append(pods, &p)
		}
		w.reports(pods, func(_ int, r *config.Report) { r.FillingClients, r.FillingGrants = true, true })
	}},
	{"retained", ready, func(w *world) { w.change(retained) }},
	{"adopted", func(w *world) {
		w.server(of(v1alpha1.ShardSecret, 2), retained)
		w.pass(reconciler(robot))
		w.collect()
	}, func(w *world) { w.server() }},
	{"one replica, another rule, another secret", ready, func(w *world) {
		w.secret("an0ther")
		w.change(func(s *v1alpha1.MCPServer) {
			s.Spec.Gateway.Replicas = 1
			s.Spec.Access = &v1alpha1.Access{Rules: []v1alpha1.AccessRule{{Name: "all", Expression: "true"}}}
		})
	}},
	{"an autoscaler, a network policy, other pods", ready, func(w *world) {
		w.change(func(s *v1alpha1.MCPServer) {
			autoscaling(s)
			s.Spec.Gateway.PodTemplate = &v1alpha1.PodTemplate{Labels: map[string]string{"team": "weather"}}
			s.Spec.Gateway.NetworkPolicy = &v1alpha1.NetworkPolicy{IngressFrom: []v1alpha1.NetworkPolicyPeer{{PodSelector: &metav1.LabelSelector{}}}}
		})
	}},
}

// ready is a server at rest.
func ready(w *world) {
	w.server()
	r := reconciler(robot)
	w.pass(r)
	w.reports(w.rollOut(), nil)
	w.pass(r)
}

// settle passes until a pass writes nothing.
func (w *world) settle(r *Reconciler, c *tap) {
	w.t.Helper()
	for range 5 {
		c.reset()
		w.pass(r)
		if len(c.writes) == 0 {
			return
		}
	}
	w.t.Errorf("does not come to rest: %v", c.writes)
}

var errFault = errors.New("a fault of the test's")

// faults are the ways in which a call can go wrong.
var faults = []struct {
	name string
	// at returns the fault at the nth call or write.
	at func(n int) func(call, write int) (error, bool)
	// fresh says that the controller is another one afterwards.
	fresh bool
}{
	{"killed before a write", func(n int) func(call, write int) (error, bool) {
		dead := false
		return func(_, write int) (error, bool) {
			dead = dead || write == n
			if dead {
				return errFault, false
			}
			return nil, false
		}
	}, true},
	{"a call fails", func(n int) func(call, write int) (error, bool) {
		return func(call, _ int) (error, bool) {
			if call == n {
				return errFault, false
			}
			return nil, false
		}
	}, false},
	{"the answer to a write is lost", func(n int) func(call, write int) (error, bool) {
		return func(_, write int) (error, bool) {
			if write == n {
				return errFault, true
			}
			return nil, false
		}
	}, false},
}

// Whatever goes wrong, and wherever, the next pass makes it good: everything is as
// if nothing had happened, and the keys are still those that were made first.
func TestAPassThatBreaksOffIsMadeGood(t *testing.T) {
	t.Parallel()
	for _, chapter := range chapters {
		t.Run(chapter.name, func(t *testing.T) {
			t.Parallel()
			reference := newWorld(t, namespace(t), "weather")
			chapter.given(reference)
			chapter.change(reference)
			clean := newTap(nil)
			reference.settle(reconciler(clean), clean)
			want := reference.snapshot()

			for _, f := range faults {
				t.Run(f.name, func(t *testing.T) {
					var w *world
					for n := 1; ; n++ {
						if w == nil {
							w = newWorld(t, namespace(t), "weather")
							chapter.given(w)
							chapter.change(w)
						}
						hit, untouched := w.breakOff(f.at(n), f.fresh, want)
						if !hit {
							t.Logf("%d places to break off at", n-1)
							break
						}
						if !untouched {
							w.leave()
							w = nil
						}
					}
				})
			}
		})
	}
}

// breakOff reports whether there was an nth call that could fail, and whether the pass tried
// to write nothing but the status: then there is nothing to make good, and the next place can
// be tried with the same server.
func (w *world) breakOff(fault func(call, write int) (error, bool), fresh bool, want map[string]string) (hit, untouched bool) {
	t := w.t
	t.Helper()
	c := newTap(func(call, write int) (error, bool) {
		err, done := fault(call, write)
		hit = hit || err != nil
		return err, done
	})
	r := reconciler(c)
	_, err := r.Reconcile(t.Context(), w.request())
	if !hit {
		return false, false
	}
	if err == nil {
		t.Errorf("%s fails, and the pass says nothing", c.calls[len(c.calls)-1])
	}
	if !slices.ContainsFunc(c.writes, func(what string) bool { return !strings.HasPrefix(what, "patch status") }) {
		return true, true
	}
	keys := w.keys()

	c.fault = nil
	if fresh {
		r = reconciler(c)
	}
	w.settle(r, c)
	differ(t, fmt.Sprintf("after a fault at %d calls, %d writes", len(c.calls), len(c.writes)), want, w.snapshot())
	if keys != fmt.Sprint(corev1.Secret{}.Data) && w.keys() != keys {
		t.Error("the keys were made anew")
	}
	if len(w.get().Status.Conditions) == 0 {
		t.Error("the status says nothing")
	}
	return true, false
}

// keys are the gateway's, or those of no Secret.
func (w *world) keys() string {
	keys := &corev1.Secret{}
	err := admin.Get(w.t.Context(), client.ObjectKey{Namespace: w.namespace, Name: w.gateway() + "-keys"}, keys)
	must(w.t, client.IgnoreNotFound(err))
	return fmt.Sprint(keys.Data)
}
