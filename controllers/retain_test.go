//go:build integration

package controllers

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/gateway/config"
)

func retained(s *v1alpha1.MCPServer) { s.Spec.DeletionPolicy = v1alpha1.DeletionRetain }

// of sets the kind and the least number of shards.
func of(kind v1alpha1.ShardKind, shards int32) func(*v1alpha1.MCPServer) {
	return func(s *v1alpha1.MCPServer) {
		s.Spec.Bindings.OAuthKV.Kubernetes = &v1alpha1.KubernetesKV{Kind: kind, MinShards: shards, MaxShards: 8}
	}
}

// collect deletes the MCPServer, and what the garbage collector would delete after it.
func (w *world) collect() {
	w.t.Helper()
	owned := w.owned()
	s := w.get()
	w.remove(s.DeepCopy(), w.name)
	for _, o := range owned {
		if metav1.IsControlledBy(o, s) {
			w.remove(o, o.GetName())
		}
	}
}

// configuration is what the gateways are told.
func (w *world) configuration() *config.Config {
	w.t.Helper()
	m := &corev1.ConfigMap{}
	w.read(w.deployment().Spec.Template.Annotations["mcp.vestibule.dev/config"], m)
	c := &config.Config{}
	must(w.t, json.Unmarshal([]byte(m.Data["config.json"]), c))
	return c
}

// record puts a record into the last shard of the grants.
func (w *world) record(kind v1alpha1.ShardKind, n int) {
	w.t.Helper()
	shard := newObject(string(kind))
	shard.SetNamespace(w.namespace)
	shard.SetName(fmt.Sprintf("%s-grants-%d", w.gateway(), n))
	field := map[v1alpha1.ShardKind]string{v1alpha1.ShardSecret: "data", v1alpha1.ShardConfigMap: "binaryData"}[kind]
	patch := fmt.Sprintf(`[{"op":"add","path":"/%s/record","value":"c2VhbGVk"}]`, field)
	must(w.t, admin.Patch(w.t.Context(), shard, client.RawPatch(types.JSONPatchType, []byte(patch))))
}

func (w *world) recorded(kind v1alpha1.ShardKind, n int) bool {
	w.t.Helper()
	shard := newObject(string(kind))
	w.read(fmt.Sprintf("%s-grants-%d", w.gateway(), n), shard)
	if len(shard.GetManagedFields()) > 0 {
		w.t.Errorf("%s has managed fields", shard.GetName())
	}
	switch o := shard.(type) {
	case *corev1.Secret:
		return string(o.Data["record"]) == "sealed"
	case *corev1.ConfigMap:
		return string(o.BinaryData["record"]) == "sealed"
	}
	return false
}

