package gateway_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
	"vestibule.dev/vestibule/gateway/internal/pods"
)

// backendPod begins a session with each request that has none, and knows no other
// pod's.
type backendPod struct {
	name     string
	addr     string
	requests atomic.Int64
}

func (b *backendPod) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := b.requests.Add(1)
	id := r.Header.Get(sessionID)
	switch {
	case id == "" && r.Header.Get("Mcp-Protocol-Version") == "":
		w.Header().Set(sessionID, fmt.Sprintf("%s-%d", b.name, n))
	case id != "" && !strings.HasPrefix(id, b.name+"-"):
		http.Error(w, "no such session at this pod", http.StatusNotFound)
		return
	}
	_, _ = fmt.Fprint(w, b.name)
}

func (b *backendPod) endpoint(ready bool) pods.Endpoint {
	return pods.Endpoint{UID: "uid-" + b.name, Addr: b.addr, Ready: ready, Serving: true}
}

// startPods serves as many pods, and a set that knows them all.
func startPods(t *testing.T, names ...string) ([]*backendPod, *pods.Set) {
	t.Helper()
	var all []*backendPod
	var endpoints []pods.Endpoint
	for _, name := range names {
		b := &backendPod{name: name}
		server := httptest.NewServer(b)
		t.Cleanup(server.Close)
		b.addr = server.Listener.Addr().String()
		all, endpoints = append(all, b), append(endpoints, b.endpoint(true))
	}
	set := pods.New()
	set.Replace(endpoints)
	return all, set
}

func withPods(set *pods.Set) gatewaytest.Setup {
	return gatewaytest.Setup{Replicas: 2, Options: func(o *gateway.Options) { o.Pods = set }}
}

func TestASessionStaysWithItsPod(t *testing.T) { // T21
	t.Parallel()
	backends, set := startPods(t, "a", "b", "c")
	gw, _, token := loggedIn(t, withPods(set))
	sessions := map[string]string{}
	for range 200 {
		if a := call(t, gw, "POST", "/mcp", token, nil); a.Status == http.StatusOK {
			sessions[a.Body] = a.Header.Get(sessionID)
		}
	}
	if len(sessions) != 3 {
		t.Fatalf("sessions began at %v only", sessions)
	}
	stays := func(when string) {
		t.Helper()
		for name, session := range sessions {
			for replica := range 2 {
				a := gw.Do(t, gw.HTTP(replica), gw.Request(t, "POST", "/mcp", nil, map[string]string{sessionID: session, "Authorization": "Bearer " + token}))
				if a.Status != http.StatusOK || a.Body != name || a.Header.Get(sessionID) != "" && a.Header.Get(sessionID) != session {
					t.Errorf("%s: a session of %s gets %d from replica %d: %s", when, name, a.Status, replica, a.Body)
				}
			}
		}
	}
	stays("all ready")
	set.Replace([]pods.Endpoint{backends[0].endpoint(false), backends[1].endpoint(false), backends[2].endpoint(true)})
	stays("two of three end")
	for range 20 {
		if a := call(t, gw, "POST", "/mcp", token, nil); a.Body != "c" {
			t.Fatalf("a new session begins at %s, which ends", a.Body)
		}
	}
	// The address of a pod that is gone is another's now.
	other := backends[1].endpoint(true)
	other.Addr = backends[0].addr
	set.Replace([]pods.Endpoint{other, backends[2].endpoint(true)})
	before := backends[0].requests.Load()
	isGatewayError(t, call(t, gw, "POST", "/mcp", token, http.Header{sessionID: {sessions["a"]}}), http.StatusNotFound)
	isGatewayError(t, call(t, gw, "GET", "/mcp", token, http.Header{sessionID: {sessions["a"]}}), http.StatusNotFound)
	isGatewayError(t, call(t, gw, "DELETE", "/mcp", token, http.Header{sessionID: {sessions["a"]}}), http.StatusNotFound)
	if n := backends[0].requests.Load(); n != before {
		t.Error("a session whose pod is gone reached the pod that has its address")
	}
}

