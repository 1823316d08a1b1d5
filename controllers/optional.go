package controllers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/discovery"
	toolscache "k8s.io/client-go/tools/cache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/source"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"vestibule.dev/vestibule/controllers/internal/conditions"
	"vestibule.dev/vestibule/controllers/internal/resources"
)

const (
	// retryAPI is when to look again for an API that the cluster does not have.
	retryAPI = 30 * time.Second
	// retryLooking is when to look again while another pass finds out.
	retryLooking = 2 * time.Second
	// watchWithin is how long the first pass that needs an API waits for its watch.
	watchWithin = 10 * time.Second
)

// apis knows which of the kinds that a cluster may have or not have it has, as far as
// somebody asked. A kind that is there is watched from then on, until its API goes away.
// The zero value knows none.
type apis struct {
	// has asks the API server whether it knows a kind: one request.
	has func(kind string) (bool, error)
	// watch begins to watch a kind. What is returned reads it, until gone was called.
	watch func(kind string, gone func()) (client.Reader, error)
	// every is when to look again for what is missing.
	every time.Duration
	// now tells the time.
	now func() time.Time

	mu    sync.Mutex
	known map[string]*api
}

// api is what is known of one kind.
type api struct {
	looked time.Time
	// looking says that somebody is finding out, which may take long.
	looking bool
	reader  client.Reader
	err     error
}

// of must be called with the mutex held.
func (a *apis) of(kind string) *api {
	if a.known == nil {
		a.known = map[string]*api{}
	}
	if a.known[kind] == nil {
		a.known[kind] = &api{}
	}
	return a.known[kind]
}

// errLooking is why nobody can say yet whether the cluster has an API.
var errLooking = errors.New("it is being found out whether the cluster has this API")

// reader is what objects of a kind are read from, or nil where the cluster does not
// have it. The first who asks has it looked for, since there may be objects of before.
// After that it is looked for only if it is wanted, or if nobody could say, and about once
// in every for all MCPServers together: those who do not want it cost nothing. Meanwhile
// others go on with errLooking, since an API that is there and may not be watched takes
// long to find out about.
func (a *apis) reader(kind string, wanted bool) (client.Reader, error) {
	if a.has == nil {
		return nil, nil
	}
	a.mu.Lock()
	k := a.of(kind)
	//rule:unset-api-forgotten
	due := k.looked.IsZero() || (wanted || k.err != nil) && a.now().Sub(k.looked) >= a.every-a.every/8
	//rule:watch-holds-up-all
	if k.looking {
		a.mu.Unlock()
		return nil, errLooking
	}
	if k.reader != nil || !due {
		defer a.mu.Unlock()
		return k.reader, k.err
	}
	k.looked, k.looking = a.now(), true
	a.mu.Unlock()

	there, err := a.has(kind)
	var reader client.Reader
	var gone atomic.Bool
	if err == nil && there {
		reader, err = a.watch(kind, func() {
			gone.Store(true)
			a.lose(kind)
		})
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	k.looking = false
	if gone.Load() {
		return nil, errLooking // and whoever comes next finds out
	}
	k.reader, k.err = reader, err
	return reader, err
}

// lose forgets what is known of a kind, so that it is looked for again.
func (a *apis) lose(kind string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	k := a.of(kind)
	k.looked, k.reader, k.err = time.Time{}, nil, nil
}

// discover asks a discovery client, which any service account may use.
func discover(d discovery.ServerResourcesInterface) func(kind string) (bool, error) {
	return func(kind string) (bool, error) {
		list, err := d.ServerResourcesForGroupVersion(groups[kind].String())
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("asking for %s: %w", groups[kind], err)
		}
		for _, r := range list.APIResources {
			if r.Kind == kind {
				return true, nil
			}
		}
		return false, nil
	}
}

// follower watches kinds for a controller that runs. Each has a cache of its own, which
// ends with its API: the manager's would ask for it for ever.
type follower struct {
	mgr        ctrl.Manager
	namespaces []string
	controller controller.Controller
}

func (f *follower) watch(kind string, gone func()) (client.Reader, error) {
	ctx, stop := context.WithCancel(context.Background())
	o := CacheOptions(f.namespaces)
	o.ByObject = nil
	o.DefaultLabelSelector = labels.SelectorFromSet(resources.ManagedLabels())
	o.Scheme, o.Mapper, o.HTTPClient = f.mgr.GetScheme(), f.mgr.GetRESTMapper(), f.mgr.GetHTTPClient()
	var lost atomic.Bool
	o.DefaultWatchErrorHandler = func(ctx context.Context, r *toolscache.Reflector, err error) {
		if apierrors.IsNotFound(err) {
			lost.Store(true)
			stop()
			return
		}
		toolscache.DefaultWatchErrorHandler(ctx, r, err)
	}
	objects, err := cache.New(f.mgr.GetConfig(), o)
	if err != nil {
		stop()
		return nil, fmt.Errorf("watching %s: %w", kind, err)
	}
	err = f.mgr.Add(manager.RunnableFunc(func(running context.Context) error {
		defer context.AfterFunc(running, stop)()
		err := objects.Start(ctx)
		if lost.Load() {
			gone()
		}
		return err
	}))
	src := source.Kind(objects, newObject(kind), handler.EnqueueRequestsFromMapFunc(ofOwner))
	if err == nil {
		err = f.controller.Watch(src)
	}
	if err == nil {
		within, cancel := context.WithTimeout(ctx, watchWithin)
		defer cancel()
		err = src.WaitForSync(within)
		err = errors.Join(err, ctx.Err())
	}
	if err != nil {
		stop()
		return nil, fmt.Errorf("watching %s: %w", kind, err)
	}
	return objects, nil
}