// A live server's objects follow the policy in either direction, though the spec is
// refused, and no gateway is rolled. Others' ownership is theirs.
func TestTheDeletionPolicyIsChanged(t *testing.T) {
	t.Parallel()
	for _, kind := range []v1alpha1.ShardKind{v1alpha1.ShardSecret, v1alpha1.ShardConfigMap} {
		t.Run(string(kind), func(t *testing.T) {
			w := newWorld(t, namespace(t), "weather")
			s := w.server(of(kind, 2))
			r := reconciler(robot)
			w.pass(r)
			w.reports(w.rollOut(), nil)
			w.pass(r)
			generation := w.deployment().Generation
			names := []string{"Secret/weather-gateway-keys"}
			for _, part := range []string{"clients-0", "clients-1", "grants-0", "grants-1"} {
				names = append(names, string(kind)+"/weather-gateway-"+part)
			}
			owners := func(o *unstructured.Unstructured) (all []string) {
				for _, r := range o.GetOwnerReferences() {
					all = append(all, r.Kind)
				}
				return all
			}
			shard := newObject(string(kind))
			w.read("weather-gateway-grants-1", shard)
			shard.SetOwnerReferences(append([]metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "x", UID: "x"}}, shard.GetOwnerReferences()...))
			must(t, admin.Update(t.Context(), shard))
			is := func(policy v1alpha1.DeletionPolicy, labels string, owner ...string) {
				t.Helper()
				w.pass(r)
				owned := w.owned()
				for _, name := range names {
					o, want := owned[name], owner
					if strings.HasSuffix(name, "grants-1") {
						want = append([]string{"ConfigMap"}, owner...)
					}
					if o == nil || o.GetLabels()["mcp.vestibule.dev/retained-for"] != labels || fmt.Sprint(owners(o)) != fmt.Sprint(want) {
						t.Errorf("with %s, %s is %v", policy, name, o)
					}
				}
				if o := owned["ConfigMap/weather-gateway-report"]; fmt.Sprint(owners(o)) != "[MCPServer]" {
					t.Errorf("the report is %v", o)
				}
				if got := w.get().Status.DeletionPolicy; got != policy {
					t.Errorf("status.deletionPolicy is %q, want %q", got, policy)
				}
				if w.deployment().Generation != generation {
					t.Error("gateways are rolled")
				}
				c := newTap(nil)
				w.settle(r, c)
			}
			is(v1alpha1.DeletionDelete, "", "MCPServer")
			w.change(retained)
			is(v1alpha1.DeletionRetain, string(s.UID))
			counts := w.owned()["Secret/weather-gateway-keys"].GetLabels()
			if counts["mcp.vestibule.dev/client-shards"] != "2" || counts["mcp.vestibule.dev/grant-shards"] != "2" {
				t.Errorf("the keys say %v", counts)
			}
			refused := func(expression string) func(*v1alpha1.MCPServer) {
				return func(s *v1alpha1.MCPServer) {
					s.Spec.Access = &v1alpha1.Access{Rules: []v1alpha1.AccessRule{{Name: "a", Expression: expression}}}
				}
			}
			w.change(refused("claims."))
			w.change(func(s *v1alpha1.MCPServer) { s.Spec.DeletionPolicy = v1alpha1.DeletionDelete })
			is(v1alpha1.DeletionDelete, "", "MCPServer")
			w.change(retained)
			is(v1alpha1.DeletionRetain, string(s.UID))
			w.wants(v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonAccessRuleInvalid)
		})
	}
}

// A new MCPServer of the same name and publicURL goes on with what was retained.
func TestWhatIsRetainedIsAdopted(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind   v1alpha1.ShardKind
		policy v1alpha1.DeletionPolicy
	}{{v1alpha1.ShardSecret, v1alpha1.DeletionRetain}, {v1alpha1.ShardSecret, v1alpha1.DeletionDelete}, {v1alpha1.ShardConfigMap, v1alpha1.DeletionRetain}} {
		t.Run(string(c.kind)+string(c.policy), func(t *testing.T) {
			w := newWorld(t, namespace(t), "weather")
			first := w.server(of(c.kind, 3), retained)
			r := reconciler(robot)
			w.pass(r)
			w.reports(w.rollOut(), nil)
			w.pass(r)
			w.record(c.kind, 2)
			keys, fingerprint := w.keys(), w.get().Status.KeyFingerprint
			w.collect()
			w.pass(r)

			for range 2 { // And once more, by another.
				second := w.server(of(c.kind, 1), func(s *v1alpha1.MCPServer) { s.Spec.DeletionPolicy = c.policy })
				recorder := events.NewFakeRecorder(10)
				r = reconciler(robot)
				r.Events = recorder
				w.pass(r)
				w.wants(v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
				if len(recorder.Events) != 1 {
					t.Fatalf("%d events, want one", len(recorder.Events))
				}
				if event := <-recorder.Events; !strings.HasPrefix(event, "Normal StoreAdopted") {
					t.Errorf("the event is %q", event)
				}
				w.reports(w.rollOut(), nil)
				w.pass(r)
				w.wants(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
				w.wants(v1alpha1.ConditionStoreAdopted, metav1.ConditionTrue, v1alpha1.ReasonAdopted)
				if got := w.get().Status.KeyFingerprint; got == "" || got != fingerprint {
					t.Errorf("the fingerprint is %q, want %q", got, fingerprint)
				}
				w.settle(r, newTap(nil))
				if w.keys() != keys || !w.recorded(c.kind, 2) {
					t.Error("the keys or the record are others")
				}
				got := w.configuration()
				if got.ServerUID != string(first.UID) || got.Store.Kubernetes.ClientShards != 3 || got.Store.Kubernetes.GrantShards != 3 {
					t.Errorf("the gateways are told of %s, and of %+v", got.ServerUID, got.Store.Kubernetes)
				}
				if n := len(w.owned()); n != 10+2*3 {
					t.Errorf("%d objects are its own", n)
				}
				for name, o := range w.owned() {
					if retained := strings.Contains(name, "-keys") || strings.Contains(name, "-grants-") || strings.Contains(name, "-clients-"); retained &&
						metav1.IsControlledBy(o, second) != (c.policy == v1alpha1.DeletionDelete) {
						t.Errorf("%s has the owners %v", name, o.GetOwnerReferences())
					}
				}
				if c.policy == v1alpha1.DeletionDelete {
					break
				}
				w.collect()
			}
		})
	}
}

// What does not fit is neither used nor touched, and the message says what to do.
func TestWhatIsRetainedDoesNotFit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, says string
		other      func(*v1alpha1.MCPServer)
	}{
		{"another publicURL", "another publicURL", func(s *v1alpha1.MCPServer) { s.Spec.PublicURL += "/other" }},
		{"another kind", "kubernetes.kind", of(v1alpha1.ShardConfigMap, 1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, namespace(t), "weather")
			w.server(retained)
			r := reconciler(robot)
			w.pass(r)
			var left []client.Object
			for _, name := range []string{"keys", "clients-0", "grants-0"} {
				o := &corev1.Secret{}
				w.read(w.gateway()+"-"+name, o)
				left = append(left, o)
			}
			w.collect()
			before := map[string]string{}
			for _, o := range left {
				before[o.GetName()] = w.bytes(o)
			}
			w.server(c.other)
			w.pass(r)
			w.pass(r)
			w.wants(v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonRetainedDiffers)
			m := w.condition(v1alpha1.ConditionAccepted).Message
			w.wants(v1alpha1.ConditionOAuthKVBound, metav1.ConditionUnknown, v1alpha1.ReasonNotReported)
			if !strings.Contains(m, c.says) || strings.Contains(m, "delete") || !strings.Contains(m, "docs/stores.md") {
				t.Errorf("it says: %s", m)
			}
			if n := len(w.owned()); n != 0 {
				t.Errorf("there are %d objects nevertheless", n)
			}
			after := map[string]string{}
			for _, o := range left {
				after[o.GetName()] = w.bytes(o)
			}
			differ(t, "what was retained", before, after)

			labels := client.MatchingLabels{"mcp.vestibule.dev/server": "weather"}
			must(t, admin.DeleteAllOf(t.Context(), &corev1.Secret{}, client.InNamespace(w.namespace), labels, client.HasLabels{"mcp.vestibule.dev/retained-for"}))
			w.pass(r)
			w.wants(v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
			w.wants(v1alpha1.ConditionReady, metav1.ConditionUnknown, v1alpha1.ReasonNotReported)
		})
	}
}

