package gitops

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/argoproj/argo-cd/gitops-engine/pkg/utils/kube"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/utils/kube/kubetest"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/rest"
	clienttesting "k8s.io/client-go/testing"
)

// cluster holds objects in memory. The engine lists, watches and deletes them there.
type cluster struct {
	*kubetest.MockKubectlCmd
	config *rest.Config
}

// newCluster returns a cluster with copies of these objects.
func newCluster(t *testing.T, objects []*unstructured.Unstructured) *cluster {
	t.Helper()
	var live []runtime.Object
	kinds := map[schema.GroupVersionResource]string{}
	for _, o := range objects {
		kinds[resourceOf(o.GroupVersionKind())] = o.GetKind()
		live = append(live, o.DeepCopy())
	}
	lists := map[schema.GroupVersionResource]string{}
	var apis []kube.APIResourceInfo
	discovery := map[string]*metav1.APIResourceList{}
	for resource, kind := range kinds {
		lists[resource] = kind + "List"
		r := metav1.APIResource{Name: resource.Resource, Kind: kind, Namespaced: true, Verbs: metav1.Verbs{"get", "list", "watch", "delete"}}
		apis = append(apis, kube.APIResourceInfo{
			GroupKind: schema.GroupKind{Group: resource.Group, Kind: kind}, Meta: r, GroupVersionResource: resource,
		})
		version := resource.GroupVersion().String()
		if discovery[version] == nil {
			discovery[version] = &metav1.APIResourceList{GroupVersion: version}
		}
		discovery[version].APIResources = append(discovery[version].APIResources, r)
	}
	client := fake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), lists, live...)
	// The engine watches from the version of the list, which the fake leaves empty.
	next := client.ReactionChain[0]
	client.PrependReactor("list", "*", func(action clienttesting.Action) (bool, runtime.Object, error) {
		handled, list, err := next.React(action)
		if l, ok := list.(metav1.ListInterface); ok && err == nil {
			l.SetResourceVersion("1")
		}
		return handled, list, err
	})

	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		version := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/apis/"), "/api/")
		resources, ok := discovery[version]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(resources); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	return &cluster{&kubetest.MockKubectlCmd{APIResources: apis, DynamicClient: client}, &rest.Config{Host: server.URL}}
}

// DeleteResource deletes an object. The mock would only pretend to.
func (c *cluster) DeleteResource(ctx context.Context, _ *rest.Config, kind schema.GroupVersionKind, name, namespace string, options metav1.DeleteOptions) error {
	return c.DynamicClient.Resource(resourceOf(kind)).Namespace(namespace).Delete(ctx, name, options)
}

// has reports whether the cluster still has the object.
func (c *cluster) has(t *testing.T, o *unstructured.Unstructured) bool {
	t.Helper()
	objects, err := c.DynamicClient.Resource(resourceOf(o.GroupVersionKind())).Namespace(o.GetNamespace()).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range objects.Items {
		if objects.Items[i].GetName() == o.GetName() {
			return true
		}
	}
	return false
}

func resourceOf(kind schema.GroupVersionKind) schema.GroupVersionResource {
	resource, _ := meta.UnsafeGuessKindToResource(kind)
	return resource
}