// optional are the kinds that a cluster may not have, in the order in which they are
// applied.
var optional = []string{kindHTTPRoute, kindIngress, kindPodMonitor}

// observeOptional looks at the children of these kinds. That one cannot be looked at is
// no reason not to do the rest: who applies it says so.
func (r *Reconciler) observeOptional(ctx context.Context, s *scope) error {
	s.optional = map[string]error{}
	for _, kind := range optional {
		field := resources.Asks(s.server, kind)
		//rule:one-api-ends-all
		s.optional[kind] = r.observeOptionalChild(ctx, s, kind, field)
	}
	return nil
}

// errAbsent is why a child of a kind that the cluster does not have is not applied.
var errAbsent = errors.New("the cluster does not have this API")

func (r *Reconciler) observeOptionalChild(ctx context.Context, s *scope, kind, field string) error {
	if s.children == nil {
		return errAbsent // Nothing is done in this pass.
	}
	reader, err := r.apis.reader(kind, field != "")
	if err != nil {
		return err
	}
	c, key := child{kind, resources.Name(s.server)}, client.ObjectKey{Namespace: s.server.Namespace, Name: resources.Name(s.server)}
	if reader == nil {
		if field != "" {
			r.miss(s, kind, field)
		}
		return errAbsent
	}
	o := newObject(kind)
	err = reader.Get(ctx, key, o)
	if apierrors.IsNotFound(err) && field != "" {
		// It may be there without our labels.
		o = metadataOf(kind)
		err = r.Live.Get(ctx, key, o)
	}
	switch {
	case client.IgnoreNotFound(err) != nil:
		return fmt.Errorf("reading %s %s: %w", kind, c.name, err)
	case err == nil && (field != "" || resources.IsOf(s.server, o)):
		s.children[c] = o
		switch o := s.own(c).(type) {
		case *gatewayv1.HTTPRoute:
			s.seen.Route = o
		case *networkingv1.Ingress:
			s.seen.Ingress = o
		}
	}
	return nil
}

// applyOptional applies what is asked for of these kinds, and removes what is not any
// more. One that fails says nothing about the others.
func (r *Reconciler) applyOptional(ctx context.Context, s *scope) error {
	var errs []error
	for _, kind := range optional {
		errs = append(errs, r.applyOptionalChild(ctx, s, child{kind, resources.Name(s.server)}))
	}
	return errors.Join(errs...)
}

func (r *Reconciler) applyOptionalChild(ctx context.Context, s *scope, c child) error {
	field := resources.Asks(s.server, c.kind)
	err := s.optional[c.kind]
	switch {
	case errors.Is(err, errAbsent):
		return nil
	case errors.Is(err, errLooking):
		s.lookAgain(r.Now().Add(retryLooking))
		return nil
	case err != nil && field == "":
		// There may be one that is not asked for any more. Who never had one is not told
		// of somebody else's trouble.
		//rule:unset-object-forgotten
		s.lookAgain(r.Now().Add(retryAPI))
		return nil
	case err != nil:
		return err
	}
	if field == "" {
		//rule:unset-object-stays
		return r.removeOwn(ctx, s, c)
	}
	switch c.kind {
	case kindHTTPRoute:
		_, err = apply(ctx, r, s, c, resources.HTTPRoute(s.server))
	case kindIngress:
		_, err = apply(ctx, r, s, c, resources.Ingress(s.server))
	case kindPodMonitor:
		_, err = apply(ctx, r, s, c, resources.PodMonitor(s.server))
	}
	if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
		// The API went away a moment ago, or the namespace did.
		if there, e := r.apis.has(c.kind); e == nil && !there {
			r.miss(s, c.kind, field)
			return nil
		}
	}
	return err
}

// miss notes that the spec asks for what the cluster does not have, and looks again.
func (r *Reconciler) miss(s *scope, kind, field string) {
	s.seen.Missing = append(s.seen.Missing, conditions.Missing{Field: field, Kind: kind, API: groups[kind].String()})
	s.lookAgain(r.Now().Add(r.apis.every))
}
