package caller

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/grants"
	"vestibule.dev/vestibule/gateway/internal/identity"
	"vestibule.dev/vestibule/gateway/internal/keys"
	"vestibule.dev/vestibule/gateway/internal/oauth"
)

// world is a service whose grants hold what the test says.
type world struct {
	*Service
	t      testing.TB
	now    time.Time
	claims map[string]any
	opened int
}

func (w *world) Claims(context.Context, string) (map[string]any, uint32, error) {
	w.opened++
	return w.claims, 1, nil
}

func (*world) UpstreamToken(context.Context, string) (grants.UpstreamToken, error) {
	return grants.UpstreamToken{}, nil
}

func (*world) RenewUpstreamToken(context.Context, string, grants.UpstreamToken) error { return nil }

func newWorld(t testing.TB, settings config.Identity) *world {
	t.Helper()
	w := &world{t: t, now: time.Now(), claims: map[string]any{"email": "alice@example.com"}}
	ring, err := keys.NewRing(config.NewKeySet(w.now))
	if err != nil {
		t.Fatal(err)
	}
	w.Service = New(Options{PublicURL: "https://weather.example.com", Settings: settings, Ring: ring, Grants: w, Now: func() time.Time { return w.now }})
	return w
}

func (w *world) told(who identity.Identity, token string) http.Header {
	w.t.Helper()
	i, err := w.Introduce(w.t.Context(), who, token)
	if err != nil {
		w.t.Fatal(err)
	}
	header := http.Header{}
	i.Set(header)
	return header
}

var alice = identity.Identity{ClientID: "c", Upstream: "corp", Issuer: "https://idp.example.com", Subject: "alice", Said: 1, Scopes: oauth.Scopes{"read"}}

func TestWhatIsKeptIsToldAsLongAsItIsTrue(t *testing.T) {
	signed := config.Identity{Assertion: &config.IdentityAssertion{Audience: "weather"}}
	for name, change := range map[string]func(w *world, who *identity.Identity, token *string){
		"other scopes":  func(_ *world, who *identity.Identity, _ *string) { who.Scopes = oauth.Scopes{"read", "write"} },
		"no scopes":     func(_ *world, who *identity.Identity, _ *string) { who.Scopes = nil },
		"new claims":    func(_ *world, who *identity.Identity, _ *string) { who.Said++ },
		"another token": func(_ *world, _ *identity.Identity, token *string) { *token = "another" },
		"half its life": func(w *world, _ *identity.Identity, _ *string) { w.now = w.now.Add(lifetime / 2) },
		"another key": func(w *world, _ *identity.Identity, _ *string) {
			set := config.NewKeySet(w.now)
			set.Keys[0].ID = 2
			w.opts.Ring, _ = keys.NewRing(set) // it was good a moment ago
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, signed)
			first := w.told(alice, "token").Get(AssertionHeader)
			if again := w.told(alice, "token").Get(AssertionHeader); again != first || w.opened != 1 {
				t.Fatalf("the same is told anew, and was opened %d times", w.opened)
			}
			who, token := alice, "token"
			change(w, &who, &token)
			if again := w.told(who, token).Get(AssertionHeader); again == first || w.opened != 2 {
				t.Errorf("it is told as before, and was opened %d times", w.opened)
			}
		})
	}
}

// However many call, and whatever is told of them, the cache is bounded.
func TestTheCacheIsBounded(t *testing.T) {
	for name, size := range map[string]int{"little": 10, "much": 10 << 10} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, config.Identity{Headers: []config.IdentityHeader{{Name: "X-User", Claim: "email"}}})
			w.claims = map[string]any{"email": strings.Repeat("a", size)}
			w.told(alice, "often")
			for n := range 3 * maxHalf / (size + besides) {
				w.told(alice, fmt.Sprint(n))
				if n%100 == 0 {
					w.told(alice, "often")
				}
			}
			if kept := (len(w.cache.older) + len(w.cache.newer)) * (size + besides); kept > 2*maxHalf {
				t.Errorf("%d bytes are kept", kept)
			}
			opened := w.opened
			if w.told(alice, "often"); w.opened != opened {
				t.Error("who calls all the time was forgotten")
			}
		})
	}
}

func TestTextInHeaders(t *testing.T) {
	for _, row := range []struct {
		value any
		want  string
	}{
		{"alice@example.com", "alice@example.com"}, {"Alice B.", "Alice B."}, {"", ""}, {nil, ""},
		{true, "true"}, {3.5, "3.5"}, {uint64(583231), "583231"}, {[]any{"a", "b,c"}, `["a","b,c"]`}, {map[string]any{"b": 1, "a": nil}, `{"a":null,"b":1}`},
		{"ü", "=?base64?w7w=?="}, {" a", "=?base64?IGE=?="}, {"a\r\nX-Admin: yes", "=?base64?YQ0KWC1BZG1pbjogeWVz?="}, {"a\x00", "=?base64?YQA=?="},
		{"=?base64?YQ==?=", "=?base64?PT9iYXNlNjQ/WVE9PT89?="}, {[]any{"ü"}, "=?base64?WyLDvCJd?="},
	} {
		if got, err := asText(row.value); err != nil || got != row.want {
			t.Errorf("%#v is told as %q, not %q: %v", row.value, got, row.want, err)
		}
	}
}

func TestWhoseHeadersTheseAre(t *testing.T) {
	w := newWorld(t, config.Identity{Headers: []config.IdentityHeader{{Name: "x-USER-email", Claim: "email"}}, UpstreamTokenHeader: "X-Upstream"})
	for _, name := range []string{"X-User-Email", "x-user-email", "X_User_Email", "x.user~email", "X_upstream", "X-Vestibule-Assertion"} {
		if !w.Says(PlainName(http.CanonicalHeaderKey(name))) {
			t.Errorf("%s is anybody's", name)
		}
	}
	if w.Says(PlainName("X-Users-Email")) || (*Service)(nil).Says(PlainName("X-User-Email")) {
		t.Error("other headers are the service's, too")
	}
}

func BenchmarkIntroduce(b *testing.B) {
	settings := config.Identity{Assertion: &config.IdentityAssertion{Audience: "weather", Claims: []string{"email"}}}
	for name, step := range map[string]time.Duration{"kept": 0, "signed": lifetime} {
		b.Run(name, func(b *testing.B) {
			w := newWorld(b, settings)
			token := "vst_at_" + strings.Repeat("a", 150)
			b.ReportAllocs()
			for b.Loop() {
				w.now = w.now.Add(step)
				if _, err := w.Introduce(b.Context(), alice, token); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Whatever the upstream says of a user, it is one header's value.
func FuzzText(f *testing.F) {
	for _, seed := range []string{"a", " a", "a\r\nb: c", "ü", "=?base64?YQ==?=", "\x7f", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, value := range []any{s, []any{s}} {
			got, err := asText(value)
			if err != nil {
				t.Fatal(err)
			}
			if strings.ContainsFunc(got, func(c rune) bool { return c < ' ' || c > '~' }) || strings.TrimSpace(got) != got {
				t.Errorf("%q is told as %q", s, got)
			}
		}
	})
}
