package gateway_test

import (
	"strings"
	"testing"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
)

func TestAccessRules(t *testing.T) {
	t.Parallel()
	staff := config.AccessRule{Name: "staff", Expression: `claims.email.endsWith("@example.com")`}
	ops := config.AccessRule{Name: "ops", Expression: `"ops" in claims.groups`}
	type claims = map[string]any
	for _, row := range []struct {
		name     string
		rules    []config.AccessRule
		claims   claims
		userInfo func(claims) claims
		allowed  string // by which rule, or nobody
	}{
		{"verified address", []config.AccessRule{staff}, nil, nil, "staff"},
		{"unverified address", []config.AccessRule{staff}, claims{"email_verified": false}, nil, ""},
		{"nothing said of the address", []config.AccessRule{staff}, claims{"email_verified": nil}, nil, ""},
		{"verified in a string", []config.AccessRule{staff}, claims{"email_verified": "true"}, nil, "staff"},
		{"unverified in a string", []config.AccessRule{staff}, claims{"email_verified": "false"}, nil, ""},
		{"verified in a number", []config.AccessRule{staff}, claims{"email_verified": 1}, nil, "server_error"},
		{"foreign address", []config.AccessRule{staff}, claims{"email": "alice@example.com.evil.example"}, nil, ""},
		{"no groups at all", []config.AccessRule{ops}, nil, nil, ""},
		{"groups that are no list", []config.AccessRule{ops}, claims{"groups": "ops"}, nil, ""},
		{"in the group", []config.AccessRule{ops}, claims{"groups": []string{"dev", "ops"}}, nil, "ops"},
		{"the second rule", []config.AccessRule{ops, staff}, nil, nil, "staff"},
		{"no rules", nil, claims{"email_verified": false}, nil, "anybody"},
		{
			"userinfo names the groups", []config.AccessRule{ops}, nil,
			func(c claims) claims { return claims{"sub": c["sub"], "groups": []string{"ops"}} }, "ops",
		},
		{
			"the id token does not vouch for userinfo's address", []config.AccessRule{staff}, claims{"email": "alice@elsewhere.example"},
			func(c claims) claims { return claims{"sub": c["sub"], "email": "boss@example.com"} }, "",
		},
		{
			"userinfo of somebody else", []config.AccessRule{ops}, claims{"groups": []string{"ops"}},
			func(claims) claims { return claims{"sub": "somebody else", "groups": []string{"ops"}} }, "server_error",
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			journal := gatewaytest.NewJournal(t)
			gw := gatewaytest.New(t, gatewaytest.Setup{Options: journal.Use, Configure: func(c *config.Config) { c.AccessRules = row.rules }})
			if row.userInfo != nil {
				gw.IdP.UserInfo(row.userInfo)
			}
			gw.IdP.LoginAs("alice", row.claims)
			client := gw.Register(t, nil)
			switch row.allowed {
			case "":
				b, request, back := approved(t, client)
				writes := journal.Writes()
				isDenied(t, b.Get(t, back), request, gw.URL) // A40
				if journal.Writes() != writes {
					t.Error("a login that was denied wrote to the store")
				}
				if !strings.Contains(gw.Secrets.Written(), `"msg":"grant denied"`) {
					t.Error("the audit log does not speak of it")
				}
			case "server_error":
				failsToLogIn(t, client, journal, "server_error")
			default:
				client.Refresh(t, client.Redeem(t, client.Login(t)).Refresh) // which applies the rules again
				if row.allowed != "anybody" && !strings.Contains(gw.Secrets.Written(), `"rule":"`+row.allowed+`"`) {
					t.Error("the audit log does not name the rule")
				}
			}
		})
	}
}

func TestMoreClaimsThanAGrantHolds(t *testing.T) {
	t.Parallel()
	journal := gatewaytest.NewJournal(t)
	gw := gatewaytest.New(t, gatewaytest.Setup{Options: journal.Use})
	gw.IdP.LoginAs("alice", map[string]any{"groups": strings.Repeat("g", 17<<10)})
	// Trying again would not help, so it must not be called temporary.
	failsToLogIn(t, gw.Register(t, nil), journal, "server_error")
}
