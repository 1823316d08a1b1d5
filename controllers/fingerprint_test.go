//go:build integration

package controllers

import (
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/controllers/internal/resources"
	"vestibule.dev/vestibule/gateway/config"
)

// plant puts other keys in the place of the server's, which it returns: the work of an
// author that may create and delete Secrets, and read none.
func (w *world) plant(change func(planted *corev1.Secret)) (own client.Object) {
	w.t.Helper()
	own = w.lose(v1alpha1.ShardSecret, "keys")
	planted := &corev1.Secret{ObjectMeta: w.meta(own.GetName())}
	planted.Labels, planted.Annotations = maps.Clone(own.GetLabels()), maps.Clone(own.GetAnnotations())
	data, err := config.NewKeySet(time.Now()).Marshal()
	must(w.t, err)
	planted.Data = map[string][]byte{"keyset.json": data}
	change(planted)
	w.create(planted)
	return own
}

// replaced insists that the keys are refused, in words that lead to no loss.
func (w *world) replaced() {
	w.t.Helper()
	w.wants(v1alpha1.ConditionOAuthKVBound, metav1.ConditionFalse, v1alpha1.ReasonKeysReplaced)
	w.wants(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonKeysReplaced)
	w.wants(v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonKeysReplaced)
	m := w.condition(v1alpha1.ConditionOAuthKVBound).Message
	if !strings.Contains(m, "Secret "+w.gateway()+"-keys") || !strings.Contains(m, "Restore") || !strings.Contains(m, "docs/stores.md") || strings.Contains(m, "elete") {
		w.t.Errorf("it says: %s", m)
	}
}

// putBack replaces the keys that are there by what a backup has.
func (w *world) putBack(o client.Object) {
	w.t.Helper()
	again := o.DeepCopyObject().(client.Object)
	w.remove(&corev1.Secret{}, o.GetName())
	again.SetResourceVersion("")
	again.SetUID("")
	w.create(again)
}

// A server whose status names a fingerprint adopts no planted key Secret.
func TestAttackPlantedKeys(t *testing.T) {
	t.Parallel()
	for name, plant := range map[string]func(s *v1alpha1.MCPServer, planted *corev1.Secret){
		"retained of an earlier server": func(_ *v1alpha1.MCPServer, planted *corev1.Secret) {
			planted.Labels[resources.LabelRetainedFor] = "another"
		},
		"retained for this server": func(s *v1alpha1.MCPServer, planted *corev1.Secret) {
			planted.Labels[resources.LabelRetainedFor] = string(s.UID)
		},
		"owned by this server": func(s *v1alpha1.MCPServer, planted *corev1.Secret) {
			planted.OwnerReferences = []metav1.OwnerReference{resources.OwnerReference(s)}
		},
		"without an owner": func(*v1alpha1.MCPServer, *corev1.Secret) {},
		"with the fingerprint for an identity": func(s *v1alpha1.MCPServer, planted *corev1.Secret) {
			planted.Data["identity"] = []byte(s.Status.KeyFingerprint)
			planted.Data["identity-before-drop"] = []byte(s.Status.KeyFingerprint)
		},
		"no keys": func(_ *v1alpha1.MCPServer, planted *corev1.Secret) { planted.Data["keyset.json"] = []byte("none") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, running := served(t)
			before := w.get()
			own := w.plant(func(planted *corev1.Secret) { plant(before, planted) })
			planted := w.bytes(own)
			// It is due to change the keys, and their owner.
			w.change(func(s *v1alpha1.MCPServer) {
				retained(s)
				metav1.SetMetaDataAnnotation(&s.ObjectMeta, v1alpha1.AnnotationDropKeys, time.Now().Format(time.RFC3339))
			})
			recorder := events.NewFakeRecorder(10)
			tap := newTap(nil)
			fresh := reconciler(tap)
			fresh.Events, running.Events = recorder, events.NewFakeRecorder(10)
			for _, r := range []*Reconciler{fresh, fresh, running} {
				r.Now = func() time.Time { return time.Now().Add(200 * day) }
				w.pass(r)
				w.replaced()
			}
			if len(tap.writes) != 1 || !strings.HasPrefix(tap.writes[0], "patch status") {
				t.Errorf("it writes %v", tap.writes)
			}
			if w.bytes(own) != planted {
				t.Error("the planted keys were written")
			}
			if len(recorder.Events) != 1 {
				t.Errorf("%d events, want one", len(recorder.Events))
			}
			after := w.get().Status
			if after.KeyFingerprint != before.Status.KeyFingerprint || after.DeletionPolicy != v1alpha1.DeletionDelete {
				t.Errorf("the status says %q, %s", after.KeyFingerprint, after.DeletionPolicy)
			}
			w.wants(v1alpha1.ConditionStoreAdopted, metav1.ConditionFalse, v1alpha1.ReasonNotAdopted)

			w.change(func(s *v1alpha1.MCPServer) { delete(s.Annotations, v1alpha1.AnnotationDropKeys) })
			w.putBack(own)
			w.pass(reconciler(robot))
			w.wants(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
			if got := w.get().Status.KeyFingerprint; got != before.Status.KeyFingerprint {
				t.Errorf("the fingerprint is %q, want %q", got, before.Status.KeyFingerprint)
			}
		})
	}
}