func TestAStolenSessionReachesNoPod(t *testing.T) {
	t.Parallel()
	backends, set := startPods(t, "a")
	gw, _, token := loggedIn(t, withPods(set))
	session := call(t, gw, "POST", "/mcp", token, nil).Header.Get(sessionID)
	thief := gw.Register(t, nil)
	gw.IdP.LoginAs("mallory", nil)
	stolen := thief.Redeem(t, thief.Login(t)).Access
	before := backends[0].requests.Load()
	for _, method := range []string{"POST", "GET", "DELETE"} {
		isGatewayError(t, call(t, gw, method, "/mcp", stolen, http.Header{sessionID: {session}}), http.StatusNotFound)
	}
	if backends[0].requests.Load() != before {
		t.Error("a stolen session reached the backend")
	}
	if a := call(t, gw, "POST", "/mcp", token, http.Header{sessionID: {session}}); a.Status != http.StatusOK {
		t.Errorf("its owner gets %d", a.Status)
	}
}

func TestAPodThatIsNotThere(t *testing.T) {
	t.Parallel()
	backends, set := startPods(t, "a", "b")
	gw, _, token := loggedIn(t, withPods(set))
	session := ""
	for session == "" {
		if a := call(t, gw, "POST", "/mcp", token, nil); a.Body == "a" {
			session = a.Header.Get(sessionID)
		}
	}
	gone := backends[0].endpoint(true)
	gone.Addr = closedAddress(t)
	set.Replace([]pods.Endpoint{gone, backends[1].endpoint(true)})
	// What belongs to no session goes elsewhere: nothing was sent.
	for range 20 {
		if a := call(t, gw, "POST", "/mcp", token, http.Header{"Mcp-Protocol-Version": {"2026-07-28"}}); a.Status != http.StatusOK || a.Body != "b" {
			t.Fatalf("a stateless request gets %d: %s", a.Status, a.Body)
		}
	}
	a := call(t, gw, "POST", "/mcp", token, http.Header{sessionID: {session}})
	isGatewayError(t, a, http.StatusServiceUnavailable)
	if a.Header.Get("Retry-After") == "" {
		t.Error("it does not say when to try again")
	}
	set.Replace([]pods.Endpoint{gone})
	isGatewayError(t, call(t, gw, "POST", "/mcp", token, nil), http.StatusServiceUnavailable)
	set.Replace(nil)
	isGatewayError(t, call(t, gw, "POST", "/mcp", token, nil), http.StatusServiceUnavailable)
}

func TestStatelessRequestsGoToWhoHasLeastToDo(t *testing.T) {
	t.Parallel()
	busy := make(chan struct{})
	var arrived atomic.Int64
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { arrived.Add(1); <-busy }))
	t.Cleanup(slow.Close)
	t.Cleanup(func() { close(busy) })
	backends, set := startPods(t, "quick")
	set.Replace([]pods.Endpoint{{UID: "slow", Addr: slow.Listener.Addr().String(), Ready: true}, backends[0].endpoint(true)})
	gw, _, token := loggedIn(t, withPods(set))
	stateless := http.Header{"Mcp-Protocol-Version": {"2026-07-28"}}
	go func() {
		for arrived.Load() == 0 { // until one of them is stuck
			r, _ := http.NewRequest(http.MethodPost, gw.URL+"/mcp", nil)
			r.Header.Set("Authorization", "Bearer "+token)
			if resp, err := http.DefaultClient.Do(r); err == nil {
				_ = resp.Body.Close()
			}
		}
	}()
	for deadline := time.Now().Add(20 * time.Second); arrived.Load() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nothing arrives at one of the two")
		}
	}
	for range 50 {
		if a := call(t, gw, "POST", "/mcp", token, stateless); a.Body != "quick" {
			t.Fatalf("it went to the busy one: %d %s", a.Status, a.Body)
		}
	}
}

func TestWhatWasSentIsNotSentAgain(t *testing.T) {
	t.Parallel()
	var arrived atomic.Int64
	handler := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		arrived.Add(1)
		panic(http.ErrAbortHandler) // the connection breaks
	})
	set := pods.New()
	var endpoints []pods.Endpoint
	for _, name := range []string{"a", "b"} {
		server := httptest.NewServer(handler)
		t.Cleanup(server.Close)
		endpoints = append(endpoints, pods.Endpoint{UID: name, Addr: server.Listener.Addr().String(), Ready: true})
	}
	set.Replace(endpoints)
	_, client, token := loggedIn(t, withPods(set))
	isGatewayError(t, client.Call(t, token), http.StatusBadGateway)
	if n := arrived.Load(); n != 1 {
		t.Errorf("it was sent %d times", n)
	}
}

func closedAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
