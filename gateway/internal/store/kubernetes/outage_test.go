//go:build integration

package kubernetes

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vestibule.dev/vestibule/gateway/internal/store"
	"vestibule.dev/vestibule/gateway/internal/store/conformance"
)

var errCut = fmt.Errorf("reading: %w", io.ErrUnexpectedEOF)

// lost sends a request, and loses its answer.
func lost(req *http.Request, send http.RoundTripper) (*http.Response, error) {
	resp, err := send.RoundTrip(req)
	if err == nil {
		err = errors.Join(errCut, resp.Body.Close())
	}
	return nil, err
}

// cut loses a request on its way.
func cut(*http.Request, http.RoundTripper) (*http.Response, error) { return nil, errCut }

// unconnected finds nobody to send a request to.
func unconnected(*http.Request, http.RoundTripper) (*http.Response, error) {
	return nil, &net.OpError{Op: "dial", Err: errors.New("connection refused")}
}

// hung answers nothing, until the connection breaks.
func hung(broken <-chan struct{}) handler {
	return func(req *http.Request, _ http.RoundTripper) (*http.Response, error) {
		select {
		case <-req.Context().Done():
		case <-broken:
		}
		return nil, errCut
	}
}

// answers gives an error of the API server, or of something before it, without
// asking the API server.
func answers(code int, reason metav1.StatusReason) handler {
	return func(req *http.Request, _ http.RoundTripper) (*http.Response, error) {
		return status(req, code, metav1.Status{Reason: reason, Message: "no"}), nil
	}
}

// after sends a request, and something in between turns its answer into a 504.
func after(req *http.Request, send http.RoundTripper) (*http.Response, error) {
	resp, err := send.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	return response(req, http.StatusGatewayTimeout, []byte("<html>timeout</html>")), resp.Body.Close()
}

// Whatever becomes of the first attempt, the write takes place once, and the
// caller is told so.
func TestAWriteOutlivesAFailedAttempt(t *testing.T) {
	c := newCluster(t, "Secret")
	l := &link{}
	s := c.open(t, l)
	var seen []byte
	conformance.Start(t, s, func(_ store.Kind, _ store.ID, value []byte) { seen = value })
	for name, attempt := range map[string]handler{
		"the answer is lost":             lost,
		"the request is lost":            cut,
		"there is no connection":         unconnected,
		"409":                            answers(409, metav1.StatusReasonConflict),
		"429":                            answers(429, metav1.StatusReasonTooManyRequests),
		"500":                            answers(500, metav1.StatusReasonInternalError),
		"503":                            answers(503, metav1.StatusReasonServiceUnavailable),
		"a 504 for what was written":     after,
		"a failed test, out of thin air": answers(422, metav1.StatusReasonInvalid),
	} {
		t.Run(name, func(t *testing.T) {
			id := store.NewID(0)
			var old []byte
			for _, next := range [][]byte{conformance.NewValue("created"), conformance.NewValue("changed"), nil} {
				l.onPatch(once(attempt))
				if err := s.CompareAndSwap(t.Context(), store.Grant, id, old, next); err != nil {
					t.Fatalf("CompareAndSwap: %v", err)
				}
				if !same(seen, next) {
					t.Errorf("the write is answered, and the observer knows %q, want %q", seen, next)
				}
				if got, err := s.Get(t.Context(), store.Grant, id); !same(got, next) || next == nil != errors.Is(err, store.ErrNotFound) {
					t.Errorf("the record is %q, %v, want %q", got, err, next)
				}
				old = next
			}
		})
	}
}

// A write that another's followed is known to have taken place if the watch has
// shown it. If not, nothing is claimed.
func TestALostAnswerAndAChangeOnTop(t *testing.T) {
	c := newCluster(t, "Secret")
	other := c.open(t, nil)
	for _, tc := range []struct {
		name    string
		attempt handler
		paused  bool
		want    error
	}{
		{"written, and watched", lost, false, nil},
		{"written, unwatched", lost, true, store.ErrUnavailable},
		{"not written", cut, true, store.ErrUnavailable},
		{"certainly not written", unconnected, true, store.ErrConflict},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := &link{}
			s := c.open(t, l)
			shown := make(chan []byte, 100)
			conformance.Start(t, s, func(_ store.Kind, _ store.ID, value []byte) { shown <- value })
			id, old := conformance.CreateRecord(t, s)
			next := conformance.NewValue("next")
			if tc.paused {
				l.pauseWatch()
			}
			l.onPatch(once(func(req *http.Request, send http.RoundTripper) (*http.Response, error) {
				resp, err := tc.attempt(req, send)
				for !tc.paused && !bytes.Equal(<-shown, next) {
				}
				now, getErr := other.Get(t.Context(), store.Grant, id)
				onTop := other.CompareAndSwap(t.Context(), store.Grant, id, now, conformance.NewValue("on top"))
				if err := errors.Join(getErr, onTop); err != nil {
					t.Error(err)
				}
				return resp, err
			}))
			err := s.CompareAndSwap(t.Context(), store.Grant, id, old, next)
			if tc.want == nil && err != nil || !errors.Is(err, tc.want) {
				t.Errorf("CompareAndSwap: %v, want %v", err, tc.want)
			}
		})
	}
}

