package resources_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/controllers/internal/resources"
)

// Whose an object is, and of whom it is left.
func TestWhoseAnObjectIs(t *testing.T) {
	t.Parallel()
	server := &v1alpha1.MCPServer{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "weather", UID: "uid"}}
	other := &v1alpha1.MCPServer{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "weather", UID: "another"}}
	owned := func(by *v1alpha1.MCPServer, change func(*metav1.OwnerReference)) func(*corev1.Secret) {
		return func(o *corev1.Secret) {
			r := resources.OwnerReference(by)
			if change != nil {
				change(&r)
			}
			o.OwnerReferences = []metav1.OwnerReference{r}
		}
	}
	label := func(key, value string) func(*corev1.Secret) { return func(o *corev1.Secret) { o.Labels[key] = value } }
	retained := func(uid string) func(*corev1.Secret) { return label(resources.LabelRetainedFor, uid) }
	const component, instance = "app.kubernetes.io/component", "app.kubernetes.io/instance"

	for _, c := range []struct {
		name, object string
		changes      []func(*corev1.Secret)
		is, left     bool
		owner        string
		shard        bool
	}{
		{"a controlled one", "weather-gateway-grants-7", []func(*corev1.Secret){owned(server, nil)}, true, false, "weather", true},
		{"one of a server that is gone", "weather-gateway-grants-7", []func(*corev1.Secret){owned(other, nil)}, false, false, "weather", true},
		{"one with the labels alone", "weather-gateway-grants-7", nil, false, false, "", false},
		{"one of another kind", "weather-gateway-grants-7", []func(*corev1.Secret){owned(server, func(r *metav1.OwnerReference) { r.Kind, r.UID = "Other", "x" })}, false, false, "", false},
		{"one of another group", "weather-gateway-grants-7", []func(*corev1.Secret){owned(server, func(r *metav1.OwnerReference) { r.APIVersion, r.UID = "example.com/v1", "x" })}, false, false, "", false},
		{"one of an older version", "weather-gateway-grants-7", []func(*corev1.Secret){owned(server, func(r *metav1.OwnerReference) { r.APIVersion = "mcp.vestibule.dev/v1alpha0" })}, true, false, "weather", true},
		{"a retained one", "weather-gateway-grants-7", []func(*corev1.Secret){retained("uid")}, true, false, "weather", true},
		{"a retained one with another owner", "weather-gateway-grants-7", []func(*corev1.Secret){retained("uid"), owned(server, func(r *metav1.OwnerReference) { r.Controller = nil })}, true, false, "weather", true},
		{"a retained one with another controller", "weather-gateway-grants-7", []func(*corev1.Secret){retained("uid"), owned(other, nil)}, false, false, "weather", true},
		{"one retained for one that is gone", "weather-gateway-grants-7", []func(*corev1.Secret){retained("another")}, false, true, "weather", true},
		{"one retained for nobody", "weather-gateway-grants-7", []func(*corev1.Secret){retained("")}, false, false, "", false},
		{"retained keys", "weather-gateway-keys", []func(*corev1.Secret){retained("another"), label(component, "keys")}, false, true, "weather", false},
		{"what merely says to be keys", "weather-oidc", []func(*corev1.Secret){retained("uid"), label(component, "keys")}, false, false, "", false},
		{"what is retained and is neither", "weather-gateway-report", []func(*corev1.Secret){retained("uid"), label(component, "report")}, false, false, "", false},
		{"a retained one of another name", "weather-gateway-x", []func(*corev1.Secret){retained("uid")}, false, false, "", false},
		{"a retained one of another server", "news-gateway-grants-7", []func(*corev1.Secret){retained("uid"), label(instance, "news")}, false, false, "news", true},
		{"a retained one that says to be another's", "weather-gateway-grants-7", []func(*corev1.Secret){retained("uid"), label(instance, "news")}, false, false, "", false},
	} {
		o := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: c.object, Labels: resources.Labels(server, resources.ComponentStore)}}
		for _, change := range c.changes {
			change(o)
		}
		if is := resources.IsOf(server, o); is != c.is {
			t.Errorf("%s: it is the server's: %v", c.name, is)
		}
		if left := resources.IsRetained(server, o); left != c.left {
			t.Errorf("%s: it may be adopted: %v", c.name, left)
		}
		if owner := resources.OwnerOf(o); owner != c.owner {
			t.Errorf("%s: it is of %q, want %q", c.name, owner, c.owner)
		}
		if shard := resources.IsShard(o); shard != c.shard {
			t.Errorf("%s: it is a shard: %v", c.name, shard)
		}
	}
}
