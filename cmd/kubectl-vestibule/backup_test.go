//go:build integration

package main

import (
	"encoding/json"
	"errors"
	"flag"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vestibule.dev/vestibule/hack/testenv"
)

// The command prints what kubectl create takes. What is in it, and that it is adopted,
// the controller's tests show.
func TestBackup(t *testing.T) {
	if _, usage, err := typed(t, "backup", "-h"); !errors.Is(err, flag.ErrHelp) || !strings.Contains(usage, "create -f FILE") {
		t.Errorf("%v, and says %s", err, usage)
	}
	if _, _, err := typed(t, "backup"); err == nil || !strings.Contains(err.Error(), "which MCPServer") {
		t.Errorf("without a name: %v", err)
	}
	env, err := testenv.Start(testenv.Options{CRDs: []string{"../../config/crd/bases"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := env.Stop(); err != nil {
			t.Error(err)
		}
	}()
	t.Setenv("KUBECONFIG", env.Kubeconfig())
	c, err := client.New(env.Config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	labels := map[string]string{"app.kubernetes.io/name": "vestibule-gateway", "app.kubernetes.io/managed-by": "vestibule", "app.kubernetes.io/instance": "weather"}
	object := func(name, component string) metav1.ObjectMeta {
		m := metav1.ObjectMeta{Namespace: "default", Name: name, Labels: map[string]string{"app.kubernetes.io/component": component}}
		for k, v := range labels {
			m.Labels[k] = v
		}
		m.OwnerReferences = []metav1.OwnerReference{{APIVersion: "mcp.vestibule.dev/v1alpha1", Kind: "MCPServer", Name: "weather", UID: "gone", Controller: new(true)}}
		return m
	}
	if _, _, err := typed(t, "backup", "weather", "-n", "default"); err == nil || !strings.Contains(err.Error(), "reading the keys") {
		t.Errorf("where there is nothing: %v", err)
	}
	for _, o := range []client.Object{
		&corev1.Secret{ObjectMeta: object("weather-gateway-keys", "keys"), Data: map[string][]byte{"keyset.json": []byte("keys")}},
		&corev1.Secret{ObjectMeta: object("weather-gateway-grants-0", "store"), Data: map[string][]byte{"record": []byte("sealed")}},
		&corev1.ConfigMap{ObjectMeta: object("weather-gateway-clients-0", "store"), BinaryData: map[string][]byte{"record": []byte("sealed")}},
	} {
		if err := c.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	out, _, err := typed(t, "backup", "weather", "-n", "default")
	if err != nil {
		t.Fatal(err)
	}
	list := &corev1.List{}
	decode(t, out, list)
	if len(list.Items) != 3 {
		t.Fatalf("%d objects: %s", len(list.Items), out)
	}
	// All have the namespace, by which they can be told apart.
	every, _, err := typed(t, "backup", "-A")
	if err != nil {
		t.Fatal(err)
	}
	decode(t, every, list)
	if len(list.Items) != 3 || strings.Count(every, `"namespace": "default"`) != 3 {
		t.Errorf("%d objects of all namespaces: %s", len(list.Items), every)
	}
	if _, _, err := typed(t, "backup", "weather", "-A"); err == nil || !strings.Contains(err.Error(), "either the name") {
		t.Errorf("with a name and -A: %v", err)
	}
	decode(t, out, list)
	for _, no := range []string{"ownerReferences", `"uid"`, "resourceVersion", "managedFields", `"namespace"`} {
		if strings.Contains(out, no) {
			t.Errorf("there is %s in %s", no, out)
		}
	}
	for _, item := range list.Items {
		o := &metav1.PartialObjectMetadata{}
		decode(t, string(item.Raw), o)
		if o.APIVersion != "v1" || o.Labels["mcp.vestibule.dev/retained-for"] != "gone" {
			t.Errorf("an object is %+v", o)
		}
	}
}

func decode(t *testing.T, data string, to any) {
	t.Helper()
	if err := json.Unmarshal([]byte(data), to); err != nil {
		t.Fatalf("%v: %s", err, data)
	}
}
