package grants

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vestibule.dev/vestibule/gateway/internal/clients"
	"vestibule.dev/vestibule/gateway/internal/store"
)

// A replica that knows nothing of a client learns from its grants how it
// authenticates, and from every token of one.
func TestAGrantKeepsWhatProvesItsClient(t *testing.T) {
	w := newWorld(t)
	want := &clients.Proof{Method: clients.MethodPrivateKeyJWT, JWKS: []byte(`{"keys":[]}`), JWKSURI: "https://a/keys", SigningAlg: "RS256"}
	code := w.a.login(func(a *Approval) { a.Proof = want })
	proofOf := func(g *gateway, token, clientID string, want *clients.Proof) {
		t.Helper()
		got, err := g.ProofOf(t.Context(), token, clientID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	proofOf(w.b, code, w.client, want)
	issued, err := w.a.tryRedeem(code)
	if err != nil {
		t.Fatal(err)
	}
	proofOf(w.b, issued.RefreshToken, w.client, want)
	proofOf(w.b, issued.AccessToken, w.client, want)
	proofOf(w.b, code, w.client, want)
	proofOf(w.b, issued.RefreshToken, "https://other.example/c", nil)
	proofOf(w.b, "nonsense", w.client, nil)
	proofOf(w.b, issued.RefreshToken+"x", w.client, nil)
	proofOf(w.b, w.a.login(), w.client, nil)
	w.a.view.Pause()
	w.a.view.Fail(true)
	w.clock.Advance(w.a.opts.FreshFor)
	if _, err := w.a.ProofOf(t.Context(), issued.RefreshToken, w.client); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("without the store: %v", err)
	}
	w.a.view.Fail(false)
	if _, err := w.a.Revoke(t.Context(), issued.RefreshToken, w.client); err != nil {
		t.Fatal(err)
	}
	proofOf(w.a, issued.RefreshToken, w.client, nil)
}
