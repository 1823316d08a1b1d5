package grants

import (
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/internal/oauth"
)

// unattended issues what the client gets on another's word.
func (g *gateway) unattended(by string, limit int) *Issued {
	g.w.t.Helper()
	issued, err := g.Issue(g.w.t.Context(), Unattended{
		Holder: Holder{ClientID: g.w.client, Upstream: by, Issuer: issuer, Subject: "alice"},
		Scopes: oauth.Scopes{"read"}, Resource: resource, Max: limit,
	})
	if err != nil {
		g.w.t.Fatal(err)
	}
	return issued
}

func (g *gateway) isGood(token string) bool {
	_, err := g.Check(g.w.t.Context(), token, resource)
	return err == nil
}

func TestAGrantWithoutALogin(t *testing.T) {
	w := newWorld(t)
	trusted := "id-jag:employer"
	vouches := func(o *Options) {
		o.Vouches = func(clientID, by, iss string) bool { return clientID == w.client && by == trusted && iss == issuer }
	}
	a, b := w.gateway(vouches), w.gateway(vouches)
	issued := a.unattended("id-jag:employer", MaxPerUser)
	if issued.RefreshToken != "" || issued.ExpiresIn != 3600 {
		t.Errorf("it is %+v", issued)
	}
	for _, g := range []*gateway{a, b} {
		id, err := g.Check(t.Context(), issued.AccessToken, resource)
		if err != nil || id.Subject != "alice" || id.Upstream != "id-jag:employer" || id.Scopes.String() != "read" {
			t.Errorf("%+v, %v", id, err)
		}
		if _, err := g.Check(t.Context(), issued.AccessToken, resource+"2"); err == nil {
			t.Error("it is good for another resource")
		}
	}
	trusted = "id-jag:another"
	if a.isGood(issued.AccessToken) || b.isGood(issued.AccessToken) {
		t.Error("it outlives the trust that it was issued on")
	}
	trusted = "id-jag:employer"
	later := b.unattended(trusted, MaxPerUser)
	w.clock.Advance(time.Hour)
	if b.isGood(later.AccessToken) {
		t.Error("it does not expire")
	}
	if n := len(a.table.ByIndex((&grant{ClientID: w.client, Issuer: issuer, Subject: "alice"}).user())); n != 0 {
		t.Errorf("%d grants outlive their token", n)
	}
}

// A program that comes again and again ends what it had before, and no login of
// the same user.
func TestGrantsWithoutALoginEndNoOther(t *testing.T) {
	w := newWorld(t)
	a := w.gateway(func(o *Options) { o.Vouches = func(string, string, string) bool { return true } })
	login := a.redeem(a.login())
	other := a.unattended("id-jag:another", 3)
	var mine []*Issued
	for range 5 {
		w.clock.Advance(time.Second)
		mine = append(mine, a.unattended("id-jag:employer", 3))
	}
	for i, issued := range append(mine, login, other) {
		if want := i >= 2; a.isGood(issued.AccessToken) != want {
			t.Errorf("grant %d is good: %v", i, !want)
		}
	}
}
