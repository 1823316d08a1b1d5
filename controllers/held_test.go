//go:build integration

package controllers

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/version"
)

// policy is the one that the server's gateways follow.
func (w *world) policy() *config.Policy {
	w.t.Helper()
	m := &corev1.ConfigMap{}
	w.read(w.gateway()+"-policy", m)
	p, err := config.ParsePolicy([]byte(m.Data[config.PolicyKey]))
	must(w.t, err)
	return p
}

// served is a server that is ready, and its controller.
func served(t *testing.T, changes ...func(*v1alpha1.MCPServer)) (*world, *Reconciler) {
	t.Helper()
	w, r := newWorld(t, namespace(t), "weather"), reconciler(robot)
	w.server(changes...)
	w.pass(r)
	w.finish()
	w.pass(r)
	w.wants(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	return w, r
}

func lockedOut(s *v1alpha1.MCPServer) {
	s.Spec.Access = &v1alpha1.Access{Rules: []v1alpha1.AccessRule{{Name: "nobody", Expression: "false"}}}
}

// A user can be locked out while other things are broken.
func TestAccessRulesTakeEffectWhateverElseIsWrong(t *testing.T) {
	t.Parallel()
	for name, wrong := range map[string]func(w *world){
		"the backend is gone": func(w *world) { w.remove(&corev1.Service{}, w.name+"-backend") },
		"another object is in the way": func(w *world) {
			w.remove(&rbacv1.Role{}, w.gateway())
			w.create(&rbacv1.Role{ObjectMeta: w.meta(w.gateway())})
		},
		"the keys are gone": func(w *world) { w.remove(&corev1.Secret{}, w.gateway()+"-keys") },
		"a shard is gone":   func(w *world) { w.remove(&corev1.Secret{}, w.gateway()+"-grants-0") },
		"a Secret is gone":  func(w *world) { w.remove(&corev1.Secret{}, w.name+"-oidc") },
		"a route is exposed": func(w *world) {
			w.change(func(s *v1alpha1.MCPServer) {
				s.Spec.Routes = append(s.Spec.Routes, v1alpha1.Route{
					Name: "open", Path: "/open", Transport: v1alpha1.TransportHTTP, Authentication: v1alpha1.AuthenticationNone, BackendPath: "/",
				})
			})
		},
		"the pods are refused": func(w *world) {
			w.deploymentSays(appsv1.DeploymentCondition{Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Reason: "FailedCreate"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, r := served(t)
			wrong(w)
			w.change(lockedOut)
			_, _ = r.Reconcile(t.Context(), w.request()) // what it says is another matter
			if rules := w.policy().AccessRules; len(rules) != 1 {
				t.Errorf("the access rules are %v", rules)
			}
		})
	}
	w, r := served(t)
	w.change(func(s *v1alpha1.MCPServer) {
		lockedOut(s)
		s.Spec.Access.Rules[0].Expression = "claim.x"
	})
	w.pass(r)
	if rules := w.policy().AccessRules; len(rules) != 0 {
		t.Errorf("rules that do not compile take effect: %v", rules)
	}
}

// What the spec refers to may be missing: nothing else waits for it.
func TestWhatIsMissingIsMissedByNothingElse(t *testing.T) {
	t.Parallel()
	w, r := served(t)
	template := w.deployment().Spec.Template
	w.remove(&corev1.Secret{}, w.name+"-oidc")
	w.pass(r)
	w.wants(v1alpha1.ConditionUpstreamReady, metav1.ConditionFalse, v1alpha1.ReasonSecretMissing)
	if w.deployment().Spec.Template.Labels["mcp.vestibule.dev/template"] != template.Labels["mcp.vestibule.dev/template"] {
		t.Error("gateways that have it are replaced by such as have not")
	}
	// What is asked for takes effect, and what is gone is made again.
	w.change(func(s *v1alpha1.MCPServer) { s.Spec.Gateway.Replicas = 3 })
	w.remove(&appsv1.Deployment{}, w.gateway())
	w.remove(&corev1.Service{}, w.gateway())
	w.pass(r)
	w.read(w.gateway(), &corev1.Service{})
	if d := w.deployment(); *d.Spec.Replicas != 3 {
		t.Errorf("there are to be %d gateways", *d.Spec.Replicas)
	}
	w.secret("s3cret")
	w.pass(r)
	w.finish()
	w.pass(r)
	w.wants(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)

	// A reference to nothing, though, is a slip: gateways that serve stay.
	template = w.deployment().Spec.Template
	w.change(func(s *v1alpha1.MCPServer) { s.Spec.Upstreams[0].OIDC.ClientSecretRef.Name = "slip" })
	w.remove(&corev1.Service{}, w.gateway())
	w.pass(r)
	if w.deployment().Spec.Template.Labels["mcp.vestibule.dev/template"] != template.Labels["mcp.vestibule.dev/template"] {
		t.Error("a slip replaces gateways that serve")
	}
	w.read(w.gateway(), &corev1.Service{})
	if m := w.condition(v1alpha1.ConditionGatewayAvailable).Message; strings.Contains(m, "current") || !strings.Contains(m, "UpstreamReady") {
		t.Errorf("GatewayAvailable says: %s", m)
	}
	w.wants(v1alpha1.ConditionReconciling, metav1.ConditionFalse, v1alpha1.ReasonSettled)
}

// A Secret that the server may not use is not given to its gateways.
func TestASecretThatIsNotAllowedIsNotMounted(t *testing.T) {
	t.Parallel()
	w, r := newWorld(t, namespace(t), "weather"), reconciler(robot)
	w.allow("")
	w.server()
	w.pass(r)
	for _, v := range w.deployment().Spec.Template.Spec.Volumes {
		if v.Projected != nil && len(v.Projected.Sources) > 0 {
			t.Errorf("the gateway has %v", v.Projected.Sources)
		}
	}
	w.wants(v1alpha1.ConditionUpstreamReady, metav1.ConditionFalse, v1alpha1.ReasonSecretNotAllowed)
}

// A quota that stops the store from growing stops nothing else.
func TestAStoreThatMayNotGrow(t *testing.T) {
	t.Parallel()
	w, _ := served(t)
	c := newTap(nil)
	full := true
	c.fault = func(int, int) (error, bool) {
		if last := c.calls[len(c.calls)-1]; full && strings.HasPrefix(last, "create *v1.Secret ") {
			return apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, "", errors.New("exceeded quota: full")), false
		}
		return nil, false
	}
	r := reconciler(c)
	w.change(func(s *v1alpha1.MCPServer) {
		lockedOut(s)
		s.Spec.Bindings.OAuthKV.Kubernetes.MinShards = 4
		s.Spec.Gateway.Replicas = 3
	})
	result, err := r.Reconcile(t.Context(), w.request())
	if err != nil || result.RequeueAfter == 0 || result.RequeueAfter > retryGrowth {
		t.Errorf("the pass says %v, and comes again after %v", err, result.RequeueAfter)
	}
	w.finish()
	w.pass(r)
	w.wants(v1alpha1.ConditionOAuthKVBound, metav1.ConditionTrue, v1alpha1.ReasonStoreNotGrown)
	w.wants(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	if m := w.condition(v1alpha1.ConditionOAuthKVBound).Message; !strings.Contains(m, "exceeded quota: full") {
		t.Errorf("the message is %s", m)
	}
	if d := w.deployment(); *d.Spec.Replicas != 3 || len(w.policy().AccessRules) != 1 {
		t.Errorf("there are to be %d gateways, and the access rules are %v", *d.Spec.Replicas, w.policy().AccessRules)
	}
	full = false
	w.pass(r)
	w.finish()
	w.pass(r)
	w.wants(v1alpha1.ConditionOAuthKVBound, metav1.ConditionTrue, v1alpha1.ReasonBound)
	w.read(w.gateway()+"-grants-3", &corev1.Secret{})
}

// What gateways that run need, they may, as long as they run.
func TestRightsOutliveARollout(t *testing.T) {
	t.Parallel()
	w, r := served(t, func(s *v1alpha1.MCPServer) {
		s.Spec.Bindings.MCPObject.SessionAffinity = v1alpha1.SessionAffinitySession
	})
	mayFollow := func() bool {
		t.Helper()
		role := &rbacv1.Role{}
		w.read(w.gateway(), role)
		for _, rule := range role.Rules {
			if rule.Resources[0] == "endpointslices" {
				return true
			}
		}
		return false
	}
	if !mayFollow() {
		t.Fatal("gateways that tell pods apart may not look for them")
	}
	w.change(func(s *v1alpha1.MCPServer) { s.Spec.Bindings.MCPObject.SessionAffinity = v1alpha1.SessionAffinityNone })
	w.pass(r) // applies the Deployment
	w.pass(r)
	if !mayFollow() {
		t.Error("the rights of pods that run are withdrawn")
	}
	// A template that cannot be rendered takes no rights either.
	w.change(func(s *v1alpha1.MCPServer) { s.Spec.Bindings.MCPObject.Service.Port = intstr.FromInt32(9) })
	w.pass(r)
	if !mayFollow() {
		t.Error("the rights of pods that run are withdrawn")
	}
	w.change(func(s *v1alpha1.MCPServer) { s.Spec.Bindings.MCPObject.Service.Port = intstr.FromString("http") })
	w.pass(r)
	w.finish()
	w.pass(r)
	if mayFollow() {
		t.Error("the gateway keeps rights that it does not need any more")
	}
	// While no pod runs, the template that is there makes the next one.
	w.change(func(s *v1alpha1.MCPServer) {
		s.Spec.Bindings.MCPObject.SessionAffinity = v1alpha1.SessionAffinitySession
	})
	w.pass(r)
	for _, p := range w.currentPods() {
		w.remove(&p, p.Name)
	}
	w.change(func(s *v1alpha1.MCPServer) {
		s.Spec.Bindings.MCPObject.SessionAffinity = v1alpha1.SessionAffinityNone
		s.Spec.Bindings.MCPObject.Service.Port = intstr.FromInt32(9)
	})
	w.pass(r)
	if !mayFollow() {
		t.Error("the rights of pods that are about to be made are withdrawn")
	}
}

// A namespace that is being deleted takes the keys before the MCPServer: they are not lost.
func TestANamespaceIsDeleted(t *testing.T) {
	t.Parallel()
	w, r := served(t)
	recorder := events.NewFakeRecorder(100)
	r.Events = recorder
	must(t, admin.Delete(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}}))
	before := w.get().ResourceVersion
	for _, gone := range []string{"-keys", "-grants-0"} {
		w.remove(&corev1.Secret{}, w.gateway()+gone)
		w.pass(r)
	}
	w.remove(&appsv1.Deployment{}, w.gateway())
	w.pass(r)
	if w.get().ResourceVersion != before || len(recorder.Events) > 0 {
		t.Errorf("the status is %v, and there are %d events", w.get().Status, len(recorder.Events))
	}
}

