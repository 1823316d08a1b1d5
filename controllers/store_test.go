//go:build integration

package controllers

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/gateway/config"
)

// What held records, or opened them, is never made anew by itself: the user hears
// of it, nothing is written, and what is restored is taken up again.
func TestWhatIsLostIsNotReplaced(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, reason string
		kind         v1alpha1.ShardKind
		lost         []string
	}{
		{"the keys", v1alpha1.ReasonKeysLost, v1alpha1.ShardSecret, []string{"keys"}},
		{"the first shard", v1alpha1.ReasonStoreObjectLost, v1alpha1.ShardSecret, []string{"grants-0"}},
		{"the last shard", v1alpha1.ReasonStoreObjectLost, v1alpha1.ShardSecret, []string{"clients-2"}},
		{"the last shard and the Deployment", v1alpha1.ReasonStoreObjectLost, v1alpha1.ShardSecret, []string{"grants-2", "the Deployment"}},
		{"a ConfigMap", v1alpha1.ReasonStoreObjectLost, v1alpha1.ShardConfigMap, []string{"grants-1"}},
		{"all shards", v1alpha1.ReasonStoreObjectLost, v1alpha1.ShardSecret,
			[]string{"clients-0", "clients-1", "clients-2", "grants-0", "grants-1", "grants-2"}},
		{"keys and shards", v1alpha1.ReasonKeysLost, v1alpha1.ShardSecret,
			[]string{"keys", "clients-0", "clients-1", "clients-2", "grants-0", "grants-1", "grants-2"}},
		// Then only the status is left to say that there was something.
		{"everything", v1alpha1.ReasonKeysLost, v1alpha1.ShardSecret, []string{"keys", "clients-0", "clients-1", "clients-2",
			"grants-0", "grants-1", "grants-2", "the Role", "the Deployment"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, namespace(t), "weather")
			w.server(func(s *v1alpha1.MCPServer) {
				s.Spec.Bindings.OAuthKV.Kubernetes = &v1alpha1.KubernetesKV{Kind: c.kind, MinShards: 3, MaxShards: 8}
			})
			r := reconciler(robot)
			w.pass(r)
			w.reports(w.rollOut(), nil)
			w.pass(r)
			w.wants(v1alpha1.ConditionOAuthKVBound, metav1.ConditionTrue, v1alpha1.ReasonBound)

			var lost []client.Object
			for _, name := range c.lost {
				o := w.lose(c.kind, name)
				if o != nil {
					lost = append(lost, o)
				}
			}
			tap := newTap(nil)
			recorder := events.NewFakeRecorder(10)
			r = reconciler(tap)
			r.Events = recorder
			for range 2 {
				w.pass(r)
			}
			w.wants(v1alpha1.ConditionOAuthKVBound, metav1.ConditionFalse, c.reason)
			w.wants(v1alpha1.ConditionReady, metav1.ConditionFalse, c.reason)
			w.wants(v1alpha1.ConditionStalled, metav1.ConditionTrue, c.reason)
			if len(tap.writes) != 1 || !strings.HasPrefix(tap.writes[0], "patch status") {
				t.Errorf("after a loss it writes %v", tap.writes)
			}
			if len(recorder.Events) != 1 {
				t.Fatalf("%d events, want one", len(recorder.Events))
			}
			if event := <-recorder.Events; !strings.HasPrefix(event, "Warning "+c.reason) {
				t.Errorf("the event is %q", event)
			}

			for _, o := range lost {
				o.SetResourceVersion("")
				o.SetUID("")
				w.create(o)
			}
			w.pass(r)
			if reason := w.condition(v1alpha1.ConditionOAuthKVBound).Reason; reason == c.reason {
				t.Errorf("what was restored is still lost: %s", w.condition(v1alpha1.ConditionOAuthKVBound).Message)
			}
		})
	}
}

// lose deletes an object by the end of its name, and returns it if it is one to restore.
func (w *world) lose(kind v1alpha1.ShardKind, name string) client.Object {
	w.t.Helper()
	switch name {
	case "the Role", "the Deployment":
		o := newObject(strings.TrimPrefix(name, "the "))
		w.remove(o, w.gateway())
		return nil
	}
	o := newObject(string(kind))
	if name == "keys" {
		o = &corev1.Secret{}
	}
	w.read(w.gateway()+"-"+name, o)
	w.remove(o.DeepCopyObject().(client.Object), o.GetName())
	return o
}

