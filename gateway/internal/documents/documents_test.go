package documents_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/documents"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
	"vestibule.dev/vestibule/gateway/internal/source"
)

// world is a service whose time stands still, and a host that it may fetch from.
type world struct {
	*documents.Service
	t    *testing.T
	host *gatewaytest.Publisher
	now  time.Time
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, host: gatewaytest.NewPublisher(t), now: time.Unix(1_800_000_000, 0)}
	var c config.Config
	w.host.Allow(&c)
	var err error
	w.Service, err = documents.New(documents.Options{
		Settings: c.ClientIDMetadataDocuments, Now: func() time.Time { return w.now }, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// from is the context of a request from this address.
func (w *world) from(addr string) context.Context {
	r, err := source.NewResolver(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	var ctx context.Context
	req := &http.Request{RemoteAddr: netip.AddrPortFrom(netip.MustParseAddr(addr), 1).String()}
	r.Mark(func(_ http.ResponseWriter, r *http.Request) { ctx = r.Context() })(nil, req.WithContext(w.t.Context()))
	return ctx
}

func kindOf(err error) documents.Kind {
	if e, ok := errors.AsType[*documents.Error](err); ok {
		return e.Kind
	}
	return -1
}

func (w *world) is(ctx context.Context, id string, want documents.Kind, says string) {
	w.t.Helper()
	if _, err := w.Find(ctx, id); kindOf(err) != want || !strings.Contains(err.Error(), says) {
		w.t.Errorf("%s: %v", id, err)
	}
}

func TestWhyThereIsNoDocument(t *testing.T) {
	w := newWorld(t)
	ctx := w.from("198.51.100.1")
	good := w.host.Document(t, "/good", nil)
	if d, err := w.Find(ctx, good); err != nil || d.Name != "Published client" {
		t.Fatalf("%+v, %v", d, err)
	}
	w.is(ctx, "https://claude.ai/c", documents.NotAllowed, "allowed")
	w.is(ctx, "https://127.0.0.1/c", documents.NotAllowed, "allowed")
	w.is(ctx, good+"?a", documents.NotAllowed, "query")
	w.is(ctx, w.host.URL+"/absent", documents.Unreachable, "404")
	w.is(ctx, w.host.Document(t, "/wrong", map[string]any{"client_name": nil}), documents.Invalid, "no client_name")
	w.host.Serve("/html", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, "%s", "<html>") })
	w.is(ctx, w.host.URL+"/html", documents.Invalid, "not sent as application/json")
	w.is(ctx, w.host.Publish(t, "/long", []byte(strings.Repeat(" ", 10<<10+1))), documents.Unreachable, "longer")
	w.host.Stop()
	w.is(ctx, w.host.URL+"/gone", documents.Unreachable, "")
	if _, err := w.Find(ctx, good); err != nil {
		t.Error(err)
	}
	w.now = w.now.Add(5 * time.Minute)
	w.is(ctx, good, documents.Unreachable, "")
	if w.Last(good) == nil || w.Last(w.host.URL+"/gone") != nil {
		t.Error("what was read last is not what it should be")
	}
}

func TestHowOftenIsFetched(t *testing.T) {
	w := newWorld(t)
	known := w.host.Document(t, "/known", nil)
	if _, err := w.Find(w.from("192.0.2.1"), known); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(time.Hour)
	// One sender has 30 new URLs, of which one host gets 20.
	one := w.from("198.51.100.1")
	for i := range 20 {
		w.is(one, fmt.Sprintf("%s/%d", w.host.URL, i), documents.Unreachable, "404")
	}
	w.is(one, w.host.URL+"/more", documents.Busy, "host")
	for range 9 {
		w.is(one, w.host.URL+"/more", documents.Busy, "host")
	}
	w.is(one, w.host.URL+"/more", documents.Busy, "sender")
	w.is(w.from("203.0.113.9"), w.host.URL+"/more", documents.Busy, "host")
	if n := w.host.Asked("/more"); n != 0 {
		t.Errorf("asked %d times", n)
	}
	// A document that was good is read again all the same, even for that sender.
	if _, err := w.Find(one, known); err != nil {
		t.Error(err)
	}
	w.now = w.now.Add(2 * time.Second)
	w.is(one, w.host.URL+"/more", documents.Unreachable, "404")
}

// A host that holds its answers back holds up no one but strangers.
func TestFetchesThatHang(t *testing.T) {
	w := newWorld(t)
	known := w.host.Document(t, "/known", nil)
	if _, err := w.Find(t.Context(), known); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(time.Hour)
	release, arrived := make(chan struct{}), make(chan struct{}, 16)
	defer close(release)
	for i := range 16 {
		path := fmt.Sprintf("/hang/%d", i)
		w.host.Serve(path, func(http.ResponseWriter, *http.Request) { arrived <- struct{}{}; <-release })
		go func() { _, _ = w.Find(w.t.Context(), w.host.URL+path) }()
	}
	for range 16 {
		<-arrived
	}
	if _, err := w.Find(t.Context(), known); err != nil {
		t.Error(err)
	}
	waiting, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := w.Find(waiting, w.host.Document(t, "/new", nil)); err == nil || w.host.Asked("/new") != 0 {
		t.Errorf("a seventeenth was asked for: %v", err)
	}
}
