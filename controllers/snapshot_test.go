//go:build integration

package controllers

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vestibule.dev/vestibule/controllers/internal/resources"
)

// snapshot is what the server owns, each object as text, without what differs from
// one server to the next.
func (w *world) snapshot() map[string]string {
	w.t.Helper()
	objects, uid := map[string]string{}, string(w.get().UID)
	owned, first := w.owned(), uid // who the records are sealed to
	if keys := owned["Secret/"+w.gateway()+"-keys"]; keys != nil {
		first = keys.GetLabels()["mcp.vestibule.dev/sealed-to"]
	}
	config := w.deployment().Spec.Template.Annotations[resources.AnnotationConfig]
	for kind, o := range owned {
		content := maps.Clone(o.Object)
		for _, field := range []string{"status", "metadata"} {
			delete(content, field)
		}
		if strings.HasSuffix(kind, "-keys") || strings.HasSuffix(kind, "-report") {
			delete(content, "data")
		}
		if strings.Contains(kind, "-gateway-config-") && !strings.HasSuffix(kind, config) {
			continue // Of an older template, whose pods may still be there.
		}
		unstructured.RemoveNestedField(content, "spec", "clusterIP")
		unstructured.RemoveNestedField(content, "spec", "clusterIPs")
		data, err := json.MarshalIndent([]any{o.GetLabels(), o.GetOwnerReferences(), content}, "", " ")
		must(w.t, err)
		objects[hashes.ReplaceAllString(kind, "HASH")] = hashes.ReplaceAllString(
			strings.NewReplacer(uid, "UID", first, "SEALED-TO", w.namespace, "NAMESPACE").Replace(string(data)), "HASH")
	}
	return objects
}

var hashes = regexp.MustCompile(`[0-9a-f]{16}`)

// owned are the objects that the server owns, by kind and name.
func (w *world) owned() map[string]*unstructured.Unstructured {
	w.t.Helper()
	s, all := w.get(), map[string]*unstructured.Unstructured{}
	for _, kind := range slices.Sorted(maps.Keys(groups)) {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(groups[kind].WithKind(kind + "List"))
		if err := admin.List(w.t.Context(), list, client.InNamespace(w.namespace)); !meta.IsNoMatchError(err) && !apierrors.IsNotFound(err) {
			must(w.t, err) // Not of what the cluster does not have.
		}
		for i := range list.Items {
			if o := &list.Items[i]; resources.IsOf(s, o) {
				all[kind+"/"+o.GetName()] = o
			}
		}
	}
	return all
}

// versions are the resource versions of what the server owns.
func (w *world) versions() map[string]string {
	w.t.Helper()
	versions := map[string]string{}
	for name, o := range w.owned() {
		versions[name] = o.GetResourceVersion()
	}
	return versions
}

func differ(t *testing.T, what string, want, got map[string]string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}
