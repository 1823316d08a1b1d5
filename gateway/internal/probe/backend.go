// Package probe tries what a gateway needs: each check does for real what a
// user's request will need done.
package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/report"
)

// Endpoint is one of a backend.
type Endpoint struct {
	URL *url.URL
	// Transport is how it speaks, as in a config.Route.
	Transport string
	// Guarded says that it is told who calls, and may refuse a check, which nobody makes.
	Guarded bool
	// Addr, when set, returns the address that one check connects to, or "" for that of
	// URL: a session must stay with its pod.
	Addr func() string
}

// Backend connects to an MCP server as a client of any revision does, with
// server/discover or initialize, and leaves again. Of what is not MCP's it asks for
// whatever is there: any answer will do.
func Backend(e Endpoint, transport http.RoundTripper) func(context.Context) (string, *report.Failure) {
	endpoint := e.URL
	return func(ctx context.Context) (string, *report.Failure) {
		seen := &observer{next: transport, transport: e.Transport}
		if e.Addr != nil {
			seen.addr = e.Addr()
		}
		if e.Transport == config.TransportHTTP {
			return seen.answers(ctx, endpoint)
		}
		client := mcp.NewClient(&mcp.Implementation{Name: "vestibule-gateway", Version: "1"}, &mcp.ClientOptions{
			Capabilities: &mcp.ClientCapabilities{},
		})
		var over mcp.Transport = &mcp.StreamableClientTransport{
			Endpoint: endpoint.String(), HTTPClient: &http.Client{Transport: seen},
			DisableStandaloneSSE: true, MaxRetries: -1,
		}
		if e.Transport == config.TransportSSE {
			over = &mcp.SSEClientTransport{Endpoint: endpoint.String(), HTTPClient: &http.Client{Transport: seen}}
		}
		session, err := client.Connect(ctx, over, nil)
		if err != nil {
			failure := seen.explain(ctx, endpoint, err)
			//rule:probe-not-introduced
			if e.Guarded && failure.Reason == config.ReasonBackendUnauthorized {
				return failure.Message + ", since nobody is introduced", nil
			}
			return "", failure
		}
		revision := session.InitializeResult().ProtocolVersion
		// It tells the server that the session is over. That it may fail, or that
		// the server knows no sessions, is no fault of the backend's.
		_ = session.Close()
		if !slices.Contains(mcp.SupportedProtocolVersions(), revision) {
			revision = "a revision that this gateway does not know"
		}
		return fmt.Sprintf("%s speaks MCP, %s", endpoint, revision), nil
	}
}

// observer remembers how far requests came.
type observer struct {
	next      http.RoundTripper
	addr      string
	transport string

	mu       sync.Mutex
	statuses []int
	err      error // of the last request that got no answer
}

func (o *observer) RoundTrip(r *http.Request) (*http.Response, error) {
	if o.addr != "" {
		host := r.URL.Host
		r = r.Clone(r.Context())
		r.URL.Host, r.Host = o.addr, host
	}
	resp, err := o.next.RoundTrip(r)
	o.mu.Lock()
	defer o.mu.Unlock()
	if err != nil {
		o.err = err
		return nil, err
	}
	o.statuses = append(o.statuses, resp.StatusCode)
	return resp, nil
}

// answers says whether there is an answer.
func (o *observer) answers(ctx context.Context, endpoint *url.URL) (string, *report.Failure) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint.String(), nil)
	if err != nil {
		return "", o.explain(ctx, endpoint, err)
	}
	resp, err := o.RoundTrip(r)
	if err != nil {
		return "", o.explain(ctx, endpoint, err)
	}
	defer resp.Body.Close()
	return fmt.Sprintf("%s answers with %d", endpoint, resp.StatusCode), nil
}

// explain says what is wrong with a backend that a client could not connect to.
func (o *observer) explain(ctx context.Context, endpoint *url.URL, err error) *report.Failure {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, ok := errors.AsType[*tls.CertificateVerificationError](o.err); ok && len(o.statuses) == 0 {
		return &report.Failure{
			Reason:  config.ReasonBackendUntrusted,
			Message: fmt.Sprintf("the certificate of %s is not trusted, or is for another name", endpoint),
		}
	}
	if len(o.statuses) == 0 {
		return &report.Failure{Reason: config.ReasonBackendUnreachable, Message: fmt.Sprintf("%s: %s", endpoint, netError(ctx, "the connection broke", o.err, err))}
	}
	last := o.statuses[len(o.statuses)-1]
	if last == http.StatusUnauthorized || last == http.StatusForbidden {
		return &report.Failure{
			Reason:  config.ReasonBackendUnauthorized,
			Message: fmt.Sprintf("%s answers %d to an MCP client", endpoint, last),
		}
	}
	if ctx.Err() != nil {
		return &report.Failure{Reason: config.ReasonBackendUnreachable, Message: fmt.Sprintf("%s does not answer an MCP client in time", endpoint)}
	}
	return &report.Failure{
		Reason:  config.ReasonBackendNotMCP,
		Message: fmt.Sprintf("%s answers an MCP client with %d, and not as %s has it", endpoint, last, o.transport),
	}
}

// netError says why there was no answer, in words that hold addresses at most;
// otherwise is for errors that are not the network's.
func netError(ctx context.Context, otherwise string, errs ...error) string {
	if ctx.Err() != nil {
		return "no answer in time"
	}
	for _, err := range errs {
		if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
			return "there is no TLS"
		}
		if op, ok := errors.AsType[*net.OpError](err); ok {
			return op.Error()
		}
		if dns, ok := errors.AsType[*net.DNSError](err); ok {
			return dns.Error()
		}
	}
	return otherwise
}
