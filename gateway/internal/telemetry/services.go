package telemetry

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"vestibule.dev/vestibule/gateway/internal/grants"
	"vestibule.dev/vestibule/gateway/internal/oauth"
	"vestibule.dev/vestibule/gateway/internal/token"
	"vestibule.dev/vestibule/gateway/internal/upstream"
)

// Grants issues tokens.
type Grants interface {
	Redeem(ctx context.Context, r grants.Redemption) (*grants.Issued, error)
	Refresh(ctx context.Context, r grants.Refreshing) (*grants.Issued, error)
	Issue(ctx context.Context, u grants.Unattended) (*grants.Issued, error)
}

// Grants counts requests for tokens.
func (m *Metrics) Grants(g Grants) Grants {
	if m == nil {
		return g
	}
	return countedGrants{g, m.tokens}
}

type countedGrants struct {
	Grants
	requests *prometheus.CounterVec
}

func (g countedGrants) Redeem(ctx context.Context, r grants.Redemption) (*grants.Issued, error) {
	issued, err := g.Grants.Redeem(ctx, r)
	g.count("authorization_code", err)
	return issued, err
}

func (g countedGrants) Refresh(ctx context.Context, r grants.Refreshing) (*grants.Issued, error) {
	issued, err := g.Grants.Refresh(ctx, r)
	g.count("refresh_token", err)
	return issued, err
}

func (g countedGrants) Issue(ctx context.Context, u grants.Unattended) (*grants.Issued, error) {
	issued, err := g.Grants.Issue(ctx, u)
	grantType := "jwt_bearer"
	if u.Upstream == token.ByClient {
		grantType = "client_credentials"
	}
	g.count(grantType, err)
	return issued, err
}

func (g countedGrants) count(grantType string, err error) {
	outcome := "issued"
	if err != nil {
		outcome = known(errorCodes, oauth.AsError(err).Code)
	}
	g.requests.WithLabelValues(grantType, outcome).Inc()
}

// Upstream logs users in.
type Upstream interface {
	Name() string
	Title() string
	MaxAge() time.Duration
	AuthURL(ctx context.Context, state, nonce, verifier string) (string, error)
	Exchange(ctx context.Context, code, iss, nonce, verifier string) (*upstream.Identity, error)
}

// Upstream counts logins, and how long it takes to learn who it was.
func (m *Metrics) Upstream(u Upstream) Upstream {
	if m == nil {
		return u
	}
	return countedUpstream{u, m.logins.MustCurryWith(prometheus.Labels{"upstream": u.Name()})}
}

type countedUpstream struct {
	Upstream
	logins prometheus.ObserverVec
}

func (u countedUpstream) Exchange(ctx context.Context, code, iss, nonce, verifier string) (*upstream.Identity, error) {
	begun := time.Now()
	who, err := u.Upstream.Exchange(ctx, code, iss, nonce, verifier)
	u.logins.WithLabelValues(loginOutcome(err)).Observe(time.Since(begun).Seconds())
	return who, err
}

func loginOutcome(err error) string {
	switch {
	case err == nil:
		return "identified"
	case errors.Is(err, upstream.ErrNotAdmitted):
		return "not_admitted"
	case errors.Is(err, upstream.ErrUnreachable):
		return "unreachable"
	case errors.Is(err, upstream.ErrCredentials):
		return "credentials_refused"
	}
	return "failed"
}
