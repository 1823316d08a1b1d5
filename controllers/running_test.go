//go:build integration

package controllers

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/controllers/internal/resources"
	"vestibule.dev/vestibule/gateway/config"
)

// patience bounds how long a test waits for what a running controller does.
const patience = 30 * time.Second

// running is a controller that runs.
type running struct {
	t    *testing.T
	stop func()

	mu     sync.Mutex
	passes map[types.NamespacedName]int
	errs   []error
}

// start runs a controller as a service account, in these namespaces or in all.
func start(t *testing.T, cfg *rest.Config, namespaces ...string) *running {
	t.Helper()
	return startAs(t, cfg, func(*Reconciler) {}, namespaces...)
}

// startAs runs a controller with a change.
func startAs(t *testing.T, cfg *rest.Config, change func(*Reconciler), namespaces ...string) *running {
	t.Helper()
	scheme, err := NewScheme()
	must(t, err)
	mgr, err := ctrl.NewManager(cfg, ctrl.Options{Scheme: scheme, Cache: CacheOptions(namespaces), Metrics: server.Options{BindAddress: "0"}})
	must(t, err)
	r := &running{t: t, passes: map[types.NamespacedName]int{}}
	contents, err := newContents(mgr, namespaces)
	must(t, err)
	inner, err := New(mgr, contents, image)
	must(t, err)
	c, err := watch(t.Context(), mgr, contents, reconcile.Func(func(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
		result, err := inner.Reconcile(ctx, request)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.passes[request.NamespacedName]++
		if err != nil {
			r.errs = append(r.errs, fmt.Errorf("%s: %w", request, err))
		}
		return result, err
	}), controller.Options{MaxConcurrentReconciles: 4, SkipNameValidation: ptr.To(true)})
	must(t, err)
	change(inner)
	inner.apis.every = time.Second
	inner.follow(mgr, namespaces, c)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		for _, err := range r.errs {
			// Of a kind that goes away, nobody may create one.
			if apierrors.IsForbidden(err) && !strings.Contains(err.Error(), "is terminating") {
				t.Errorf("the role does not suffice: %v", err)
			}
		}
	})
	t.Cleanup(r.stop)
	return r
}

// count is how often the controller has passed over a server.
func (r *running) count(w *world) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.passes[w.request().NamespacedName]
}

// rest waits until the controller has nothing to do for a server any more.
func (r *running) rest(w *world) {
	w.t.Helper()
	// What follows a write arrives within milliseconds: a second of silence is rest.
	last, since := r.count(w), time.Now()
	for begun := time.Now(); time.Since(since) < time.Second; {
		if time.Since(begun) > patience {
			w.t.Fatal("the controller does not come to rest")
		}
		time.Sleep(20 * time.Millisecond)
		if n := r.count(w); n != last {
			last, since = n, time.Now()
		}
	}
}

// eventually waits until ok.
func (w *world) eventually(what string, ok func() bool) {
	w.t.Helper()
	for begun := time.Now(); !ok(); time.Sleep(100 * time.Millisecond) { // each look is work for the API server
		if time.Since(begun) > patience {
			data, _ := json.MarshalIndent(w.get().Status, "", " ")
			w.t.Fatalf("%s does not come; the status is %s", what, data)
		}
	}
}

// becomes waits for a condition.
func (w *world) becomes(conditionType string, status metav1.ConditionStatus, reason string) metav1.Condition {
	w.t.Helper()
	w.eventually(fmt.Sprintf("%s=%s/%s", conditionType, status, reason), func() bool {
		c := w.condition(conditionType)
		return c.Status == status && c.Reason == reason
	})
	return w.condition(conditionType)
}

