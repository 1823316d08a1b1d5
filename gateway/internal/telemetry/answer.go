package telemetry

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// answer notes when the header of an answer is written, and with which status. All
// else goes on to the writer below: whoever flushes or sets deadlines does so by an
// http.ResponseController, which looks there.
type answer struct {
	http.ResponseWriter
	status int
	begun  time.Time
	// streams, unless nil, counts the answer from then on if it is a stream of events.
	streams   prometheus.Gauge
	streaming bool
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (a *answer) WriteHeader(status int) {
	//rule:interim-answers-counted
	if a.status == 0 && status >= http.StatusOK { // those before are interim
		a.status, a.begun = status, time.Now()
		if a.streams != nil && strings.HasPrefix(a.Header().Get("Content-Type"), "text/event-stream") {
			a.streaming = true
			a.streams.Inc()
		}
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(b []byte) (int, error) {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	return a.ResponseWriter.Write(b)
}

// outcome is the status that the sender of r has got; 0 if they were gone before.
func (a *answer) outcome(r *http.Request) int {
	if a.status == 0 && r.Context().Err() == nil {
		return http.StatusOK // which the server says for a handler that says nothing
	}
	return a.status
}

// statuses are those that there are, as text, which is made once.
var statuses = func() (all [600]string) {
	for status := 100; status < len(all); status++ {
		all[status] = strconv.Itoa(status)
	}
	all[0] = "none"
	return all
}()

func codeOf(status int) string {
	if status < 0 || status >= len(statuses) || statuses[status] == "" {
		//rule:any-status-as-label
		return other
	}
	return statuses[status]
}

// methodOf is the method, if it is one that something is served for.
func methodOf(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions, http.MethodHead:
		return r.Method
	}
	//rule:methods-as-labels
	return other
}