// A shard far beyond those that there are was planted, whatever it says of itself.
func TestAShardThatSomebodyHasPlanted(t *testing.T) {
	t.Parallel()
	w, r := served(t)
	planted := &corev1.Secret{}
	w.read(w.gateway()+"-grants-0", planted)
	for name, owned := range map[string]bool{"-grants-900": false, "-grants-7": true} {
		o := &corev1.Secret{ObjectMeta: w.meta(w.gateway() + name), Data: planted.Data}
		o.Labels = maps.Clone(planted.Labels)
		if owned {
			o.OwnerReferences = planted.OwnerReferences
		} else {
			o.Labels["mcp.vestibule.dev/retained-for"] = string(w.get().UID)
		}
		w.create(o)
	}
	w.change(lockedOut)
	for range 2 {
		w.pass(r)
		w.wants(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	}
}

// The annotation reconcile-at starts a pass that looks at everything anew. The status says
// when that was done.
func TestAPassIsAskedFor(t *testing.T) {
	t.Parallel()
	w, _ := served(t)
	c := newTap(nil)
	r := reconciler(c)
	w.pass(r)
	c.reset()
	w.pass(r)
	const read = "get *v1.Secret weather-oidc"
	if slices.Contains(c.calls, read) {
		t.Fatal("nothing is remembered")
	}
	before := w.get()
	w.change(func(s *v1alpha1.MCPServer) {
		metav1.SetMetaDataAnnotation(&s.ObjectMeta, v1alpha1.AnnotationReconcile, "now")
	})
	if !commanded.Update(event.UpdateEvent{ObjectOld: before, ObjectNew: w.get()}) {
		t.Error("the annotation starts no pass")
	}
	w.pass(r)
	if got := w.get().Status.LastHandledReconcileAt; got != "now" || !slices.Contains(c.calls, read) {
		t.Errorf("the pass that is said to be made is %q, with the requests %v", got, c.calls)
	}
	c.reset()
	w.pass(r)
	if slices.Contains(c.calls, read) || len(c.writes) > 0 {
		t.Errorf("another pass makes the requests %v", c.calls)
	}
}

// The keys say where the records are, by what gateways have reported. The spec may say
// what it likes.
func TestTheKeysSayWhereTheRecordsAre(t *testing.T) {
	t.Parallel()
	w, r := served(t, func(s *v1alpha1.MCPServer) { s.Spec.DeletionPolicy = v1alpha1.DeletionRetain })
	store := func() string {
		t.Helper()
		keys := &corev1.Secret{}
		w.read(w.gateway()+"-keys", keys)
		return keys.Labels["mcp.vestibule.dev/store"]
	}
	kv := func(change func(kv *v1alpha1.OAuthKV)) {
		t.Helper()
		w.change(func(s *v1alpha1.MCPServer) { change(&s.Spec.Bindings.OAuthKV) })
		w.pass(r)
	}
	// Gateways that serve say nothing of a store that they were not given.
	allow := func(expression string) {
		t.Helper()
		w.change(func(s *v1alpha1.MCPServer) {
			s.Spec.Access = &v1alpha1.Access{Rules: []v1alpha1.AccessRule{{Name: "staff", Expression: expression}}}
		})
	}
	allow("claim.email") // which does not compile
	kv(func(kv *v1alpha1.OAuthKV) {
		kv.Type, kv.MigrateFrom = v1alpha1.OAuthKVEtcd, v1alpha1.MigrateFromKubernetes
		kv.Etcd = &v1alpha1.EtcdKV{Endpoints: []string{"https://etcd.example.com:2379"}, Prefix: "/vestibule"}
	})
	kv(func(kv *v1alpha1.OAuthKV) { kv.MigrateFrom, kv.Kubernetes = "", nil })
	w.pass(r)
	w.wants(v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonMigrationUnfinished)
	if got := store(); got != "Kubernetes" {
		t.Errorf("while gateways serve with the store of before, the records are in %s", got)
	}
	allow("true")
	kv(func(kv *v1alpha1.OAuthKV) {
		kv.MigrateFrom, kv.Kubernetes = v1alpha1.MigrateFromKubernetes, &v1alpha1.KubernetesKV{Kind: v1alpha1.ShardSecret, MinShards: 1, MaxShards: 8}
	})
	if got := store(); got != "Kubernetes" {
		t.Errorf("before the first gateway has moved them, they are in %s", got)
	}
	kv(func(kv *v1alpha1.OAuthKV) { kv.MigrateFrom, kv.Kubernetes = "", nil })
	w.wants(v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonMigrationUnfinished)
	if got := store(); got != "Kubernetes" {
		t.Errorf("a spec that is refused moves them to %s", got)
	}
	kv(func(kv *v1alpha1.OAuthKV) {
		kv.MigrateFrom, kv.Kubernetes = v1alpha1.MigrateFromKubernetes, &v1alpha1.KubernetesKV{Kind: v1alpha1.ShardSecret, MinShards: 1, MaxShards: 8}
	})
	w.finish()
	w.pass(r)
	w.wants(v1alpha1.ConditionOAuthKVBound, metav1.ConditionTrue, v1alpha1.ReasonMigrated)
	w.pass(r)
	if got := store(); got != "Etcd" {
		t.Errorf("when all gateways have moved them, they are in %s", got)
	}
}

// What has no owner must not look like a part of an Argo CD Application that is called as
// its server is: with automated pruning, that would delete the keys at the moment for which
// they are retained.
func TestWhatIsRetainedIsNoPartOfAnApplication(t *testing.T) {
	t.Parallel()
	w, r := served(t, func(s *v1alpha1.MCPServer) { s.Spec.DeletionPolicy = v1alpha1.DeletionRetain })
	kept := func(want bool) {
		t.Helper()
		var all corev1.SecretList
		must(t, admin.List(t.Context(), &all, client.InNamespace(w.namespace), client.MatchingLabels{"mcp.vestibule.dev/server": w.name}))
		if len(all.Items) != 3 {
			t.Errorf("there are %d Secrets of the server, want 3", len(all.Items))
		}
		for i := range all.Items {
			o := &all.Items[i]
			_, tracked := o.Labels["app.kubernetes.io/instance"]
			prune, ignore := o.Annotations["argocd.argoproj.io/sync-options"], o.Annotations["argocd.argoproj.io/compare-options"]
			if tracked == want || (prune != "") != want || (ignore != "") != want {
				t.Errorf("%s has the labels %v and the annotations %v", o.Name, o.Labels, o.Annotations)
			}
		}
	}
	kept(true)
	w.change(func(s *v1alpha1.MCPServer) { s.Spec.DeletionPolicy = v1alpha1.DeletionDelete })
	w.pass(r)
	kept(false)
	w.change(func(s *v1alpha1.MCPServer) { s.Spec.DeletionPolicy = v1alpha1.DeletionRetain })
	w.pass(r)
	kept(true)
	// Of an older controller they have the one label.
	for _, name := range []string{"-keys", "-clients-0", "-grants-0"} {
		o := &corev1.Secret{}
		w.read(w.gateway()+name, o)
		delete(o.Labels, "mcp.vestibule.dev/server")
		o.Labels["app.kubernetes.io/instance"], o.Annotations = w.name, nil
		must(t, admin.Update(t.Context(), o))
	}
	w.pass(reconciler(robot))
	kept(true)
	w.wants(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
}

// A spec with a field that the controller does not know changes nothing: the field may
// restrict access.
func TestAnOlderController(t *testing.T) {
	t.Parallel()
	w, _ := served(t)
	before := w.policy()
	field, reads := "deniedTools", 0
	r := reconciler(robot)
	r.schema = published{now: time.Now, read: func() (jsonSchema, error) { return newerSchema(t), nil }}
	r.Live = interceptor.NewClient(robot, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			err := c.Get(ctx, key, o, opts...)
			if raw, ok := o.(*unstructured.Unstructured); ok && err == nil && field != "" {
				reads++
				routes, _, _ := unstructured.NestedSlice(raw.Object, "spec", "routes")
				routes[0].(map[string]any)[field] = []any{"delete_all"}
				must(t, unstructured.SetNestedSlice(raw.Object, routes, "spec", "routes"))
			}
			return err
		},
	})
	w.change(lockedOut)
	for range 3 {
		w.pass(r)
	}
	w.wants(v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonFieldUnknown)
	if m := w.condition(v1alpha1.ConditionAccepted).Message; !strings.Contains(m, "routes[mcp].deniedTools: this controller ("+version.Version+")") {
		t.Errorf("it says: %s", m)
	}
	if diff := cmp.Diff(before, w.policy()); diff != "" || reads != 1 {
		t.Errorf("after %d reads the policy has changed: %s", reads, diff)
	}
	field = ""
	w.change(func(s *v1alpha1.MCPServer) { s.Spec.Gateway.Replicas = 3 })
	w.pass(r)
	w.wants(v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	if v := w.get().Status.ControllerVersion; v != version.Version || len(w.policy().AccessRules) != 1 {
		t.Errorf("a controller of version %q leaves the access rules %v", v, w.policy().AccessRules)
	}
}
