// Package gateway assembles the gateway: an OAuth 2.1 authorization server, and
// a proxy that lets only its tokens through to an MCP server.
package gateway

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/audit"
	"vestibule.dev/vestibule/gateway/internal/caller"
	"vestibule.dev/vestibule/gateway/internal/clients"
	"vestibule.dev/vestibule/gateway/internal/documents"
	"vestibule.dev/vestibule/gateway/internal/grants"
	"vestibule.dev/vestibule/gateway/internal/idjag"
	"vestibule.dev/vestibule/gateway/internal/keys"
	"vestibule.dev/vestibule/gateway/internal/oauth"
	"vestibule.dev/vestibule/gateway/internal/pods"
	"vestibule.dev/vestibule/gateway/internal/quota"
	"vestibule.dev/vestibule/gateway/internal/source"
	"vestibule.dev/vestibule/gateway/internal/store"
	"vestibule.dev/vestibule/gateway/internal/telemetry"
	"vestibule.dev/vestibule/gateway/internal/token"
	"vestibule.dev/vestibule/gateway/internal/upstream"
)

// Options are what a configuration does not say. The zero value is a pod's.
type Options struct {
	// Kubeconfig is the path of the kubeconfig for a Kubernetes store; unset, the
	// pod's service account is used.
	Kubeconfig string
	// PodUID and ConfigName are, in a cluster, the key of the gateway's report,
	// and the configuration that it reports to run with.
	PodUID, ConfigName string
	// Log is where logs and audit lines go; unset, slog.Default().
	Log *slog.Logger

	// Store is used instead of the configured one, which tests need to let two
	// gateways share one in memory.
	Store store.Store
	// WrapTransport wraps what a Kubernetes store sends its requests with.
	WrapTransport func(http.RoundTripper) http.RoundTripper
	// Pods are used for the backend that routes have by default, instead of those that
	// the configuration names.
	Pods *pods.Set
	// DialOptions are added to those that an etcd store connects with.
	DialOptions []grpc.DialOption
	// Now tells the time; unset, time.Now.
	Now func() time.Time
	// Intervals are timings that tests shorten.
	Intervals Intervals
}

// Intervals are the timings of a gateway. A zero field has its value in DefaultIntervals.
type Intervals struct {
	// Answer bounds a request to the authorization server, its body included. A store
	// that does not answer is a 503 then, and not a wait. It also bounds the wait for
	// the body of a request whose operation has a rule.
	Answer time.Duration
	// Keys is how often the file with the keys is read, and Certificate the same for
	// those with the certificate. The kubelet takes up to a minute and a half to bring a
	// change there.
	Keys, Certificate time.Duration
}

// DefaultIntervals are the timings in a pod.
var DefaultIntervals = Intervals{Answer: 20 * time.Second, Keys: 5 * time.Second, Certificate: 5 * time.Second}

func (i Intervals) withDefaults() Intervals {
	return Intervals{
		Answer:      cmp.Or(i.Answer, DefaultIntervals.Answer),
		Keys:        cmp.Or(i.Keys, DefaultIntervals.Keys),
		Certificate: cmp.Or(i.Certificate, DefaultIntervals.Certificate),
	}
}

// Gateway is one replica. Run it to serve.
type Gateway struct {
	log     *slog.Logger
	store   store.Store
	clients *clients.Service
	grants  *grants.Service
	rules   *inForce
	keys    *keyFile
	// certificate is nil where TLS ends before the gateway.
	certificate *certificate
	handler     http.Handler
	// metrics and tracing are nil if they are off.
	metrics *telemetry.Metrics
	tracing *telemetry.Tracing
	// companion is what else runs in a cluster; nil outside of one.
	companion *companion

	// drain is begun when streams are to end.
	drain    *drain
	requests requests
}

// New returns a gateway. It opens the store's file, if it has one, and calls
// nobody yet. The error says what in the configuration it cannot work with.
func New(cfg *config.Config, set *config.KeySet, o Options) (*Gateway, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Intervals = o.Intervals.withDefaults()
	p, err := newParts(cfg, set, o)
	if err != nil {
		return nil, err
	}
	g := &Gateway{
		log: o.Log, store: p.store, clients: p.clients, grants: p.grants, rules: p.rules, keys: p.keys, drain: newDrain(),
		certificate: p.certificate, metrics: p.metrics, tracing: p.tracing,
	}
	g.handler = p.router(g.drain)
	if cfg.Cluster != nil {
		if g.companion, err = p.newCompanion(o); err != nil {
			return nil, err
		}
	}
	p.metrics.Ask(p.state(g.companion))
	return g, nil
}

// Watch keeps the local copy of the store up to date until ctx is done.
func (g *Gateway) Watch(ctx context.Context) error {
	return g.store.Run(ctx, func(kind store.Kind, id store.ID, value []byte) {
		switch kind {
		case store.Client:
			g.clients.Observe(id, value)
		case store.Grant:
			g.grants.Observe(id, value)
		}
	})
}

// Synced is closed when the store was read once. From then on the gateway is
// ready, whatever happens to the store: what it knows it can still decide.
func (g *Gateway) Synced() <-chan struct{} { return g.store.Synced() }

