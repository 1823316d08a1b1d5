// Package gitops has the engine of Argo CD judge the objects that the controller makes. It
// is a module of its own, since nothing else needs the engine.
package gitops

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/argoproj/argo-cd/gitops-engine/pkg/cache"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/engine"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/sync"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/sync/common"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/sync/resource"
	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
)

const (
	// application is the name of the Application, and of the MCPServer.
	application = "weather"
	// children has what the controller makes for one MCPServer in each file.
	children = "../../controllers/internal/resources/testdata/children"
)

// tracking is one of the ways in which Argo CD finds the objects of an Application.
type tracking struct {
	name string
	// of returns the name of the Application that an object belongs to, or nothing.
	of func(*unstructured.Unstructured) string
	// add makes an object belong to the Application.
	add func(*unstructured.Unstructured)
}

var (
	// byLabel is the default of Argo CD 2.
	byLabel = tracking{
		name: "label",
		of:   func(o *unstructured.Unstructured) string { return o.GetLabels()["app.kubernetes.io/instance"] },
		add: func(o *unstructured.Unstructured) {
			labels := o.GetLabels()
			labels["app.kubernetes.io/instance"] = application
			o.SetLabels(labels)
		},
	}
	// byAnnotation is the default of Argo CD 3.
	byAnnotation = tracking{
		name: "annotation",
		of: func(o *unstructured.Unstructured) string {
			name, _, _ := strings.Cut(o.GetAnnotations()["argocd.argoproj.io/tracking-id"], ":")
			return name
		},
		add: func(o *unstructured.Unstructured) {
			annotations := o.GetAnnotations()
			if annotations == nil {
				annotations = map[string]string{}
			}
			annotations["argocd.argoproj.io/tracking-id"] = application + ":/" + o.GetKind() + ":" + o.GetNamespace() + "/" + o.GetName()
			o.SetAnnotations(annotations)
		},
	}
)

// An Application with the MCPServer's name prunes nothing that the controller has made.
func TestAnApplicationPrunesNothingOfTheController(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(children, "*.yaml"))
	if err != nil || len(files) < 7 {
		t.Fatalf("there are the files %v: %v", files, err)
	}
	for _, file := range files {
		for _, by := range []tracking{byLabel, byAnnotation} {
			t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml")+" by "+by.name, func(t *testing.T) {
				t.Parallel()
				want(t, nil, by, read(t, file))
			})
		}
	}
}

// Only their owners keep the other objects, which have the label of the Application.
func TestAnApplicationPrunesWhatHasItsLabelAndNoOwner(t *testing.T) {
	t.Parallel()
	objects := read(t, filepath.Join(children, "minimal.yaml"))
	for _, o := range objects {
		o.SetOwnerReferences(nil)
	}
	want(t, pruned, byLabel, objects)
}

// Keys and shards that Argo CD restored from a backup belong to the Application. When the
// backup leaves the repository, their annotations keep them.
func TestAnApplicationKeepsWhatIsRetained(t *testing.T) {
	for _, by := range []tracking{byLabel, byAnnotation} {
		t.Run(by.name, func(t *testing.T) {
			t.Parallel()
			objects := retained(t)
			for _, o := range objects {
				by.add(o)
			}
			want(t, skipped, by, objects)
			for _, o := range objects {
				annotations := o.GetAnnotations()
				maps.DeleteFunc(annotations, func(name, _ string) bool {
					return name == "argocd.argoproj.io/sync-options" || name == "argocd.argoproj.io/compare-options"
				})
				o.SetAnnotations(annotations)
			}
			want(t, pruned, by, objects)
		})
	}
}

// Argo CD reads two more options outside of its engine. With Delete=false it keeps an object
// when it deletes the Application. With IgnoreExtraneous it reports the Application as synced
// although the object is not in the repository. The functions that parse them are the engine's.
func TestArgoCDFindsTheOtherOptions(t *testing.T) {
	for _, o := range retained(t) {
		if v := resource.GetAnnotationOptionValue(o, common.AnnotationSyncOptions, common.SyncOptionDelete); v == nil || *v != common.SyncValueFalse {
			t.Errorf("%s is deleted with its Application", o.GetName())
		}
		if !resource.HasAnnotationOption(o, "argocd.argoproj.io/compare-options", "IgnoreExtraneous") {
			t.Errorf("%s makes its Application out of sync", o.GetName())
		}
	}
}

// verdict is what the engine does with an object that is not in the repository.
type verdict struct {
	code common.ResultCode
	gone bool
}

var (
	pruned  = &verdict{common.ResultCodePruned, true}
	skipped = &verdict{common.ResultCodePruneSkipped, false}
)

// want has the engine sync a cluster with these objects to an empty repository, and checks
// its verdict on each object. A nil verdict means that the object is not the Application's.
func want(t *testing.T, v *verdict, by tracking, objects []*unstructured.Unstructured) {
	t.Helper()
	c := newCluster(t, objects)
	results := map[string]common.ResultCode{}
	for _, r := range syncNothing(t, c, by) {
		results[r.ResourceKey.Kind+"/"+r.ResourceKey.Name] = r.Status
	}
	for _, o := range objects {
		name := o.GetKind() + "/" + o.GetName()
		got, ok := results[name]
		gone := !c.has(t, o)
		switch {
		case v == nil && (ok || gone):
			t.Errorf("by %s, %s is the Application's: %q, gone %v", by.name, name, got, gone)
		case v != nil && (!ok || got != v.code || gone != v.gone):
			t.Errorf("by %s, %s is %q and gone %v, want %q and %v", by.name, name, got, gone, v.code, v.gone)
		}
	}
}

// syncNothing syncs an Application with automated pruning whose repository is empty, and
// returns the engine's results.
func syncNothing(t *testing.T, c *cluster, by tracking) []common.ResourceSyncResult {
	t.Helper()
	live := cache.NewClusterCache(c.config, cache.SetKubectl(c), cache.SetLogr(logr.Discard()),
		// The cache keeps an object and the name of its Application if it has no owner.
		cache.SetPopulateResourceInfoHandler(func(o *unstructured.Unstructured, isRoot bool) (any, bool) {
			name := by.of(o)
			if !isRoot {
				name = ""
			}
			return name, name != ""
		}))
	e := engine.NewEngine(c.config, live, engine.WithKubectl(c), engine.WithLogr(logr.Discard()))
	stop, err := e.Run()
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	results, err := e.Sync(t.Context(), nil, func(r *cache.Resource) bool { return r.Info == application },
		"revision", "argocd", sync.WithPrune(true), sync.WithLogr(logr.Discard()))
	if err != nil {
		t.Fatal(err)
	}
	return results
}

// retained returns the keys and the shards of the MCPServer whose deletionPolicy is Retain.
func retained(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	var all []*unstructured.Unstructured
	for _, o := range read(t, filepath.Join(children, "retained.yaml")) {
		if len(o.GetOwnerReferences()) == 0 {
			all = append(all, o)
		}
	}
	if len(all) != 3 {
		t.Fatalf("%d objects have no owner, want the keys and two shards", len(all))
	}
	return all
}

// read returns the objects in a file, with the UIDs that an API server would give them.
func read(t *testing.T, file string) []*unstructured.Unstructured {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all []*unstructured.Unstructured
	for decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), 4096); ; {
		o := &unstructured.Unstructured{}
		if err := decoder.Decode(o); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		o.SetUID(types.UID(o.GetKind() + "/" + o.GetName()))
		all = append(all, o)
	}
}
