package gateway_test

import (
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	tracesv1 "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonv1 "go.opentelemetry.io/proto/otlp/common/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"vestibule.dev/vestibule/gateway"
	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
)

// collector takes traces.
type collector struct {
	*httptest.Server
	mu    sync.Mutex
	spans []*tracev1.Span
	raw   [][]byte
}

func newCollector(t *testing.T) *collector {
	c := &collector{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var request tracesv1.ExportTraceServiceRequest
		if err := proto.Unmarshal(body, &request); err != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("%s gets no traces: %v", r.URL, err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.raw = append(c.raw, body)
		for _, resource := range request.GetResourceSpans() {
			for _, scope := range resource.GetScopeSpans() {
				c.spans = append(c.spans, scope.GetSpans()...)
			}
		}
	}))
	t.Cleanup(c.Close)
	return c
}

// traced sends all traces to an endpoint.
func traced(endpoint string) func(*config.Config) {
	return func(c *config.Config) { c.Tracing = &config.Tracing{Endpoint: endpoint, SamplePercent: 100} }
}

// attributes are a span's.
func attributes(s *tracev1.Span) map[string]string {
	all := map[string]string{}
	for _, a := range s.GetAttributes() {
		all[a.GetKey()] = a.GetValue().GetStringValue()
		if _, ok := a.GetValue().GetValue().(*commonv1.AnyValue_IntValue); ok {
			all[a.GetKey()] = http.StatusText(int(a.GetValue().GetIntValue()))
		}
	}
	return all
}

const (
	clientTrace = "0af7651916cd43dd8448eb211c80319c"
	clientSpan  = "b7ad6b7169203331"
)

