package controllers

import (
	"context"
	"slices"

	discoveryv1 "k8s.io/api/discovery/v1"
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
// there. Tokens are written many times a second.
var notRecords = predicate.Funcs{
	UpdateFunc: func(e event.UpdateEvent) bool {
		return !resources.IsShard(e.ObjectNew) || e.ObjectOld.GetUID() != e.ObjectNew.GetUID()
	},
}

// commanded lets changes of the annotations through that are commands.
var commanded = predicate.Funcs{
	UpdateFunc: func(e event.UpdateEvent) bool {
		before, now := e.ObjectOld.GetAnnotations(), e.ObjectNew.GetAnnotations()
		return before[v1alpha1.AnnotationRotateKeys] != now[v1alpha1.AnnotationRotateKeys] ||
			before[v1alpha1.AnnotationDropKeys] != now[v1alpha1.AnnotationDropKeys]
	},
}

// rivals are those that may not have what one has, or may have it when it is gone or
// has other routes.
func (w watcher) rivals(ctx context.Context, o client.Object) []reconcile.Request {
	one, ok := o.(*v1alpha1.MCPServer)
	if !ok {
		return nil
	}
	return w.where(ctx, "", func(s *v1alpha1.MCPServer) bool { return collision(s, one) != "" })
}

// ofService are the owner, and those whose backend a Service is.
func (w watcher) ofService(ctx context.Context, o client.Object) []reconcile.Request {
	return append(ownerOf(o), w.backedBy(ctx, o.GetNamespace(), o.GetName())...)
}

func (w watcher) ofEndpoints(ctx context.Context, o client.Object) []reconcile.Request {
	return w.backedBy(ctx, o.GetNamespace(), o.GetLabels()[discoveryv1.LabelServiceName])
}

func (w watcher) backedBy(ctx context.Context, namespace, service string) []reconcile.Request {
	return w.where(ctx, namespace, func(s *v1alpha1.MCPServer) bool {
		return slices.ContainsFunc(resources.Objects(s), func(o resources.Object) bool {
			return o.Service != nil && o.Service.Name == service
		})
	})
}

// ofPod is the server that a gateway pod is of, which its owner's owner is too.
func (w watcher) ofPod(ctx context.Context, o client.Object) []reconcile.Request {
	return w.where(ctx, o.GetNamespace(), func(s *v1alpha1.MCPServer) bool { return resources.IsPodOf(s, o) })
}

// of are the owner of a Secret or ConfigMap, and those that refer to it.
func (w watcher) of(kind string) handler.MapFunc {
	return func(ctx context.Context, o client.Object) []reconcile.Request {
		return append(ownerOf(o), w.where(ctx, o.GetNamespace(), func(s *v1alpha1.MCPServer) bool {
			for _, ref := range resources.References(s) {
				if ref.Kind == kind && ref.Name == o.GetName() {
					return true
				}
			}
			return false
		})...)
	}
}

// where are the MCPServers of a namespace, or of all, that match. The cache finds
// them by namespace, where they are few.
func (w watcher) where(ctx context.Context, namespace string, match func(*v1alpha1.MCPServer) bool) []reconcile.Request {
	var all v1alpha1.MCPServerList
	if err := w.client.List(ctx, &all, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
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

func ofOwner(_ context.Context, o client.Object) []reconcile.Request { return ownerOf(o) }

func ownerOf(o client.Object) []reconcile.Request {
	name := resources.OwnerOf(o)
	if name == "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: o.GetNamespace(), Name: name}}}
}
