package telemetry

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// watched serves a handler with everything in front of it.
func watched(t *testing.T, m *Metrics, next http.HandlerFunc) *httptest.Server {
	s := httptest.NewServer(m.Route("/", "mcp", next))
	t.Cleanup(s.Close)
	return s
}

// What is written is there at once, while the request still comes.
func TestBothDirectionsAtOnce(t *testing.T) {
	s := watched(t, NewMetrics(), func(w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		for what, err := range map[string]error{
			"full duplex":      c.EnableFullDuplex(),
			"a read deadline":  c.SetReadDeadline(time.Now().Add(time.Minute)),
			"a write deadline": c.SetWriteDeadline(time.Now().Add(time.Minute)),
			"flushing":         c.Flush(),
		} {
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
		lines := bufio.NewScanner(r.Body)
		for lines.Scan() {
			fmt.Fprintln(w, "got", lines.Text())
			_ = c.Flush()
		}
	})
	body, send := io.Pipe()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL, body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answers := bufio.NewReader(resp.Body)
	for _, word := range []string{"one", "two", "three"} {
		fmt.Fprintln(send, word)
		if got, err := answers.ReadString('\n'); err != nil || got != "got "+word+"\n" {
			t.Fatalf("to %q the answer is %q: %v", word, got, err)
		}
	}
	_ = send.Close()
}

func TestWhatIsCountedOfAnAnswer(t *testing.T) {
	for name, tc := range map[string]struct {
		answer http.HandlerFunc
		code   string
	}{
		"nothing":          {func(http.ResponseWriter, *http.Request) {}, "200"},
		"a body":           {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "x") }, "200"},
		"a status":         {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }, "418"},
		"a strange status": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(799) }, "other"},
		"two statuses": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotFound)
			w.WriteHeader(http.StatusGone)
		}, "404"},
		"hints before": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusAccepted)
		}, "202"},
		"a broken stream": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			w.WriteHeader(http.StatusOK)
			panic(http.ErrAbortHandler)
		}, "200"},
	} {
		t.Run(name, func(t *testing.T) {
			m := NewMetrics()
			s := watched(t, m, tc.answer)
			var hints int
			r, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
				Got1xxResponse: func(int, textproto.MIMEHeader) error { hints++; return nil },
			}), http.MethodGet, s.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := http.DefaultClient.Do(r)
			if err == nil {
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
			s.Close() // after which all is counted
			if n := testutil.ToFloat64(m.requests.WithLabelValues(endpointRoute, "mcp", "GET", tc.code)); n != 1 {
				t.Errorf("%v requests were answered %s", n, tc.code)
			}
			for what, g := range map[string]float64{
				"in flight": testutil.ToFloat64(m.inFlight.WithLabelValues(endpointRoute, "mcp")),
				"open":      testutil.ToFloat64(m.streams.WithLabelValues(endpointRoute, "mcp")),
			} {
				if g != 0 {
					t.Errorf("%v are %s at the end", g, what)
				}
			}
			if strings.Contains(name, "hints") && hints != 1 {
				t.Error("the hints do not arrive")
			}
		})
	}
}

// Somebody who has gone was answered nothing.
func TestASenderWhoHasGone(t *testing.T) {
	m := NewMetrics()
	arrived, ended := make(chan struct{}), make(chan struct{})
	s := httptest.NewServer(m.Route("/", "mcp", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
		close(ended)
	})))
	client := &http.Client{Transport: &http.Transport{}}
	go func() {
		<-arrived
		client.CloseIdleConnections()
		s.CloseClientConnections()
	}()
	if resp, err := client.Get(s.URL); err == nil {
		_ = resp.Body.Close()
		t.Fatal("there is an answer")
	}
	<-ended
	s.Close()
	if n := testutil.ToFloat64(m.requests.WithLabelValues(endpointRoute, "mcp", "GET", "none")); n != 1 {
		t.Errorf("%v requests were answered none", n)
	}
}

// writer is one that costs nothing.
type writer struct{ header http.Header }

func (w writer) Header() http.Header         { return w.header }
func (w writer) Write(b []byte) (int, error) { return len(b), nil }
func (w writer) WriteHeader(int)             {}

// The difference of the two is what counting costs.
func BenchmarkRequest(b *testing.B) {
	next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) })
	for name, m := range map[string]*Metrics{"counted": NewMetrics(), "not counted": nil} {
		b.Run(name, func(b *testing.B) {
			h := m.Route("/mcp", "mcp", next)
			r := httptest.NewRequest(http.MethodPost, "/mcp", nil)
			w := writer{http.Header{"Content-Type": {"application/json"}}}
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(w, r)
			}
		})
	}
}

// One is for what notes the status.
func TestCountingCostsTwoAllocations(t *testing.T) {
	h := NewMetrics().Route("/mcp", "mcp", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) }))
	r := httptest.NewRequest(http.MethodPost, "/mcp", nil)
	w := writer{http.Header{"Content-Type": {"application/json"}}}
	if n := testing.AllocsPerRun(1000, func() { h.ServeHTTP(w, r) }); n > 2 {
		t.Errorf("it allocates %v times", n)
	}
}
