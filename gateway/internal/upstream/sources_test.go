package upstream_test

import (
	"errors"
	"testing"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
	"vestibule.dev/vestibule/gateway/internal/upstream"
)

// renewable is a user who has logged in where the id token names a level and groups,
// and userinfo other groups and a department.
func renewable(t *testing.T) (*world, *upstream.Identity) {
	t.Helper()
	w := newWorldOf(t, func(c *config.Upstream, idp *gatewaytest.IdP) {
		c.RenewTokens, c.OIDC.Scopes = true, []string{"offline_access"}
		idp.UserInfo(func(claims map[string]any) map[string]any {
			return map[string]any{"sub": claims["sub"], "groups": []string{"ops"}, "department": "weather"}
		})
		idp.LoginAs("alice", map[string]any{"acr": "2", "level": "high", "groups": []string{"of the id token"}})
	})
	who, err := w.login(t)
	if err != nil || who.Tokens == nil || who.Claims["department"] != "weather" || who.Claims["level"] != "high" {
		t.Fatalf("%+v, %v", who, err)
	}
	return w, who
}

func TestRenewTakesAwayWhatIsGone(t *testing.T) {
	withoutIDToken := func(p *gatewaytest.IdP) { p.BreakIDToken(func(string) string { return "" }) }
	userinfo := func(p *gatewaytest.IdP, claims map[string]any) {
		p.UserInfo(func(user map[string]any) map[string]any {
			info := map[string]any{"sub": user["sub"]}
			for name, value := range claims {
				info[name] = value
			}
			return info
		})
	}
	for _, row := range []struct {
		name   string
		change func(*gatewaytest.IdP, *upstream.Identity)
		want   []string
		gone   []string
	}{
		{"userinfo does not say it again", func(p *gatewaytest.IdP, _ *upstream.Identity) {
			withoutIDToken(p)
			userinfo(p, map[string]any{"department": "seas"})
		}, []string{"department", "level", "email", "acr"}, []string{"groups"}},
		{"userinfo refuses for good", func(p *gatewaytest.IdP, _ *upstream.Identity) {
			withoutIDToken(p)
			p.BreakUserInfo(403)
		}, []string{"level", "email"}, []string{"groups", "department"}},
		{"it refuses, and there is an id token", func(p *gatewaytest.IdP, _ *upstream.Identity) {
			p.BreakUserInfo(401)
		}, []string{"level", "groups"}, []string{"department"}},
		{"the id token does not say it again", func(p *gatewaytest.IdP, _ *upstream.Identity) {
			p.LoginAs("alice", nil)
		}, []string{"groups", "department", "email"}, []string{"level", "acr"}},
		{"an older gateway has stored it", func(p *gatewaytest.IdP, was *upstream.Identity) {
			was.Sources = nil
			withoutIDToken(p)
			userinfo(p, map[string]any{"department": "weather"})
		}, []string{"department", "acr", "sub"}, []string{"groups", "level"}},
		{"an older gateway, and an id token", func(_ *gatewaytest.IdP, was *upstream.Identity) {
			was.Sources = nil
		}, []string{"department", "level", "groups", "email"}, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			w, who := renewable(t)
			row.change(w.idp, who)
			r, err := w.Renew(t.Context(), *who.Tokens, *who)
			if err != nil || r.Identity.Subject != who.Subject || r.Identity.Sources == nil {
				t.Fatalf("%+v, %v", r, err)
			}
			// What is gone stays so at the next renewal, and so does what is not.
			next, err := w.Renew(t.Context(), r.Tokens, *r.Identity)
			if err != nil {
				t.Fatal(err)
			}
			for _, claims := range []map[string]any{r.Identity.Claims, next.Identity.Claims} {
				for _, name := range row.want {
					if claims[name] == nil {
						t.Errorf("%s is lost: %v", name, claims)
					}
				}
				for _, name := range row.gone {
					if claims[name] != nil {
						t.Errorf("%s is still there: %v", name, claims)
					}
				}
			}
		})
	}
}

func TestUserinfoThatDoesNotAnswer(t *testing.T) {
	for _, status := range []int{408, 425, 429, 500, 502, 503, 504} {
		w, who := renewable(t)
		w.idp.BreakUserInfo(status)
		r, err := w.Renew(t.Context(), *who.Tokens, *who)
		if !errors.Is(err, upstream.ErrUnreachable) || r == nil || r.Identity != nil {
			t.Fatalf("%d: %+v, %v", status, r, err)
		}
		w.idp.BreakUserInfo(0)
		if r, err = w.Renew(t.Context(), r.Tokens, *who); err != nil || r.Identity.Claims["department"] != "weather" {
			t.Errorf("after %d: %+v, %v", status, r, err)
		}
	}
}

func TestUserinfoOfAnotherUser(t *testing.T) {
	w, who := renewable(t)
	w.idp.UserInfo(func(map[string]any) map[string]any { return map[string]any{} })
	r, err := w.Renew(t.Context(), *who.Tokens, *who)
	if !errors.Is(err, upstream.ErrRefused) || errors.Is(err, upstream.ErrOtherUser) || r == nil {
		t.Errorf("userinfo of nobody: %v", err)
	}
	w.idp.UserInfo(func(map[string]any) map[string]any { return map[string]any{"sub": "sub-bob"} })
	if _, err := w.Renew(t.Context(), r.Tokens, *who); !errors.Is(err, upstream.ErrOtherUser) {
		t.Errorf("userinfo of somebody else: %v", err)
	}
	// The id token says so before userinfo is asked.
	w, who = renewable(t)
	w.idp.LoginAs("bob", nil)
	w.idp.BreakUserInfo(503)
	if _, err := w.Renew(t.Context(), *who.Tokens, *who); !errors.Is(err, upstream.ErrOtherUser) {
		t.Errorf("an id token of somebody else: %v", err)
	}
}
