package clients

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"vestibule.dev/vestibule/gateway/internal/store"
)

func TestARegisteredClientIsKnownEverywhereAtOnce(t *testing.T) {
	w := newWorld(t)
	w.b.view.Pause()
	for _, method := range []string{MethodNone, MethodBasic, MethodPost} {
		c, secret := w.a.register(method)
		if (secret == "") != (method == MethodNone) || c.Public() != (method == MethodNone) {
			t.Errorf("%s: the secret is %q", method, secret)
		}
		for _, r := range []*replica{w.a, w.b} {
			if diff := cmp.Diff(c, r.find(c.ID()), cmp.AllowUnexported(Client{})); diff != "" {
				t.Errorf("%s: (-registered +found):\n%s", method, diff)
			}
		}
		if !c.MayRedirectTo("https://app.example.com/cb") || c.MayRedirectTo("https://app.example.com/cb2") {
			t.Errorf("%s may redirect elsewhere", method)
		}
	}
}

func TestIDsAndSecretsAreRandomAndRecognisable(t *testing.T) {
	w := newWorld(t)
	seen := map[string]bool{}
	for range 100 {
		c, secret := w.a.register(MethodBasic)
		if seen[c.ID()] || seen[secret] || !strings.HasPrefix(c.ID(), "vst_cl_") || !strings.HasPrefix(secret, "vst_cs_") {
			t.Fatalf("client %s with secret %s", c.ID(), secret)
		}
		seen[c.ID()], seen[secret] = true, true
	}
	for _, value := range w.store.Snapshot() {
		for secret := range seen {
			if strings.Contains(string(value), secret) {
				t.Error("a secret is in the store")
			}
		}
	}
}

// A client of the copy must know its own id, or renewing it would renew another.
func TestAClientKnowsItsID(t *testing.T) {
	w := newWorld(t)
	c, _ := w.a.register(MethodNone)
	known, heard := w.b.Known(c.ID())
	if known == nil || known.ID() != c.ID() || known.id != c.id || !heard.Equal(w.clock.Now()) {
		t.Fatalf("Known = %v, %v", known, heard)
	}
	w.b.touch(known)
	if !w.a.find(c.ID()).Used {
		t.Error("the client was not renewed")
	}
}

func TestOnlyTheStoreSaysThatAClientIsUnknown(t *testing.T) {
	w := newWorld(t)
	w.b.view.Pause()
	c, _ := w.a.register(MethodNone)
	if known, _ := w.b.Known(c.ID()); known != nil {
		t.Fatal("the paused copy knows it")
	}
	w.b.find(c.ID())
	w.b.view.Fail(true)
	if _, err := w.b.Find(t.Context(), c.ID()); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Find without the store: %v", err)
	}
	if err := w.b.Exists(t.Context(), c.ID()); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Exists without the store: %v", err)
	}
	if _, _, err := w.b.Register(t.Context(), Client{Method: MethodNone}); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Register without the store: %v", err)
	}
}

func TestWhatIsNoClientIDIsUnknown(t *testing.T) {
	w := newWorld(t)
	c, _ := w.a.register(MethodNone)
	for _, id := range []string{
		"", "vst_cl_", c.ID()[7:], c.ID() + "A", c.ID() + "=", c.ID()[:30], strings.ToUpper(c.ID()), "https://app.example.com/client.json",
		"vst_cl_" + store.NewID(0).String(), c.ID()[:20] + "\n" + c.ID()[20:],
	} {
		if _, err := w.a.Find(t.Context(), id); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("Find(%q): %v", id, err)
		}
		if err := w.a.Exists(t.Context(), id); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("Exists(%q): %v", id, err)
		}
		if known, _ := w.a.Known(id); known != nil {
			t.Errorf("Known(%q): %v", id, known)
		}
	}
}

func TestAnUnusedClientLapsesSoonAUsedOneLives(t *testing.T) {
	w := newWorld(t)
	unused, _ := w.a.register(MethodNone)
	used, _ := w.a.register(MethodNone)
	w.a.touch(used)
	w.clock.Advance(unusedTTL)
	if w.b.exists(unused) || !w.b.exists(used) {
		t.Error("after a day the unused one should be gone, and the used one not")
	}
	w.clock.Advance(ttl - unusedTTL - time.Second)
	if !w.b.exists(used) {
		t.Error("the used one is gone too early")
	}
	w.clock.Advance(time.Second)
	if w.b.exists(used) {
		t.Error("the used one is kept too long")
	}
}

func TestUseRenewsAClientPastHalfOfItsLifetime(t *testing.T) {
	w := newWorld(t)
	c, _ := w.a.register(MethodNone)
	writes := func(want int, why string) {
		t.Helper()
		w.a.view.Counts()
		w.a.touch(w.a.find(c.ID()))
		if gets, got := w.a.view.Counts(); got != want || gets != 0 {
			t.Errorf("%s: %d reads and %d writes, want %d writes", why, gets, got, want)
		}
	}
	writes(1, "its first use")
	writes(0, "its second use")
	w.clock.Advance(ttl/2 - time.Second)
	writes(0, "before half of its lifetime")
	w.clock.Advance(time.Second)
	writes(1, "past half of its lifetime")
	w.clock.Advance(ttl - time.Second)
	if !w.b.exists(c) {
		t.Error("it was not renewed for a whole lifetime")
	}
}

func TestTouchingOnBothReplicasWritesOnce(t *testing.T) {
	w := newWorld(t)
	c, _ := w.a.register(MethodNone)
	w.b.view.Pause()
	w.a.touch(c)
	w.b.view.Counts()
	w.b.touch(w.b.find(c.ID())) // its copy says that the client is unused
	if _, writes := w.b.view.Counts(); writes != 0 {
		t.Errorf("%d writes", writes)
	}
}

func TestTheRecordsFormat(t *testing.T) {
	w := newWorld(t)
	c, _ := w.a.register(MethodBasic)
	want := &Client{
		Method: MethodBasic, RedirectURIs: []string{"https://app.example.com/cb"}, Name: "App",
		CreatedAt: w.clock.Now().Unix(), ExpiresAt: w.clock.Now().Add(unusedTTL).Unix(),
	}
	opts := cmp.Options{cmpopts.IgnoreUnexported(Client{}), cmpopts.IgnoreFields(Client{}, "SecretHash", "ManagementHash")}
	if diff := cmp.Diff(want, w.b.find(c.ID()), opts); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
