package grants

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vestibule.dev/vestibule/gateway/internal/oauth"
	"vestibule.dev/vestibule/gateway/internal/upstream"
)

// upstreamToken is what goes along with a request, or fails.
func (g *gateway) upstreamToken(token string) UpstreamToken {
	g.w.t.Helper()
	got, err := g.UpstreamToken(g.w.t.Context(), token)
	if err != nil {
		g.w.t.Errorf("the upstream's token does not come: %v", err)
	}
	return got
}

func (g *gateway) refused(token string, which UpstreamToken) error {
	return g.RenewUpstreamToken(g.w.t.Context(), token, which)
}

func TestAnUpstreamsTokenIsReadWithoutAWrite(t *testing.T) {
	w, p, first := renewable(t)
	w.b.view.Counts()
	for range 3 {
		if got := w.b.upstreamToken(first.AccessToken); got != (UpstreamToken{Access: "upstream-access", Generation: 1}) {
			t.Errorf("the upstream's token is %+v", got)
		}
	}
	claims, said, err := w.b.Claims(t.Context(), first.AccessToken)
	if diff := cmp.Diff(map[string]any{"email": "alice@example.com", "groups": []any{"ops"}, "level": 3.0}, claims); err != nil || said != 1 || diff != "" {
		t.Errorf("said %d: %v (-want +got):\n%s", said, err, diff)
	}
	if reads, writes := w.b.view.Counts(); reads != 0 || writes != 0 || p.calls != 0 {
		t.Errorf("there were %d reads, %d writes and %d calls", reads, writes, p.calls)
	}
	if got := w.a.passes(first.AccessToken); got.Said != said {
		t.Errorf("a check counts %d", got.Said)
	}
}

// A token that is refused long after the one before was, is refused for another reason.
func TestWhenARefusalEndsAGrant(t *testing.T) {
	for name, row := range map[string]struct {
		later time.Duration
		ends  bool
	}{"at once": {0, true}, "soon": {refusedAgain - time.Second, true}, "later": {refusedAgain, false}} {
		t.Run(name, func(t *testing.T) {
			w, p, first := renewable(t)
			token := first.AccessToken
			one := w.a.upstreamToken(token)
			if err := w.a.refused(token, one); err != nil || p.calls != 1 {
				t.Fatalf("after %d calls: %v", p.calls, err)
			}
			if err := w.b.refused(token, one); err != nil || p.calls != 1 {
				t.Errorf("what was replaced was renewed again, with %d calls: %v", p.calls, err)
			}
			w.clock.Advance(row.later)
			two := w.b.upstreamToken(token)
			if two.Generation != one.Generation+1 {
				t.Fatalf("after %+v came %+v", one, two)
			}
			err := w.b.refused(token, two)
			if !row.ends {
				if err != nil || p.calls != 2 {
					t.Errorf("after %d calls: %v", p.calls, err)
				}
				return
			}
			w.wantError(err, oauth.CodeInvalidToken)
			w.ended(first)
			if p.calls != 1 {
				t.Errorf("the upstream was asked %d times", p.calls)
			}
		})
	}
}

// While it cannot be renewed, nothing ends, however often it is refused.
func TestARefusalAndAnUpstreamThatDoesNotAnswer(t *testing.T) {
	w, p, first := renewable(t)
	good := w.upstream
	w.upstream = func(upstream.Tokens, upstream.Identity) (*upstream.Renewed, error) {
		return nil, upstream.ErrUnreachable
	}
	one := w.a.upstreamToken(first.AccessToken)
	for range 3 {
		w.wantError(w.a.refused(first.AccessToken, one), oauth.CodeTemporarilyUnavailable)
	}
	w.upstream = good
	if err := w.b.refused(first.AccessToken, one); err != nil || p.calls != 1 {
		t.Errorf("after %d calls: %v", p.calls, err)
	}
	w.a.passes(first.AccessToken)
}

// What a check lets through while the store is away can be told, too.
func TestWhatIsToldWhileTheStoreIsAway(t *testing.T) {
	w, _, first := renewable(t)
	w.a.passes(first.AccessToken)
	w.a.view.Fail(true)
	w.clock.Advance(100 * time.Second)
	w.a.passes(first.AccessToken)
	if _, _, err := w.a.Claims(t.Context(), first.AccessToken); err != nil {
		t.Errorf("the claims do not open: %v", err)
	}
	w.a.upstreamToken(first.AccessToken)
}
