package gateway_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
	"vestibule.dev/vestibule/gateway/internal/store"
)

// soon bounds the waiting for what happens at once.
const soon = 10 * time.Second

// running is a gateway that the test stops.
type running struct {
	*gatewaytest.Server
	gateway *gateway.Gateway
	admin   string
	stop    context.CancelFunc
	ended   chan error
}

// serve runs a gateway with its probes.
func serve(t *testing.T, setup gatewaytest.Setup, timing gateway.Timing) *running {
	t.Helper()
	public, admin := gatewaytest.Listen(t), gatewaytest.Listen(t)
	s := gatewaytest.Describe(t, "http://"+public.Addr().String(), setup)
	s.Addrs = []string{public.Addr().String()}
	o := gateway.Options{Log: s.Log(), Now: s.Clock.Now, Intervals: setup.Intervals}
	if setup.Options != nil {
		setup.Options(&o)
	}
	g, err := gateway.New(s.Config, s.Keys, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	r := &running{Server: s, gateway: g, admin: "http://" + admin.Addr().String(), stop: stop, ended: make(chan error, 1)}
	var serving sync.WaitGroup
	serving.Go(func() { r.ended <- errors.Join(g.Serve(ctx, public, admin, timing), g.Close()) })
	t.Cleanup(func() {
		stop()
		serving.Wait()
	})
	return r
}

// end waits until the gateway has ended by itself.
func (r *running) end(t *testing.T) {
	t.Helper()
	select {
	case err := <-r.ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(soon):
		t.Fatal("the gateway does not end")
	}
}

// probe asks one of the probes.
func (r *running) probe(t *testing.T, path string) int {
	t.Helper()
	resp, err := http.Get(r.admin + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

func (r *running) waitReady(t *testing.T, status int) {
	t.Helper()
	for deadline := time.Now().Add(soon); r.probe(t, "/readyz") != status; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("/readyz does not become %d", status)
		}
	}
}

// login gets a token for a new client.
func (r *running) login(t *testing.T) string {
	t.Helper()
	client := r.Register(t, nil)
	return client.Redeem(t, client.Login(t)).Access
}

// slowStore is read once only when the test says so.
type slowStore struct {
	store.Store
	read chan struct{}
}

func (s slowStore) Run(ctx context.Context, observe store.Observer) error {
	select {
	case <-s.read:
	case <-ctx.Done():
		return nil
	}
	return s.Store.Run(ctx, observe)
}

func TestReadiness(t *testing.T) {
	t.Parallel()
	slow := slowStore{gatewaytest.NewJournal(t), make(chan struct{})}
	gw := serve(t, gatewaytest.Setup{Options: func(o *gateway.Options) { o.Store = slow }}, gateway.Timing{Announce: 3 * time.Second})
	gw.waitReady(t, http.StatusServiceUnavailable)
	if got := gw.probe(t, "/healthz"); got != http.StatusOK {
		t.Errorf("/healthz is %d before the store is read", got)
	}
	close(slow.read)
	gw.waitReady(t, http.StatusOK)
	// Whatever fails later makes no other replica better than this one.
	slow.Store.(*gatewaytest.Journal).GoAway(store.ErrUnavailable)
	gw.IdP.Stop()
	if got := gw.probe(t, "/readyz"); got != http.StatusOK {
		t.Errorf("/readyz is %d while the store is away", got)
	}
	slow.Store.(*gatewaytest.Journal).GoAway(nil)
	// The probes are not for the public.
	fetch(t, gw.Server, "GET", "/readyz", nil).Fails(t, http.StatusNotFound, "not_found")
	// Whoever is about to stop says so first, and goes on for a while.
	gw.stop()
	gw.waitReady(t, http.StatusServiceUnavailable)
	if got := gw.probe(t, "/healthz"); got != http.StatusOK {
		t.Errorf("/healthz is %d during the drain", got)
	}
	gw.Register(t, nil)
	// Who asks is to ask another one next, before this one closes its connections.
	resp, err := http.Get(gw.Config.PublicURL + "/.well-known/oauth-authorization-server")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if !resp.Close {
		t.Error("a connection is kept for more requests during the drain")
	}
}

func TestTheDrain(t *testing.T) {
	t.Parallel()
	inEachVersion(t, theDrain)
}

func theDrain(t *testing.T, setup gatewaytest.Setup) {
	backend := newStreams()
	setup.Backend = backend
	gw := serve(t, setup, gateway.Timing{Finish: soon})
	gw.waitReady(t, http.StatusOK)
	token := gw.login(t)
	stream := open(t.Context(), t, gw.Server, "GET", token, nil)
	receive(t, backend.arrived, "the stream")
	const event = "data: one\n\n"
	backend.send(t, event)
	if _, err := io.ReadFull(stream.Body, make([]byte, len(event))); err != nil {
		t.Fatal(err)
	}
	post := make(chan gatewaytest.Answer, 1)
	go func() {
		r := gw.Request(t, "POST", "/mcp", strings.NewReader("{}"), map[string]string{"Authorization": "Bearer " + token})
		resp, err := gw.HTTP(0).Do(r)
		if err != nil {
			post <- gatewaytest.Answer{Body: err.Error()}
			return
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			body = append(body, err.Error()...)
		}
		post <- gatewaytest.Answer{Status: resp.StatusCode, Body: string(body)}
	}()
	receive(t, backend.arrived, "the POST")

	gw.stop()
	// A stream that no request waits for ends, as if the backend had ended it ...
	if body, err := io.ReadAll(stream.Body); err != nil || len(body) > 0 {
		t.Errorf("the stream ends with %q and %v", body, err)
	}
	if got := receive(t, backend.left, "the end of the stream"); got != "GET" {
		t.Errorf("%s ended", got)
	}
	// ... nobody new comes in ...
	for deadline := time.Now().Add(soon); ; time.Sleep(5 * time.Millisecond) {
		conn, err := net.Dial("tcp", gw.Addrs[0])
		if err != nil {
			break
		}
		_ = conn.Close()
		if time.Now().After(deadline) {
			t.Fatal("connections are still taken")
		}
	}
	// ... and what was under way finishes.
	backend.send(t, `{"jsonrpc":"2.0","id":1,"result":{}}`)
	backend.send(t, "")
	if a := receive(t, post, "the answer"); a.Status != http.StatusOK || !strings.Contains(a.Body, "result") {
		t.Errorf("the POST under way gets %d %s", a.Status, a.Body)
	}
	gw.end(t)
}

func TestStreamsEndOneByOne(t *testing.T) {
	t.Parallel()
	const all = 500 * time.Millisecond
	backend := newStreams()
	gw := serve(t, gatewaytest.Setup{Backend: backend}, gateway.Timing{Stagger: all, Finish: soon})
	gw.waitReady(t, http.StatusOK)
	token := gw.login(t)
	const n = 8 // as many as the backend keeps count of
	ends := make(chan time.Time, n)
	for range n {
		stream := open(t.Context(), t, gw.Server, "GET", token, nil)
		receive(t, backend.arrived, "the stream")
		go func() {
			_, _ = io.Copy(io.Discard, stream.Body)
			ends <- time.Now()
		}()
	}
	gw.stop()
	first := receive(t, ends, "the end of a stream")
	last := first
	for range n - 1 {
		last = receive(t, ends, "the end of a stream")
	}
	// All in one tenth of the time is what chance does once in a million times.
	if took := last.Sub(first); took < all/10 {
		t.Errorf("all streams end within %v", took)
	}
	gw.end(t)
}

func TestTheDrainDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
	inEachVersion(t, theDrainDoesNotWaitForEver)
}

func theDrainDoesNotWaitForEver(t *testing.T, setup gatewaytest.Setup) {
	backend := newStreams()
	setup.Backend = backend
	gw := serve(t, setup, gateway.Timing{Finish: 50 * time.Millisecond})
	gw.waitReady(t, http.StatusOK)
	token := gw.login(t)
	resp := open(t.Context(), t, gw.Server, "POST", token, map[string]string{"Accept": "text/event-stream"})
	receive(t, backend.arrived, "the request")
	gw.stop()
	gw.end(t)
	if _, err := io.ReadAll(resp.Body); err == nil {
		t.Error("a stream that was cut off ends as if it were whole")
	}
	receive(t, backend.left, "the cut")
}
