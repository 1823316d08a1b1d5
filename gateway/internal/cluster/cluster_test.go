//go:build integration

package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/apiserver"
	"vestibule.dev/vestibule/hack/testenv"
)

var (
	env   *testenv.Env
	admin client.Client
)

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	if env, err = testenv.Start(testenv.Options{}); err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, env.Stop()) }()
	if admin, err = client.New(env.Config, client.Options{}); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// newObjects makes the two objects, and connects to them with a service account
// that may touch nothing else.
func newObjects(t *testing.T, podUID string) *Objects {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "cluster-"}}
	create(t, namespace)
	meta := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: namespace.Name, Name: name} }
	create(t, &corev1.ConfigMap{ObjectMeta: meta("policy"), Data: map[string]string{config.PolicyKey: "first"}})
	create(t, &corev1.ConfigMap{ObjectMeta: meta("report"), Data: map[string]string{"another-pod": "its report"}})
	create(t, &corev1.ServiceAccount{ObjectMeta: meta("gateway")})
	create(t, &rbacv1.Role{ObjectMeta: meta("gateway"), Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"get", "watch"}, ResourceNames: []string{"policy"}},
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"patch"}, ResourceNames: []string{"report"}},
	}})
	create(t, &rbacv1.RoleBinding{
		ObjectMeta: meta("gateway"), RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "gateway"},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace.Name, Name: "gateway"}},
	})
	account, err := env.ServiceAccount(t.Context(), namespace.Name, "gateway")
	if err != nil {
		t.Fatal(err)
	}
	c, err := apiserver.New(account, apiserver.ConfigMaps, namespace.Name, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &Objects{
		Client: c, PodUID: podUID, Log: slog.New(slog.DiscardHandler),
		Names: config.Cluster{Namespace: namespace.Name, Policy: "policy", Report: "report"},
	}
}

func create(t *testing.T, o client.Object) {
	t.Helper()
	if err := admin.Create(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}

func TestAReportChangesOnlyItsOwnKey(t *testing.T) {
	o := newObjects(t, "this-pod")
	for _, report := range []string{`{"version":1}`, `{"version":1,"config":"c2"}`} {
		// The role may take a moment to be in force.
		eventually(t, func() error { return o.Publish(t.Context(), []byte(report)) })
		var got corev1.ConfigMap
		if err := admin.Get(t.Context(), client.ObjectKey{Namespace: o.Names.Namespace, Name: "report"}, &got); err != nil {
			t.Fatal(err)
		}
		if got.Data["this-pod"] != report || got.Data["another-pod"] != "its report" {
			t.Errorf("the report object holds %v", got.Data)
		}
	}
}

func TestThePolicyIsFollowed(t *testing.T) {
	o := newObjects(t, "this-pod")
	documents := make(chan string, 10)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go o.FollowPolicy(ctx, func(data map[string]string) { documents <- data[config.PolicyKey] })
	expect(t, documents, "first")
	key := client.ObjectKey{Namespace: o.Names.Namespace, Name: "policy"}
	for _, next := range []string{"second", "third"} {
		var policy corev1.ConfigMap
		if err := admin.Get(t.Context(), key, &policy); err != nil {
			t.Fatal(err)
		}
		policy.Data[config.PolicyKey] = next
		if err := admin.Update(t.Context(), &policy); err != nil {
			t.Fatal(err)
		}
		expect(t, documents, next)
	}
	// An object that is made anew is followed again.
	if err := admin.Delete(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}}); err != nil {
		t.Fatal(err)
	}
	create(t, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}, Data: map[string]string{config.PolicyKey: "fourth"},
	})
	expect(t, documents, "fourth")
}

func expect(t *testing.T, documents chan string, want string) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		select {
		case got := <-documents:
			if got == want {
				return
			}
		case <-deadline:
			t.Fatalf("the policy %q does not arrive", want)
		}
	}
}

func eventually(t *testing.T, try func() error) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
