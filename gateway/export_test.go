package gateway

import (
	"context"
	"net/http"
	"sync"
	"testing"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/store"
)

// SetPolicy puts rules for targets in force at a gateway, as if the controller had written
// them; nil are the targets of a controller that writes none.
func SetPolicy(t testing.TB, g *Gateway, cfg *config.Config, r *config.Rules, targets *config.Targets) {
	t.Helper()
	compiled, err := compileRules(cfg, r, targets)
	if err != nil {
		t.Fatal(err)
	}
	g.rules.set(compiled)
}

// BackendTransport is what the first route's backend is called with.
func BackendTransport(cfg *config.Config) (http.RoundTripper, error) {
	b, err := newBackends(cfg, nil)
	if err != nil {
		return nil, err
	}
	return b.of[cfg.Routes[0].Name].transport, nil
}

// PolicyCheck returns the reason that a gateway would report of its policy and its
// certificate, or nothing.
func PolicyCheck(g *Gateway) (reason string) {
	c := &companion{parts: &parts{rules: g.rules, certificate: g.certificate}}
	if _, failure := c.checkPolicy(context.Background()); failure != nil {
		return failure.Reason
	}
	return ""
}

// StoreCheck returns what a gateway would report of its store after another look at
// its keys: the reason of a failure and its message, or nothing. The store runs until
// the test ends.
func StoreCheck(t testing.TB, cfg *config.Config, set *config.KeySet, o Options) (check func(context.Context) (reason, message string)) {
	t.Helper()
	o.Intervals = o.Intervals.withDefaults()
	p, err := newParts(cfg, set, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = p.store.Run(ctx, func(store.Kind, store.ID, []byte) {}) }) // its calls say what fails
	t.Cleanup(func() {
		stop()
		running.Wait()
		if err := (&Gateway{store: p.store}).Close(); err != nil {
			t.Error(err)
		}
	})
	run := (&companion{parts: p}).checkStore()
	return func(ctx context.Context) (reason, message string) {
		p.keys.follow(ctx)
		if _, failure := run(ctx); failure != nil {
			return failure.Reason, failure.Message
		}
		return "", ""
	}
}

// PublicCheck returns what a gateway would report of its public URL, through a front:
// the reason of a failure, or nothing. It is nil if it would not look.
func PublicCheck(cfg *config.Config, set *config.KeySet, o Options, front http.RoundTripper) (func(context.Context) (reason string), error) {
	o.Intervals = o.Intervals.withDefaults()
	p, err := newParts(cfg, set, o)
	if err != nil {
		return nil, err
	}
	for _, c := range (&companion{parts: p, front: front}).checks() {
		if c.Name != "public URL" {
			continue
		}
		return func(ctx context.Context) (reason string) {
			if _, failure := c.Run(ctx); failure != nil {
				return failure.Reason
			}
			return ""
		}, nil
	}
	return nil, nil
}

// Handler serves all paths.
func Handler(g *Gateway) http.Handler { return g.handler }
