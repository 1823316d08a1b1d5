package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/apiserver"
	"vestibule.dev/vestibule/gateway/internal/cluster"
	"vestibule.dev/vestibule/gateway/internal/metadata"
	"vestibule.dev/vestibule/gateway/internal/pods"
	"vestibule.dev/vestibule/gateway/internal/probe"
	"vestibule.dev/vestibule/gateway/internal/report"
	"vestibule.dev/vestibule/gateway/internal/store"
)

// companion is what a gateway does besides serving when a controller runs it: it
// follows the policy, and reports what only it can know.
type companion struct {
	parts   *parts
	objects *cluster.Objects
	// endpoints are where the pods of each set come from.
	endpoints map[*pods.Set]*cluster.Endpoints
	reporter  *report.Reporter
	// front is what the public URL is asked through.
	front http.RoundTripper

	mu sync.Mutex
	// badPolicy is why the newest policy is not in force, or nil.
	badPolicy error
}

func (p *parts) newCompanion(o Options) (*companion, error) {
	if o.PodUID == "" || o.ConfigName == "" {
		return nil, errors.New("in a cluster, the pod's UID and the configuration's name must be given")
	}
	rest, err := apiserver.Connect(o.Kubeconfig)
	if err != nil {
		return nil, err
	}
	client, err := apiserver.New(rest, apiserver.ConfigMaps, p.cfg.Cluster.Namespace, o.WrapTransport)
	if err != nil {
		return nil, err
	}
	c := &companion{parts: p, objects: &cluster.Objects{Client: client, Names: *p.cfg.Cluster, PodUID: o.PodUID, Log: o.Log}, endpoints: map[*pods.Set]*cluster.Endpoints{}}
	slices, err := apiserver.New(rest, apiserver.EndpointSlices, p.cfg.Cluster.Namespace, o.WrapTransport)
	if err != nil {
		return nil, err
	}
	for of, set := range p.backends.pods {
		c.endpoints[set] = &cluster.Endpoints{Client: slices, Service: of.Service, Port: of.Port, Log: o.Log}
	}
	c.front = publicTransport()
	c.reporter = &report.Reporter{
		Initial: config.Report{
			Version: config.Version, Config: o.ConfigName, Upstreams: map[string]config.Check{}, Routes: map[string]config.Check{},
		},
		Publish: c.objects.Publish, Log: o.Log,
	}
	c.reporter.Checks = c.checks()
	return c, nil
}

