package gateway_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
)

// streams is a backend that sends what the test tells it to.
type streams struct {
	events  chan string
	arrived chan string // the method of each request
	left    chan string // and when its client has gone, or it was answered
}

func newStreams() *streams {
	return &streams{make(chan string), make(chan string, 8), make(chan string, 8)}
}

// send has the request under way answer with more, or with no more if it is empty.
func (s *streams) send(t *testing.T, event string) {
	t.Helper()
	select {
	case s.events <- event:
	case <-time.After(soon):
		t.Fatalf("no request takes %q", event)
	}
}

func (s *streams) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	defer func() { s.left <- r.Method }()
	if r.Method == http.MethodGet || r.Header.Get("Accept") == "text/event-stream" {
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
	}
	s.arrived <- r.Method
	for {
		select {
		case event := <-s.events:
			if event == "" {
				return
			}
			_, _ = io.WriteString(w, event)
			_ = http.NewResponseController(w).Flush()
		case <-r.Context().Done():
			return
		}
	}
}

// open sends a request and returns with the head of the answer.
func open(ctx context.Context, t *testing.T, gw *gatewaytest.Server, method, token string, header map[string]string) *http.Response {
	t.Helper()
	r := gw.Request(t, method, "/mcp", strings.NewReader("{}"), header).WithContext(ctx)
	r.Header.Set("Authorization", "Bearer "+token)
	resp, err := gw.HTTP(0).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func receive[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(soon):
		t.Fatalf("%s does not come", what)
		panic("unreachable")
	}
}

// arrives has the backend, which holds the stream open, send an event, and reads it.
func arrives(t *testing.T, backend *streams, body io.Reader, event string) {
	t.Helper()
	backend.send(t, event)
	got := make([]byte, len(event))
	if _, err := io.ReadFull(body, got); err != nil || string(got) != event {
		t.Fatalf("%q arrives, and %v", got, err)
	}
}

func TestEventsArriveOneByOne(t *testing.T) { // T8, T23, T7
	t.Parallel()
	inEachVersion(t, eventsArriveOneByOne)
}

func eventsArriveOneByOne(t *testing.T, setup gatewaytest.Setup) {
	backend := newStreams()
	setup.Backend = backend
	gw, _, token := loggedIn(t, setup)
	for _, method := range []string{"GET", "POST"} {
		t.Run(method, func(t *testing.T) {
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			// The head arrives before any event.
			resp := open(ctx, t, gw, method, token, map[string]string{"Accept": "text/event-stream"})
			if resp.Header.Get("Content-Type") != "text/event-stream" || resp.Header.Get("X-Accel-Buffering") != "no" ||
				!strings.Contains(resp.Header.Get("Cache-Control"), "no-transform") {
				t.Errorf("the stream begins with %v", resp.Header)
			}
			receive(t, backend.arrived, "the request")
			body := bufio.NewReader(resp.Body)
			for _, event := range []string{"id: 1\ndata: one\n\n", ": a comment\n\n", "retry: 5\ndata: two\n\n"} {
				arrives(t, backend, body, event)
			}
			leave()
			receive(t, backend.left, "the client's going")
		})
	}
}

func TestAQuietStreamIsNotCutOff(t *testing.T) { // T33
	t.Parallel()
	inEachVersion(t, aQuietStreamIsNotCutOff)
}

func aQuietStreamIsNotCutOff(t *testing.T, setup gatewaytest.Setup) {
	const patience = time.Second
	setup.Intervals.Answer = patience
	backend := newStreams()
	setup.Backend = backend
	gw, _, token := loggedIn(t, setup)
	for _, method := range []string{"GET", "POST"} {
		t.Run(method, func(t *testing.T) {
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			resp := open(ctx, t, gw, method, token, map[string]string{"Accept": "text/event-stream"})
			receive(t, backend.arrived, "the request")
			<-time.After(patience + patience/2) // longer than anything else may take
			arrives(t, backend, resp.Body, "data: late\n\n")
			leave()
			receive(t, backend.left, "the client's going")
		})
	}
}

// Only a stranger's body must arrive within a time.
func TestASlowBodyArrives(t *testing.T) { // T43
	t.Parallel()
	inEachVersion(t, aSlowBodyArrives)
}

func aSlowBodyArrives(t *testing.T, setup gatewaytest.Setup) {
	const patience = time.Second
	setup.Intervals.Answer = patience
	gw, _, token := loggedIn(t, setup)
	body, w := io.Pipe()
	go func() {
		_, _ = io.WriteString(w, "{")
		<-time.After(patience + patience/2)
		_, _ = io.WriteString(w, "}")
		_ = w.Close()
	}()
	a := gw.Do(t, gw.HTTP(0), gw.Request(t, "POST", "/mcp", body, map[string]string{"Authorization": "Bearer " + token}))
	if seen := gw.Backend.Requests(); a.Status != http.StatusOK || len(seen) != 1 || seen[0].Body != "{}" {
		t.Errorf("the answer is %d, and the backend saw %v", a.Status, seen)
	}
}
