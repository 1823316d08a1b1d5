package probe

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/report"
)

// maxDocument bounds what is read of an answer that should be a metadata document.
const maxDocument = 1 << 18

// Public asks for the metadata document of the authorization server as its clients do, at
// its public URL, and compares it with what own returns: what is there may be another
// server, or none. Redirects are not followed, as many clients follow none. Nothing of an
// answer is told but its status.
func Public(documentURL, issuer string, own func() ([]byte, error), transport http.RoundTripper) func(context.Context) (string, *report.Failure) {
	return func(ctx context.Context) (string, *report.Failure) {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, documentURL, nil)
		if err != nil {
			return "", &report.Failure{Reason: config.ReasonPublicURLUnreachable, Message: documentURL + " is no URL to ask"}
		}
		r.Header.Set("Accept", "application/json")
		r.Header.Set("Cache-Control", "no-cache") // A document of before is no news.
		r.Header.Set("User-Agent", "vestibule-gateway")
		resp, err := transport.RoundTrip(r)
		if err != nil {
			return "", unanswered(ctx, documentURL, err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			what := fmt.Sprintf("%s answers with %d", documentURL, resp.StatusCode)
			if resp.StatusCode >= 300 && resp.StatusCode < 400 {
				what += ", a redirect"
			}
			return "", &report.Failure{Reason: config.ReasonPublicURLNotServed, Message: what}
		}
		answer, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument))
		if err != nil {
			return "", unanswered(ctx, documentURL, err)
		}
		return judge(documentURL, issuer, answer, own)
	}
}

func judge(documentURL, issuer string, answer []byte, own func() ([]byte, error)) (string, *report.Failure) {
	wanted, err := own()
	if err != nil {
		return "", &report.Failure{Reason: config.ReasonPublicURLUnreachable, Message: "this server's own metadata is not known yet"}
	}
	var document struct {
		Issuer string `json:"issuer"`
	}
	switch err := json.Unmarshal(answer, &document); {
	//rule:exposed-by-anybody
	case bytes.Equal(answer, wanted):
		return documentURL + " answers with this server's metadata", nil
	case err != nil || document.Issuer == "":
		return "", &report.Failure{Reason: config.ReasonPublicURLNotServed, Message: documentURL + " answers with 200, and with something else than the metadata of an authorization server"}
	case document.Issuer != issuer:
		return "", &report.Failure{Reason: config.ReasonPublicURLIssuerDiffers, Message: documentURL + " answers with the metadata of another issuer"}
	}
	return "", &report.Failure{Reason: config.ReasonPublicURLMetadataDiffers, Message: documentURL + " answers with metadata of this issuer that this server does not have"}
}

// unanswered says why there was no answer. It need not be so outside of the cluster.
func unanswered(ctx context.Context, documentURL string, err error) *report.Failure {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return &report.Failure{Reason: config.ReasonPublicURLUntrusted, Message: "the certificate of " + documentURL + " is not trusted by gateways, or is for another name"}
	}
	return &report.Failure{Reason: config.ReasonPublicURLUnreachable, Message: fmt.Sprintf("%s: %s", documentURL, netError(ctx, "the connection broke", err))}
}
