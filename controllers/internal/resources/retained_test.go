package resources_test

import (
	"encoding/json"
	"maps"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/controllers/internal/resources"
	"vestibule.dev/vestibule/gateway/config"
)

// Argo CD prunes objects that have the label of an Application and no owner. Keys and
// shards lose that label with their owner, however they lose it, and get it back.
func TestGitOpsToolsLeaveRetainedObjectsAlone(t *testing.T) {
	t.Parallel()
	deleted := read(t, "minimal")
	retained := deleted.DeepCopy()
	retained.Spec.DeletionPolicy = v1alpha1.DeletionRetain
	check := func(name string, o metav1.ObjectMeta, kept bool) {
		t.Helper()
		_, instance := o.Labels["app.kubernetes.io/instance"]
		prune, compare := o.Annotations["argocd.argoproj.io/sync-options"], o.Annotations["argocd.argoproj.io/compare-options"]
		if o.Labels["mcp.vestibule.dev/server"] != "weather" || instance == kept {
			t.Errorf("%s has the labels %v", name, o.Labels)
		}
		if kept != (prune == "Prune=false,Delete=false") || kept != (compare == "IgnoreExtraneous") {
			t.Errorf("%s has the annotations %v", name, o.Annotations)
		}
	}
	made := func(server *v1alpha1.MCPServer) map[string]metav1.ObjectMeta {
		keys, err := resources.Keys(server, &config.KeySet{Version: config.Version, Keys: []config.Key{{ID: 1, Secret: make([]byte, 32)}}})
		if err != nil {
			t.Fatal(err)
		}
		shard := resources.Shard(server, resources.Grants, 0, "uid")
		return map[string]metav1.ObjectMeta{
			"keys": keys.ObjectMeta, "a shard": {Labels: shard.GetLabels(), Annotations: shard.GetAnnotations(), OwnerReferences: shard.GetOwnerReferences()},
		}
	}
	for name, o := range made(deleted) {
		check("new "+name, o, false)
		check("restorable "+name, resources.Restorable(&o), true)
		o = claimed(t, retained, o)
		check("from Delete to Retain, "+name, o, true)
		check("and back, "+name, claimed(t, deleted, o), false)
	}
	for name, o := range made(retained) {
		check("new retained "+name, o, true)
		check("from Retain to Delete, "+name, claimed(t, deleted, o), false)
	}
}

// claimed returns the metadata of an object after the patch by which the server claims it.
func claimed(t *testing.T, server *v1alpha1.MCPServer, o metav1.ObjectMeta) metav1.ObjectMeta {
	t.Helper()
	data, err := resources.Claim(server, &o, nil)
	if err != nil {
		t.Fatal(err)
	}
	var patch struct {
		Metadata struct {
			Labels, Annotations map[string]*string
			OwnerReferences     []metav1.OwnerReference
		}
	}
	if err := json.Unmarshal(data, &patch); err != nil {
		t.Fatal(err)
	}
	return metav1.ObjectMeta{
		Labels: merged(o.Labels, patch.Metadata.Labels), Annotations: merged(o.Annotations, patch.Metadata.Annotations),
		OwnerReferences: patch.Metadata.OwnerReferences,
	}
}

// merged applies a JSON merge patch (RFC 7386) to labels or annotations.
func merged(before map[string]string, patch map[string]*string) map[string]string {
	after := map[string]string{}
	maps.Copy(after, before)
	for k, v := range patch {
		if v == nil {
			delete(after, k)
		} else {
			after[k] = *v
		}
	}
	return after
}
