package controllers

import (
	"context"
	"fmt"
	"slices"

	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/controllers/internal/resources"
)

// watcher says which MCPServers an object matters to.
type watcher struct{ client client.Reader }

// notRecords lets no change of a shard's records through: shards matter by being
// there. Tokens are written many times a second. Reports are watched with their content.
var notRecords = predicate.Funcs{
	UpdateFunc: func(e event.UpdateEvent) bool {
		return !resources.IsShard(e.ObjectNew) && !resources.IsReport(e.ObjectNew) || e.ObjectOld.GetUID() != e.ObjectNew.GetUID()
	},
}

// commands are the annotations that ask for something.
var commands = []string{
	v1alpha1.AnnotationRotateKeys, v1alpha1.AnnotationDropKeys,
	//rule:asked-pass-ignored
	v1alpha1.AnnotationReconcile,
}

// commanded lets changes of the annotations through that are commands.
var commanded = predicate.Funcs{
	UpdateFunc: func(e event.UpdateEvent) bool {
		before, now := e.ObjectOld.GetAnnotations(), e.ObjectNew.GetAnnotations()
		return slices.ContainsFunc(commands, func(name string) bool { return before[name] != now[name] })
	},
}

// claiming lets changes of claims through.
var claiming = predicate.Funcs{
	UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok := e.ObjectOld.(*v1alpha1.MCPServer)
		now, is := e.ObjectNew.(*v1alpha1.MCPServer)
		return ok && is && !equality.Semantic.DeepEqual(before.Status.Claims, now.Status.Claims)
	},
}

// By what the cache finds MCPServers.
const (
	byHost      = "host"
	byService   = "service"
	byReference = "reference"
)

var indexes = map[string]func(*v1alpha1.MCPServer) []string{
	byHost: func(s *v1alpha1.MCPServer) []string {
		host, _ := publicPlace(s)
		return []string{host}
	},
	byService: func(s *v1alpha1.MCPServer) []string {
		var names []string
		for _, o := range resources.Objects(s) {
			if o.Service != nil {
				names = append(names, o.Service.Name)
			}
		}
		return names
	},
	byReference: func(s *v1alpha1.MCPServer) []string {
		var names []string
		for _, ref := range resources.References(s) {
			names = append(names, reference(ref.Kind, ref.Name))
		}
		return names
	},
}

func reference(kind, name string) string { return kind + "/" + name }

// index has the cache find MCPServers by what an event is about, so that its cost does
// not grow with their number.
func index(ctx context.Context, indexer client.FieldIndexer) error {
	for field, values := range indexes {
		if err := indexer.IndexField(ctx, &v1alpha1.MCPServer{}, field, func(o client.Object) []string {
			if s, ok := o.(*v1alpha1.MCPServer); ok {
				return values(s)
			}
			return nil
		}); err != nil {
			return fmt.Errorf("indexing MCPServers by %s: %w", field, err)
		}
	}
	return nil
}

// rivals are those that may not have what one has, or may have it when it is gone or
// has other routes.
func (w watcher) rivals(ctx context.Context, o client.Object) []reconcile.Request {
	one, ok := o.(*v1alpha1.MCPServer)
	if !ok {
		return nil
	}
	host, _ := publicPlace(one)
	return w.where(ctx, "", byHost, host, func(s *v1alpha1.MCPServer) bool { return collision(s, one) != "" })
}

// ofService are the owner, and those whose backend a Service is.
func (w watcher) ofService(ctx context.Context, o client.Object) []reconcile.Request {
	return append(ownerOf(o), w.where(ctx, o.GetNamespace(), byService, o.GetName(), always)...)
}

func (w watcher) ofEndpoints(ctx context.Context, o client.Object) []reconcile.Request {
	return w.where(ctx, o.GetNamespace(), byService, o.GetLabels()[discoveryv1.LabelServiceName], always)
}

// ofPod is the server that a gateway pod is of, which its owner's owner is too.
func ofPod(_ context.Context, o client.Object) []reconcile.Request {
	return requestFor(o.GetNamespace(), resources.PodOf(o))
}

// of are the owner of a Secret or ConfigMap, and those that refer to it.
func (w watcher) of(kind string) handler.MapFunc {
	return func(ctx context.Context, o client.Object) []reconcile.Request {
		return append(ownerOf(o), w.where(ctx, o.GetNamespace(), byReference, reference(kind, o.GetName()), always)...)
	}
}

// where are the MCPServers of a namespace, or of all, that have this value in an index
// and match.
func (w watcher) where(ctx context.Context, namespace, field, value string, match func(*v1alpha1.MCPServer) bool) []reconcile.Request {
	var all v1alpha1.MCPServerList
	if err := w.client.List(ctx, &all, client.InNamespace(namespace), client.MatchingFields{field: value}, client.UnsafeDisableDeepCopy); err != nil {
		log.FromContext(ctx).Error(err, "listing MCPServers")
		return nil
	}
	var requests []reconcile.Request
	for i := range all.Items {
		if s := &all.Items[i]; match(s) {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(s)})
		}
	}
	return requests
}

// always matches.
func always(*v1alpha1.MCPServer) bool { return true }

func ofOwner(_ context.Context, o client.Object) []reconcile.Request { return ownerOf(o) }

func ownerOf(o client.Object) []reconcile.Request {
	return requestFor(o.GetNamespace(), resources.OwnerOf(o))
}

// requestFor is about the MCPServer of this name, if one is given.
func requestFor(namespace, name string) []reconcile.Request {
	if name == "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}}}
}
