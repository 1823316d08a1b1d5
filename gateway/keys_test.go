package gateway_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway"
	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
	"vestibule.dev/vestibule/gateway/internal/store"
)

// keyWorld is a server with two replicas that are handed keys at different times.
type keyWorld struct {
	*gatewaytest.Server
	t   *testing.T
	set *config.KeySet // what the controller has
}

func newKeyWorld(t *testing.T, changes ...func(*config.Config)) *keyWorld {
	setup := raceSetup()
	setup.Intervals.Keys = 10 * time.Millisecond
	changes = append(changes, setup.Configure)
	setup.Configure = func(c *config.Config) {
		for _, change := range changes {
			change(c)
		}
	}
	w := &keyWorld{Server: gatewaytest.New(t, setup), t: t}
	// The gateways hold the set that they began with.
	document, err := w.Keys.Marshal()
	if err == nil {
		w.set, err = config.ParseKeySet(document)
	}
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// log says how often a line of the gateways' logs has a message.
func (w *keyWorld) log(message string) int {
	return strings.Count(w.Secrets.Written(), `"msg":"`+message+`"`)
}

// eventually waits until something is so.
func (w *keyWorld) eventually(what string, so func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("%s: not in time", what)
		}
	}
}

// deliver hands the controller's keys to a replica, and waits until it uses them.
func (w *keyWorld) deliver(replica int) {
	w.t.Helper()
	before := w.log("the keys were replaced")
	w.WriteKeys(w.t, replica, w.set)
	w.eventually("a delivery of keys", func() bool { return w.log("the keys were replaced") > before })
}

// sealed counts the records in the store by the id of their key.
func (w *keyWorld) sealed() map[uint8]int {
	w.t.Helper()
	ctx, stop := context.WithCancel(w.t.Context())
	defer stop()
	counts := map[uint8]int{}
	var mu sync.Mutex
	told := make(chan struct{})
	go func() {
		_ = w.Store.Run(ctx, func(_ store.Kind, _ store.ID, value []byte) { // only adds an observer
			mu.Lock()
			defer mu.Unlock()
			if value != nil {
				counts[value[store.HeaderLen]]++
			}
		})
		close(told)
	}()
	stop()
	<-told
	mu.Lock()
	defer mu.Unlock()
	return counts
}

// register registers at a replica, or returns nil and what that answers.
func (w *keyWorld) register(replica int, addr string) (*gatewaytest.Client, gatewaytest.Answer) {
	w.t.Helper()
	a := w.Do(w.t, w.HTTP(replica), w.Request(w.t, http.MethodPost, "/register",
		strings.NewReader(`{"redirect_uris": ["`+gatewaytest.RedirectURI+`"], "token_endpoint_auth_method": "none"}`),
		map[string]string{"Content-Type": "application/json", "X-Forwarded-For": addr}))
	if a.Status != http.StatusCreated {
		return nil, a
	}
	var v struct {
		ID string `json:"client_id"`
	}
	if err := json.Unmarshal([]byte(a.Body), &v); err != nil {
		w.t.Error(err)
	}
	return (&gatewaytest.Client{Server: w.Server, ID: v.ID}).On(replica), a
}

// A rotation that one replica hears of long before the other costs nobody anything
// but, as long as the other is late, a 503 here and there.
func TestKeysAreRotatedUnderLoad(t *testing.T) {
	t.Parallel()
	w := newKeyWorld(t)
	l := startLoad(w)
	l.begin("before")
	l.lasts(50)
	const later = 20 * time.Second // within the life of a code
	if err := w.set.Append(w.Clock.Now().Add(later)); err != nil {
		t.Fatal(err)
	}
	w.deliver(0)
	l.begin("known to one")
	l.lasts(50)
	l.begin("minted with by one")
	w.Clock.Advance(later)
	l.lasts(100)
	w.deliver(1)
	l.begin("known to both")
	l.lasts(100)
	l.stop()

	for _, phase := range l.phases {
		t.Logf("%s: %d answers, %d times unavailable", phase.name, phase.answers, phase.unavailable)
		if len(phase.refused) > 0 {
			t.Errorf("%s: %d refusals, such as %s", phase.name, len(phase.refused), phase.refused[0])
		}
		if late := phase.name == "minted with by one"; (phase.unavailable > 0) != late {
			t.Errorf("%s: unavailable %d times of %d", phase.name, phase.unavailable, phase.answers)
		}
	}
	if n := w.sealed(); n[1] == 0 || n[2] == 0 {
		t.Errorf("the records are sealed with %v", n)
	}
	if n := w.log("a record does not open"); n > 0 {
		t.Errorf("%d records do not open", n)
	}
}

