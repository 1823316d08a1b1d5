//go:build integration

package kubernetes

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vestibule.dev/vestibule/gateway/internal/store"
	"vestibule.dev/vestibule/gateway/internal/store/conformance"
	"vestibule.dev/vestibule/hack/testlog"
)

const canary = "a record that nobody may read in a log"

// The API server's validation quotes the whole object. We quote nothing.
func TestAValidationErrorIsNotQuoted(t *testing.T) {
	c := newCluster(t, "Secret")
	l, log := &link{}, &testlog.Buffer{}
	options := c.options(l)
	options.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s := openWith(t, options)
	conformance.Start(t, s, conformance.Ignore)
	id, secret := store.NewID(0), conformance.NewValue(canary)
	if err := s.CompareAndSwap(t.Context(), store.Grant, id, nil, secret); err != nil {
		t.Fatal(err)
	}

	var answer []byte
	l.onPatch(once(func(req *http.Request, send http.RoundTripper) (*http.Response, error) {
		patch := []byte(`[{"op":"add","path":"/data/broken","value":"not base64"}]`)
		req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(patch)), int64(len(patch))
		resp, err := send.RoundTrip(req)
		if err != nil {
			return nil, err
		}
		if answer, err = io.ReadAll(resp.Body); err != nil {
			return nil, err
		}
		resp.Body = io.NopCloser(bytes.NewReader(answer))
		return resp, nil
	}))
	err := s.CompareAndSwap(t.Context(), store.Grant, id, secret, conformance.NewValue("next"))
	if !errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("CompareAndSwap: %v, want that the store is unavailable", err)
	}
	quoted := base64.StdEncoding.EncodeToString(secret)
	if !strings.Contains(string(answer), quoted) {
		t.Fatalf("the API server does not quote the object, so nothing is tested: %s", answer)
	}
	for name, text := range map[string]string{"error": err.Error(), "log": log.String()} {
		if strings.Contains(text, quoted) || strings.Contains(text, canary) {
			t.Errorf("the %s quotes a record: %s", name, text)
		}
	}
	if !strings.Contains(log.String(), "store refuses writes") {
		t.Errorf("the log does not say that writes are refused: %s", log)
	}
}

// A refusal is final: to repeat the request would not help.
func TestARefusedWriteIsNotRepeated(t *testing.T) {
	c := newCluster(t, "Secret")
	for code, reason := range map[int]metav1.StatusReason{
		400: metav1.StatusReasonBadRequest,
		401: metav1.StatusReasonUnauthorized,
		403: metav1.StatusReasonForbidden,
		404: metav1.StatusReasonNotFound,
		413: metav1.StatusReasonRequestEntityTooLarge,
	} {
		t.Run(string(reason), func(t *testing.T) {
			l := &link{}
			s := c.open(t, l)
			conformance.Start(t, s, conformance.Ignore)
			l.onPatch(answers(code, reason))
			for range 3 {
				err := s.CompareAndSwap(t.Context(), store.Grant, store.NewID(0), nil, conformance.NewValue("new"))
				if !errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrConflict) {
					t.Errorf("CompareAndSwap: %v, want that the store is unavailable", err)
				}
			}
			conformance.Eventually(t, "the writer has stopped", s.idle)
			if n := l.patches.Load(); n != 3 {
				t.Errorf("3 writes took %d patches", n)
			}
		})
	}
}

// A shard without its control key has no map to put records in. The patch fails
// as if a test had, and no read explains why.
func TestAShardWithoutAMap(t *testing.T) {
	c := newCluster(t, "Secret")
	create(t, c.object("weather-grants-2"))
	l, log := &link{}, &testlog.Buffer{}
	options := c.options(l)
	options.REST, options.GrantShards = env.Config, 3 // The role knows of two.
	options.Log = slog.New(slog.NewTextHandler(log, nil))
	s := openWith(t, options)
	conformance.Start(t, s, conformance.Ignore)
	ctx, cancel := context.WithCancel(t.Context())
	answer := make(chan error, 1)
	go func() { answer <- s.CompareAndSwap(ctx, store.Grant, store.NewID(2), nil, conformance.NewValue("new")) }()
	conformance.Eventually(t, "the log says so", func() bool { return strings.Contains(log.String(), "writes do not get through") })
	cancel()
	if err := <-answer; !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("CompareAndSwap: %v, want that the store is unavailable", err)
	}
	if n := l.patches.Load(); n > 4 {
		t.Errorf("%d patches were tried meanwhile, want a few", n)
	}
	conformance.Eventually(t, "the writer has stopped", s.idle)
}