// A key Secret that is replaced after the cache was read is not rotated.
func TestKeysThatAreReplacedMeanwhileAreNotRotated(t *testing.T) {
	t.Parallel()
	w := newKeyRoom(t)
	w.now = w.now.Add(90 * day)
	s, c := w.get(), newTap(nil)
	reads := 0
	c.fault = func(int, int) (error, bool) {
		if c.calls[len(c.calls)-1] == "get *v1.Secret weather-gateway-keys" {
			if reads++; reads == 1 {
				w.plant(func(planted *corev1.Secret) {
					planted.OwnerReferences = []metav1.OwnerReference{resources.OwnerReference(s)}
				})
			}
		}
		return nil, false
	}
	w.r.Client, w.r.Live = c, c
	if _, err := w.r.Reconcile(t.Context(), w.request()); err != nil {
		t.Log(err)
	}
	if reads == 0 {
		t.Fatal("the keys were not read")
	}
	w.has([]uint8{1})
	w.pass(w.r)
	w.replaced()
}

// After a restore with the status, keys are adopted that the status names, and no others.
func TestARestoredStatusNamesTheKeys(t *testing.T) {
	t.Parallel()
	for name, planted := range map[string]bool{"the keys": false, "others": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, _ := served(t, retained)
			first := w.get()
			if planted {
				w.plant(func(*corev1.Secret) {})
			}
			w.collect()
			w.server(retained)
			status, err := json.Marshal(map[string]any{"status": first.Status})
			must(t, err)
			must(t, admin.Status().Patch(t.Context(), w.get(), client.RawPatch(types.MergePatchType, status)))
			w.pass(reconciler(robot))
			if planted {
				w.replaced()
				err := admin.Get(t.Context(), client.ObjectKey{Namespace: w.namespace, Name: w.gateway()}, &appsv1.Deployment{})
				if !apierrors.IsNotFound(err) {
					t.Errorf("there is a gateway: %v", err)
				}
				return
			}
			w.finish()
			w.pass(reconciler(robot))
			w.wants(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
			w.wants(v1alpha1.ConditionStoreAdopted, metav1.ConditionTrue, v1alpha1.ReasonAdopted)
		})
	}
}

// An administrator that takes the fingerprint out of the status has the keys used that
// are there.
func TestReplacedKeysAreAccepted(t *testing.T) {
	t.Parallel()
	w, r := served(t)
	before := w.get().Status.KeyFingerprint
	w.plant(func(*corev1.Secret) {})
	w.pass(r)
	w.replaced()
	accept := client.RawPatch(types.MergePatchType, []byte(`{"status":{"keyFingerprint":null}}`))
	must(t, admin.Status().Patch(t.Context(), w.get(), accept))
	w.pass(r)
	w.wants(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	if now := w.get().Status.KeyFingerprint; now == "" || now == before {
		t.Errorf("the fingerprint is %q, and was %q", now, before)
	}
}

// The fingerprint stays in rotations, and changes in a drop; a backup of before the drop
// brings nothing back.
func TestTheFingerprintFollowsADrop(t *testing.T) {
	t.Parallel()
	w := newKeyRoom(t)
	w.reports(w.rollOut(), nil)
	w.pass(w.r)
	first := w.get().Status.KeyFingerprint
	backup := &corev1.Secret{}
	w.read(w.gateway()+"-keys", backup)
	start := w.now
	for n := range 5 {
		w.at(start.Add(time.Duration(n) * 90 * day))
	}
	if got := w.get().Status.KeyFingerprint; got != first || got == "" || w.keySet().Keys[0].ID == 1 {
		t.Errorf("after rotations the fingerprint is %q, want %q", got, first)
	}
	w.putBack(backup) // One from before the rotations is good.
	w.pass(w.r)
	if c := w.condition(v1alpha1.ConditionOAuthKVBound); c.Reason == v1alpha1.ReasonKeysReplaced {
		t.Errorf("a backup from before the rotations is refused: %s", c.Message)
	}

	w.read(w.gateway()+"-keys", backup)
	w.commandAt(v1alpha1.AnnotationDropKeys, w.now.Add(time.Hour))
	w.at(w.now.Add(time.Hour))
	if got := w.get().Status.KeyFingerprint; got == first || got == "" {
		t.Errorf("after a drop the fingerprint is %q", got)
	}
	w.putBack(backup)
	w.pass(w.r)
	w.replaced()
}

// Wherever a drop breaks off, the server goes on with its keys.
func TestADropThatBreaksOffReplacesNothing(t *testing.T) {
	t.Parallel()
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			for n := 1; ; n++ {
				w := newKeyRoom(t)
				w.now = w.now.Add(time.Hour)
				w.commandAt(v1alpha1.AnnotationDropKeys, w.now)
				hit := false
				c := newTap(func(call, write int) (error, bool) {
					err, done := f.at(n)(call, write)
					hit = hit || err != nil
					return err, done
				})
				r := reconciler(c)
				r.Now = w.r.Now
				if _, err := r.Reconcile(t.Context(), w.request()); err != nil && !errors.Is(err, errFault) {
					t.Log(err)
				}
				w.pass(w.r)
				w.pass(w.r)
				secret := &corev1.Secret{}
				w.read(w.gateway()+"-keys", secret)
				if got, want := w.get().Status.KeyFingerprint, resources.FingerprintKeys(secret).Current(); got != want {
					t.Errorf("after a fault at %d the fingerprint is %q, want %q: %s", n, got, want, w.condition(v1alpha1.ConditionOAuthKVBound).Message)
				}
				w.has([]uint8{2}, 1)
				w.leave()
				if !hit {
					break
				}
			}
		})
	}
}