// Close ends what the store still does, and lets its file go. Serve must have returned.
func (g *Gateway) Close() error {
	if c, ok := g.store.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// parts are what the endpoints are made of.
type parts struct {
	cfg       *config.Config
	url       *url.URL
	now       func() time.Time
	intervals Intervals
	log       *slog.Logger
	ring      *keys.Ring
	keys      *keyFile
	store     telemetry.Store
	rules     *inForce
	quotas    *quota.Quotas
	sources   *source.Resolver
	audit     *audit.Log
	documents *documents.Service
	clients   *clients.Service
	grants    *grants.Service
	upstreams upstreams
	backends  *backends
	idjag     *idjag.Service
	metrics   *telemetry.Metrics
	tracing   *telemetry.Tracing
	callers   map[*config.Identity]*caller.Service

	certificate *certificate
}

func newParts(cfg *config.Config, set *config.KeySet, o Options) (*parts, error) {
	p := &parts{cfg: cfg, tracing: newTracing(cfg, o), now: o.Now, intervals: o.Intervals, log: o.Log, rules: newInForce(),
		callers: map[*config.Identity]*caller.Service{},
	}
	//rule:metrics-always
	if cfg.Metrics {
		p.metrics = telemetry.NewMetrics()
	}
	var err error
	if cfg.TLS != nil {
		if p.certificate, err = newCertificate(*cfg.TLS, o.Intervals.Certificate, o.Log); err != nil {
			return nil, err
		}
	}
	if p.backends, err = newBackends(cfg, o.Pods); err != nil {
		return nil, err
	}
	if p.url, err = url.Parse(cfg.PublicURL); err != nil {
		return nil, fmt.Errorf("publicURL: %w", err)
	}
	if p.ring, err = keys.NewRing(set); err != nil {
		return nil, err
	}
	if cfg.Cluster == nil {
		compiled, err := compileRules(cfg, &cfg.Rules, nil)
		if err != nil {
			return nil, err
		}
		p.rules.set(compiled)
	}
	p.quotas = quota.New(func() config.Quotas { return p.rules.get().quotas }, o.Now)
	if p.sources, err = source.NewResolver(cfg.TrustedProxies); err != nil {
		return nil, err
	}
	opened, err := openStores(cfg, o)
	if err != nil {
		return nil, err
	}
	p.store = p.metrics.Store(opened)
	p.audit = audit.New(o.Log, p.sources.Of)
	p.metrics.Audit(p.audit)
	for _, u := range cfg.Upstreams {
		p.upstreams = append(p.upstreams, upstream.New(u, p.callbackURL(u.Name), o.Now))
	}
	if p.documents, err = documents.New(documents.Options{Settings: cfg.ClientIDMetadataDocuments, Now: o.Now, Log: o.Log}); err != nil {
		return nil, fmt.Errorf("clientIDMetadataDocuments: %w", err)
	}
	if p.idjag, err = idjag.New(cfg.PublicURL, cfg.TrustedIssuers, o.Now, o.Log); err != nil {
		return nil, err
	}
	trusted, err := p.trustedKeys()
	if err != nil {
		return nil, err
	}
	p.clients = clients.New(clients.Options{
		Store: p.store, Ring: p.ring, ServerUID: cfg.ServerUID, FreshFor: freshFor(cfg.Store.Type),
		Provisioned: cfg.Clients, TakeFailure: p.takeFailure(),
		Registration: cfg.Registration, Audiences: []string{cfg.PublicURL, cfg.PublicURL + token.Path},
		KeySets: p.documents, TrustedKeySets: trusted, Documents: p.documents,
		Remembered: func(ctx context.Context, token, clientID string) (*clients.Proof, error) {
			return p.grants.ProofOf(ctx, token, clientID)
		},
		Now: o.Now, Log: o.Log,
	})
	p.grants = grants.New(grants.Options{
		Store: p.store, Ring: p.ring, ServerUID: cfg.ServerUID, FreshFor: freshFor(cfg.Store.Type),
		Clients: p.clients, OutageTolerance: cfg.OutageTolerance(),
		AccessTokenTTL: cfg.AccessTokenTTL(), RefreshTokenTTL: cfg.RefreshTokenTTL(),
		Policy:    func(ctx context.Context) grants.Policy { return p.rules.of(ctx) },
		Upstreams: p.upstreams,
		Vouches:   p.vouches,
		//rule:public-url-for-any-resource
		PublicURL: p.anyResource(),
		Now:       o.Now, Log: o.Log,
	})
	p.keys = &keyFile{
		path: cfg.KeysFile, ring: p.ring, tables: []keyed{p.clients, p.grants}, log: o.Log, every: o.Intervals.Keys, set: set, loaded: set.Loaded(),
	}
	return p, nil
}

// anyResource is the public URL, where it is not itself the resource of a route.
func (p *parts) anyResource() string {
	if slices.ContainsFunc(p.cfg.Protected(), func(r config.Route) bool { return r.Path == "/" }) {
		return ""
	}
	return p.cfg.PublicURL
}

// trustedKeys finds the keys of provisioned clients that publish them.
func (p *parts) trustedKeys() (*documents.Service, error) {
	var urls []string
	for _, c := range p.cfg.Clients {
		if c.JWKSURL != "" {
			urls = append(urls, c.JWKSURL)
		}
	}
	keys, err := documents.NewTrusted(urls, "", p.now, p.log)
	if err != nil {
		return nil, fmt.Errorf("clients: %w", err)
	}
	return keys, nil
}

// vouches says whether a client may still have what it got without a login: its
// own word, or an issuer's, counts as long as the configuration says so.
func (p *parts) vouches(clientID, by, issuer string) bool {
	c, _ := p.clients.Known(clientID)
	if c == nil {
		return false
	}
	if name, ok := strings.CutPrefix(by, token.ByIssuer); ok {
		return c.May(config.GrantJWTBearer) && p.idjag.Issuer(name) == issuer
	}
	return by == token.ByClient && c.May(config.GrantClientCredentials) && issuer == p.cfg.PublicURL
}

func (p *parts) scopes() oauth.Scopes { return p.rules.get().Scopes() }
