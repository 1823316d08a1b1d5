//go:build integration

package controllers

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/gateway/config"
)

const day = 24 * time.Hour

// keyRoom is a server whose controller has a clock of the test's.
type keyRoom struct {
	*world
	r        *Reconciler
	recorder *events.FakeRecorder
	now      time.Time
}

// newKeyRoom has a server that is ready, with keys that were made now.
func newKeyRoom(t *testing.T, changes ...func(*v1alpha1.MCPServer)) *keyRoom {
	w := &keyRoom{world: newWorld(t, namespace(t), "weather"), now: time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)}
	w.server(changes...)
	w.restart()
	w.pass(w.r)
	return w
}

// restart lets another controller take over.
func (w *keyRoom) restart() {
	w.r, w.recorder = reconciler(robot), events.NewFakeRecorder(100)
	w.r.Events, w.r.Now = w.recorder, func() time.Time { return w.now }
}

func (w *keyRoom) keySet() *config.KeySet {
	w.t.Helper()
	secret := &corev1.Secret{}
	w.read(w.gateway()+"-keys", secret)
	set, err := config.ParseKeySet(secret.Data["keyset.json"])
	must(w.t, err)
	return set
}

// has insists on the keys' ids, and on those that were dropped.
func (w *keyRoom) has(keys []uint8, dropped ...uint8) {
	w.t.Helper()
	set, ids, gone := w.keySet(), []uint8(nil), []uint8(nil)
	for _, k := range set.Keys {
		ids = append(ids, k.ID)
	}
	for _, d := range set.Dropped {
		gone = append(gone, d.ID)
	}
	if !cmp.Equal(ids, keys) || !cmp.Equal(gone, dropped) {
		w.t.Errorf("the keys are %v, want %v; dropped are %v, want %v", ids, keys, gone, dropped)
	}
}

func (w *keyRoom) at(t time.Time) { w.t.Helper(); w.now = t; w.pass(w.r) }

// events are those since the last time, without what they say of the keys.
func (w *keyRoom) events() (reasons []string) {
	w.t.Helper()
	for {
		select {
		case e := <-w.recorder.Events:
			for _, k := range w.keySet().Keys {
				if strings.Contains(e, string(k.Secret)) {
					w.t.Errorf("an event has a key in it: %q", e)
				}
			}
			reasons = append(reasons, strings.Join(strings.Fields(e)[:2], " "))
		default:
			return reasons
		}
	}
}

func (w *keyRoom) tells(want ...string) {
	w.t.Helper()
	if got := w.events(); !cmp.Equal(got, want) {
		w.t.Errorf("the events are %q, want %q", got, want)
	}
}

func (w *keyRoom) command(annotation string, value string) {
	w.t.Helper()
	w.change(func(s *v1alpha1.MCPServer) { metav1.SetMetaDataAnnotation(&s.ObjectMeta, annotation, value) })
}

func (w *keyRoom) commandAt(annotation string, at time.Time) {
	w.t.Helper()
	w.command(annotation, at.Format(time.RFC3339))
}

// again is when the controller wants to look again.
func (w *keyRoom) again() time.Time {
	w.t.Helper()
	result, err := w.r.Reconcile(w.t.Context(), w.request())
	must(w.t, err)
	return w.now.Add(result.RequeueAfter)
}

// The clock makes keys and removes them: each new one is good when every gateway has
// it, and an old one goes when nothing is left under it.
func TestKeysAreRotatedOnSchedule(t *testing.T) {
	t.Parallel()
	w := newKeyRoom(t)
	start := w.now
	first := w.keySet().Keys[0]
	template := w.deployment().Spec.Template

	due := start.Add(90 * day)
	w.at(due.Add(-time.Second))
	w.has([]uint8{1})
	if again := w.again(); !again.Equal(due) {
		t.Errorf("the next look is at %v, want %v", again, due)
	}
	w.at(due)
	w.has([]uint8{1, 2})
	w.tells("Normal KeyRotated")
	set := w.keySet()
	if diff := cmp.Diff(first, set.Keys[0]); diff != "" {
		t.Error("the first key has changed")
	}
	if got := set.Keys[1].NotBefore; !got.Equal(due.Add(config.KeyPropagation)) {
		t.Errorf("the second key is good from %v on", got)
	}
	w.at(due.Add(time.Hour))
	w.has([]uint8{1, 2})

	// 90 days is also how long clients live.
	w.at(due.Add(90 * day))
	w.has([]uint8{1, 2, 3})
	over := due.Add(config.KeyPropagation + 91*day)
	if again := w.again(); !again.Equal(over) {
		t.Errorf("the next look is at %v, want %v", again, over)
	}
	w.at(over.Add(-time.Second))
	w.has([]uint8{1, 2, 3})
	w.restart()
	w.at(over)
	w.has([]uint8{2, 3})
	w.tells()
	if diff := cmp.Diff(template, w.deployment().Spec.Template); diff != "" {
		t.Errorf("new keys roll gateways:\n%s", diff)
	}
}

