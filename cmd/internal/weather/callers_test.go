package weather

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// front is a gateway that signs what the test says.
type front struct {
	t         *testing.T
	key       *ecdsa.PrivateKey
	published atomic.Pointer[jose.JSONWebKeySet] // nil: it does not answer
	asked     atomic.Int32
	callers   *Callers
	url       string // of the server behind
}

func newFront(t *testing.T) *front {
	t.Helper()
	f := &front{t: t, key: newKey(t)}
	f.publish(f.key)
	keys := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		f.asked.Add(1)
		set := f.published.Load()
		if set == nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		_ = json.NewEncoder(w).Encode(set) // the test sees that nothing came
	}))
	t.Cleanup(keys.Close)
	f.callers = &Callers{KeysURL: keys.URL, Issuer: "https://weather.example.com", Audience: "weather"}
	srv := httptest.NewServer(Handler(f.callers))
	t.Cleanup(srv.Close)
	f.url = srv.URL + Path
	return f
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// publish publishes keys, whose ids are their numbers.
func (f *front) publish(keys ...*ecdsa.PrivateKey) {
	set := &jose.JSONWebKeySet{}
	for i, key := range keys {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: &key.PublicKey, KeyID: string(rune('1' + i)), Algorithm: "ES256", Use: "sig"})
	}
	f.published.Store(set)
}

// sign signs for alice, with claims in place of or besides the good ones.
func (f *front) sign(key jose.SigningKey, typ jose.ContentType, claims map[string]any) string {
	f.t.Helper()
	all := map[string]any{
		"iss": f.callers.Issuer, "aud": f.callers.Audience, "iat": time.Now().Unix(), "exp": time.Now().Add(5 * time.Minute).Unix(),
		"sub": "alice", "upstream": "corp", "upstream_issuer": "https://idp.example.com", "client_id": "c", "email": "alice@example.com",
	}
	maps.Copy(all, claims)
	payload, err := json.Marshal(all)
	if err != nil {
		f.t.Fatal(err)
	}
	signer, err := jose.NewSigner(key, (&jose.SignerOptions{}).WithType(typ))
	if err != nil {
		f.t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		f.t.Fatal(err)
	}
	compact, err := signed.CompactSerialize()
	if err != nil {
		f.t.Fatal(err)
	}
	return compact
}

func (f *front) good(claims map[string]any) string {
	return f.sign(es256(f.key, "1"), assertionType, claims)
}

func es256(key *ecdsa.PrivateKey, id string) jose.SigningKey {
	return jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: id}}
}

