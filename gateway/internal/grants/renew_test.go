package grants

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"vestibule.dev/vestibule/gateway/internal/keys"
	"vestibule.dev/vestibule/gateway/internal/oauth"
	"vestibule.dev/vestibule/gateway/internal/records"
	"vestibule.dev/vestibule/gateway/internal/tokens"
	"vestibule.dev/vestibule/gateway/internal/upstream"
)

// idp is an upstream whose refresh tokens are good once: the second use of one
// ends them all.
type idp struct {
	mu     sync.Mutex
	n      int
	ended  bool
	calls  int
	claims map[string]any
	// answer, if set, changes the answers.
	answer func(*upstream.Renewed) (*upstream.Renewed, error)
	// before is called at the beginning of each call.
	before func()
}

func (p *idp) token() string { return fmt.Sprintf("upstream-refresh-%d", p.n) }

func (p *idp) renew(t upstream.Tokens, was upstream.Identity) (*upstream.Renewed, error) {
	if p.before != nil {
		p.before()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls++
	if p.ended || t.Refresh != p.token() || t.Nonce != "the-nonce" {
		p.ended = true
		return nil, upstream.ErrEnded
	}
	p.n++
	r := &upstream.Renewed{
		Tokens:   upstream.Tokens{Access: "upstream-access", Refresh: p.token(), Nonce: t.Nonce},
		Identity: &upstream.Identity{Issuer: was.Issuer, Subject: was.Subject, Name: "Alice", Claims: p.claims},
	}
	if p.answer != nil {
		return p.answer(r)
	}
	return r, nil
}

// renewable is a world whose upstream can be asked again, and a grant there.
func renewable(t *testing.T) (*world, *idp, *Issued) {
	t.Helper()
	w := newWorld(t)
	p := &idp{claims: map[string]any{"email": "alice@example.com", "groups": []any{"ops"}}}
	w.upstream = p.renew
	return w, p, w.a.redeem(w.a.login(withTokens(p)))
}

func withTokens(p *idp) func(*Approval) {
	return func(a *Approval) {
		a.Tokens = &upstream.Tokens{Access: "upstream-access", Refresh: p.token(), Nonce: "the-nonce"}
	}
}

func TestTheUpstreamIsAskedAtARefresh(t *testing.T) {
	w, p, first := renewable(t)
	w.clock.Advance(4 * time.Minute)
	second := w.b.refresh(first.RefreshToken)
	if p.calls != 0 {
		t.Fatal("the upstream was asked about what it has just said")
	}
	w.clock.Advance(time.Minute)
	w.b.view.Counts()
	third := w.b.refresh(second.RefreshToken)
	if _, writes := w.b.view.Counts(); p.calls != 1 || writes != 2 {
		t.Fatalf("the upstream was asked %d times, with %d writes", p.calls, writes)
	}
	w.a.retry(second.RefreshToken, third) // (b), without a write
	w.clock.Advance(100 * time.Second)
	w.b.retry(second.RefreshToken, third)
	w.clock.Advance(30 * time.Second)
	other := w.a.refresh(second.RefreshToken) // (c)
	w.clock.Advance(5 * time.Minute)
	last := w.b.refresh(other.RefreshToken)
	if p.calls != 2 {
		t.Errorf("the upstream was asked %d times", p.calls)
	}
	w.a.refreshFails(third.RefreshToken, oauth.CodeInvalidGrant) // (d), and no call for it
	if w.ended(last); p.calls != 2 {
		t.Errorf("the upstream was asked %d times", p.calls)
	}
}

func TestNewClaimsDecideAnew(t *testing.T) {
	w, p, first := renewable(t)
	w.clock.Advance(5 * time.Minute)
	p.claims = map[string]any{"email": "alice@example.com"}
	second := w.a.refresh(first.RefreshToken)
	if second.Scopes.String() != "read" {
		t.Errorf("who is not in ops any more is granted %v", second.Scopes)
	}
	w.a.refreshFails(second.RefreshToken, oauth.CodeInvalidScope, scopes("write"))
	w.clock.Advance(5 * time.Minute)
	p.claims = map[string]any{"email": "alice@example.com", "groups": []any{"ops"}}
	third := w.a.refresh(second.RefreshToken)
	if third.Scopes.String() != "read write" {
		t.Errorf("who is in ops again is granted %v", third.Scopes)
	}
	w.clock.Advance(5 * time.Minute)
	w.rejected = "alice@example.org"
	p.claims = map[string]any{"email": w.rejected}
	w.a.refreshFails(third.RefreshToken, oauth.CodeInvalidGrant)
	w.ended(third)
}

// Whatever a refresh comes to, what the upstream has given is kept: it takes back
// what it gave before.
func TestARefusalKeepsTheUpstreamsTokens(t *testing.T) {
	w, p, first := renewable(t)
	w.clock.Advance(5 * time.Minute)
	w.a.refreshFails(first.RefreshToken, oauth.CodeInvalidScope, scopes("admin"))
	if p.calls != 1 {
		t.Fatalf("the upstream was asked %d times", p.calls)
	}
	w.clock.Advance(5 * time.Minute)
	w.b.refresh(first.RefreshToken)
	if p.ended {
		t.Error("the upstream was asked with a token that it had replaced")
	}
}

func TestOneCallForAllWhoAsk(t *testing.T) {
	w, p, first := renewable(t)
	w.clock.Advance(5 * time.Minute)
	asked, goOn := make(chan struct{}), make(chan struct{})
	p.before = sync.OnceFunc(func() { close(asked); <-goOn })
	var done sync.WaitGroup
	issued := make([]*Issued, 8)
	for i := range issued {
		done.Go(func() { issued[i] = []*gateway{w.a, w.b}[i%2].refresh(first.RefreshToken) })
	}
	<-asked
	time.Sleep(20 * time.Millisecond) // let the others come to the lease; if not, the test says less
	close(goOn)
	done.Wait()
	if p.calls != 1 || p.ended {
		t.Errorf("the upstream was asked %d times", p.calls)
	}
	for _, i := range issued {
		if i == nil || issued[0] == nil || i.RefreshToken != issued[0].RefreshToken {
			t.Error("two that asked at once got different tokens, or none")
		}
	}
}

func TestAnUpstreamThatDoesNotAnswerCostsNothing(t *testing.T) {
	for name, err := range map[string]error{
		"unreachable": upstream.ErrUnreachable, "refused": upstream.ErrRefused, "credentials": upstream.ErrCredentials, "anything": errors.New("x"),
	} {
		t.Run(name, func(t *testing.T) {
			w, p, first := renewable(t)
			w.clock.Advance(5 * time.Minute)
			good := w.upstream
			w.upstream = func(upstream.Tokens, upstream.Identity) (*upstream.Renewed, error) { return nil, err }
			for range 3 {
				w.a.refreshFails(first.RefreshToken, oauth.CodeTemporarilyUnavailable)
			}
			w.upstream = good
			second := w.b.refresh(first.RefreshToken) // at once: the lease was let go
			if w.a.passes(second.AccessToken); p.calls != 1 {
				t.Errorf("the upstream was asked %d times", p.calls)
			}
		})
	}
}

// Tokens came, and the claims did not: the tokens are kept, and asked with again.
func TestHalfAnAnswer(t *testing.T) {
	w, p, first := renewable(t)
	w.clock.Advance(5 * time.Minute)
	p.answer = func(r *upstream.Renewed) (*upstream.Renewed, error) {
		r.Identity = nil
		return r, upstream.ErrUnreachable
	}
	w.a.refreshFails(first.RefreshToken, oauth.CodeTemporarilyUnavailable)
	p.answer = nil
	w.b.refresh(first.RefreshToken)
	if p.calls != 2 || p.ended {
		t.Errorf("the upstream was asked %d times, and ended the login: %v", p.calls, p.ended)
	}
}

func TestWhatEndsAGrant(t *testing.T) {
	for name, err := range map[string]error{
		"ended": fmt.Errorf("%w: %w", upstream.ErrRefused, upstream.ErrEnded), "another user": upstream.ErrOtherUser, "another domain": upstream.ErrNotAdmitted,
	} {
		t.Run(name, func(t *testing.T) {
			w, p, first := renewable(t)
			w.clock.Advance(5 * time.Minute)
			p.answer = func(r *upstream.Renewed) (*upstream.Renewed, error) { return r, err }
			w.a.refreshFails(first.RefreshToken, oauth.CodeInvalidGrant)
			w.ended(first)
		})
	}
}

// A request that is so slow that another one takes over ends nothing: what the
// other one got is good, whatever that was answered.
func TestAnEndThatIsOld(t *testing.T) {
	for name, fast := range map[string]func(*world, *Issued){
		"the other one is answered": func(w *world, first *Issued) { w.b.refresh(first.RefreshToken) },
		"the other one is refused": func(w *world, first *Issued) {
			w.b.refreshFails(first.RefreshToken, oauth.CodeInvalidScope, scopes("admin"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, p, first := renewable(t)
			w.clock.Advance(5 * time.Minute)
			asked, goOn := make(chan struct{}), make(chan struct{})
			var calls atomic.Int32
			w.upstream = func(tokens upstream.Tokens, was upstream.Identity) (*upstream.Renewed, error) {
				if calls.Add(1) == 1 {
					close(asked)
					<-goOn // so late that its token is replaced
					return nil, upstream.ErrEnded
				}
				return p.renew(tokens, was)
			}
			slow := make(chan *Issued, 1)
			go func() {
				issued, err := w.a.tryRefresh(first.RefreshToken)
				if err != nil {
					t.Errorf("the slow one: %v", err)
				}
				slow <- issued
			}()
			<-asked
			w.clock.Advance(leaseFor)
			fast(w, first)
			close(goOn)
			if got := <-slow; got != nil {
				w.b.passes(got.AccessToken)
			}
		})
	}
}

func TestALeaseWhoseHolderIsDeadLapses(t *testing.T) {
	w, p, first := renewable(t)
	w.clock.Advance(5 * time.Minute)
	dead := errors.New("the process is gone")
	func() {
		defer func() { _ = recover() }()
		w.upstream = func(upstream.Tokens, upstream.Identity) (*upstream.Renewed, error) { panic(dead) }
		w.a.refresh(first.RefreshToken)
	}()
	w.upstream = p.renew
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := w.b.Refresh(ctx, Refreshing{RefreshToken: first.RefreshToken, ClientID: w.client})
	if w.wantError(err, oauth.CodeTemporarilyUnavailable); p.calls != 0 {
		t.Fatal("the upstream was asked under somebody else's lease")
	}
	w.clock.Advance(leaseFor)
	w.b.refresh(first.RefreshToken)
	if p.calls != 1 {
		t.Errorf("the upstream was asked %d times", p.calls)
	}
}

// The store is away when the upstream has answered: it is asked until it is there,
// though nobody waits for it any more.
func TestAStoreThatIsAwayMeanwhile(t *testing.T) {
	w, p, first := renewable(t)
	w.clock.Advance(5 * time.Minute)
	ctx, cancel := context.WithCancel(t.Context())
	p.before = func() {
		cancel()
		w.a.view.Fail(true)
		time.AfterFunc(100*time.Millisecond, func() { w.a.view.Fail(false) })
	}
	if _, err := w.a.Refresh(ctx, Refreshing{RefreshToken: first.RefreshToken, ClientID: w.client}); err != nil {
		t.Error(err)
	}
	p.before = nil
	w.clock.Advance(6 * time.Minute)
	w.b.refresh(first.RefreshToken)
	if p.ended || p.calls != 2 {
		t.Errorf("the upstream was asked %d times, and ended the login: %v", p.calls, p.ended)
	}
}

func TestMaxAge(t *testing.T) {
	w, p, _ := renewable(t)
	short := func(a *Approval) { a.MaxAge = time.Hour }
	bounded := w.a.redeem(w.a.login(short))
	free := w.a.redeem(w.a.login(short, withTokens(p)))
	w.clock.Advance(59 * time.Minute)
	bounded, free = w.a.refresh(bounded.RefreshToken), w.a.refresh(free.RefreshToken)
	if bounded.ExpiresIn > 60 {
		t.Errorf("an access token of %d seconds outlives its grant", bounded.ExpiresIn)
	}
	w.clock.Advance(time.Minute)
	w.a.refreshFails(bounded.RefreshToken, oauth.CodeInvalidGrant)
	w.a.refresh(free.RefreshToken)
}

func TestTheSourcesOfClaimsAreKept(t *testing.T) {
	w, p, _ := renewable(t)
	said := func(names ...string) *upstream.Sources { return &upstream.Sources{Userinfo: names} }
	var asked []*upstream.Sources
	w.upstream = func(tokens upstream.Tokens, was upstream.Identity) (*upstream.Renewed, error) {
		asked = append(asked, was.Sources)
		return p.renew(tokens, was)
	}
	issued := w.a.redeem(w.a.login(withTokens(p), func(a *Approval) { a.Sources = said("groups") }))
	for _, next := range []*upstream.Sources{said(), said("email"), nil} {
		w.clock.Advance(5 * time.Minute)
		p.answer = func(r *upstream.Renewed) (*upstream.Renewed, error) {
			r.Identity.Sources = next
			return r, nil
		}
		issued = w.a.refresh(issued.RefreshToken)
	}
	w.clock.Advance(5 * time.Minute)
	w.b.refresh(issued.RefreshToken)
	if diff := cmp.Diff([]*upstream.Sources{said("groups"), said(), said("email"), nil}, asked, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("the upstream was asked with (-want +got):\n%s", diff)
	}
}

// Grants that an older gateway has stored are renewed, and do not know their sources.
func TestAGrantOfAnOlderGatewayIsRenewed(t *testing.T) {
	w, p, _ := renewable(t)
	issued := w.a.redeem(w.a.login(withTokens(p)))
	t0 := w.clock.Now()
	w.clock.Advance(5 * time.Minute)
	rewrite(t, w, issued.AccessToken, func(d data) any {
		return struct {
			Claims   map[string]any  `cbor:"1,keyasint,omitempty"`
			Upstream *upstreamTokens `cbor:"2,keyasint,omitempty"`
		}{d.Claims, keepTokens(upstream.Tokens{Access: "upstream-access", Refresh: p.token(), Nonce: "the-nonce"}, t0)}
	})
	var was upstream.Identity
	w.upstream = func(tokens upstream.Tokens, before upstream.Identity) (*upstream.Renewed, error) {
		was = before
		return p.renew(tokens, before)
	}
	w.b.passes(w.b.refresh(issued.RefreshToken).AccessToken)
	if was.Sources != nil || was.Claims["email"] != "alice@example.com" || p.calls != 1 {
		t.Errorf("the upstream was asked %d times, with %+v", p.calls, was)
	}
}

// rewrite replaces the data of the grant behind an access token.
func rewrite(t *testing.T, w *world, token string, change func(data) any) {
	t.Helper()
	parsed, err := tokens.Parse(w.a.opts.Ring, tokens.Access, token, w.clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	err = w.a.table.Update(t.Context(), parsed.Record, func(g *grant) (records.Verdict, error) {
		o, err := g.open(parsed.Record, token)
		if err != nil {
			return records.Keep, err
		}
		plain, err := cbor.Marshal(change(o.data))
		if err != nil {
			return records.Keep, err
		}
		aead, err := keys.NewAEAD(o.dataKey)
		if err != nil {
			return records.Keep, err
		}
		g.Data = aead.Seal(nil, nil, plain, parsed.Record[:])
		return records.Write, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