// What was made when things lived longer still does.
func TestAKeyOutlivesWhatWasMadeWithIt(t *testing.T) {
	t.Parallel()
	w := newKeyRoom(t)
	start := w.now
	ttl := func(days int32) {
		w.change(func(s *v1alpha1.MCPServer) { s.Spec.OAuth.RefreshTokenTTLSeconds = days * 86400 })
		w.pass(w.r)
	}
	ttl(200)
	w.at(start.Add(90 * day))
	ttl(30)
	superseded := start.Add(90*day + config.KeyPropagation)
	w.restart()
	w.at(superseded.Add(201*day - time.Second))
	if set := w.keySet(); set.Keys[0].ID != 1 {
		t.Error("the key is gone, and what was made with it is not")
	}
	w.at(superseded.Add(201 * day))
	if set := w.keySet(); set.Keys[0].ID == 1 {
		t.Error("the key is still there")
	}
}

func TestKeysAreRotatedByCommand(t *testing.T) {
	t.Parallel()
	w := newKeyRoom(t)
	start := w.now
	w.commandAt(v1alpha1.AnnotationRotateKeys, start)
	w.at(start.Add(time.Minute))
	w.has([]uint8{1}) // which was made then
	w.commandAt(v1alpha1.AnnotationRotateKeys, start.Add(time.Hour))
	w.at(start.Add(time.Hour))
	w.has([]uint8{1, 2})
	w.tells("Normal KeyRotated")
	w.restart()
	w.at(start.Add(2 * time.Hour))
	w.has([]uint8{1, 2})
	w.tells()

	// A time to come, as by the clock of somebody's machine, comes.
	later := start.Add(3 * time.Hour)
	w.commandAt(v1alpha1.AnnotationRotateKeys, later)
	for range 2 {
		w.pass(w.r)
	}
	w.has([]uint8{1, 2})
	w.tells("Warning KeyCommandPending")
	if again := w.again(); !again.Equal(later) {
		t.Errorf("the next look is at %v, want %v", again, later)
	}
	w.at(later)
	w.has([]uint8{1, 2, 3})
	w.tells("Normal KeyRotated")

	for _, nonsense := range []string{"", "now", "2027-01-02", "1798858800"} {
		w.command(v1alpha1.AnnotationRotateKeys, nonsense)
		for range 2 {
			w.pass(w.r)
		}
		w.has([]uint8{1, 2, 3})
		w.tells("Warning KeyCommandInvalid")
	}
	w.wants(v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
}

func TestKeysAreDroppedByCommand(t *testing.T) {
	t.Parallel()
	w := newKeyRoom(t)
	start := w.now
	w.commandAt(v1alpha1.AnnotationRotateKeys, start.Add(time.Hour))
	w.at(start.Add(time.Hour))
	w.has([]uint8{1, 2})
	w.tells("Normal KeyRotated")

	// The one that is still on its way to the gateways is as compromised.
	compromised := start.Add(time.Hour + time.Minute)
	w.commandAt(v1alpha1.AnnotationDropKeys, compromised)
	w.at(compromised.Add(2 * time.Second))
	w.has([]uint8{3}, 1, 2)
	w.tells("Warning KeysDropped")
	if k := w.keySet().Newest(); !k.NotBefore.Equal(w.now) || !k.MadeAt().Equal(w.now) {
		t.Errorf("the new key was made at %v, and is good from %v on", k.MadeAt(), k.NotBefore)
	}
	for _, later := range []time.Duration{time.Second, time.Hour, 30 * day} {
		w.restart()
		w.at(compromised.Add(later))
		w.has([]uint8{3}, 1, 2)
		w.tells()
	}
	// What is dropped is forgotten when nothing can be left of it; the command stays.
	w.at(compromised.Add(2*time.Second + 91*day))
	w.has([]uint8{3, 4})
	w.at(w.now.Add(91*day + config.KeyPropagation))
	w.has([]uint8{4, 5})
	w.restart()
	w.at(w.now.Add(time.Hour))
	w.has([]uint8{4, 5})
}

// Who is told that keys are dropped can rely on it: every pod that runs has said so, of
// whatever template, but for those on nodes that nobody can reach, which are named.
func TestADropIsOverWhenEveryGatewayHasFollowed(t *testing.T) {
	t.Parallel()
	w := newKeyRoom(t)
	pods := w.rollOut()
	running := func(change func(*corev1.PodStatus)) {
		for _, p := range pods {
			p.Status.Phase = corev1.PodRunning
			change(&p.Status)
			must(t, admin.Status().Update(t.Context(), p))
		}
	}
	running(func(*corev1.PodStatus) {})
	w.reports(pods, nil)
	w.at(w.now.Add(time.Hour))
	w.wants(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	w.commandAt(v1alpha1.AnnotationDropKeys, w.now)
	// The rollout of something else, which never comes, leaves the pods of before.
	w.change(func(s *v1alpha1.MCPServer) { s.Spec.OAuth.AccessTokenTTLSeconds = 60 })
	pending := func(who ...*corev1.Pod) {
		t.Helper()
		w.at(w.now.Add(time.Second))
		w.has([]uint8{2}, 1)
		w.tells()
		w.wants(v1alpha1.ConditionOAuthKVBound, metav1.ConditionFalse, v1alpha1.ReasonKeyDropPending)
		w.wants(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonKeyDropPending)
		message := w.condition(v1alpha1.ConditionOAuthKVBound).Message
		for _, p := range pods {
			if named := strings.Contains(message, p.Name); named != slices.Contains(who, p) {
				t.Errorf("pod %s is named: %v, in %q", p.Name, named, message)
			}
		}
		if again := w.again(); again.After(w.now.Add(retryDrop)) {
			t.Errorf("the next look is at %v", again)
		}
	}
	pending(pods...)
	knows := func(ids ...int) func(int, *config.Report) {
		return func(_ int, r *config.Report) { r.Keys = &config.LoadedKeys{Newest: 2, Dropped: ids} }
	}
	w.reports(pods[:1], knows(1))
	w.restart()
	pending(pods[1])
	w.reports(pods[1:], knows(7)) // an id of long ago
	pending(pods[1])
	running(func(s *corev1.PodStatus) { s.Reason = "NodeLost" })
	w.at(w.now.Add(time.Second))
	select {
	case said := <-w.recorder.Events:
		if !strings.HasPrefix(said, "Warning KeysDropped") || !strings.Contains(said, pods[1].Name) || strings.Contains(said, pods[0].Name) {
			t.Errorf("the event is %q", said)
		}
	default:
		t.Error("there is no event")
	}
	// From then on it is known, of pods that are made later, too.
	running(func(s *corev1.PodStatus) { s.Reason = "" })
	w.restart()
	w.at(w.now.Add(time.Second))
	w.tells()
	if c := w.condition(v1alpha1.ConditionOAuthKVBound); c.Reason == v1alpha1.ReasonKeyDropPending {
		t.Errorf("it is not over: %s", c.Message)
	}
	// The next drop is another.
	w.commandAt(v1alpha1.AnnotationDropKeys, w.now.Add(time.Minute))
	w.at(w.now.Add(time.Minute))
	w.wants(v1alpha1.ConditionOAuthKVBound, metav1.ConditionFalse, v1alpha1.ReasonKeyDropPending)
}

// A compromise does not wait for somebody to correct the spec.
func TestKeysAreDroppedThoughTheSpecIsRefused(t *testing.T) {
	t.Parallel()
	w := newKeyRoom(t)
	w.change(func(s *v1alpha1.MCPServer) {
		s.Spec.Access = &v1alpha1.Access{Rules: []v1alpha1.AccessRule{{Name: "bad", Expression: "claim.x"}}}
	})
	w.commandAt(v1alpha1.AnnotationDropKeys, w.now.Add(time.Hour))
	w.at(w.now.Add(time.Hour))
	w.wants(v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonAccessRuleInvalid)
	w.has([]uint8{2}, 1)
}

// Of two controllers that both find a key due, one makes it.
func TestTwoControllersMakeOneKey(t *testing.T) {
	t.Parallel()
	w := newKeyRoom(t)
	w.now = w.now.Add(90 * day)
	other := reconciler(robot)
	other.Now = w.r.Now
	c := newTap(nil)
	var between error
	c.fault = func(_, write int) (error, bool) {
		if write == 1 { // after it has read, and before it writes
			c.fault = nil
			_, between = other.Reconcile(t.Context(), w.request())
		}
		return nil, false
	}
	slow := reconciler(c)
	slow.Now, slow.Events = w.r.Now, w.recorder
	result, err := slow.Reconcile(t.Context(), w.request())
	if err != nil || result.RequeueAfter != time.Second || between != nil {
		t.Errorf("the one that lost: %v, %v; the other: %v", result, err, between)
	}
	w.has([]uint8{1, 2})
	w.tells()
	w.pass(slow)
	w.has([]uint8{1, 2})
}

// Wherever a pass breaks off, there is one new key in the end, and what gateways may
// have got of it stays.
func TestARotationThatBreaksOffIsMadeGood(t *testing.T) {
	t.Parallel()
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			for n := 1; n <= 2; n++ {
				w := newKeyRoom(t)
				w.now = w.now.Add(90 * day)
				c := newTap(f.at(n))
				r := reconciler(c)
				r.Now = w.r.Now
				_, err := r.Reconcile(t.Context(), w.request())
				if n == 1 && !errors.Is(err, errFault) && !apierrors.IsConflict(err) {
					t.Errorf("the pass says %v", err)
				}
				between := w.keySet()
				w.pass(w.r)
				w.has([]uint8{1, 2})
				if diff := cmp.Diff(between.Keys, w.keySet().Keys[:len(between.Keys)]); diff != "" {
					t.Error("a key has changed")
				}
				w.leave()
			}
		})
	}
}