// The keys of an older controller are given an identity, and its backups are still good.
func TestKeysOfAnOlderController(t *testing.T) {
	t.Parallel()
	w, _ := served(t)
	named := w.get().Status.KeyFingerprint
	before := &corev1.Secret{}
	w.read(w.gateway()+"-keys", before)
	delete(before.Data, "identity")
	must(t, admin.Update(t.Context(), before))
	must(t, admin.Status().Patch(t.Context(), w.get(), client.RawPatch(types.MergePatchType, []byte(`{"status":{"keyFingerprint":null}}`))))

	w.pass(reconciler(robot))
	now := &corev1.Secret{}
	w.read(before.Name, now)
	if len(now.Data["identity"]) == 0 || w.get().Status.KeyFingerprint != named {
		t.Errorf("the identity has %d bytes, the fingerprint is %q, want %q", len(now.Data["identity"]), w.get().Status.KeyFingerprint, named)
	}
	w.putBack(before)
	r := reconciler(robot)
	w.pass(r)
	w.wants(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	w.settle(r, newTap(nil))
}

// The condition tells of an adoption for as long as the server has these records, in the
// same words, whatever goes wrong.
func TestAnAdoptionIsRemembered(t *testing.T) {
	t.Parallel()
	w, _ := served(t, retained)
	w.wants(v1alpha1.ConditionStoreAdopted, metav1.ConditionFalse, v1alpha1.ReasonNotAdopted)
	first := w.get()
	w.collect()
	w.server(retained)
	r := reconciler(robot)
	at := time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
	r.Now = func() time.Time { return at }
	w.pass(r)
	c := w.condition(v1alpha1.ConditionStoreAdopted)
	for _, part := range []string{"Secret weather-gateway-keys", string(first.UID), "2027-01-02T03:04:05Z"} {
		if c.Status != metav1.ConditionTrue || !strings.Contains(c.Message, part) {
			t.Errorf("it does not say %s: %v", part, c)
		}
	}
	if !c.LastTransitionTime.Time.Equal(at) {
		t.Errorf("it has been so since %v, want %v", c.LastTransitionTime, at)
	}
	is := func(when string) {
		t.Helper()
		if now := w.condition(v1alpha1.ConditionStoreAdopted); now.Message != c.Message || now.Status != c.Status || !now.LastTransitionTime.Equal(&c.LastTransitionTime) {
			t.Errorf("%s it says %v, want %v", when, now, c)
		}
	}
	w.finish()
	w.pass(reconciler(robot))
	w.wants(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	is("later")
	tap := newTap(nil)
	tap.fault = func(int, int) (error, bool) {
		if strings.HasPrefix(tap.calls[len(tap.calls)-1], "get") && strings.HasSuffix(tap.calls[len(tap.calls)-1], "-keys") {
			return errFault, false
		}
		return nil, false
	}
	if _, err := reconciler(tap).Reconcile(t.Context(), w.request()); err == nil {
		t.Error("nothing fails")
	}
	w.wants(v1alpha1.ConditionOAuthKVBound, metav1.ConditionUnknown, v1alpha1.ReasonNotObserved)
	is("while the keys cannot be read")
	w.lose(v1alpha1.ShardSecret, "keys")
	w.pass(reconciler(robot))
	w.wants(v1alpha1.ConditionOAuthKVBound, metav1.ConditionFalse, v1alpha1.ReasonKeysLost)
	is("without the keys")
}