// becomesReady goes the whole way with a running controller.
func (w *world) becomesReady() {
	w.t.Helper()
	w.becomes(v1alpha1.ConditionGatewayAvailable, metav1.ConditionUnknown, v1alpha1.ReasonRollingOut)
	w.reports(w.rollOut(), nil)
	w.becomes(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
}

// Tokens are written many times a second; the controller does not care.
func TestTokenWritesCauseNoReconcile(t *testing.T) {
	t.Parallel()
	for _, kind := range []v1alpha1.ShardKind{v1alpha1.ShardSecret, v1alpha1.ShardConfigMap} {
		t.Run(string(kind), func(t *testing.T) {
			w := newWorld(t, namespace(t), "weather")
			r := start(t, account(t, w.namespace, w.namespace), w.namespace)
			w.server(func(s *v1alpha1.MCPServer) { s.Spec.Bindings.OAuthKV.Kubernetes.Kind = kind })
			w.becomesReady()
			r.rest(w)
			before := r.count(w)

			field := map[v1alpha1.ShardKind]string{v1alpha1.ShardSecret: "data", v1alpha1.ShardConfigMap: "binaryData"}[kind]
			for i := range 100 {
				shard := newObject(string(kind))
				shard.SetNamespace(w.namespace)
				shard.SetName([]string{"weather-gateway-grants-0", "weather-gateway-clients-0"}[i%2])
				patch := fmt.Sprintf(`[{"op":"add","path":"/%s/record-%d","value":"c2VhbGVk"}]`, field, i)
				must(t, admin.Patch(t.Context(), shard, client.RawPatch(types.JSONPatchType, []byte(patch))))
			}
			// This does cause one, and it comes after the others in the same watch.
			marker := map[v1alpha1.ShardKind]string{
				v1alpha1.ShardSecret: "weather-oidc", v1alpha1.ShardConfigMap: w.deployment().Spec.Template.Annotations[resources.AnnotationConfig],
			}[kind]
			o := newObject(string(kind))
			w.read(marker, o)
			o.SetLabels(map[string]string{"a": "b"})
			must(t, admin.Update(t.Context(), o))
			w.eventually("a pass", func() bool { return r.count(w) > before })
			if n := r.count(w) - before; n != 1 {
				t.Errorf("100 writes of tokens caused %d reconciles", n-1)
			}
			// The watch is not deaf: what does matter arrives.
			w.remove(newObject(string(kind)), "weather-gateway-grants-0")
			w.becomes(v1alpha1.ConditionOAuthKVBound, metav1.ConditionFalse, v1alpha1.ReasonStoreObjectLost)
			w.warned(v1alpha1.ReasonStoreObjectLost)
		})
	}
}

// warned waits for an event about the server.
func (w *world) warned(reason string) {
	w.t.Helper()
	w.eventually("an event", func() bool {
		var all eventsv1.EventList
		must(w.t, admin.List(w.t.Context(), &all, client.InNamespace(w.namespace)))
		for _, e := range all.Items {
			if e.Regarding.Name == w.name && e.Reason == reason && e.Type == corev1.EventTypeWarning {
				return true
			}
		}
		return false
	})
}

// Two at once, as when a lease is lost, do each other's work, and come to rest.
func TestTwoControllersAtOnce(t *testing.T) {
	t.Parallel()
	one, two := newWorld(t, namespace(t), "weather"), newWorld(t, namespace(t), "news")
	namespaces := []string{one.namespace, two.namespace}
	a := start(t, account(t, one.namespace, namespaces...), namespaces...)
	b := start(t, account(t, one.namespace, namespaces...), namespaces...)
	one.server()
	two.server(func(s *v1alpha1.MCPServer) {
		s.Spec.Bindings.OAuthKV.Kubernetes = &v1alpha1.KubernetesKV{Kind: v1alpha1.ShardConfigMap, MinShards: 20, MaxShards: 20}
	})
	for _, w := range []*world{one, two} {
		w.becomesReady()
	}
	for _, w := range []*world{one, two} {
		a.rest(w)
		b.rest(w)
		w.wants(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	}
	if n := len(two.owned()); n != 10+2*20 {
		t.Errorf("there are %d objects", n)
	}
	keys := one.keys()
	a.stop()
	one.change(func(s *v1alpha1.MCPServer) { s.Spec.OAuth.AccessTokenTTLSeconds = 600 })
	one.becomesReady()
	if one.keys() != keys {
		t.Error("the keys were made anew")
	}
}

// A controller that comes back finds what happened meanwhile, and writes nothing
// where nothing did.
func TestARestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, namespace(t), "weather")
	cfg := account(t, w.namespace, w.namespace)
	r := start(t, cfg, w.namespace)
	w.server()
	w.becomesReady()
	r.rest(w)
	r.stop()
	before := w.versions()
	r = start(t, cfg, w.namespace)
	w.eventually("a pass", func() bool { return r.count(w) > 0 })
	r.rest(w)
	differ(t, "a restart changes something", before, w.versions())
	r.stop()

	w.secret("an0ther")
	generation := w.deployment().Generation
	start(t, cfg, w.namespace)
	w.eventually("a rollout", func() bool { return w.deployment().Generation > generation })
	w.becomesReady()
}