// Shards are added when gateways ask for them, up to the limit, and none is removed.
func TestShardsAreAdded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, namespace(t), "weather")
	w.server(func(s *v1alpha1.MCPServer) { s.Spec.Bindings.OAuthKV.Kubernetes.MaxShards = 6 })
	r := reconciler(robot)
	w.pass(r)
	filling := func(_ int, r *config.Report) { r.FillingGrants = true }
	shards := func(clients, grants int) {
		t.Helper()
		w.pass(r)
		var got []string
		for name := range w.owned() {
			if strings.Contains(name, "-clients-") || strings.Contains(name, "-grants-") {
				got = append(got, strings.TrimPrefix(name, "Secret/weather-gateway-"))
			}
		}
		var want []string
		for n := range clients {
			want = append(want, fmt.Sprintf("clients-%d", n))
		}
		for n := range grants {
			want = append(want, fmt.Sprintf("grants-%d", n))
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("the shards are %v, want %v", got, want)
		}
	}
	shards(1, 1)
	w.reports(w.rollOut(), filling)
	shards(1, 4)
	shards(1, 4) // The report is of pods of an older template.
	w.reports(w.rollOut(), filling)
	shards(1, 6)
	w.reports(w.rollOut(), filling)
	shards(1, 6)
	w.change(func(s *v1alpha1.MCPServer) {
		s.Spec.Bindings.OAuthKV.Kubernetes.MinShards, s.Spec.Bindings.OAuthKV.Kubernetes.MaxShards = 3, 3
	})
	shards(3, 6)
	w.change(func(s *v1alpha1.MCPServer) { s.Spec.Bindings.OAuthKV.Kubernetes.MinShards = 1 })
	shards(3, 6)
	// Somebody's idea of what the gateway may do is no sign of a loss.
	role := &rbacv1.Role{}
	w.read("weather-gateway", role)
	role.Rules[0].ResourceNames = append(role.Rules[0].ResourceNames, "weather-gateway-grants-77")
	must(t, admin.Update(t.Context(), role))
	shards(3, 6)
	if len(w.deployment().Spec.Template.Annotations) != 4 {
		t.Errorf("the template's annotations: %v", w.deployment().Spec.Template.Annotations)
	}
}