// What is lost of what was retained is missed, and what comes back is taken up.
func TestWhatIsRetainedIsLost(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, reason string
		lost         []string
	}{
		{"the keys", v1alpha1.ReasonKeysLost, []string{"keys"}},
		{"the last shard", v1alpha1.ReasonStoreObjectLost, []string{"grants-2"}},
		{"one in between", v1alpha1.ReasonStoreObjectLost, []string{"clients-1"}},
		{"all shards", v1alpha1.ReasonStoreObjectLost, []string{"clients-0", "clients-1", "clients-2", "grants-0", "grants-1", "grants-2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, namespace(t), "weather")
			w.server(of(v1alpha1.ShardSecret, 3), retained)
			r := reconciler(robot)
			w.pass(r)
			var lost []client.Object
			for _, name := range c.lost {
				lost = append(lost, w.lose(v1alpha1.ShardSecret, name))
			}
			w.collect()
			w.server(of(v1alpha1.ShardSecret, 1), retained)
			tap := newTap(nil)
			r = reconciler(tap)
			w.pass(r)
			w.pass(r)
			w.wants(v1alpha1.ConditionOAuthKVBound, metav1.ConditionFalse, c.reason)
			if m := w.condition(v1alpha1.ConditionOAuthKVBound).Message; strings.Contains(m, "delete") || !strings.Contains(m, "docs/stores.md") {
				t.Errorf("it says: %s", m)
			}
			if len(tap.writes) != 1 || !strings.HasPrefix(tap.writes[0], "patch status") {
				t.Errorf("after a loss it writes %v", tap.writes)
			}
			for _, o := range lost {
				o.SetResourceVersion("")
				o.SetUID("")
				w.create(o)
			}
			w.pass(r)
			w.reports(w.rollOut(), nil)
			w.pass(r)
			w.wants(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
			if n := len(w.owned()); n != 10+2*3 {
				t.Errorf("%d objects are its own", n)
			}
		})
	}
}

