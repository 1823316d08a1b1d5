package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"vestibule.dev/vestibule/gateway/config"
)

// Tracing traces the requests of one gateway. A nil one traces nothing: what it is
// given to trace it gives back as it is.
//
// No part of the OpenTelemetry SDK that is global is touched, and spans are made here
// and not by a library: what is in them is what this package puts there.
type Tracing struct {
	exporter *otlptrace.Exporter
	log      *slog.Logger
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
	headers  propagation.TraceContext
}

// Identity is what the spans of a gateway say of it.
type Identity struct {
	// Namespace and PodUID are set in a cluster.
	Namespace, PodUID string
	// PublicURL is what it serves.
	PublicURL string
}

// How many spans wait to be sent, and for how long a batch of them is tried. When
// there are more, the newest are lost, and no request waits.
const (
	queuedSpans = 2048
	sendWithin  = 10 * time.Second
)

// NewTracing returns what sends its spans where the settings say once it is started, or
// nil without settings.
func NewTracing(settings *config.Tracing, who Identity, log *slog.Logger) *Tracing {
	if settings == nil {
		return nil
	}
	exporter := otlptracehttp.NewUnstarted(
		otlptracehttp.WithEndpointURL(settings.Endpoint+"/v1/traces"),
		otlptracehttp.WithTimeout(sendWithin),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{
			Enabled: true, InitialInterval: time.Second, MaxInterval: 5 * time.Second, MaxElapsedTime: 2 * sendWithin,
		}))
	self := []attribute.KeyValue{
		attribute.String("service.name", "vestibule-gateway"),
		attribute.String("vestibule.public_url", who.PublicURL),
	}
	if who.PodUID != "" {
		self = append(self, attribute.String("service.namespace", who.Namespace), attribute.String("service.instance.id", who.PodUID))
	}
	some := sampler(settings.SamplePercent)
	t := &Tracing{exporter: exporter, log: log, provider: sdktrace.NewTracerProvider(
		// What a stranger says of a trace decides nothing; what this gateway has decided
		// holds for all spans of the request.
		sdktrace.WithSampler(sdktrace.ParentBased(some,
			//rule:sampled-by-the-sender
			sdktrace.WithRemoteParentSampled(some), sdktrace.WithRemoteParentNotSampled(some))),
		sdktrace.WithBatcher(mute{exporter, log},
			sdktrace.WithMaxQueueSize(queuedSpans), sdktrace.WithExportTimeout(3*sendWithin)),
		sdktrace.WithResource(resource.NewSchemaless(self...)),
	)}
	t.tracer = t.provider.Tracer("vestibule.dev/vestibule/gateway")
	return t
}

// Start begins to send.
func (t *Tracing) Start(ctx context.Context) {
	if t == nil {
		return
	}
	if err := t.exporter.Start(ctx); err != nil {
		t.log.ErrorContext(ctx, "traces cannot be sent", "error", err)
	}
}

// Close sends what waits to be sent, as far as ctx allows.
func (t *Tracing) Close(ctx context.Context) {
	if t == nil {
		return
	}
	_ = t.provider.Shutdown(ctx) // spans that nobody took are lost, as the log has said
}

// mute says in the gateway's own log that spans were not taken.
type mute struct {
	sdktrace.SpanExporter
	log *slog.Logger
}

func (m mute) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	if err := m.SpanExporter.ExportSpans(ctx, spans); err != nil {
		m.log.WarnContext(ctx, "spans are lost: nobody takes them at tracing.endpoint", "spans", len(spans), "error", err)
	}
	return nil
}

// sampler takes so many percent of all traces, by lot. Not by the trace's id, as is
// usual: the sender of a request has chosen that.
type sampler int

func (s sampler) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	decision := sdktrace.Drop
	if rand.IntN(100) < int(s) { //nolint:gosec // not a secret
		decision = sdktrace.RecordAndSample
	}
	return sdktrace.SamplingResult{
		Decision: decision, Tracestate: trace.SpanContextFromContext(p.ParentContext).TraceState(),
	}
}

func (s sampler) Description() string { return fmt.Sprintf("%d percent by lot", int(s)) }