// What lives is sealed anew now and then, so that nothing is left under a key that
// is removed when its time is over.
func TestAKeyWhoseTimeIsOverIsMissedByNobody(t *testing.T) {
	t.Parallel()
	w := newKeyWorld(t)
	client, _ := w.register(0, "192.0.2.1")
	first := client.Redeem(t, client.Login(t))
	if err := w.set.Append(w.Clock.Now()); err != nil {
		t.Fatal(err)
	}
	w.deliver(0)
	w.deliver(1)
	w.Clock.Advance(2 * time.Second)

	const day = 24 * time.Hour
	w.Clock.Advance(20 * day)
	client.On(1).Refresh(t, first.Refresh)
	w.Clock.Advance(30 * day)
	second := client.Redeem(t, client.On(1).Login(t))
	w.Clock.Advance(day * 41)
	if removed, _ := w.set.Retire(90*day+day, w.Clock.Now()); len(removed) != 1 {
		t.Fatalf("%v are removed", removed)
	}
	w.deliver(0)
	w.deliver(1)
	client.Call(t, second.Access).Fails(t, http.StatusUnauthorized, "invalid_token") // of its age
	for replica := range 2 {
		third := client.On(replica).Redeem(t, client.On(replica).Login(t))
		if a := client.On(1-replica).Call(t, third.Access); a.Status != http.StatusOK {
			t.Errorf("the client of before gets %d: %s", a.Status, a.Body)
		}
		client.On(replica).Token(t, gatewaytest.RefreshParams(first.Refresh)).Fails(t, http.StatusBadRequest, "invalid_grant")
	}
	if n := w.log("a record does not open"); n > 0 {
		t.Errorf("%d records do not open", n)
	}
}

// After a compromise, all that is under the old keys has ended, for whoever has
// them; everybody can begin anew at once.
func TestWhatIsUnderADroppedKeyHasEnded(t *testing.T) {
	t.Parallel()
	w := newKeyWorld(t)
	client, _ := w.register(0, "192.0.2.1")
	old := client.Redeem(t, client.Login(t))
	spare := client.Login(t)
	browser := client.Browser(t)
	consent := browser.Get(t, client.AuthorizeURL(client.AuthorizationRequest()))

	ended := func(replica int) {
		t.Helper()
		c := client.On(replica)
		c.Call(t, old.Access).Fails(t, http.StatusUnauthorized, "invalid_token")
		c.Token(t, gatewaytest.RefreshParams(old.Refresh)).Fails(t, http.StatusUnauthorized, "invalid_client")
		c.Token(t, gatewaytest.RedeemParams(spare)).Fails(t, http.StatusUnauthorized, "invalid_client")
		isPage(t, c.Browser(t).Get(t, c.AuthorizeURL(c.AuthorizationRequest())), http.StatusBadRequest, "not registered here")
		other, _ := w.register(replica, "192.0.2.2")
		other.Token(t, gatewaytest.RefreshParams(old.Refresh)).Fails(t, http.StatusBadRequest, "invalid_grant")
		other.Token(t, gatewaytest.RedeemParams(spare)).Fails(t, http.StatusBadRequest, "invalid_grant")
	}
	w.Clock.Advance(time.Second) // commands are good to the second
	now := w.Clock.Now()
	if _, err := w.set.Drop(now, now); err != nil {
		t.Fatal(err)
	}
	w.deliver(0)
	ended(0)
	isPage(t, browser.Press(t, consent, "approve"), http.StatusBadRequest, "This page is no longer good")
	anew, _ := w.register(0, "192.0.2.3")
	fresh := anew.Redeem(t, anew.Login(t))

	// The other one has not heard of it: what is new it cannot judge, and does not refuse.
	late := anew.On(1)
	late.Call(t, fresh.Access).Fails(t, http.StatusServiceUnavailable, "temporarily_unavailable")
	late.Token(t, gatewaytest.RefreshParams(fresh.Refresh)).Fails(t, http.StatusServiceUnavailable, "temporarily_unavailable")
	late.Form(t, "/revoke", map[string][]string{"token": {fresh.Refresh}}).Fails(t, http.StatusServiceUnavailable, "temporarily_unavailable")
	page := late.Browser(t).Get(t, late.AuthorizeURL(late.AuthorizationRequest()))
	isPage(t, page, http.StatusServiceUnavailable, "This does not work right now")
	if page.Header.Get("Retry-After") == "" {
		t.Error("nobody says when to come again")
	}

	w.deliver(1)
	ended(1)
	for replica := range 2 {
		if a := anew.On(replica).Call(t, fresh.Access); a.Status != http.StatusOK {
			t.Errorf("replica %d answers who has begun anew with %d: %s", replica, a.Status, a.Body)
		}
	}
	anew.On(1).Refresh(t, fresh.Refresh)
	w.eventually("a sweep of the records under the dropped key", func() bool { return w.sealed()[1] == 0 })
	if n := w.sealed(); n[2] == 0 {
		t.Errorf("the records are sealed with %v", n)
	}
	if n := w.log("a record does not open"); n > 0 {
		t.Errorf("%d records do not open", n)
	}
}

