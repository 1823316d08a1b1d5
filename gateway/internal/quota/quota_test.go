package quota

import (
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/identity"
)

// world is quotas whose time and limits the test sets.
type world struct {
	*Quotas
	limits config.Quotas
	at     time.Time
}

func newWorld(limits config.Quotas) *world {
	w := &world{limits: limits, at: time.Unix(1_800_000_000, 0)}
	w.Quotas = New(func() config.Quotas { return w.limits }, func() time.Time { return w.at })
	return w
}

func who(issuer, subject, client string) identity.Identity {
	return identity.Identity{Issuer: issuer, Subject: subject, ClientID: client}
}

// take insists that n requests go through, one after the other, and no more.
func (w *world) take(t *testing.T, id identity.Identity, n int) (wait time.Duration) {
	t.Helper()
	for i := range n {
		done, _, ok := w.Begin(id)
		if !ok {
			t.Fatalf("%d of %d requests of %v go through", i, n, id)
		}
		done()
	}
	_, wait, ok := w.Begin(id)
	if ok {
		t.Fatalf("more than %d requests of %v go through", n, id)
	}
	return wait
}

func TestRequestsPerMinute(t *testing.T) {
	w := newWorld(config.Quotas{RequestsPerMinutePerUser: 6, RequestsPerMinutePerClient: 10})
	alice := who("https://idp.example", "alice", "a")
	if wait := w.take(t, alice, 6); wait != 10*time.Second {
		t.Errorf("the next one is told to wait %s", wait)
	}
	w.take(t, who("https://idp.example", "bob", "a"), 4)     // by the client that alice uses, who has used up nothing of it any more
	w.take(t, who("https://other.example", "alice", "b"), 6) // somebody else of that name
	w.at = w.at.Add(20 * time.Second)
	w.take(t, alice, 2)
	w.at = w.at.Add(time.Hour)
	w.take(t, alice, 6)
	w.limits.RequestsPerMinutePerUser = 0
	w.take(t, alice, 4) // the client's
	w.limits = config.Quotas{RequestsPerMinutePerUser: 1}
	w.take(t, alice, 1)
}

func TestConcurrentRequests(t *testing.T) {
	w := newWorld(config.Quotas{ConcurrentRequestsPerUser: 2, ConcurrentRequestsPerClient: 3})
	alice, bob := who("i", "alice", "a"), who("i", "bob", "a")
	begin := func(id identity.Identity, want bool) func() {
		t.Helper()
		done, wait, ok := w.Begin(id)
		if ok != want || !ok && wait <= 0 {
			t.Fatalf("a request of %v: %v, %s", id, ok, wait)
		}
		return done
	}
	first := begin(alice, true)
	begin(alice, true)
	begin(alice, false)
	begin(bob, true)
	begin(bob, false) // the client's third
	first()
	last := begin(bob, true)
	begin(alice, false)
	last()
	begin(alice, true)()
	// What began without limits is not counted when it ends.
	w = newWorld(config.Quotas{})
	uncounted := begin(alice, true)
	w.limits.ConcurrentRequestsPerUser = 1
	counted := begin(alice, true)
	uncounted()
	begin(alice, false)
	counted()
	begin(alice, true)()
	if len(w.users.underWay)+len(w.clients.underWay) > 0 {
		t.Errorf("who has nothing under way is remembered: %v", w.users.underWay)
	}
}
