//go:build integration

package kubernetes

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
)

// link is a replica's way to the API server, which a test counts on, holds up
// and cuts.
type link struct {
	patches, gets, watches atomic.Int64

	mu      sync.Mutex
	patch   handler // nil lets patches through
	get     handler // nil lets reads through
	resumed chan struct{}
}

// once lets h answer the first request, and the others pass.
func once(h handler) handler {
	var used atomic.Bool
	return func(req *http.Request, send http.RoundTripper) (*http.Response, error) {
		if used.Swap(true) {
			return send.RoundTrip(req)
		}
		return h(req, send)
	}
}

// held is a request whose answer waits for the test: the API server has done
// what it was asked when sent is closed, and the answer arrives after release.
type held struct {
	sent     chan struct{}
	released chan struct{}
	release  func()
}

func newHeld(t *testing.T) *held {
	h := &held{sent: make(chan struct{}), released: make(chan struct{})}
	h.release = sync.OnceFunc(func() { close(h.released) })
	t.Cleanup(h.release)
	return h
}

func (h *held) handle(req *http.Request, send http.RoundTripper) (*http.Response, error) {
	resp, err := send.RoundTrip(req)
	close(h.sent)
	<-h.released
	return resp, err
}

// handler answers a request, with or without sending it.
type handler func(req *http.Request, send http.RoundTripper) (*http.Response, error)

func (l *link) onPatch(h handler) { l.set(&l.patch, h) }
func (l *link) onGet(h handler)   { l.set(&l.get, h) }

func (l *link) set(field *handler, h handler) {
	l.mu.Lock()
	defer l.mu.Unlock()
	*field = h
}

// pauseWatch holds back all that watches say from now on.
func (l *link) pauseWatch() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.resumed == nil {
		l.resumed = make(chan struct{})
	}
}

// resumeWatch lets watches say all that was held back.
func (l *link) resumeWatch() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.resumed != nil {
		close(l.resumed)
		l.resumed = nil
	}
}

func (l *link) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(req *http.Request) (*http.Response, error) {
		l.mu.Lock()
		get, patch := l.get, l.patch
		l.mu.Unlock()
		switch {
		case req.URL.Query().Has("watch"):
			l.watches.Add(1)
			resp, err := next.RoundTrip(req)
			if err == nil {
				resp.Body = &gate{ReadCloser: resp.Body, ctx: req.Context(), link: l}
			}
			return resp, err
		case req.Method == http.MethodPatch:
			l.patches.Add(1)
			if patch != nil {
				return patch(req, next)
			}
		case req.Method == http.MethodGet:
			l.gets.Add(1)
			if get != nil {
				return get(req, next)
			}
		}
		return next.RoundTrip(req)
	})
}

// gate is the body of a watch.
type gate struct {
	io.ReadCloser
	ctx  context.Context
	link *link
}

func (g *gate) Read(p []byte) (int, error) {
	n, err := g.ReadCloser.Read(p)
	g.link.mu.Lock()
	resumed := g.link.resumed
	g.link.mu.Unlock()
	if resumed != nil {
		select {
		case <-resumed:
		case <-g.ctx.Done():
			return 0, g.ctx.Err()
		}
	}
	return n, err
}

func response(req *http.Request, code int, body []byte) *http.Response {
	return &http.Response{
		StatusCode: code, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(body)),
	}
}