func shortly(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), 300*time.Millisecond)
}

// Nor is a creation repeated after another has deleted what it made.
func TestALostAnswerAndADeletion(t *testing.T) {
	c := newCluster(t, "Secret")
	l, o := &link{}, &conformance.Told{}
	s, other := c.open(t, l), c.open(t, nil)
	conformance.Start(t, s, o.Observe)
	id, value := store.NewID(0), conformance.NewValue("created")
	l.onPatch(once(func(req *http.Request, send http.RoundTripper) (*http.Response, error) {
		resp, err := lost(req, send)
		conformance.Eventually(t, "the watch shows the record", func() bool { return o.Knows(id, value) })
		if err := other.CompareAndSwap(t.Context(), store.Grant, id, value, nil); err != nil {
			t.Error(err)
		}
		return resp, err
	}))
	if err := s.CompareAndSwap(t.Context(), store.Grant, id, nil, value); err != nil {
		t.Errorf("CompareAndSwap: %v", err)
	}
	if _, err := other.Get(t.Context(), store.Grant, id); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the deleted record: %v, want that there is none", err)
	}
}

// While the API server fails, callers wait no longer than they want to, and
// afterwards nothing goes on trying.
func TestAnOutageEndsWithTheCallersPatience(t *testing.T) {
	c := newCluster(t, "Secret")
	l := &link{}
	s := c.open(t, l)
	conformance.Start(t, s, conformance.Ignore)
	id, old := conformance.CreateRecord(t, s)
	broken := make(chan struct{})
	for name, h := range map[string]handler{
		"hung":        hung(broken),
		"cut":         cut,
		"unconnected": unconnected,
		"500":         answers(500, metav1.StatusReasonInternalError),
		"429":         answers(429, metav1.StatusReasonTooManyRequests),
	} {
		t.Run(name, func(t *testing.T) {
			before := l.patches.Load() + l.gets.Load()
			l.onPatch(h)
			l.onGet(h)
			ctx, cancel := shortly(t)
			defer cancel()
			began := time.Now()
			if err := s.CompareAndSwap(ctx, store.Grant, id, old, conformance.NewValue("next")); !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("CompareAndSwap: %v, want that the store is unavailable", err)
			}
			if _, err := s.Get(ctx, store.Grant, id); !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("Get: %v, want that the store is unavailable", err)
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("the answers took %v", took)
			}
			if n := l.patches.Load() + l.gets.Load() - before; n > 10 {
				t.Errorf("%d requests were made meanwhile, want a few", n)
			}
			l.onPatch(nil)
			l.onGet(nil)
			if name == "hung" {
				close(broken)
			}
			conformance.Eventually(t, "the writer has stopped", s.idle)
		})
	}
	// What was tried may have taken place or not; the next one does.
	now, err := s.Get(t.Context(), store.Grant, id)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.CompareAndSwap(t.Context(), store.Grant, id, now, conformance.NewValue("after")); err != nil {
		t.Errorf("after the outage, CompareAndSwap: %v", err)
	}
}

// idle says that no shard has a writer at work.
func (s *Store) idle() bool {
	for _, shards := range s.shards {
		for _, sh := range shards {
			sh.mu.Lock()
			committing := sh.committing
			sh.mu.Unlock()
			if committing {
				return false
			}
		}
	}
	return true
}

func TestRetryAfterIsRespected(t *testing.T) {
	c := newCluster(t, "Secret")
	l := &link{}
	s := c.open(t, l)
	conformance.Start(t, s, conformance.Ignore)
	l.onPatch(once(func(req *http.Request, _ http.RoundTripper) (*http.Response, error) {
		resp := status(req, http.StatusTooManyRequests, metav1.Status{Reason: metav1.StatusReasonTooManyRequests})
		resp.Header.Set("Retry-After", "1")
		return resp, nil
	}))
	began := time.Now()
	conformance.CreateRecord(t, s)
	if took := time.Since(began); took < time.Second {
		t.Errorf("the write was tried again after %v, want 1s", took)
	}
}
