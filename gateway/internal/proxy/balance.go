package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"vestibule.dev/vestibule/gateway/internal/pods"
)

// podsWithin is how long a request waits for the pods to be known, which they are
// a moment after the start.
const podsWithin = 5 * time.Second

// errNoPod says that no pod could be connected to, so nothing was sent.
var errNoPod = errors.New("no pod takes requests")

// transport returns what calls the backend's address, or one of its pods.
func (h *Handler) transport() http.RoundTripper {
	if h.Pods == nil {
		return direct{h.Transport}
	}
	return balancer{h}
}

// direct sends a request to the backend's address.
type direct struct{ http.RoundTripper }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	c, ok := r.Context().Value(callKey{}).(*call)
	if !ok || c.body == nil {
		return d.RoundTripper.RoundTrip(r)
	}
	out := r.WithContext(r.Context()) // a copy, since who is called with a request must not change it
	out.Body = io.NopCloser(bytes.NewReader(c.body))
	resp, err := d.RoundTripper.RoundTrip(out)
	if err != nil {
		return nil, err
	}
	resp.Request = r
	return resp, nil
}

// podsKnown waits until there is something to choose from.
func (h *Handler) podsKnown(ctx context.Context) bool {
	select {
	case <-h.Pods.Known():
		return true
	default:
	}
	wait := time.NewTimer(podsWithin)
	defer wait.Stop()
	select {
	case <-h.Pods.Known():
		return true
	case <-ctx.Done():
	case <-wait.C:
	}
	return false
}

// balancer sends a request to the pod of its session, or to one of those that have
// the least to do. Another one is tried only if nothing was sent.
type balancer struct{ *Handler }

func (b balancer) RoundTrip(r *http.Request) (*http.Response, error) {
	c, ok := r.Context().Value(callKey{}).(*call)
	if !ok || !b.podsKnown(r.Context()) {
		return nil, errNoPod
	}
	//rule:session-at-any-pod
	pinned := c.pod
	var tried []*pods.Pod
	for {
		if c.pod = pinned; pinned == nil {
			c.pod = b.Pods.Pick(tried)
		}
		if c.pod == nil {
			return nil, errNoPod
		}
		resp, err := b.send(r, c)
		//rule:sent-twice
		if err == nil || !notSent(err) {
			return resp, err
		}
		b.Log.WarnContext(r.Context(), "a pod cannot be connected to", "route", b.Path, "pod", c.pod.UID, "error", err)
		if pinned != nil || r.Context().Err() != nil {
			return nil, fmt.Errorf("%w: %w", errNoPod, err)
		}
		tried = append(tried, c.pod)
		b.Retried()
	}
}

func (b balancer) send(r *http.Request, c *call) (*http.Response, error) {
	done := c.pod.Begin()
	to := *r.URL
	to.Host = c.pod.Addr
	out := r.WithContext(r.Context()) // a copy that shares the headers, which nobody changes
	out.URL = &to
	switch {
	case c.body != nil:
		out.Body = io.NopCloser(bytes.NewReader(c.body))
	case r.Body != nil && r.Body != http.NoBody:
		// The transport closes it when it fails, and the next pod is to have it. The
		// reverse proxy closes it in the end.
		out.Body = io.NopCloser(r.Body)
	}
	resp, err := b.Transport.RoundTrip(out)
	if err != nil {
		done()
		return nil, err
	}
	resp.Request = r
	resp.Body = counted{resp.Body, done}
	return resp, nil
}

// notSent says that there was not even a connection.
func notSent(err error) bool {
	var dial *net.OpError
	return errors.As(err, &dial) && dial.Op == "dial"
}

// counted is a body whose end is the end of its request.
type counted struct {
	io.ReadCloser
	done func()
}

func (c counted) Close() error {
	c.done()
	return c.ReadCloser.Close()
}
