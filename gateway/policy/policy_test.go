package policy

import (
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
		"nothing of one user stays behind 1": {[]string{`claims.email == "alice@example.com"`}, staff, "r0", true},
		"nothing of one user stays behind 2": {[]string{`claims.email == "alice@example.com"`}, map[string]any{}, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			access, err := CompileAccess(rules(tc.rules))
			if err != nil {
				t.Fatal(err)
			}
			rule, ok := access.Allowed(tc.claims)
			if rule != tc.rule || ok != tc.ok {
				t.Errorf("Allowed = %q, %v; want %q, %v", rule, ok, tc.rule, tc.ok)
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

func rules(expressions []string) []config.AccessRule {
	var all []config.AccessRule
	for i, e := range expressions {
		all = append(all, config.AccessRule{Name: "r" + string(rune('0'+i)), Expression: e})
	}
	return all
}
