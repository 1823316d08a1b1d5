// Package telemetry lets others see what a gateway does: it counts, for Prometheus,
// and traces, for OpenTelemetry. What it says is made of words that are known before
// the first request: names out of the configuration, and those in this package. So no
// sender can make it say something, or grow.
package telemetry

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const namespace = "vestibule_gateway"

// Metrics are those of one gateway. A nil one counts nothing: what it is given to
// watch it gives back as it is.
type Metrics struct {
	registry *prometheus.Registry
	// described are the metrics for the page that lists them.
	described []description
	// places are by the pattern under which they are served.
	places map[string]place

	requests  *prometheus.CounterVec
	durations *prometheus.HistogramVec
	inFlight  *prometheus.GaugeVec
	streams   *prometheus.GaugeVec
	retries   *prometheus.CounterVec
	events    *prometheus.CounterVec
	tokens    *prometheus.CounterVec
	logins    *prometheus.HistogramVec
	store     *prometheus.HistogramVec
	writing   *prometheus.GaugeVec
}

type description struct {
	name, kind, help string
	labels           []string
}

// NewMetrics returns metrics that have a registry to themselves.
func NewMetrics() *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), places: map[string]place{}}
	m.requests = m.counter("requests_total",
		"Requests that have ended, by the status that they were answered with; none if the sender had gone before.",
		"endpoint", "route", "method", "code")
	m.durations = m.histogram("request_duration_seconds",
		"Time from a request to the header of its answer. How long a stream lasts is not in it.",
		"endpoint", "route", "method")
	m.inFlight = m.gauge("requests_in_flight", "Requests that are being answered now, streams among them.", "endpoint", "route")
	m.streams = m.gauge("open_streams", "Streams of events that are open now.", "endpoint", "route")
	m.retries = m.counter("backend_retries_total",
		"Requests that were sent to another pod since there was no connection to the first.", "route")
	m.events = m.counter("audit_events_total",
		"Lines of the audit log, by event. For refused requests, error is the code that the sender was told.",
		"endpoint", "route", "event", "error")
	m.tokens = m.counter("token_requests_total",
		"Requests for tokens by clients that had authenticated, by the grant type; outcome is issued, or the error that the client was told.",
		"grant_type", "outcome")
	m.logins = m.histogram("login_exchange_duration_seconds",
		"Time that an upstream took to say who has logged in, once for each login that came back from it.",
		"upstream", "outcome")
	m.store = m.histogram("store_operation_duration_seconds",
		"Time that the store took for an operation, waiting for its turn included. Conflicts are tried again by who needs to.",
		"operation", "outcome")
	m.writing = m.gauge("store_writes_in_flight", "Writes that the store has not ended yet, those that wait for their turn among them.", "kind")
	m.registry.MustRegister(
		collectors.NewBuildInfoCollector(), collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

// Handler serves the metrics.
func (m *Metrics) Handler() http.Handler {
	// More scrapes at once than that are a mistake of somebody who need not be answered.
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}

func (m *Metrics) describe(kind, name, help string, labels []string) {
	m.described = append(m.described, description{name: namespace + "_" + name, kind: kind, help: help, labels: labels})
}

func (m *Metrics) counter(name, help string, labels ...string) *prometheus.CounterVec {
	m.describe("counter", name, help, labels)
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
	m.registry.MustRegister(c)
	return c
}

func (m *Metrics) gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	m.describe("gauge", name, help, labels)
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, labels)
	m.registry.MustRegister(g)
	return g
}

// histogram has the buckets that every Prometheus reads, and the finer native ones.
func (m *Metrics) histogram(name, help string, labels ...string) *prometheus.HistogramVec {
	m.describe("histogram", name, help, labels)
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace, Name: name, Help: help,
		Buckets:                         []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 20},
		NativeHistogramBucketFactor:     1.1,
		NativeHistogramMaxBucketNumber:  100,
		NativeHistogramMinResetDuration: time.Hour,
	}, labels)
	m.registry.MustRegister(h)
	return h
}

// known returns s if it is one of those that are known beforehand.
func known(words map[string]bool, s string) string {
	if words[s] {
		return s
	}
	return other
}

const other = "other"

func set(words ...string) map[string]bool {
	s := map[string]bool{}
	for _, w := range words {
		s[w] = true
	}
	return s
}
