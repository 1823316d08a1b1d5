package proxy

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// lookEachMillisecond has streams look at themselves often, until the test ends.
func lookEachMillisecond(t *testing.T) {
	t.Helper()
	before := lookEvery
	lookEvery = time.Millisecond
	t.Cleanup(func() { lookEvery = before })
}

func always() bool { return true }

// client is one that reads what it gets.
type client struct{ io.Writer }

func (client) Header() http.Header { return http.Header{} }
func (client) WriteHeader(int)     {}
func (client) Flush()              {}

// begin sends a stream, and returns what its backend writes to and what its client reads.
func begin(t *testing.T, keepAlive time.Duration, good func() bool) (backend *io.PipeWriter, got *bufio.Reader) {
	t.Helper()
	body, backend := io.Pipe()
	reads, writes := io.Pipe()
	a := newAnswer(client{writes}, false)
	a.events = &events{body: newStream(body), keepAlive: keepAlive, good: good}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		a.WriteHeader(http.StatusOK)
		_, err := io.Copy(a, a.events.body)
		a.close()
		_ = writes.CloseWithError(err)
	}()
	t.Cleanup(func() {
		_ = backend.Close()
		_ = reads.Close()
		<-ended
	})
	return backend, bufio.NewReader(reads)
}

func read(t *testing.T, from io.Reader, n int) string {
	t.Helper()
	b := make([]byte, n)
	if _, err := io.ReadFull(from, b); err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestAQuietStreamHasComments(t *testing.T) { // T8, T33
	lookEachMillisecond(t)
	for _, ending := range []string{"\n\n", "\r\n\r\n", "\r\r"} {
		backend, client := begin(t, time.Millisecond, always)
		if got := read(t, client, 2*len(comment)); got != comment+comment {
			t.Errorf("before the first event there is %q", got)
		}
		const half = "data: 1"
		go func() {
			_, _ = io.WriteString(backend, half)
			time.Sleep(50 * time.Millisecond) // in which comments would be due
			_, _ = io.WriteString(backend, ending)
		}()
		var got string
		for !strings.Contains(got, ending+comment) {
			got += read(t, client, 1)
			if len(got) > 1<<16 {
				t.Fatalf("there is no comment after the event: %.200q", got)
			}
		}
		if _, event, _ := strings.Cut(got, half); !strings.HasPrefix(event, ending) {
			t.Errorf("within an event there is %q", event)
		}
	}
}

func TestAStreamWithoutKeepAliveIsLeftAlone(t *testing.T) {
	lookEachMillisecond(t)
	backend, client := begin(t, 0, always)
	go func() {
		time.Sleep(20 * time.Millisecond) // in which comments would be due
		_, _ = io.WriteString(backend, "data: 1\n\n")
		_ = backend.Close()
	}()
	if got, err := io.ReadAll(client); err != nil || string(got) != "data: 1\n\n" {
		t.Errorf("%q arrives, %v", got, err)
	}
}

// In HTTP/2 a deadline ends a stream on which nothing is being sent, too.
func TestAQuietStreamInHTTP2IsNotCutOff(t *testing.T) { // T33
	before := stuckAfter
	stuckAfter = 50 * time.Millisecond
	t.Cleanup(func() { stuckAfter = before })
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := newAnswer(w, r.ProtoMajor > 1)
		defer a.close()
		_, _ = io.WriteString(a, "data: 1\n\n")
		_ = a.FlushError()
		time.Sleep(4 * stuckAfter)
		_, _ = io.WriteString(a, "data: 2\n\n")
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	resp, err := server.Client().Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got, err := io.ReadAll(resp.Body); err != nil || string(got) != "data: 1\n\ndata: 2\n\n" || resp.ProtoMajor != 2 {
		t.Errorf("in %s, %q arrives, and %v", resp.Proto, got, err)
	}
}

func TestAStreamWhoseTokenIsNoGoodEnds(t *testing.T) {
	lookEachMillisecond(t)
	var revoked atomic.Bool
	backend, client := begin(t, 0, func() bool { return !revoked.Load() })
	go func() { _, _ = io.WriteString(backend, "data: 1\n\n") }()
	if got := read(t, client, 9); got != "data: 1\n\n" {
		t.Errorf("there is %q", got)
	}
	revoked.Store(true)
	if rest, err := io.ReadAll(client); err != nil || len(rest) != 0 {
		t.Errorf("it ends with %q, %v", rest, err)
	}
	if _, err := io.WriteString(backend, "more"); err == nil {
		t.Error("the backend is not told")
	}
}

// endless is a backend that always has more, until it is told to end.
type endless struct {
	sent   atomic.Int64
	closed chan struct{}
}

func (e *endless) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK, Request: r, Body: e, ContentLength: -1,
		Header: http.Header{"Content-Type": {"text/event-stream"}},
	}, nil
}

func (e *endless) Read(p []byte) (int, error) {
	select {
	case <-e.closed:
		return 0, errors.New("closed")
	default:
		e.sent.Add(int64(len(p)))
		return len(p), nil
	}
}

func (e *endless) Close() error {
	close(e.closed)
	return nil
}

func TestAClientThatDoesNotReadIsCutOff(t *testing.T) {
	before := stuckAfter
	stuckAfter = 100 * time.Millisecond
	defer func() { stuckAfter = before }()
	backend := &endless{closed: make(chan struct{})}
	h := bare(t, backend)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.forward(w, r, &call{}) }))
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, "GET /mcp HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-backend.closed:
	case <-time.After(10 * time.Second):
		t.Fatal("the backend is still asked for more")
	}
	// What was asked of the backend is what the sockets between here and there hold.
	if n := backend.sent.Load(); n > 64<<20 {
		t.Errorf("%d bytes were sent to a client that reads none", n)
	}
}