// A server without shards keeps its keys as carefully.
func TestAStoreInMemory(t *testing.T) {
	t.Parallel()
	w := newWorld(t, namespace(t), "weather")
	w.server(func(s *v1alpha1.MCPServer) {
		s.Spec.Bindings.OAuthKV = v1alpha1.OAuthKV{Type: v1alpha1.OAuthKVMemory}
		s.Spec.Gateway.Replicas = 1
	})
	r := reconciler(robot)
	w.pass(r)
	for name := range w.owned() {
		if strings.Contains(name, "-clients-") || strings.Contains(name, "-grants-") {
			t.Errorf("there is a shard %s", name)
		}
	}
	if s := w.deployment().Spec.Strategy.Type; s != "Recreate" {
		t.Errorf("two memories at a time: the strategy is %s", s)
	}
	w.reports(w.rollOut(), nil)
	w.pass(r)
	w.wants(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	w.remove(&corev1.Secret{}, "weather-gateway-keys")
	w.pass(r)
	w.wants(v1alpha1.ConditionOAuthKVBound, metav1.ConditionFalse, v1alpha1.ReasonKeysLost)
}

// A change of the store waits until every record is in the new one, and notices who
// takes the old one out of the spec before that.
func TestTheStoreIsChanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t, namespace(t), "weather")
	w.server()
	r := reconciler(robot)
	w.pass(r)
	w.reports(w.rollOut(), nil)
	w.pass(r)
	shards := *w.get().Spec.Bindings.OAuthKV.Kubernetes
	elsewhere := &v1alpha1.EtcdKV{Endpoints: []string{"https://etcd.example.com:2379"}, Prefix: "/vestibule", TLSSecretRef: &v1alpha1.ObjectReference{Name: "etcd-client"}}

	w.change(func(s *v1alpha1.MCPServer) {
		kv := &s.Spec.Bindings.OAuthKV
		kv.Type, kv.MigrateFrom, kv.Etcd = v1alpha1.OAuthKVEtcd, v1alpha1.MigrateFromKubernetes, elsewhere
	})
	w.pass(r)
	w.wants(v1alpha1.ConditionOAuthKVBound, metav1.ConditionFalse, v1alpha1.ReasonSecretMissing)
	w.create(&corev1.Secret{ObjectMeta: w.meta("etcd-client")})
	w.pass(r)
	w.wants(v1alpha1.ConditionOAuthKVBound, metav1.ConditionFalse, v1alpha1.ReasonSecretNotAllowed)
	w.remove(&corev1.Secret{}, "etcd-client")
	w.create(&corev1.Secret{ObjectMeta: w.allowed("etcd-client"), Data: map[string][]byte{"tls.crt": {1}, "tls.key": {2}}})
	w.pass(r)
	w.wants(v1alpha1.ConditionOAuthKVBound, metav1.ConditionUnknown, v1alpha1.ReasonNotReported)

	// Too early.
	forget := func(s *v1alpha1.MCPServer) {
		s.Spec.Bindings.OAuthKV.MigrateFrom, s.Spec.Bindings.OAuthKV.Kubernetes = "", nil
	}
	w.change(forget)
	w.pass(r)
	w.wants(v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonMigrationUnfinished)
	w.change(func(s *v1alpha1.MCPServer) {
		s.Spec.Bindings.OAuthKV.MigrateFrom, s.Spec.Bindings.OAuthKV.Kubernetes = v1alpha1.MigrateFromKubernetes, &shards
	})
	w.pass(r)
	w.wants(v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)

	w.reports(w.rollOut(), nil)
	w.pass(r)
	w.wants(v1alpha1.ConditionOAuthKVBound, metav1.ConditionTrue, v1alpha1.ReasonMigrated)
	w.change(forget)
	w.pass(r)
	w.reports(w.rollOut(), nil)
	w.pass(r)
	w.wants(v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	w.wants(v1alpha1.ConditionOAuthKVBound, metav1.ConditionTrue, v1alpha1.ReasonMigrated)
	for _, name := range []string{"clients-0", "grants-0"} {
		w.lose(v1alpha1.ShardSecret, name)
	}
	w.pass(r)
	w.wants(v1alpha1.ConditionOAuthKVBound, metav1.ConditionTrue, v1alpha1.ReasonBound)

	// And back: there are no shards, and none is missed.
	w.change(func(s *v1alpha1.MCPServer) {
		kv := &s.Spec.Bindings.OAuthKV
		kv.Type, kv.MigrateFrom = v1alpha1.OAuthKVKubernetes, v1alpha1.MigrateFromEtcd
		kv.Kubernetes = &v1alpha1.KubernetesKV{Kind: v1alpha1.ShardSecret, MinShards: 16, MaxShards: 16}
	})
	w.pass(r)
	// Too early, here too.
	w.change(func(s *v1alpha1.MCPServer) {
		s.Spec.Bindings.OAuthKV.MigrateFrom, s.Spec.Bindings.OAuthKV.Etcd = "", nil
	})
	w.pass(r)
	w.wants(v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonMigrationUnfinished)
	w.change(func(s *v1alpha1.MCPServer) {
		s.Spec.Bindings.OAuthKV.MigrateFrom, s.Spec.Bindings.OAuthKV.Etcd = v1alpha1.MigrateFromEtcd, elsewhere
	})
	w.pass(r)
	w.wants(v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	w.reports(w.rollOut(), nil)
	w.pass(r)
	w.wants(v1alpha1.ConditionOAuthKVBound, metav1.ConditionTrue, v1alpha1.ReasonMigrated)
	w.lose(v1alpha1.ShardSecret, "grants-15")
	w.pass(r)
	w.wants(v1alpha1.ConditionOAuthKVBound, metav1.ConditionFalse, v1alpha1.ReasonStoreObjectLost)
}