// status is what a request with this assertion gets.
func (f *front) status(assertion string, header map[string]string) int {
	f.t.Helper()
	r, err := http.NewRequestWithContext(f.t.Context(), http.MethodPost, f.url, strings.NewReader(
		`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`))
	if err != nil {
		f.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	if assertion != "" {
		r.Header.Set(assertionHeader, assertion)
	}
	for name, value := range header {
		r.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		f.t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

func TestAttackAssertionsThatProveNothing(t *testing.T) {
	f := newFront(t)
	if got := f.status(f.good(nil), nil); got != http.StatusOK {
		t.Fatalf("a good assertion gets %d", got)
	}
	unsigned := func(alg string) string {
		_, rest, _ := strings.Cut(f.good(nil), ".")
		payload, _, _ := strings.Cut(rest, ".")
		return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"`+alg+`","kid":"1","typ":"`+assertionType+`"}`)) + "." + payload + "."
	}
	public, err := f.key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	claim := func(name string, value any) string { return f.good(map[string]any{name: value}) }
	for name, assertion := range map[string]string{
		"none": "", "anything": "a.b.c", "algorithm none": unsigned("none"), "no signature": unsigned("ES256"),
		"a secret that everybody knows": f.sign(jose.SigningKey{Algorithm: jose.HS256, Key: jose.JSONWebKey{Key: public, KeyID: "1"}}, assertionType, nil),
		"another key under the same id": f.sign(es256(newKey(t), "1"), assertionType, nil),
		"a key that is not published":   f.sign(es256(newKey(t), "2"), assertionType, nil),
		"a key without an id":           f.sign(jose.SigningKey{Algorithm: jose.ES256, Key: f.key}, assertionType, nil),
		"another type":                  f.sign(es256(f.key, "1"), "at+jwt", nil), "no special type": f.sign(es256(f.key, "1"), "JWT", nil),
		"another audience": claim("aud", "another"), "several audiences": claim("aud", []string{"weather", "another"}), "no audience": claim("aud", nil),
		"another issuer": claim("iss", "https://evil.example"), "a longer issuer": claim("iss", f.callers.Issuer+"/"),
		"expired": claim("exp", time.Now().Add(-2*leeway).Unix()), "no expiry": claim("exp", nil), "from the future": claim("iat", time.Now().Add(2*leeway).Unix()),
		"nobody": claim("sub", ""), "somebody from nowhere": claim("upstream_issuer", nil),
	} {
		if got := f.status(assertion, nil); got != http.StatusUnauthorized {
			t.Errorf("%s gets %d", name, got)
		}
	}
	if got := f.status("", map[string]string{"Authorization": "Bearer " + f.good(nil)}); got != http.StatusUnauthorized {
		t.Errorf("an assertion where clients put their tokens gets %d", got)
	}
	if got := f.status(claim("exp", time.Now().Add(-leeway/2).Unix()), nil); got != http.StatusOK {
		t.Errorf("a clock that is a little ahead costs a request: %d", got)
	}
}

func TestKeysAreReadAgain(t *testing.T) {
	f := newFront(t)
	old, next := f.good(nil), newKey(t)
	f.status(old, nil)
	earlier := func(d time.Duration) {
		f.callers.mu.Lock()
		f.callers.read = f.callers.read.Add(-d)
		f.callers.mu.Unlock()
	}
	wants := func(when, assertion string, status int, asked int32) {
		t.Helper()
		if got := f.status(assertion, nil); got != status || f.asked.Load() != asked {
			t.Errorf("%s: %d, and %d readings", when, got, f.asked.Load())
		}
	}
	wants("at first", old, http.StatusOK, 1)
	f.publish(f.key, next)
	anew := f.sign(es256(next, "2"), assertionType, nil)
	wants("a key that was not there a moment ago", anew, http.StatusUnauthorized, 1)
	earlier(keysAgain)
	wants("it is there", anew, http.StatusOK, 2)
	f.publish(newKey(t), next) // the old one was dropped
	earlier(keysFor)
	wants("a key that was dropped", old, http.StatusUnauthorized, 3)
	f.published.Store(nil)
	wants("one that is known", anew, http.StatusOK, 3)
	earlier(keysFor)
	wants("keys that cannot be read, which is no fault of the caller's", anew, http.StatusInternalServerError, 4)
}

// introducing sends the assertion with every request.
type introducing struct{ assertion *atomic.Pointer[string] }

func (i introducing) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set(assertionHeader, *i.assertion.Load())
	return http.DefaultTransport.RoundTrip(r)
}

func TestWhoAmI(t *testing.T) {
	for _, revision := range []string{"2025-11-25", firstStateless} {
		t.Run(revision, func(t *testing.T) {
			f := newFront(t)
			var assertion atomic.Pointer[string]
			as := func(claims map[string]any) { a := f.good(claims); assertion.Store(&a) }
			as(nil)
			session, err := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil).Connect(t.Context(),
				&mcp.StreamableClientTransport{Endpoint: f.url, HTTPClient: &http.Client{Transport: introducing{&assertion}}, MaxRetries: -1, DisableStandaloneSSE: true},
				&mcp.ClientSessionOptions{ProtocolVersion: revision})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = session.Close() }) // it may be another's by then
			if got := text(t, call(t, session, "whoami", nil)); got != "alice of https://idp.example.com" {
				t.Errorf("the caller is %q", got)
			}
			as(map[string]any{"upstream_issuer": "https://other.example"}) // somebody else of that name
			result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "whoami"})
			if sessions := revision < firstStateless; (err != nil) != sessions {
				t.Errorf("another user's request in the session gets %v, %v", result, err)
			} else if !sessions && text(t, result) != "alice of https://other.example" {
				t.Errorf("the next caller is %q", text(t, result))
			}
		})
	}
}
