//go:build integration

package kubernetes

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vestibule.dev/vestibule/gateway/internal/store"
	"vestibule.dev/vestibule/gateway/internal/store/conformance"
	"vestibule.dev/vestibule/hack/testenv"
)

var (
	env   *testenv.Env
	admin client.Client
)

func TestMain(m *testing.M) { os.Exit(conformance.Main(m, run, serveReplica)) }

func run(m *testing.M) (code int, err error) {
	env, err = testenv.Start(testenv.Options{})
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, env.Stop()) }()
	admin, err = client.New(env.Config, client.Options{})
	if err != nil {
		return 1, err
	}
	return m.Run(), nil
}

const shards = 2 // of each kind of record

// cluster is the objects of one store, and a service account with the gateway's
// role, which is all that the stores under test connect with.
type cluster struct {
	namespace, kind string
	account         *rest.Config
}

var resources = map[string]string{"Secret": "secrets", "ConfigMap": "configmaps"}

var namespaces atomic.Int64

// newCluster makes what the controller makes for a gateway.
func newCluster(t *testing.T, kind string) cluster {
	t.Helper()
	c := cluster{namespace: fmt.Sprintf("store-%d", namespaces.Add(1)), kind: kind}
	create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: c.namespace}})
	var names []string
	for n := range shards {
		names = append(names, c.shard(store.Client, n), c.shard(store.Grant, n))
	}
	for _, name := range names {
		c.createShard(t, name)
	}
	meta := metav1.ObjectMeta{Namespace: c.namespace, Name: "gateway"}
	create(t, &corev1.ServiceAccount{ObjectMeta: meta})
	create(t, &rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{{
		APIGroups: []string{""}, Resources: []string{resources[kind]}, ResourceNames: names,
		Verbs: []string{"get", "watch", "patch"},
	}}})
	create(t, &rbacv1.RoleBinding{
		ObjectMeta: meta,
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: c.namespace, Name: "gateway"}},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "gateway"},
	})
	var err error
	if c.account, err = env.ServiceAccount(t.Context(), c.namespace, "gateway"); err != nil {
		t.Fatal(err)
	}
	s := c.open(t, nil)
	conformance.Eventually(t, "the role is in force", func() bool {
		_, err := s.Get(t.Context(), store.Grant, store.NewID(0))
		return errors.Is(err, store.ErrNotFound)
	})
	return c
}

func (c cluster) shard(kind store.Kind, n int) string { return fmt.Sprintf("weather-%ss-%d", kind, n) }

func (c cluster) object(name string) client.Object {
	meta := metav1.ObjectMeta{Namespace: c.namespace, Name: name}
	if c.kind == "Secret" {
		return &corev1.Secret{ObjectMeta: meta}
	}
	return &corev1.ConfigMap{ObjectMeta: meta}
}

func (c cluster) createShard(t *testing.T, name string) {
	t.Helper()
	object := c.object(name)
	control := map[string][]byte{"_shard": []byte("1")}
	switch o := object.(type) {
	case *corev1.Secret:
		o.Type, o.Data = "mcp.vestibule.dev/store", control
	case *corev1.ConfigMap:
		o.BinaryData = control
	}
	create(t, object)
	// Kept up for each key of each write, these fields would outweigh the records.
	untrack := client.RawPatch(types.JSONPatchType, []byte(`[{"op":"replace","path":"/metadata/managedFields","value":[{}]}]`))
	if err := admin.Patch(t.Context(), object, untrack); err != nil {
		t.Fatal(err)
	}
}

func create(t *testing.T, object client.Object) {
	t.Helper()
	if err := admin.Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
}

// options are those of a replica whose way to the API server is l.
func (c cluster) options(l *link) Options {
	o := Options{
		REST: c.account, Namespace: c.namespace, Name: "weather", Kind: c.kind,
		ClientShards: shards, GrantShards: shards, Replicas: 2, SweepEvery: 50 * time.Millisecond,
	}
	if l != nil {
		o.WrapTransport = l.wrap
	}
	return o
}

// confirming are options of a replica whose reads nobody counts: it often confirms that the
// API server reaches etcd.
func (c cluster) confirming(l *link) Options {
	o := c.options(l)
	o.ConfirmEvery = 50 * time.Millisecond
	return o
}

// open connects a replica; l may be nil.
func (c cluster) open(t *testing.T, l *link) *Store {
	t.Helper()
	return openWith(t, c.options(l))
}

// status is an error as the API server answers it.
func status(req *http.Request, code int, s metav1.Status) *http.Response {
	s.Status, s.Code = metav1.StatusFailure, int32(code)
	body, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return response(req, code, body)
}
