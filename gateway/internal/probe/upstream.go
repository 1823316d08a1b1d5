package probe

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/report"
	"vestibule.dev/vestibule/gateway/internal/upstream"
)

// Upstream discovers an identity provider.
func Upstream(u *upstream.Upstream) func(context.Context) (string, *report.Failure) {
	return func(ctx context.Context) (string, *report.Failure) {
		switch err := u.Check(ctx); {
		case err == nil:
			return u.Issuer() + " answers", nil
		case errors.Is(err, upstream.ErrCredentials):
			return "", &report.Failure{
				Reason:  config.ReasonUpstreamCredentials,
				Message: fmt.Sprintf("%s refuses the gateway's client id or secret", u.Issuer()),
			}
		case errors.Is(err, upstream.ErrIssuerDiffers):
			return "", &report.Failure{
				Reason:  config.ReasonUpstreamIssuerDiffers,
				Message: fmt.Sprintf("the discovery document of %s names another issuer", u.Issuer()),
			}
		case errors.Is(err, upstream.ErrInsecure):
			return "", &report.Failure{
				Reason:  config.ReasonUpstreamInsecure,
				Message: fmt.Sprintf("discovery of %s: %s", u.Issuer(), err),
			}
		case errors.Is(err, upstream.ErrUntrusted):
			return "", &report.Failure{
				Reason:  config.ReasonUpstreamUntrusted,
				Message: fmt.Sprintf("the certificate of %s is not trusted", u.Issuer()),
			}
		case errors.Is(err, upstream.ErrFiles):
			return "", &report.Failure{Reason: config.ReasonUpstreamFiles, Message: upstream.ErrFiles.Error()}
		default:
			return "", &report.Failure{
				Reason: config.ReasonUpstreamUnreachable, Outage: true,
				Message: fmt.Sprintf("no discovery document from %s: %s", u.Issuer(), strings.TrimPrefix(err.Error(), upstream.ErrUnreachable.Error()+": ")),
			}
		}
	}
}
