package upstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"golang.org/x/oauth2"
)

// What can come of a call.
var (
	// ErrUnreachable says that the upstream did not answer, or not with a
	// discovery document: nothing is known about the user.
	ErrUnreachable = errors.New("the upstream cannot be reached")
	// ErrRefused says that the upstream's answer is not one to believe.
	ErrRefused = errors.New("the upstream's answer is refused")
	// ErrCredentials says that the upstream does not take the gateway's client id
	// and secret.
	ErrCredentials = errors.New("the upstream refuses the gateway's client id or secret")
	// ErrEnded says that the upstream has taken back what it gave for the user.
	ErrEnded = errors.New("the upstream has ended the user's login")
	// ErrOtherUser says that the upstream speaks of somebody else than before.
	ErrOtherUser = errors.New("the upstream answers for another user")
	// ErrNotAdmitted says that the user is not one of those who may log in here,
	// such as those of a domain or of a tenant.
	ErrNotAdmitted = errors.New("the user is of another domain or tenant")
)

// What can be wrong with an upstream, for those who have to mend it. An error of
// Check is one of these or ErrCredentials, or else the upstream cannot be reached.
var (
	// ErrFiles says that its client secret or its CA bundle cannot be read.
	ErrFiles = errors.New("its client secret or CA bundle cannot be used")
	// ErrUntrusted says that its certificate is not good for it.
	ErrUntrusted = errors.New("its certificate is not trusted")
	// ErrIssuerDiffers says that its discovery document names another issuer.
	ErrIssuerDiffers = errors.New("its discovery document names another issuer")
	// ErrInsecure says that something that it names is not https. The error's text
	// names it: see insecureError.
	ErrInsecure = errors.New("not https")
)

// insecureError names what is neither https nor on a loopback host, such as
// token_endpoint. It is ErrInsecure.
type insecureError string

func (e insecureError) Error() string {
	return string(e) + " must be an https URL; http is for loopback hosts only"
}

func (e insecureError) Is(target error) bool { return target == ErrInsecure }

func explain(err error) error {
	if errors.Is(err, ErrIssuerDiffers) || errors.Is(err, ErrFiles) {
		return err
	}
	if insecure, ok := errors.AsType[insecureError](err); ok {
		return insecure
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return ErrUntrusted
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return ErrUntrusted
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
	if status, ok := errors.AsType[statusError](err); ok {
		return status.Error()
	}
	if insecure, ok := errors.AsType[insecureError](err); ok {
		return insecure.Error()
	}
	return "it answers with something else"
}

// classify tells an upstream that is down from one that said no. The text of
// its answer stays out of the error: it is not ours to log.
func classify(err error) error {
	if errors.Is(err, ErrUnreachable) || errors.Is(err, ErrRefused) {
		return err
	}
	if e, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		return classifyToken(e)
	}
	if e, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err); ok {
		return fmt.Errorf("%w: %s", ErrUnreachable, netText(e))
	}
	//rule:upstream-quoted
	return fmt.Errorf("%w: %s", ErrRefused, known(err))
}

// classifyToken reads an error of a token endpoint. GitHub has some codes of its
// own, and sends them with status 200.
func classifyToken(e *oauth2.RetrieveError) error {
	//rule:upstream-down-is-refusal
	if s := e.Response; s != nil && (s.StatusCode >= http.StatusInternalServerError || s.StatusCode == http.StatusTooManyRequests) {
		return fmt.Errorf("%w: status %d at its token endpoint", ErrUnreachable, s.StatusCode)
	}
	switch e.ErrorCode {
	case "temporarily_unavailable":
		return fmt.Errorf("%w: it says so at its token endpoint", ErrUnreachable)
	case "invalid_client", "incorrect_client_credentials":
		return ErrCredentials
	case "invalid_grant", "bad_refresh_token", "bad_verification_code":
		return fmt.Errorf("%w: %w: %s at its token endpoint", ErrRefused, ErrEnded, errorCode(e.ErrorCode))
	}
	return fmt.Errorf("%w: %s at its token endpoint", ErrRefused, errorCode(e.ErrorCode))
}

// known says which rule of OpenID Connect an answer breaks, without its words.
func known(err error) string {
	rules := []error{
		oidc.ErrIssuerInvalid, oidc.ErrSubjectMissing, oidc.ErrAudience, oidc.ErrAzpMissing, oidc.ErrAzpInvalid,
		oidc.ErrSignatureMissing, oidc.ErrSignatureMultiple, oidc.ErrSignatureUnsupportedAlg,
		oidc.ErrSignatureInvalidPayload, oidc.ErrSignatureInvalid, oidc.ErrExpired, oidc.ErrIatMissing,
		oidc.ErrIatInFuture, oidc.ErrIatToOld, oidc.ErrNonceInvalid, oidc.ErrAtHash,
	}
	if i := slices.IndexFunc(rules, func(rule error) bool { return errors.Is(err, rule) }); i >= 0 {
		return rules[i].Error()
	}
	return "its answer is not what OpenID Connect has"
}

// errorCode returns a code as RFC 6749 allows it, so that nothing else of a
// stranger's answer gets into a log.
func errorCode(s string) string {
	if s == "" || len(s) > 64 || strings.ContainsFunc(s, func(c rune) bool { return c != '_' && (c < 'a' || c > 'z') }) {
		return "an error"
	}
	return s
}
