package upstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"

	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// What can be wrong with an upstream, for those who have to mend it. An error of
// Check is one of these, or else the upstream cannot be reached.
var (
	// ErrFiles says that its client secret or its CA bundle cannot be read.
	ErrFiles = errors.New("its client secret or CA bundle cannot be used")
	// ErrUntrusted says that its certificate is not good for it.
	ErrUntrusted = errors.New("its certificate is not trusted")
	// ErrIssuerDiffers says that its discovery document names another issuer.
	ErrIssuerDiffers = errors.New("its discovery document names another issuer")
)

// Check discovers the provider anew, whatever is known of it, and says what is
// wrong. What it finds is used from then on.
func (u *Upstream) Check(ctx context.Context) error {
	p, err := u.discover(ctx)
	if err != nil {
		return explain(err)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.provider = p
	return nil
}

func explain(err error) error {
	if errors.Is(err, oidc.ErrIssuerInvalid) {
		return ErrIssuerDiffers
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return ErrUntrusted
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return ErrUntrusted
	}
	if errors.Is(err, ErrFiles) {
		return err
	}
	return fmt.Errorf("%w: %s", ErrUnreachable, netText(err))
}

// netText says why there was no answer, in words that hold addresses at most: the
// library's own error quotes what it got.
func netText(err error) string {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Error()
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return dns.Error()
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time"
	}
	return "it answers with something else"
}