// A backup of any server, of today's or of an older controller's, is one to adopt in
// another place, though kubectl apply restores it.
func TestABackupIsAdopted(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		kind  v1alpha1.ShardKind
		given func(w *world)
	}{
		{"one to be deleted", v1alpha1.ShardSecret, func(*world) {}},
		{"one with ConfigMaps", v1alpha1.ShardConfigMap, func(*world) {}},
		{"one to be retained", v1alpha1.ShardSecret, func(w *world) { w.change(retained); w.pass(reconciler(robot)) }},
		{"one that is gone", v1alpha1.ShardSecret, func(w *world) { w.change(retained); w.pass(reconciler(robot)); w.collect() }},
		{"one of an older controller", v1alpha1.ShardSecret, func(w *world) {
			keys := &corev1.Secret{}
			w.read(w.gateway()+"-keys", keys)
			maps.DeleteFunc(keys.Labels, func(k, _ string) bool { return strings.HasPrefix(k, "mcp.vestibule.dev/") })
			must(w.t, admin.Update(w.t.Context(), keys))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, namespace(t), "weather")
			first := w.server(of(c.kind, 3))
			w.pass(reconciler(robot))
			w.record(c.kind, 1)
			keys := w.keys()
			c.given(w)
			objects, err := Backup(t.Context(), admin, w.namespace, "weather")
			must(t, err)
			if len(objects) != 7 {
				t.Errorf("%d objects, want 7", len(objects))
			}
			w.leave()

			there := newWorld(t, namespace(t), "weather")
			for _, o := range objects {
				data, err := json.Marshal(o)
				must(t, err)
				metav1.SetMetaDataAnnotation(metaOf(o), corev1.LastAppliedConfigAnnotation, string(data))
				o.SetNamespace(there.namespace)
				there.create(o)
			}
			second := there.server(of(c.kind, 1), retained, func(s *v1alpha1.MCPServer) { s.Spec.PublicURL = first.Spec.PublicURL })
			r := reconciler(robot)
			there.pass(r)
			there.reports(there.rollOut(), nil)
			there.pass(r)
			there.wants(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
			if there.keys() != keys || !there.recorded(c.kind, 1) {
				t.Error("the keys or the record are others")
			}
			if got := there.configuration(); got.ServerUID != string(first.UID) || got.Store.Kubernetes.GrantShards != 3 {
				t.Errorf("the gateways are told of %s, and of %+v", got.ServerUID, got.Store.Kubernetes)
			}
			for name, o := range there.owned() {
				if o.GetAnnotations()[corev1.LastAppliedConfigAnnotation] != "" {
					t.Errorf("%s holds its records twice", name)
				}
				if strings.Contains(name, "-grants-") && o.GetLabels()["mcp.vestibule.dev/retained-for"] != string(second.UID) {
					t.Errorf("%s is retained for %v", name, o.GetLabels())
				}
			}
		})
	}
}

func metaOf(o client.Object) *metav1.ObjectMeta {
	switch o := o.(type) {
	case *corev1.Secret:
		return &o.ObjectMeta
	case *corev1.ConfigMap:
		return &o.ObjectMeta
	}
	return nil
}

// Of a store that is an etcd, the keys are all there is to retain. They know where the
// records are, and under which prefix.
func TestTheKeysOfAnEtcdAreAdopted(t *testing.T) {
	t.Parallel()
	etcd := func(s *v1alpha1.MCPServer) {
		s.Spec.Bindings.OAuthKV = v1alpha1.OAuthKV{Type: v1alpha1.OAuthKVEtcd, Etcd: &v1alpha1.EtcdKV{Endpoints: []string{"https://etcd.example.com:2379"}, Prefix: "/vestibule"}}
	}
	w := newWorld(t, namespace(t), "weather")
	first := w.server(etcd, retained)
	r := reconciler(robot)
	w.pass(r)
	w.collect()
	// Elsewhere, every record would be missing.
	w.server(retained)
	w.pass(r)
	w.wants(v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonMigrationUnfinished)
	w.collect()

	w.server(etcd, retained)
	w.pass(r)
	w.wants(v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	if got, want := w.configuration().Store.Etcd.Prefix, "/vestibule/"+string(first.UID); got != want {
		t.Errorf("the prefix is %s, want %s", got, want)
	}
}
