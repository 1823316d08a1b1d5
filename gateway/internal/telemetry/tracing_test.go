package telemetry

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"vestibule.dev/vestibule/gateway/config"
)

// Whoever could have everything traced could fill what takes the traces.
func TestStrangersDoNotDecideWhatIsTraced(t *testing.T) {
	sender := map[string]string{
		"says that it is recorded":     "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"says that it is not":          "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
		"has an id that ratios choose": "00-00000000000000000000000000000001-b7ad6b7169203331-01",
		"says nothing":                 "",
	}
	for percent, flags := range map[int]string{0: "00", 100: "01"} {
		tracing := NewTracing(&config.Tracing{Endpoint: "http://127.0.0.1:1", SamplePercent: percent}, Identity{}, slog.New(slog.DiscardHandler))
		for what, traceparent := range sender {
			var told string
			transport := tracing.Transport(roundTripper(func(r *http.Request) { told = r.Header.Get("Traceparent") }))
			h := tracing.Handler("/mcp", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				resp, err := transport.RoundTrip(r)
				if err != nil {
					t.Fatal(err)
				}
				_ = resp.Body.Close()
			}))
			r := httptest.NewRequest(http.MethodPost, "/mcp", nil)
			if traceparent != "" {
				r.Header.Set("Traceparent", traceparent)
			}
			h.ServeHTTP(httptest.NewRecorder(), r)
			if !regexp.MustCompile(`^00-[0-9a-f]{32}-[0-9a-f]{16}-` + flags + `$`).MatchString(told) {
				t.Errorf("of %d percent, the backend is told %q when the sender %s", percent, told, what)
			}
			if traceparent != "" && told[:35] != traceparent[:35] {
				t.Errorf("the trace's id is %s when the sender %s", told, what)
			}
		}
	}
}

type roundTripper func(r *http.Request)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) {
	f(r)
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Header: http.Header{}, Request: r}, nil
}

func TestHowManyAreTraced(t *testing.T) {
	const tries = 4000
	traced := 0
	for range tries {
		if sampler(25).ShouldSample(sdktrace.SamplingParameters{ParentContext: t.Context()}).Decision == sdktrace.RecordAndSample {
			traced++
		}
	}
	if traced < tries/5 || traced > tries*3/10 {
		t.Errorf("of %d, %d are traced", tries, traced)
	}
}
