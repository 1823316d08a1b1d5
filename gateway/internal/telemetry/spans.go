package telemetry

import (
	"io"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Handler traces the requests that are served under a pattern. The span goes on with
// the sender's trace, if the request names one.
func (t *Tracing) Handler(pattern string, next http.Handler) http.Handler {
	if t == nil {
		return next
	}
	route := attribute.String("http.route", pattern)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := t.headers.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
		method := methodOf(r)
		//rule:paths-in-spans
		ctx, span := t.tracer.Start(ctx, method+" "+pattern, trace.WithSpanKind(trace.SpanKindServer),
			trace.WithAttributes(route, attribute.String("http.request.method", method)))
		a := &answer{ResponseWriter: w}
		defer func() {
			if status := a.outcome(r); status != 0 {
				end(span, status)
			} else {
				lost(span, "the sender had gone")
			}
		}()
		next.ServeHTTP(a, r.WithContext(ctx))
	})
}

// Transport traces the requests to the backend, and tells it the trace.
func (t *Tracing) Transport(next http.RoundTripper) http.RoundTripper {
	if t == nil {
		return next
	}
	return tracedTransport{t, next}
}

type tracedTransport struct {
	*Tracing
	next http.RoundTripper
}

func (t tracedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	method := methodOf(r)
	ctx, span := t.tracer.Start(r.Context(), method, trace.WithSpanKind(trace.SpanKindClient),
		//rule:queries-in-spans
		trace.WithAttributes(attribute.String("http.request.method", method), attribute.String("server.address", r.URL.Host)))
	out := r.Clone(ctx)
	// The sender's own: the state belongs to its id, and both may be malformed.
	out.Header.Del("Traceparent")
	//rule:trace-state-without-trace
	out.Header.Del("Tracestate")
	t.headers.Inject(ctx, propagation.HeaderCarrier(out.Header))
	resp, err := t.next.RoundTrip(out)
	if err != nil {
		lost(span, "no answer")
		return nil, err
	}
	resp.Request = r
	resp.Body = tracedBody{resp.Body, span, resp.StatusCode}
	return resp, nil
}

// tracedBody is a body with whose end the answer has ended.
type tracedBody struct {
	io.ReadCloser
	span   trace.Span
	status int
}

func (b tracedBody) Close() error {
	end(b.span, b.status)
	return b.ReadCloser.Close()
}

func end(span trace.Span, status int) {
	span.SetAttributes(attribute.Int("http.response.status_code", status))
	if status >= http.StatusInternalServerError {
		span.SetStatus(codes.Error, "")
	}
	span.End()
}

// lost ends the span of a request that has no answer. Why not is in the log: errors
// may quote what was sent.
func lost(span trace.Span, how string) {
	span.SetStatus(codes.Error, how)
	span.End()
}