// A browser that is sent from one replica to the other in the middle of a login finds
// that it may try again, and has lost nothing.
func TestALoginThatMeetsALateReplica(t *testing.T) {
	t.Parallel()
	w := newKeyWorld(t)
	client, _ := w.register(0, "192.0.2.1") // known to both
	notBefore := w.Clock.Now()
	if err := w.set.Append(notBefore); err != nil {
		t.Fatal(err)
	}
	w.deliver(0)
	w.Clock.Advance(time.Second)
	here := client.Browser(t)
	late := &gatewaytest.Browser{Server: w.Server, HTTP: w.HTTP(1)}
	late.HTTP.Jar = here.HTTP.Jar

	const again = "This does not work right now"
	request := client.AuthorizationRequest()
	consent := here.Get(t, client.AuthorizeURL(request))
	isPage(t, late.Press(t, consent, "approve"), http.StatusServiceUnavailable, again)
	a := here.Press(t, consent, "approve")
	for !strings.HasPrefix(a.Location(t).String(), w.URL) {
		a = here.Get(t, a.Location(t).String())
	}
	callback := a.Location(t).String()
	isPage(t, late.Get(t, callback), http.StatusServiceUnavailable, again)
	_, arrived := here.Follow(t, here.Get(t, callback))
	if arrived.Get("code") == "" {
		t.Fatalf("the login ends with %v", arrived)
	}
	client.Redeem(t, gatewaytest.Code{Code: w.Secrets.Add("code", arrived.Get("code")), Verifier: request.Verifier})
}

// A session id that another replica has sealed with a key that is not known here yet
// does not end the session.
func TestASessionThatMeetsALateReplica(t *testing.T) {
	t.Parallel()
	w := newKeyWorld(t)
	w.Backend.Respond(func(rw http.ResponseWriter, _ *http.Request) { rw.Header().Set("Mcp-Session-Id", "inner") })
	client, _ := w.register(0, "192.0.2.1")
	tokens := client.Redeem(t, client.Login(t))
	if err := w.set.Append(w.Clock.Now()); err != nil {
		t.Fatal(err)
	}
	w.deliver(0)
	w.Clock.Advance(time.Second)
	id := client.Call(t, tokens.Access).Header.Get("Mcp-Session-Id")
	call := func() gatewaytest.Answer {
		return w.Do(t, w.HTTP(1), w.Request(t, http.MethodPost, "/mcp", strings.NewReader("{}"), map[string]string{
			"Authorization": "Bearer " + tokens.Access, "Mcp-Session-Id": id,
		}))
	}
	if a := call(); a.Status != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" {
		t.Errorf("a late replica answers %d, Retry-After %q: %s", a.Status, a.Header.Get("Retry-After"), a.Body)
	}
	w.deliver(1)
	if a := call(); a.Status != http.StatusOK {
		t.Errorf("the session is answered with %d: %s", a.Status, a.Body)
	}
}

// Keys that cannot be used change nothing, and are complained of once.
func TestBadKeysAreNotUsed(t *testing.T) {
	t.Parallel()
	w := newKeyWorld(t)
	client, _ := w.register(0, "192.0.2.1")
	tokens := client.Redeem(t, client.Login(t))
	stranger, err := config.NewKeySet(w.Clock.Now()).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for n, document := range [][]byte{[]byte("nonsense"), stranger, []byte(`{"version":1,"keys":[]}`)} {
		w.WriteKeysFile(t, 0, document)
		w.eventually("a complaint", func() bool { return w.log("the newest keys are not used") > n })
		time.Sleep(100 * time.Millisecond) // ten more looks at the file
		if got := w.log("the newest keys are not used"); got != n+1 {
			t.Errorf("%d complaints of %d bad sets", got, n+1)
		}
		if a := client.Call(t, tokens.Access); a.Status != http.StatusOK {
			t.Errorf("with %q in the file, a good token gets %d", document[:10], a.Status)
		}
	}
	if err := w.set.Append(w.Clock.Now()); err != nil {
		t.Fatal(err)
	}
	w.deliver(0)
	if a := client.Call(t, tokens.Access); a.Status != http.StatusOK {
		t.Errorf("with the next keys, a good token gets %d", a.Status)
	}
}

func TestBadKeysAreReported(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Describe(t, "http://127.0.0.1:1", gatewaytest.Setup{})
	check := gateway.StoreCheck(t, s.Config, s.Keys, gateway.Options{Log: s.Log()})
	wants := func(when, wantReason, says string) {
		t.Helper()
		reason, message := check(t.Context())
		if reason != wantReason || !strings.Contains(message, says) {
			t.Errorf("%s: %s: %s", when, reason, message)
		}
	}
	for deadline := time.Now().Add(soon); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if reason, _ := check(t.Context()); reason == "" { // The store is read.
			break
		}
	}
	wants("at first", "", "")
	s.WriteKeys(t, 0, config.NewKeySet(time.Now()))
	wants("with others' keys", config.ReasonKeysInvalid, "key 1 is not the one that it was")
	s.WriteKeysFile(t, 0, []byte("nonsense"))
	wants("with nonsense", config.ReasonKeysInvalid, "not a key set that this gateway can read")
	s.WriteKeys(t, 0, s.Keys)
	wants("with the keys back", "", "")
}
