package gateway

import (
	"time"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/store"
	"vestibule.dev/vestibule/gateway/internal/telemetry"
)

// lastTraces bounds how long the end waits for traces to be taken.
const lastTraces = 2 * time.Second

func newTracing(cfg *config.Config, o Options) *telemetry.Tracing {
	who := telemetry.Identity{PublicURL: cfg.PublicURL, PodUID: o.PodUID}
	if cfg.Cluster != nil {
		who.Namespace = cfg.Cluster.Namespace
	}
	return telemetry.NewTracing(cfg.Tracing, who, o.Log)
}

// state is what the metrics ask. There is a companion in a cluster alone.
func (p *parts) state(c *companion) telemetry.State {
	s := telemetry.State{
		Store: p.store, Now: p.now,
		Records: func(kind store.Kind) (unreadable, all int) {
			if kind == store.Client {
				return p.clients.Unreadable()
			}
			return p.grants.Unreadable()
		},
		MintingSince: func() time.Time { return p.ring.Current(p.now()).NotBefore() },
		PolicyGood:   func() bool { return p.rules.get() != nil && (c == nil || c.policyProblem() == nil) },
		KeysGood:     func() bool { return p.keys.problem() == nil },
		ReadyPods:    map[string]func() int{},
	}
	if p.certificate != nil {
		s.CertificateEnds = p.certificate.notAfter
	}
	for route, b := range p.backends.of {
		if b.pods != nil {
			s.ReadyPods[route] = b.pods.Open
		}
	}
	return s
}
