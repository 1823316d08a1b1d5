package grants

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"vestibule.dev/vestibule/gateway/internal/oauth"
)

// model is what a grant should do, in the words of the documentation: a line of
// refresh tokens, of which the last is the newest.
type model struct {
	line     []string // token i+1 is the successor of token i
	firstUse []time.Time
	replaced []string
	access   map[string]bool
	ended    bool
}

// TestTheRefreshRule has two gateways refresh, retry, replay and revoke in any
// order, at any distance, with watches that stop: they agree with the model.
func TestTheRefreshRule(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		w.t = caseT{t, rt}
		witness := w.gateway() // its copy is always fresh
		code := w.a.login()
		first := w.a.redeem(code)
		m := &model{line: []string{first.RefreshToken}, access: map[string]bool{first.AccessToken: true}}
		pick := func() *gateway { return rapid.SampledFrom([]*gateway{w.a, w.b}).Draw(rt, "gateway") }

		rt.Repeat(map[string]func(*rapid.T){
			"refresh newest": func(*rapid.T) { w.step(m, pick(), len(m.line)-1) },
			"refresh any": func(rt *rapid.T) {
				w.step(m, pick(), rapid.IntRange(max(0, len(m.line)-4), len(m.line)-1).Draw(rt, "back"))
			},
			"present a replaced one": func(rt *rapid.T) {
				if len(m.replaced) == 0 {
					rt.Skip()
				}
				pick().refreshFails(rapid.SampledFrom(m.replaced).Draw(rt, "replaced"), oauth.CodeInvalidGrant)
				m.ended = true
			},
			"wait":   func(rt *rapid.T) { w.clock.Advance(time.Duration(rapid.IntRange(1, 130).Draw(rt, "s")) * time.Second) },
			"pause":  func(*rapid.T) { pick().view.Pause() },
			"resume": func(*rapid.T) { pick().view.Resume() },
			"replay the code": func(rt *rapid.T) {
				if rapid.IntRange(0, 9).Draw(rt, "seldom") > 0 {
					rt.Skip()
				}
				before := w.clock.Now().Before(time.Unix(1_800_000_000, 0).Add(CodeTTL))
				pick().redeemFails(code, oauth.CodeInvalidGrant)
				m.ended = m.ended || before
			},
			"revoke": func(rt *rapid.T) {
				if rapid.IntRange(0, 9).Draw(rt, "seldom") > 0 {
					rt.Skip()
				}
				pick().revoke(m.line[len(m.line)-1], w.client, !m.ended)
				m.ended = true
			},
			"": func(*rapid.T) { witness.agrees(m) },
		})
	})
}

// step presents token i of the line, and says what must come of it.
func (w *world) step(m *model, g *gateway, i int) {
	token, now := m.line[i], w.clock.Now()
	last := len(m.line) - 1
	if i < last && !m.ended {
		within := now.Sub(m.firstUse[i]) < RetryWindow
		switch {
		case within && last-i <= maxRotations:
			if got := g.refresh(token); got.RefreshToken != m.line[last] {
				w.t.Errorf("a retry %d rotations back did not get the newest token", last-i)
			} else {
				m.access[got.AccessToken] = true
			}
			return
		case i == last-1:
			got := g.refresh(token)
			if got.RefreshToken == m.line[last] {
				w.t.Errorf("a late retry got the token that it replaces")
			}
			m.replaced = append(m.replaced, m.line[last])
			m.line[last], m.firstUse[i] = got.RefreshToken, now
			m.access[got.AccessToken] = true
			return
		}
		m.ended = true
	}
	if m.ended {
		g.refreshFails(token, oauth.CodeInvalidGrant)
		return
	}
	got := g.refresh(token)
	m.line, m.firstUse = append(m.line, got.RefreshToken), append(m.firstUse, now)
	m.access[got.AccessToken] = true
}

// agrees says that the grant lives on if it should, and that nothing of it does
// if it should not.
func (g *gateway) agrees(m *model) {
	held := len(g.table.ByIndex((&grant{ClientID: g.w.client, Issuer: issuer, Subject: "alice"}).user())) == 1
	if held == m.ended {
		g.w.t.Errorf("the grant is held: %v, though it has ended: %v", held, m.ended)
	}
	for token := range m.access {
		if _, err := g.Check(g.w.t.Context(), token, resource); err == nil && m.ended {
			g.w.t.Errorf("the grant has ended, and an access token lives on")
		}
	}
}

// caseT fails the drawn case rather than the test around it.
type caseT struct {
	testing.TB
	rt *rapid.T
}

func (t caseT) Errorf(format string, args ...any) { t.rt.Errorf(format, args...) }
func (t caseT) Fatalf(format string, args ...any) { t.rt.Fatalf(format, args...) }
func (t caseT) Fatal(args ...any)                 { t.rt.Fatal(args...) }