// A client's trace goes on through the gateway to the backend, and of what was in the
// requests nothing is in it.
func TestTraces(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	r := serve(t, gatewaytest.Setup{Configure: traced(c.URL)}, gateway.Timing{})
	r.waitReady(t, http.StatusOK)
	r.Backend.Respond(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set(sessionID, "secret-session")
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"secret":"answer"}`)
	})
	client := r.Register(t, nil)
	tokens := client.Redeem(t, client.Login(t))
	header := http.Header{
		"Traceparent": {"00-" + clientTrace + "-" + clientSpan + "-00"}, "Tracestate": {"a=b,c=d"}, "Baggage": {"user=secret-baggage"},
		"Mcp-Name": {"secret-tool"}, "User-Agent": {"secret-agent"}, "Last-Event-Id": {"secret-event"},
	}
	a := call(t, r.Server, "POST", "/mcp?key=secret-query", tokens.Access, header)
	if a.Status != http.StatusOK {
		t.Fatalf("the answer is %d: %s", a.Status, a.Body)
	}
	header.Set(sessionID, a.Header.Get(sessionID))
	call(t, r.Server, "GET", "/mcp/secret-path", tokens.Access, header)
	call(t, r.Server, "SECRETMETHOD", "/secret-path", tokens.Access, header)
	call(t, r.Server, "GET", "/register/"+client.ID, client.Management, nil)
	r.stop()
	r.end(t) // with which the last are sent

	var server, backend *tracev1.Span
	routes := map[string]bool{}
	for _, s := range c.spans {
		all := attributes(s)
		routes[all["http.route"]] = true
		switch {
		case s.GetName() == "POST /mcp":
			server = s
		case s.GetKind() == tracev1.Span_SPAN_KIND_CLIENT && server == nil:
			backend = s
		}
		for name := range all {
			if !slices.Contains([]string{"http.request.method", "http.route", "http.response.status_code", "server.address"}, name) {
				t.Errorf("span %q has %s", s.GetName(), name)
			}
		}
	}
	for _, pattern := range []string{"/authorize", "/consent", "/callback/{upstream}", "/register", "/register/{client}", "/token", "/mcp", "/mcp/", "/"} {
		if !routes[pattern] {
			t.Errorf("there is no span of %s", pattern)
		}
	}
	if server == nil || backend == nil {
		t.Fatalf("there are %d spans, none of the request or none of the backend's", len(c.spans))
	}
	if trace := hex.EncodeToString(server.GetTraceId()); trace != clientTrace || hex.EncodeToString(server.GetParentSpanId()) != clientSpan {
		t.Errorf("the span is not of the client's trace but of %s", trace)
	}
	if string(backend.GetParentSpanId()) != string(server.GetSpanId()) {
		t.Error("the backend's span is not the request's child")
	}
	if got := attributes(server)["http.response.status_code"]; got != "OK" {
		t.Errorf("the span says the status is %q", got)
	}
	seen := r.Backend.Requests()[0].Header
	if want := "00-" + clientTrace + "-" + hex.EncodeToString(backend.GetSpanId()) + "-01"; seen.Get("Traceparent") != want {
		t.Errorf("the backend is told of %q, not %q", seen["Traceparent"], want)
	}
	if seen.Get("Tracestate") != "a=b,c=d" || seen.Get("Baggage") != "user=secret-baggage" {
		t.Errorf("the backend is told %q and %q", seen["Tracestate"], seen["Baggage"])
	}
	for _, raw := range c.raw {
		_, _ = r.Secrets.Write(raw) // which are searched for all that the test has met
		for _, word := range []string{"secret", "SECRET", client.ID, a.Header.Get(sessionID), "alice"} {
			if strings.Contains(string(raw), word) {
				t.Errorf("the spans hold %q", word)
			}
		}
	}
}

// What a gateway does not trace itself it leaves alone.
func TestTraceHeadersPassIfTracingIsOff(t *testing.T) {
	t.Parallel()
	gw, _, token := loggedIn(t, gatewaytest.Setup{})
	header := http.Header{
		"Traceparent": {"00-" + clientTrace + "-" + clientSpan + "-01"}, "Tracestate": {"a=b", "c=d"}, "Baggage": {"k=v;p=1, l=w"},
	}
	call(t, gw, "POST", "/mcp", token, header.Clone())
	seen := gw.Backend.Requests()[0].Header
	for name, want := range header {
		if strings.Join(seen[name], "|") != strings.Join(want, "|") {
			t.Errorf("%s arrives as %q, not %q", name, seen[name], want)
		}
	}
}

// A trace that is none is not passed on: the backend is told the gateway's own.
func TestABadTraceparentIsReplaced(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	gw, _, token := loggedIn(t, gatewaytest.Setup{Configure: traced(c.URL)})
	call(t, gw, "POST", "/mcp", token, http.Header{"Traceparent": {"00-x", "00-y"}, "Tracestate": {"a=b"}})
	seen := gw.Backend.Requests()[0].Header
	own := regexp.MustCompile(`^00-[0-9a-f]{32}-[0-9a-f]{16}-01$`)
	if len(seen["Traceparent"]) != 1 || !own.MatchString(seen.Get("Traceparent")) || seen["Tracestate"] != nil {
		t.Errorf("the backend is told of %q and %q", seen["Traceparent"], seen["Tracestate"])
	}
}

// Nobody waits for what takes traces, neither for one that is away nor for one that
// takes its time, and not at the end either.
func TestTheEndpointOfTracesIsDown(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for name, address := range map[string]string{"no connection": closedAddress(t), "no answer": silent.Addr().String()} {
		t.Run(name, func(t *testing.T) {
			r := serve(t, gatewaytest.Setup{Configure: traced("http://" + address)}, gateway.Timing{})
			r.waitReady(t, http.StatusOK)
			client := r.Register(t, nil)
			tokens := client.Redeem(t, client.Login(t))
			begun := time.Now()
			for range 2500 { // more than there is room for
				if a := client.Call(t, tokens.Access); a.Status != http.StatusOK {
					t.Fatalf("a request gets %d: %s", a.Status, a.Body)
				}
			}
			t.Logf("2500 requests took %s", time.Since(begun))
			r.stop()
			r.end(t)
		})
	}
}