// run works until ctx is done.
func (c *companion) run(ctx context.Context) {
	var started sync.WaitGroup
	started.Go(func() {
		c.objects.FollowPolicy(ctx, func(documents map[string]string) {
			err := c.apply(documents)
			if err != nil {
				c.parts.log.ErrorContext(ctx, "the newest policy is not used", "error", err)
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			c.badPolicy = err
		})
	})
	for set, endpoints := range c.endpoints {
		started.Go(func() { endpoints.Follow(ctx, set.Replace) })
	}
	c.reporter.Run(ctx)
	started.Wait()
}

// apply puts a policy in force. One that is bad changes nothing: the last good
// one stays.
func (c *companion) apply(documents map[string]string) error {
	p, err := config.ParsePolicy([]byte(documents[config.PolicyKey]))
	if err != nil {
		return err
	}
	var targets *config.Targets // nil if the controller is older than they are
	if document, ok := documents[config.TargetsKey]; ok {
		if targets, err = config.ParseTargets([]byte(document)); err != nil {
			return fmt.Errorf("what the policy is for: %w", err)
		}
	}
	compiled, err := compileRules(c.parts.cfg, &p.Rules, targets)
	if err != nil {
		return err
	}
	c.parts.rules.set(compiled)
	return nil
}

func (c *companion) checks() []report.Check {
	p := c.parts
	checks := []report.Check{
		{Name: "policy", Run: c.checkPolicy, Put: func(r *config.Report, outcome config.Check) { r.Policy = outcome }},
		{Name: "store", Run: c.checkStore(), Put: func(r *config.Report, outcome config.Check) {
			r.Store = outcome
			r.FillingClients, r.FillingGrants = p.filling(store.Client), p.filling(store.Grant)
		}},
		// Its message changes with the keys, so a change is told as soon as it is seen.
		{Name: "keys", Every: p.intervals.Keys, Run: func(context.Context) (string, *report.Failure) { return fmt.Sprint(p.keys.ids()), nil },
			Put: func(r *config.Report, _ config.Check) { ids := p.keys.ids(); r.Keys = &ids }},
	}
	for _, u := range p.upstreams {
		checks = append(checks, report.Check{
			Name: "upstream " + u.Name(), Run: probe.Upstream(u),
			Put: func(r *config.Report, outcome config.Check) { r.Upstreams[u.Name()] = outcome },
		})
	}
	for _, route := range p.cfg.Routes {
		b := p.backends.of[route.Name]
		checks = append(checks, report.Check{
			Name: "route " + route.Name, Run: probe.Backend(probe.Endpoint{URL: b.url, Transport: route.Transport, Guarded: b.guarded, Addr: b.anyPod}, b.transport),
			Put: func(r *config.Report, outcome config.Check) { r.Routes[route.Name] = outcome },
		})
	}
	// The loopback of a pod is not the one that a publicURL there means.
	if !config.IsLoopback(p.url.Hostname()) {
		checks = append(checks, report.Check{
			Name: "public URL", Every: publicEvery,
			Run: probe.Public(metadata.ServerMetadataURL(p.cfg.PublicURL), p.cfg.PublicURL, c.document, c.front),
			Put: func(r *config.Report, outcome config.Check) { r.Public = outcome },
		})
	}
	return checks
}

// publicEvery is the time between two checks of the public URL: what is asked may be
// far away, and all gateways ask.
const publicEvery = 30 * time.Second

// publicTransport makes a new connection each time: where the name leads may have changed.
func publicTransport() http.RoundTripper {
	t := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // it is one
	t.DisableKeepAlives = true
	return t
}

// document is the metadata that this server publishes now.
func (c *companion) document() ([]byte, error) {
	if c.parts.rules.get() == nil {
		return nil, errors.New("the policy was not read yet")
	}
	return c.parts.metadata().Document()
}

// policyProblem is why the newest policy is not in force, or nil.
func (c *companion) policyProblem() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.badPolicy
}

// checkPolicy also says whether the newest certificate is in use.
func (c *companion) checkPolicy(context.Context) (string, *report.Failure) {
	switch err := c.policyProblem(); {
	case err != nil:
		return "", &report.Failure{Reason: config.ReasonPolicyInvalid, Message: err.Error()}
	case c.parts.rules.get() == nil:
		return "", &report.Failure{Reason: config.ReasonPolicyInvalid, Message: "the policy was not read yet"}
	}
	if err := c.parts.certificate.problem(); err != nil {
		return "", &report.Failure{Reason: config.ReasonCertificateInvalid, Message: "the newest certificate is not used: " + err.Error()}
	}
	return "the newest policy is in force", nil
}

// checkStore also says how full the store is, so that a change of that is told, and
// whether the newest keys are in use.
func (c *companion) checkStore() func(context.Context) (string, *report.Failure) {
	p := c.parts
	check := probe.Store(p.store, func() (sealed, all int) {
		sealedClients, clients := p.clients.Unreadable()
		sealedGrants, grants := p.grants.Unreadable()
		return sealedClients + sealedGrants, clients + grants
	})
	return func(ctx context.Context) (string, *report.Failure) {
		message, failure := check(ctx)
		if err := p.keys.problem(); failure == nil && err != nil {
			failure = &report.Failure{Reason: config.ReasonKeysInvalid, Message: "the newest keys are not used: " + err.Error()}
		}
		for _, kind := range store.Kinds {
			if failure == nil && p.filling(kind) {
				message += fmt.Sprintf("; the shards of %ss are filling", kind)
			}
		}
		return message, failure
	}
}

// filling says whether a store that counts its parts wants more of them.
func (p *parts) filling(kind store.Kind) bool {
	_, filling := p.store.Counts(kind)
	return filling
}
