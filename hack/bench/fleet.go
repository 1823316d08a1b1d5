package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/controllers"
	"vestibule.dev/vestibule/hack/repository"
	"vestibule.dev/vestibule/hack/testenv"
)

const (
	// perNamespace is how many MCPServers are in a namespace, where they share a backend.
	perNamespace = 50
	// perSecret is how many of them have the same client at the identity provider.
	perSecret = 10
)

// fleet is a cluster of MCPServers: a real API server, and a stand-in for all else.
type fleet struct {
	env        *testenv.Env
	client     client.Client
	kubeconfig string // the controller's
	log        *auditLog
	standIn    *standIn
	sample     *v1alpha1.MCPServer
	// ready is how many MCPServers are.
	ready atomic.Int64
}

func startFleet(ctx context.Context, directory string, step time.Duration) (_ *fleet, err error) {
	root, err := repository.Root()
	if err != nil {
		return nil, err
	}
	f := &fleet{log: &auditLog{path: filepath.Join(directory, "audit.log")}, sample: &v1alpha1.MCPServer{}}
	sample, err := os.ReadFile(filepath.Join(root, "config", "samples", "weather.yaml"))
	if err != nil {
		return nil, err
	}
	if err := yaml.UnmarshalStrict(sample, f.sample); err != nil {
		return nil, err
	}
	if f.env, err = testenv.Start(testenv.Options{
		CRDs: []string{filepath.Join(root, "config", "crd", "bases")}, AuditLog: f.log.path,
		AuditUser: "system:serviceaccount:" + controllerNamespace + ":" + controllerAccount,
	}); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = f.env.Stop() // what went wrong before says more
		}
	}()
	cfg := rest.CopyConfig(f.env.Config)
	cfg.QPS = -1
	scheme, err := controllers.NewScheme()
	if err != nil {
		return nil, err
	}
	if f.client, err = client.New(cfg, client.Options{Scheme: scheme}); err != nil {
		return nil, err
	}
	if err := f.account(ctx, root); err != nil {
		return nil, fmt.Errorf("making the controller's account: %w", err)
	}
	f.standIn = &standIn{client: f.client, step: step, errs: make(chan error, 1), rolling: map[types.UID]int64{}}
	err = f.watch(ctx, cfg)
	return f, err
}

// account makes the controller's, with what config/rbac grants it and nothing else.
func (f *fleet) account(ctx context.Context, root string) error {
	role, err := os.ReadFile(filepath.Join(root, "config", "rbac", "role.yaml"))
	if err != nil {
		return err
	}
	account := metav1.ObjectMeta{Name: controllerAccount, Namespace: controllerNamespace}
	subjects := []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: account.Name, Namespace: account.Namespace}}
	all := []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: controllerNamespace}},
		&corev1.ServiceAccount{ObjectMeta: account},
		&rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: account.Name}, Subjects: subjects,
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: account.Name}},
		&rbacv1.RoleBinding{ObjectMeta: account, Subjects: subjects,
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: account.Name}},
	}
	for document := range strings.SplitSeq(strings.TrimPrefix(string(role), "---\n"), "\n---\n") {
		var o client.Object = &rbacv1.Role{}
		if strings.Contains(document, "kind: ClusterRole\n") {
			o = &rbacv1.ClusterRole{}
		}
		if err := yaml.UnmarshalStrict([]byte(document), o); err != nil {
			return err
		}
		all = append(all, o)
	}
	for _, o := range all {
		if err := f.client.Create(ctx, o); err != nil {
			return err
		}
	}
	cfg, err := f.env.ServiceAccount(ctx, account.Namespace, account.Name)
	if err != nil {
		return err
	}
	f.kubeconfig, err = f.env.WriteKubeconfig(cfg)
	return err
}

// watch counts the MCPServers that are Ready, and has the stand-in roll out Deployments.
func (f *fleet) watch(ctx context.Context, cfg *rest.Config) error {
	c, err := cache.New(cfg, cache.Options{Scheme: f.client.Scheme(), DefaultTransform: cache.TransformStripManagedFields()})
	if err != nil {
		return err
	}
	if err := f.standIn.watch(ctx, c); err != nil {
		return err
	}
	informer, err := c.GetInformer(ctx, &v1alpha1.MCPServer{})
	if err != nil {
		return err
	}
	is := func(o any) bool {
		s, ok := o.(*v1alpha1.MCPServer)
		return ok && meta.IsStatusConditionTrue(s.Status.Conditions, v1alpha1.ConditionReady)
	}
	if _, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{UpdateFunc: func(before, now any) {
		switch {
		case is(now) && !is(before):
			f.ready.Add(1)
		case is(before) && !is(now):
			f.ready.Add(-1)
		}
	}}); err != nil {
		return err
	}
	go c.Start(ctx) //nolint:errcheck // it ends with ctx
	if !c.WaitForCacheSync(ctx) {
		return fmt.Errorf("watching: %w", ctx.Err())
	}
	return nil
}

