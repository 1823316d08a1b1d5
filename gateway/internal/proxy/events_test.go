package proxy

import (
	"io"
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
		src, backend := io.Pipe()
		e := newEvents(src, time.Millisecond, always)
		if got := read(t, e, 2*len(comment)); got != comment+comment {
			t.Errorf("before the first event there is %q", got)
		}
		const half = "data: 1"
		go func() {
			_, _ = backend.Write([]byte(half))
			time.Sleep(50 * time.Millisecond) // in which comments would be due
			_, _ = backend.Write([]byte(ending))
		}()
		var got string
		for !strings.Contains(got, ending+comment) {
			got += read(t, e, 1)
			if len(got) > 1<<16 {
				t.Fatalf("there is no comment after the event: %.200q", got)
			}
		}
		if _, event, _ := strings.Cut(got, half); !strings.HasPrefix(event, ending) {
			t.Errorf("within an event there is %q", event)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestAStreamWhoseTokenIsNoGoodEnds(t *testing.T) {
	lookEachMillisecond(t)
	src, backend := io.Pipe()
	var revoked atomic.Bool
	e := newEvents(src, 0, func() bool { return !revoked.Load() })
	go func() { _, _ = backend.Write([]byte("data: 1\n\n")) }()
	if got := read(t, e, 9); got != "data: 1\n\n" {
		t.Errorf("there is %q", got)
	}
	revoked.Store(true)
	if rest, err := io.ReadAll(e); err != nil || len(rest) != 0 {
		t.Errorf("it ends with %q, %v", rest, err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if _, err := backend.Write([]byte("more")); err == nil {
		t.Error("the backend is not told")
	}
}

// counter is a backend without end.
type counter struct{ read atomic.Int64 }

func (c *counter) Read(p []byte) (int, error) {
	c.read.Add(int64(len(p)))
	return len(p), nil
}

func (c *counter) Close() error { return nil }

func TestAClientThatDoesNotReadStopsTheBackend(t *testing.T) {
	c := &counter{}
	e := newEvents(c, 0, always)
	read(t, e, 100)
	deadline := time.Now().Add(100 * time.Millisecond)
	for time.Now().Before(deadline) {
		if n := c.read.Load(); n > 2*4<<10 {
			t.Fatalf("%d bytes were read for a client that took 100", n)
		}
	}
	_ = e.Close()
}

func TestAStreamPassesUnchanged(t *testing.T) {
	body := strings.Repeat("data: "+strings.Repeat("x", 777)+"\n\n", 100) + "data: cut of"
	e := newEvents(io.NopCloser(strings.NewReader(body)), time.Hour, always)
	got, err := io.ReadAll(e)
	if err != nil || string(got) != body {
		t.Errorf("%d bytes of %d arrive, %v", len(got), len(body), err)
	}
}
