//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net/http"
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
	ctx     context.Context // done when it is to end
	stop    context.CancelFunc
	done    sync.WaitGroup
	calls   atomic.Int64
	logins  atomic.Int64
	retries atomic.Int64
	// strict makes a 503 a failure too.
	strict atomic.Bool
	// patience is how many seconds long a request is sent again.
	patience atomic.Int64

	mu       sync.Mutex
	waited   time.Duration  // the longest until a request was answered
	why      map[string]int // requests were sent again
	failures []string
}

// work starts clients that end with the test, or when the load is ended.
func work(t *testing.T, s *realcluster.Server, clients int, refresh bool) *load {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	l := &load{ctx: ctx, stop: stop, why: map[string]int{}}
	l.patience.Store(20)
	t.Cleanup(stop)
	for range clients {
		c := connect(t, s)
		l.done.Go(func() { l.run(c, refresh) })
	}
	return l
}

func (l *load) run(c *mcpclient.Client, refresh bool) {
	for n := 1; l.ctx.Err() == nil; n++ {
		l.try("a call", func(ctx context.Context) error {
			err := call(ctx, c)
			if err == nil {
				l.calls.Add(1)
			}
			return err
		})
		if refresh && n%20 == 0 {
			l.try("a refresh", c.Refresh)
		}
		time.Sleep(20 * time.Millisecond) // a busy client, not a flood
	}
}

// call sends a request with a client's token, which must be let through.
func call(ctx context.Context, c *mcpclient.Client) error {
	status, err := c.Status(ctx)
	if err == nil && status != http.StatusOK {
		return fmt.Errorf("status %d", status)
	}
	return err
}

// logIn has somebody log in with a new client, every two seconds.
func (l *load) logIn(s *realcluster.Server) {
	l.done.Go(func() {
		for l.ctx.Err() == nil {
			l.try("a login", func(ctx context.Context) error {
				c, err := s.Client("alice", nil)
				if err != nil {
					return err
				}
				if err := c.Connect(ctx); err != nil {
					return err
				}
				l.logins.Add(1)
				return c.Session.Close()
			})
			select {
			case <-l.ctx.Done():
			case <-time.After(2 * time.Second):
			}
		}
	})
}

// try sends a request until it is answered, or patience is at an end.
func (l *load) try(what string, send func(context.Context) error) {
	begun := time.Now()
	for {
		attempt, cancel := context.WithTimeout(context.WithoutCancel(l.ctx), 10*time.Second)
		err := send(attempt)
		cancel()
		took := time.Since(begun)
		if err == nil {
			l.mu.Lock()
			l.waited = max(l.waited, took)
			l.mu.Unlock()
			return
		}
		if final(err) || l.strict.Load() && strings.Contains(err.Error(), "status 503") || took > time.Duration(l.patience.Load())*time.Second {
			if l.ctx.Err() == nil {
				l.mu.Lock()
				l.failures = append(l.failures, what+": "+err.Error())
				l.mu.Unlock()
			}
			return
		}
		l.retries.Add(1)
		text := err.Error()
		l.mu.Lock()
		l.why[what+": "+strings.TrimSpace(text[strings.LastIndex(text, ": ")+1:])]++
		l.mu.Unlock()
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

// lap logs what the clients had to bear since the last lap.
func (l *load) lap(t *testing.T, what string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	t.Logf("%s: %d calls and %d logins so far; the longest wait was %.1f s, sent again were %v",
		what, l.calls.Load(), l.logins.Load(), l.waited.Seconds(), l.why)
	l.waited, l.why = 0, map[string]int{}
}

// end stops the clients, and insists that they lost nothing.
func (l *load) end(t *testing.T) {
	t.Helper()
	l.stop()
	l.done.Wait()
	l.lap(t, "at the end")
	if l.calls.Load() == 0 {
		t.Error("no call succeeded")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.failures) > 0 {
		t.Errorf("%d requests were lost, the first: %s", len(l.failures), l.failures[0])
	}
}