// err is what the stand-in has failed with.
func (f *fleet) err() error {
	select {
	case err := <-f.standIn.errs:
		return err
	default:
		return nil
	}
}

// create makes so many MCPServers, and returns when all are Ready.
func (f *fleet) create(ctx context.Context, servers int) error {
	for n := range (servers + perNamespace - 1) / perNamespace {
		if err := f.namespace(ctx, fmt.Sprintf("team-%d", n)); err != nil {
			return err
		}
	}
	if _, err := do(servers, 8, func(i int) error { return f.client.Create(ctx, f.server(i)) }); err != nil {
		return err
	}
	return f.until(servers, 0)
}

// until waits until so many MCPServers are Ready and so many rollouts are done.
func (f *fleet) until(servers, rollouts int) error {
	for deadline := time.Now().Add(10 * time.Minute); f.ready.Load() < int64(servers) || f.standIn.done.Load() < int64(rollouts); time.Sleep(20 * time.Millisecond) {
		if err := f.err(); err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d of %d MCPServers are Ready, after %d rollouts", f.ready.Load(), servers, f.standIn.done.Load())
		}
	}
	return nil
}

// namespace makes one with what its MCPServers share: a backend with a pod that is ready,
// and the Secrets of the identity provider's clients.
func (f *fleet) namespace(ctx context.Context, name string) error {
	at := func(name string, of string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: of, Name: name} }
	all := []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}},
		&corev1.ServiceAccount{ObjectMeta: at("default", name)},
		&corev1.Service{ObjectMeta: at("weather", name), Spec: corev1.ServiceSpec{
			ClusterIP: corev1.ClusterIPNone, Selector: map[string]string{"app": "weather"}, Ports: []corev1.ServicePort{{Name: "http", Port: 8000}},
		}},
		&discoveryv1.EndpointSlice{
			ObjectMeta:  metav1.ObjectMeta{Namespace: name, Name: "weather-1", Labels: map[string]string{discoveryv1.LabelServiceName: "weather"}},
			AddressType: discoveryv1.AddressTypeIPv4, Ports: []discoveryv1.EndpointPort{{Name: ptr.To("http"), Port: ptr.To[int32](8000)}},
			Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.1.2.3"}, Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(true)}}},
		},
	}
	for i := range perNamespace / perSecret {
		secret := at(fmt.Sprintf("oidc-%d", i), name)
		secret.Labels = map[string]string{v1alpha1.LabelAllowedFor: v1alpha1.AllowedForAny}
		all = append(all, &corev1.Secret{ObjectMeta: secret, StringData: map[string]string{"client-secret": "s3cret"}})
	}
	for _, o := range all {
		if err := f.client.Create(ctx, o); err != nil {
			return err
		}
	}
	return nil
}

// server is the sample, under a name and a URL of its own.
func (f *fleet) server(i int) *v1alpha1.MCPServer {
	s := f.sample.DeepCopy()
	s.Namespace, s.Name = fmt.Sprintf("team-%d", i/perNamespace), fmt.Sprintf("weather-%d", i)
	s.Spec.PublicURL = fmt.Sprintf("https://weather-%d.example.com", i)
	s.Spec.Upstreams[0].OIDC.ClientSecretRef.Name = fmt.Sprintf("oidc-%d", i%perNamespace/perSecret)
	return s
}

// changeSecret changes one, and returns how many MCPServers refer to it when all of them
// are Ready again.
func (f *fleet) changeSecret(ctx context.Context) (int, error) {
	ready, rollouts := f.ready.Load(), f.standIn.done.Load()
	users := min(perSecret, int(ready))
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "team-0", Name: "oidc-0"}}
	if err := f.client.Get(ctx, client.ObjectKeyFromObject(secret), secret); err != nil {
		return 0, err
	}
	secret.Data["client-secret"] = []byte("an0ther")
	if err := f.client.Update(ctx, secret); err != nil {
		return 0, err
	}
	return users, f.until(int(ready), int(rollouts)+users)
}