func TestLostKeysAreNotMadeByARotation(t *testing.T) {
	t.Parallel()
	w := newKeyRoom(t)
	w.reports(w.rollOut(), nil)
	w.pass(w.r)
	keys := w.lose(v1alpha1.ShardSecret, "keys")
	w.commandAt(v1alpha1.AnnotationDropKeys, w.now)
	w.at(w.now.Add(90 * day))
	w.wants(v1alpha1.ConditionOAuthKVBound, metav1.ConditionFalse, v1alpha1.ReasonKeysLost)
	keys.SetResourceVersion("")
	keys.SetUID("")
	w.create(keys)
	w.pass(w.r)
	w.has([]uint8{1, 2})
}

// A Secret that is no key set is not written over, nor quoted.
func TestABrokenKeySetIsLeftAlone(t *testing.T) {
	t.Parallel()
	w := newKeyRoom(t)
	secret := &corev1.Secret{}
	w.read(w.gateway()+"-keys", secret)
	secret.Data["keyset.json"] = []byte(`{"version":1,"keys":"s3cret"}`)
	must(t, admin.Update(t.Context(), secret))
	before := w.bytes(secret)
	w.now = w.now.Add(90 * day)
	if _, err := w.r.Reconcile(t.Context(), w.request()); err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("the pass says %v", err)
	}
	if w.bytes(secret) != before {
		t.Error("it was written")
	}
	c := w.condition(v1alpha1.ConditionReconciling)
	if c.Reason != v1alpha1.ReasonRetrying || !strings.Contains(c.Message, "weather-gateway-keys") || strings.Contains(c.Message, "s3cret") {
		t.Errorf("Reconciling says %s: %s", c.Reason, c.Message)
	}
}

