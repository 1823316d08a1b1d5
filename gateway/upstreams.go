package gateway

import (
	"context"
	"fmt"

	"vestibule.dev/vestibule/gateway/internal/authorize"
	"vestibule.dev/vestibule/gateway/internal/telemetry"
	"vestibule.dev/vestibule/gateway/internal/upstream"
)

// upstreams are the configured ones, in the order that users are shown.
type upstreams []*upstream.Upstream

// named returns the upstream of this name, or nil.
func (us upstreams) named(name string) *upstream.Upstream {
	for _, u := range us {
		if u.Name() == name {
			return u
		}
	}
	return nil
}

// Serves says whether users of the issuer log in at the upstream of this name.
func (us upstreams) Serves(name, issuer string) bool {
	u := us.named(name)
	return u != nil && u.Serves(issuer)
}

// Renew asks the upstream of this name again.
func (us upstreams) Renew(ctx context.Context, name string, t upstream.Tokens, was upstream.Identity) (*upstream.Renewed, error) {
	u := us.named(name)
	if u == nil {
		return nil, fmt.Errorf("%w: it is not configured", upstream.ErrUnreachable)
	}
	return u.Renew(ctx, t, was)
}

// choices are what the authorization endpoint lets users choose from.
func (us upstreams) choices(m *telemetry.Metrics) []authorize.Upstream {
	var choices []authorize.Upstream
	for _, u := range us {
		choices = append(choices, m.Upstream(u))
	}
	return choices
}
