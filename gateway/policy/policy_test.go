package policy

import (
	"errors"
	"strings"
	"testing"

	"vestibule.dev/vestibule/gateway/config"
)

func TestAllowed(t *testing.T) {
	staff := map[string]any{
		"email": "alice@example.com", "email_verified": true, "groups": []any{"staff", "ops"},
		"address": map[string]any{"country": "NL"},
	}
	for name, tc := range map[string]struct {
		rules  []string
		claims map[string]any
		rule   string
		ok     bool
	}{
		"without rules everybody":            {nil, map[string]any{}, "", true},
		"a rule that is true":                {[]string{`claims.email.endsWith("@example.com")`}, staff, "r0", true},
		"a rule that is false":               {[]string{`claims.email.endsWith("@example.org")`}, staff, "", false},
		"the second rule":                    {[]string{`false`, `"ops" in claims.groups`}, staff, "r1", true},
		"a missing claim denies":             {[]string{`claims.phone == ""`}, staff, "", false},
		"a missing claim spoils no other":    {[]string{`claims.phone == ""`, `claims.email_verified`}, staff, "r1", true},
		"a failing negation denies":          {[]string{`!claims.suspended`}, staff, "", false},
		"a claim of the wrong type denies":   {[]string{`claims.groups`}, staff, "", false},
		"the text true is not the value":     {[]string{`claims.admin`}, map[string]any{"admin": "true"}, "", false},
		"a nested claim":                     {[]string{`claims.address.country == "NL"`}, staff, "r0", true},
		"has guards an optional claim":       {[]string{`!has(claims.suspended) || !claims.suspended`}, staff, "r0", true},
		"strings have lowerAscii":            {[]string{`claims.email.lowerAscii() == "alice@example.com"`}, staff, "r0", true},
		"an expression that costs too much":  {[]string{bomb}, staff, "", false},
		"the upstream":                       {[]string{`upstream == "corp" && claims.email_verified`}, staff, "r0", true},
		"another upstream":                   {[]string{`upstream == "github"`}, staff, "", false},
		"a claim with an odd name":           {[]string{`claims["https://example.com/roles"].exists(r, r == "ops")`}, map[string]any{"https://example.com/roles": []any{"ops"}}, "r0", true},
		"a nested list":                      {[]string{`"ops" in claims.realm_access.roles`}, map[string]any{"realm_access": map[string]any{"roles": []any{"ops"}}}, "r0", true},
		"nothing of one user stays behind 1": {[]string{`claims.email == "alice@example.com"`}, staff, "r0", true},
		"nothing of one user stays behind 2": {[]string{`claims.email == "alice@example.com"`}, map[string]any{}, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			access, err := CompileAccess(rules(tc.rules))
			if err != nil {
				t.Fatal(err)
			}
			rule, err := access.Allowed(User{Upstream: "corp", Claims: tc.claims})
			if rule != tc.rule || err == nil != tc.ok || err != nil && !errors.Is(err, ErrDenied) {
				t.Errorf("Allowed = %q, %v; want %q, %v", rule, err, tc.rule, tc.ok)
			}
		})
	}
}

// bomb is true after a hundred million steps.
var bomb = strings.Repeat("[1,2,3,4,5,6,7,8,9,10].all(a, ", 8) + "true" + strings.Repeat(")", 8)

func TestCompileNamesEveryBrokenRule(t *testing.T) {
	_, err := CompileAccess(rules([]string{`claims.email`, `claim.email`, `1 + 1`, `claims.email ==`}))
	if err == nil {
		t.Fatal("broken rules compile")
	}
	for _, want := range []string{"access rule r1", "undeclared reference to 'claim'", "access rule r2", "type int", "access rule r3", "Syntax error"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "access rule r0") {
		t.Errorf("the error names a rule that is good:\n%v", err)
	}
}

func TestScopes(t *testing.T) {
	scopes, err := CompileScopes([]config.Scope{
		{Name: "read"}, {Name: "write", Allow: `"ops" in claims.groups`}, {Name: "admin", Allow: `upstream == "corp"`},
	})
	if err != nil {
		t.Fatal(err)
	}
	ops := map[string]any{"groups": []any{"ops"}}
	for name, tc := range map[string]struct {
		scope string
		user  User
		want  bool
	}{
		"everybody's":              {"read", User{}, true},
		"one that is not known":    {"other", User{}, true},
		"of the group":             {"write", User{Claims: ops}, true},
		"of another group":         {"write", User{Claims: map[string]any{"groups": []any{"dev"}}}, false},
		"without groups":           {"write", User{Claims: map[string]any{}}, false},
		"of the upstream":          {"admin", User{Upstream: "corp"}, true},
		"of another upstream":      {"admin", User{Upstream: "github", Claims: ops}, false},
		"groups that are no list":  {"write", User{Claims: map[string]any{"groups": "ops"}}, false},
		"a user without any claim": {"write", User{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := scopes.Allowed(tc.scope, tc.user); got != tc.want {
				t.Errorf("allowed: %v", got)
			}
		})
	}
	_, err = CompileScopes([]config.Scope{{Name: "a", Allow: "claim.x"}, {Name: "b", Allow: "1"}, {Name: "c", Allow: "true"}})
	if err == nil || !strings.Contains(err.Error(), "oauth.scopes[a].allow: ") || !strings.Contains(err.Error(), "oauth.scopes[b].allow: ") || strings.Contains(err.Error(), "[c]") {
		t.Errorf("the error is %v", err)
	}
}

func rules(expressions []string) []config.AccessRule {
	var all []config.AccessRule
	for i, e := range expressions {
		all = append(all, config.AccessRule{Name: "r" + string(rune('0'+i)), Expression: e})
	}
	return all
}