// A namespaced install does nothing elsewhere.
func TestANamespacedInstall(t *testing.T) {
	t.Parallel()
	mine, other := newWorld(t, namespace(t), "weather"), newWorld(t, namespace(t), "weather")
	r := start(t, account(t, mine.namespace, mine.namespace), mine.namespace)
	other.server()
	mine.server()
	mine.becomesReady()
	r.rest(mine)
	if n := r.count(other); n > 0 || len(other.owned()) > 0 {
		t.Errorf("%d passes over a server of another namespace", n)
	}
}

// The gateway's service account may do with its own objects, by name, what it must,
// and nothing else.
func TestWhatAGatewayMayDo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, namespace(t), "weather")
	w.server()
	w.pass(reconciler(robot))
	cfg, err := env.ServiceAccount(t.Context(), w.namespace, w.gateway())
	must(t, err)
	gateway, err := connect(cfg)
	must(t, err)
	patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{}}`))
	for _, c := range []struct {
		name  string
		o     client.Object
		reads bool
		write bool
	}{
		{"weather-gateway-clients-0", &corev1.Secret{}, true, true},
		{"weather-gateway-grants-0", &corev1.Secret{}, true, true},
		{"weather-gateway-grants-1", &corev1.Secret{}, false, false},
		{"weather-gateway-keys", &corev1.Secret{}, false, false},
		{"weather-oidc", &corev1.Secret{}, false, false},
		{"weather-gateway-policy", &corev1.ConfigMap{}, true, false},
		{"weather-gateway-report", &corev1.ConfigMap{}, true, true},
		{w.deployment().Spec.Template.Annotations["mcp.vestibule.dev/config"], &corev1.ConfigMap{}, false, false},
		{"kube-root-ca.crt", &corev1.ConfigMap{}, false, false},
	} {
		err := gateway.Get(t.Context(), client.ObjectKey{Namespace: w.namespace, Name: c.name}, c.o)
		if c.reads != (err == nil) || err != nil && !apierrors.IsForbidden(err) {
			t.Errorf("reading %T %s: %v", c.o, c.name, err)
		}
		c.o.SetNamespace(w.namespace)
		c.o.SetName(c.name)
		if err := gateway.Patch(t.Context(), c.o, patch); c.write != (err == nil) || err != nil && !apierrors.IsForbidden(err) {
			t.Errorf("writing %T %s: %v", c.o, c.name, err)
		}
		if err := gateway.Delete(t.Context(), c.o); !apierrors.IsForbidden(err) {
			t.Errorf("deleting %T %s: %v", c.o, c.name, err)
		}
	}
	for _, list := range []client.ObjectList{&corev1.SecretList{}, &corev1.ConfigMapList{}, &corev1.PodList{}} {
		if err := gateway.List(t.Context(), list, client.InNamespace(w.namespace)); !apierrors.IsForbidden(err) {
			t.Errorf("listing %T: %v", list, err)
		}
	}
}

// What is wrong is said as soon as it is, and no longer.
func TestConditionsRecover(t *testing.T) {
	t.Parallel()
	w := newWorld(t, namespace(t), "weather")
	start(t, account(t, w.namespace, w.namespace), w.namespace)
	w.server()
	w.becomesReady()

	w.remove(&corev1.Service{}, "weather-backend")
	w.becomes(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonServiceMissing)
	w.service()
	w.becomes(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)

	w.endpoints(false)
	w.becomes(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonNoReadyEndpoints)
	w.endpoints(true)
	w.becomes(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)

	w.remove(&corev1.Secret{}, "weather-oidc")
	w.becomes(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonSecretMissing)
	w.secret("s3cret")
	w.becomes(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)

	w.allow("")
	w.becomes(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonSecretNotAllowed)
	w.allow(v1alpha1.AllowedForAny)
	w.becomes(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)

	pods := w.currentPods()
	w.reports([]*corev1.Pod{&pods[0]}, func(_ int, r *config.Report) {
		r.Upstreams["corp"] = config.Check{Status: "False", Reason: config.ReasonUpstreamUnreachable, Message: "no answer"}
	})
	w.becomes(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonUpstreamUnreachable)
	w.reports([]*corev1.Pod{&pods[0]}, nil)
	w.becomes(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)

	shard := &corev1.Secret{}
	w.read("weather-gateway-grants-0", shard)
	w.remove(shard.DeepCopy(), shard.Name)
	w.becomes(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonStoreObjectLost)
	shard.ResourceVersion, shard.UID = "", ""
	w.create(shard)
	w.becomes(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)

	w.pods(waiting("ImagePullBackOff", "not found"))
	w.becomes(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonImagePullFailed)
	w.reports(w.rollOut(), nil)
	w.becomes(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)

	// The URL of one that is gone is the next one's at once.
	next := newWorld(t, w.namespace, "next")
	next.server(func(s *v1alpha1.MCPServer) { s.Spec.PublicURL = w.get().Spec.PublicURL })
	if older(next.get(), w.get()) {
		next, w = w, next // Made in the same second.
	}
	next.becomes(v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonPublicURLTaken)
	w.leave()
	next.becomes(v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
}

// A controller that ended between the two steps of making a shard has left one in
// which every record would be tracked; the next one sees that.
func TestAShardIsUntrackedLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t, namespace(t), "weather")
	s := w.server()
	shard := resources.Shard(s, resources.Clients, 0, string(s.UID))
	keys, err := resources.Keys(s, config.NewKeySet(time.Now()))
	must(t, err)
	w.create(keys)
	w.create(shard)
	if len(shard.GetManagedFields()) == 0 {
		t.Fatal("the API server tracks nothing, so there is nothing to test")
	}
	start(t, account(t, w.namespace, w.namespace), w.namespace)
	w.eventually("a shard without managed fields", func() bool {
		now := &corev1.Secret{}
		w.read(shard.GetName(), now)
		return len(now.ManagedFields) == 0
	})
}

// The API server's own judge of Pod Security, at its strictest, takes the pods.
func TestPodsPassPodSecurity(t *testing.T) {
	t.Parallel()
	w := newWorld(t, namespace(t), "weather")
	ns := &corev1.Namespace{}
	must(t, admin.Get(t.Context(), client.ObjectKey{Name: w.namespace}, ns))
	ns.Labels["pod-security.kubernetes.io/enforce"] = "restricted"
	must(t, admin.Update(t.Context(), ns))
	w.server(func(s *v1alpha1.MCPServer) {
		// All that can be set, as far as it needs nothing else in the cluster.
		s.Spec.Gateway.PodTemplate = &v1alpha1.PodTemplate{
			Labels: map[string]string{"team": "weather"}, Annotations: map[string]string{"example.com/owner": "weather"},
			Resources:        v1alpha1.PodResources{Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("32Mi")}},
			NodeSelector:     map[string]string{"pool": "edge"},
			Tolerations:      []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
			ImagePullSecrets: []v1alpha1.ObjectReference{{Name: "registry"}},
			Env:              []v1alpha1.EnvVar{{Name: "HTTPS_PROXY", Value: "http://proxy.example.com:3128"}},
		}
	})
	w.pass(reconciler(robot))
	template := w.deployment().Spec.Template
	pod := &corev1.Pod{ObjectMeta: w.meta("weather-gateway-0"), Spec: template.Spec}
	w.create(pod)
	pod = &corev1.Pod{ObjectMeta: w.meta("weather-gateway-1"), Spec: template.Spec}
	pod.Spec.SecurityContext = nil
	if err := admin.Create(t.Context(), pod); !apierrors.IsForbidden(err) {
		t.Errorf("nobody judges here: %v", err)
	}
}