// A controller that runs takes commands as they come.
func TestARunningControllerTakesCommands(t *testing.T) {
	t.Parallel()
	w := &keyRoom{world: newWorld(t, namespace(t), "weather")}
	r := start(t, account(t, w.namespace, w.namespace), w.namespace)
	w.server()
	w.becomesReady()
	r.rest(w.world)
	has := func(want ...uint8) func() bool {
		return func() bool {
			var ids []uint8
			for _, k := range w.keySet().Keys {
				ids = append(ids, k.ID)
			}
			return cmp.Equal(ids, want)
		}
	}
	// The first key is older than the command by the second.
	for begun := time.Now().Truncate(time.Second); !time.Now().Truncate(time.Second).After(begun); {
		time.Sleep(10 * time.Millisecond)
	}
	w.commandAt(v1alpha1.AnnotationRotateKeys, time.Now())
	w.eventually("a second key", has(1, 2))
	w.commandAt(v1alpha1.AnnotationDropKeys, time.Now().Add(time.Second))
	w.eventually("a third key alone", has(3))
	r.rest(w.world)
	w.change(func(s *v1alpha1.MCPServer) {
		metav1.SetMetaDataAnnotation(&s.ObjectMeta, v1alpha1.AnnotationReconcile, "now")
	})
	w.eventually("the pass that was asked for", func() bool { return w.get().Status.LastHandledReconcileAt == "now" })
	r.rest(w.world)
	w.wants(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
}
