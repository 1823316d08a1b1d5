package clients

import (
	"log/slog"
	"net/http"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/keys"
	"vestibule.dev/vestibule/gateway/internal/records/recordstest"
	"vestibule.dev/vestibule/gateway/internal/store"
)

const (
	ttl       = 90 * 24 * time.Hour
	unusedTTL = 24 * time.Hour
)

// world is two replicas over one store.
type world struct {
	t     testing.TB
	clock *recordstest.Clock
	store *recordstest.Store
	a, b  *replica
}

// replica is one gateway's clients. Its methods fail the test on any error.
type replica struct {
	*Service
	t    testing.TB
	view *recordstest.Replica
}

func newWorld(t testing.TB) *world {
	clock := recordstest.NewClock()
	ring, err := keys.NewRing(config.NewKeySet(clock.Now()))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, clock: clock, store: recordstest.New(clock)}
	replicaOf := func() *replica {
		r := &replica{t: t, view: w.store.Replica()}
		r.Service = New(Options{
			Store: r.view, Ring: ring, ServerUID: "uid", FreshFor: 90 * time.Second, Now: clock.Now, Log: slog.New(slog.DiscardHandler),
			Audiences:    []string{issuer, issuer + "/token"},
			Registration: config.Registration{TTLSeconds: int64(ttl / time.Second), UnusedTTLSeconds: int64(unusedTTL / time.Second)},
		})
		r.view.Attach(func(_ store.Kind, id store.ID, value []byte) { r.Observe(id, value) })
		return r
	}
	w.a, w.b = replicaOf(), replicaOf()
	return w
}

func (r *replica) register(method string) (*Client, string) {
	r.t.Helper()
	c, issued, err := r.Register(r.t.Context(), Client{Method: method, RedirectURIs: []string{"https://app.example.com/cb"}, Name: "App"})
	if err != nil {
		r.t.Fatalf("registering: %v", err)
	}
	return c, issued.Secret
}

func (r *replica) touch(c *Client) {
	r.t.Helper()
	if err := r.Touch(r.t.Context(), c); err != nil {
		r.t.Fatalf("touching: %v", err)
	}
}

func (r *replica) find(id string) *Client {
	r.t.Helper()
	c, err := r.Find(r.t.Context(), id)
	if err != nil {
		r.t.Fatalf("finding %s: %v", id, err)
	}
	return c
}

func (r *replica) exists(c *Client) bool {
	return r.Exists(r.t.Context(), c.ID()) == nil
}

// takes counts a budget down.
func takes(budget *int) func(*http.Request) (time.Duration, bool) {
	return func(*http.Request) (time.Duration, bool) {
		*budget--
		return time.Second, *budget >= 0
	}
}

// newID is an id for a record.
func newID(t *testing.T, r *replica) store.ID {
	t.Helper()
	id, err := r.table.NewID()
	if err != nil {
		t.Fatal(err)
	}
	return id
}
