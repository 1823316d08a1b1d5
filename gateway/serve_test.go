package gateway_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
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
	admin string
	stop  context.CancelFunc
	ended chan error
}

// serve runs a gateway with its probes.
func serve(t *testing.T, setup gatewaytest.Setup, timing gateway.Timing) *running {
	t.Helper()
	public, admin := gatewaytest.Listen(t), gatewaytest.Listen(t)
	s := gatewaytest.Describe(t, "http://"+public.Addr().String(), setup)
	s.Addrs = []string{public.Addr().String()}
	o := gateway.Options{Log: s.Log(), Now: s.Clock.Now}
	if setup.Options != nil {
		setup.Options(&o)
	}
	g, err := gateway.New(s.Config, s.Keys, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	r := &running{Server: s, admin: "http://" + admin.Addr().String(), stop: stop, ended: make(chan error, 1)}
	go func() { r.ended <- errors.Join(g.Serve(ctx, public, admin, timing), g.Close()) }()
	t.Cleanup(stop)
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
	slow := slowStore{gatewaytest.NewJournal(t), make(chan struct{})}
	gw := serve(t, gatewaytest.Setup{Options: func(o *gateway.Options) { o.Store = slow }}, gateway.Timing{Announce: soon})
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

func TestEventsArriveOneByOne(t *testing.T) { // T8, T23, T7
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
				backend.send(t, event) // the backend holds the stream open
				got := make([]byte, len(event))
				if _, err := io.ReadFull(body, got); err != nil || string(got) != event {
					t.Fatalf("%q arrives, and %v", got, err)
				}
			}
			leave()
			receive(t, backend.left, "the client's going")
		})
	}
}

func TestAQuietStreamIsNotCutOff(t *testing.T) { // T33
	inEachVersion(t, aQuietStreamIsNotCutOff)
}

func aQuietStreamIsNotCutOff(t *testing.T, setup gatewaytest.Setup) {
	const patience = time.Second
	defer gateway.AnswerWithin(patience)()
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
			const event = "data: late\n\n"
			backend.send(t, event)
			got := make([]byte, len(event))
			if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != event {
				t.Errorf("%q arrives, and %v", got, err)
			}
			leave()
			receive(t, backend.left, "the client's going")
		})
	}
}

// Only a stranger's body must arrive within a time.
func TestASlowBodyArrives(t *testing.T) { // T43
	inEachVersion(t, aSlowBodyArrives)
}

func aSlowBodyArrives(t *testing.T, setup gatewaytest.Setup) {
	const patience = time.Second
	defer gateway.AnswerWithin(patience)()
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

func TestTheDrain(t *testing.T) {
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
