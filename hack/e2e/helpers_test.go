//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vestibule.dev/vestibule/hack/mcpclient"
	"vestibule.dev/vestibule/hack/realcluster"
)

func split3(s string) [3]string {
	var parts [3]string
	copy(parts[:], strings.SplitN(s, "|", 3))
	return parts
}

// load is clients at work: each calls a tool again and again, and, if it is to,
// refreshes its tokens now and then. A request that gets no answer, or 502 or
// 503, is sent again, as MCP clients and OAuth allow; anything else is a failure.
type load struct {
	stop    context.CancelFunc
	done    sync.WaitGroup
	calls   atomic.Int64
	retries atomic.Int64
	// strict makes a 503 a failure too.
	strict atomic.Bool

	mu       sync.Mutex
	failures []string
}

// work starts clients that end with the test, or when the load is ended.
func work(t *testing.T, s *realcluster.Server, clients int, refresh bool) *load {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	l := &load{stop: stop}
	t.Cleanup(stop)
	for range clients {
		c := connect(t, s)
		l.done.Go(func() { l.run(ctx, c, refresh) })
	}
	return l
}

func (l *load) run(ctx context.Context, c *mcpclient.Client, refresh bool) {
	for n := 1; ctx.Err() == nil; n++ {
		l.try(ctx, "a call", func(ctx context.Context) error {
			status, err := c.Status(ctx)
			if err != nil {
				return err
			}
			if status != 200 {
				return fmt.Errorf("status %d", status)
			}
			l.calls.Add(1)
			return nil
		})
		if refresh && n%20 == 0 {
			l.try(ctx, "a refresh", c.Refresh)
		}
		time.Sleep(20 * time.Millisecond) // a busy client, not a flood
	}
}

// try sends a request until it is answered, for at most 20 seconds.
func (l *load) try(ctx context.Context, what string, send func(context.Context) error) {
	deadline := time.Now().Add(20 * time.Second)
	for {
		attempt, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		err := send(attempt)
		cancel()
		if err == nil {
			return
		}
		if final(err) || l.strict.Load() && strings.Contains(err.Error(), "status 503") || time.Now().After(deadline) {
			if ctx.Err() == nil {
				l.mu.Lock()
				l.failures = append(l.failures, what+": "+err.Error())
				l.mu.Unlock()
			}
			return
		}
		l.retries.Add(1)
		time.Sleep(100 * time.Millisecond)
	}
}

// final says whether a client would not send the request again.
func final(err error) bool {
	s := err.Error()
	for _, status := range []string{"status 400", "status 401", "status 403", "status 404", "status 500", "invalid_grant", "invalid_client"} {
		if strings.Contains(s, status) {
			return true
		}
	}
	return false
}

// end stops the clients, and insists that they lost nothing.
func (l *load) end(t *testing.T) {
	t.Helper()
	l.stop()
	l.done.Wait()
	t.Logf("%d calls, %d sent again", l.calls.Load(), l.retries.Load())
	if l.calls.Load() == 0 {
		t.Error("no call succeeded")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.failures) > 0 {
		t.Errorf("%d requests were lost, the first: %s", len(l.failures), l.failures[0])
	}
}
