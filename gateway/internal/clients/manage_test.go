package clients

import (
	"errors"
	"testing"

	"vestibule.dev/vestibule/gateway/internal/oauth"
)

// managed registers a client and returns its registration access token too.
func (r *replica) managed(method string) (*Client, Issued) {
	r.t.Helper()
	c, issued, err := r.Register(r.t.Context(), Client{Method: method, RedirectURIs: []string{"https://app.example.com/cb"}, Name: "App"})
	if err != nil {
		r.t.Fatal(err)
	}
	return c, issued
}

func TestWhoManagesAClient(t *testing.T) {
	w := newWorld(t)
	w.b.view.Pause()
	c, issued := w.a.managed(MethodBasic)
	other, others := w.a.managed(MethodBasic)
	for name, try := range map[string]struct{ id, token string }{
		"another's token": {c.ID(), others.ManagementToken}, "another's client": {other.ID(), issued.ManagementToken},
		"no token": {c.ID(), ""}, "the secret": {c.ID(), issued.Secret}, "a prefix": {c.ID(), issued.ManagementToken[:40]},
		"no client": {"vst_cl_AAAAAAAAAAAAAAAAAAAAAAAA", issued.ManagementToken}, "no id": {"", issued.ManagementToken},
		"an id of another kind": {"https://app.example.com/client.json", issued.ManagementToken},
	} {
		_, err := w.b.Managed(t.Context(), try.id, try.token)
		_, _, replacing := w.b.Replace(t.Context(), try.id, try.token, "", Client{Method: MethodNone})
		deleting := w.b.Delete(t.Context(), try.id, try.token)
		for _, err := range []error{err, replacing, deleting} {
			if !errors.Is(err, ErrForeign) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if got, err := w.b.Managed(t.Context(), c.ID(), issued.ManagementToken); err != nil || got.ID() != c.ID() || got.Method != MethodBasic {
		t.Errorf("its own token: %v, %v", got, err)
	}
}

// A client that registered before there were such tokens is managed by nobody.
func TestAClientWithoutATokenIsManagedByNobody(t *testing.T) {
	w := newWorld(t)
	c, _ := w.a.managed(MethodNone)
	id := newID(t, w.a)
	if err := w.a.table.Create(t.Context(), id, &Client{Method: MethodNone, ExpiresAt: c.ExpiresAt}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.a.Managed(t.Context(), idPrefix+id.String(), ""); !errors.Is(err, ErrForeign) {
		t.Error(err)
	}
}

func TestReplacing(t *testing.T) {
	w := newWorld(t)
	c, issued := w.a.managed(MethodNone)
	w.a.touch(c)
	used := w.a.find(c.ID())
	w.a.view.Pause() // both copies are of before
	w.b.view.Pause()
	replaced, now, err := w.b.Replace(t.Context(), c.ID(), issued.ManagementToken, "", Client{Method: MethodPost, RedirectURIs: []string{"https://new.example/cb"}})
	if err != nil || now.Secret == "" {
		t.Fatalf("%v, secret %q", err, now.Secret)
	}
	if !replaced.Used || replaced.CreatedAt != used.CreatedAt || replaced.ExpiresAt != used.ExpiresAt || replaced.Name != "" {
		t.Errorf("it is now %+v", replaced)
	}
	if got, err := w.a.Managed(t.Context(), c.ID(), issued.ManagementToken); err != nil || got.RedirectURIs[0] != "https://new.example/cb" {
		t.Errorf("the other replica has %+v, %v", got, err)
	}
	// What it has, it keeps, and what it has not it does not prove.
	for _, try := range []struct {
		secret string
		with   string
		want   error
		issues bool
	}{
		{"", MethodBasic, nil, false}, {now.Secret, MethodPost, nil, false}, {now.Secret + "x", MethodPost, ErrSecret, false},
		{"", MethodNone, nil, false}, {now.Secret, MethodNone, ErrSecret, false}, {"", MethodBasic, nil, true},
	} {
		got, more, err := w.a.Replace(t.Context(), c.ID(), issued.ManagementToken, try.secret, Client{Method: try.with})
		if !errors.Is(err, try.want) || (more.Secret != "") != try.issues {
			t.Errorf("%+v: %v, secret %q", try, err, more.Secret)
		}
		if err == nil && got.hasSecret() != (len(got.SecretHash) > 0) {
			t.Errorf("%+v: it is now %+v", try, got)
		}
	}
}

// A secret that the copy does not know yet is good, and one that is wrong is read
// up only so often.
func TestAWrongSecretIsNotDecidedOnTheCopy(t *testing.T) {
	w := newWorld(t)
	c, issued := w.a.managed(MethodNone)
	w.b.view.Pause()
	_, now, err := w.a.Replace(t.Context(), c.ID(), issued.ManagementToken, "", Client{Method: MethodBasic})
	if err != nil {
		t.Fatal(err)
	}
	budget := 2
	w.b.opts.TakeFailure = takes(&budget)
	if _, e := w.b.try(attempt{header: basic(c.ID(), now.Secret)}); e != nil {
		t.Errorf("its new secret: %v", e)
	}
	if _, e := w.b.try(attempt{header: basic(c.ID(), "guess")}); e == nil || e.Code != oauth.CodeInvalidClient || !e.Basic {
		t.Errorf("a guess: %v", e)
	}
	w.b.view.Counts()
	for range 5 {
		if _, e := w.b.try(attempt{header: basic(c.ID(), "guess")}); e == nil || e.Status != 429 || e.RetryAfter <= 0 {
			t.Errorf("a guess too many: %v", e)
		}
	}
	if gets, _ := w.b.view.Counts(); gets != 0 {
		t.Errorf("they cost %d reads", gets)
	}
	w.b.view.Resume()
	if _, e := w.b.try(attempt{header: basic(c.ID(), now.Secret)}); e != nil {
		t.Errorf("behind all these guesses, its secret: %v", e)
	}
}
