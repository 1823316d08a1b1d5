package telemetry

import (
	"log/slog"
	"net/http"
	"strings"
	"time"

	"vestibule.dev/vestibule/gateway/internal/audit"
	"vestibule.dev/vestibule/gateway/internal/oauth"
)

// place is where a request goes: an endpoint of the authorization server, or a route.
type place struct{ endpoint, route string }

// endpointRoute is the endpoint of all protected routes.
const endpointRoute = "route"

// Endpoint counts the requests to an endpoint that is served under a pattern.
func (m *Metrics) Endpoint(pattern, name string, next http.Handler) http.Handler {
	return m.watch(pattern, place{endpoint: name}, next)
}

// Route counts the requests to a protected route that is served under a pattern.
func (m *Metrics) Route(pattern, name string, next http.Handler) http.Handler {
	return m.watch(pattern, place{endpoint: endpointRoute, route: name}, next)
}

func (m *Metrics) watch(pattern string, at place, next http.Handler) http.Handler {
	if m == nil {
		return next
	}
	m.places[pattern] = at
	where := map[string]string{"endpoint": at.endpoint, "route": at.route}
	requests, durations := m.requests.MustCurryWith(where), m.durations.MustCurryWith(where)
	inFlight, streams := m.inFlight.With(where), m.streams.With(where)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := &answer{ResponseWriter: w, streams: streams}
		arrived := time.Now()
		inFlight.Inc()
		defer func() { // a stream that breaks off ends in a panic
			inFlight.Dec()
			if a.streaming {
				//rule:streams-counted-for-good
				streams.Dec()
			}
			if a.begun.IsZero() {
				a.begun = time.Now()
			}
			method := methodOf(r)
			requests.WithLabelValues(method, codeOf(a.outcome(r))).Inc()
			durations.WithLabelValues(method).Observe(a.begun.Sub(arrived).Seconds())
		}()
		next.ServeHTTP(a, r)
	})
}

// Retried returns what counts a request on a route that goes to another pod.
func (m *Metrics) Retried(route string) func() {
	if m == nil {
		return func() {}
	}
	return m.retries.WithLabelValues(route).Inc
}

// Audit counts the lines of an audit log from now on.
func (m *Metrics) Audit(log *audit.Log) {
	if m == nil {
		return
	}
	log.Observe(func(r *http.Request, e audit.Event, facts []slog.Attr) {
		at, ok := m.places[r.Pattern]
		if !ok {
			at.endpoint = other
		}
		m.events.WithLabelValues(at.endpoint, at.route, word(string(e)), word(errorIn(e, facts))).Inc()
	})
}

// word makes a label's value of words.
func word(words string) string { return strings.ReplaceAll(words, " ", "_") }

// errorIn is what a refusal was for.
func errorIn(e audit.Event, facts []slog.Attr) string {
	if e != audit.Refused {
		return ""
	}
	for _, f := range facts {
		if f.Key == "error" {
			return known(errorCodes, f.Value.String())
		}
	}
	return other
}

// errorCodes are the errors that senders are told.
var errorCodes = set(
	oauth.CodeInvalidRequest, oauth.CodeInvalidClient, oauth.CodeInvalidGrant, oauth.CodeUnauthorizedClient,
	oauth.CodeUnsupportedGrantType, oauth.CodeUnsupportedResponseType, oauth.CodeUnsupportedTokenType,
	oauth.CodeInvalidScope, oauth.CodeInvalidTarget, oauth.CodeAccessDenied, oauth.CodeServerError,
	oauth.CodeTemporarilyUnavailable, oauth.CodeInvalidToken, oauth.CodeInsufficientScope,
	oauth.CodeInvalidRedirectURI, oauth.CodeInvalidClientMetadata, "unknown session", "operation refused", "too many requests",
)
