package gateway

import (
	"context"
	"net/http"
	"time"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/store"
)

// AnswerWithin bounds requests to the authorization server by another time, until
// the function that it returns is called.
func AnswerWithin(d time.Duration) (restore func()) {
	before := answerWithin
	answerWithin = d
	return func() { answerWithin = before }
}

// LookForKeysEvery lets gateways that start look for new keys as often as that, until
// the function that it returns is called.
func LookForKeysEvery(d time.Duration) (restore func()) {
	before := keysEvery
	keysEvery = d
	return func() { keysEvery = before }
}

// LookForCertificatesEvery is the same for certificates.
func LookForCertificatesEvery(d time.Duration) (restore func()) {
	before := certificateEvery
	certificateEvery = d
	return func() { certificateEvery = before }
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
// ctx is done, and is not waited for.
func StoreCheck(ctx context.Context, cfg *config.Config, set *config.KeySet, o Options) (func(context.Context) (reason, message string), error) {
	p, err := newParts(cfg, set, o)
	if err != nil {
		return nil, err
	}
	go func() { _ = p.store.Run(ctx, func(store.Kind, store.ID, []byte) {}) }() // its calls say what fails
	check := (&companion{parts: p}).checkStore()
	return func(ctx context.Context) (reason, message string) {
		p.keys.follow(ctx)
		if _, failure := check(ctx); failure != nil {
			return failure.Reason, failure.Message
		}
		return "", ""
	}, nil
}

// PublicCheck returns what a gateway would report of its public URL, through a front:
// the reason of a failure, or nothing. It is nil if it would not look.
func PublicCheck(cfg *config.Config, set *config.KeySet, o Options, front http.RoundTripper) (func(context.Context) (reason string), error) {
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
