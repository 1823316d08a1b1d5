//go:build integration

package manifest_test

import (
	"fmt"
	"slices"
)

const (
	oneMember   = "upstreams[].type must name the one member that is set"
	domainFalse = "domain must be a host name in lower case"
	githubFalse = "upstreams[].github.baseURL must be https and a host in lower case"
	hostedFalse = "upstreams[].google.hostedDomains must be domain names"
	tenantFalse = "upstreams[].entra.tenantIDs must be GUIDs"
	keycloakURL = "upstreams[].keycloak.url must be"
	accessUnset = "access must be set where an upstream is Google or GitHub"
	tenant      = "11111111-2222-3333-4444-0123456789ab"
)

// presets are the types besides OIDC, each with a good member.
var presets = []struct {
	kind, member string
	good         object
}{
	{"GitHub", "github", object{"clientID": "a"}},
	{"Google", "google", object{"clientID": "a"}},
	{"Auth0", "auth0", object{"clientID": "a", "domain": "example.eu.auth0.com"}},
	{"Stytch", "stytch", object{"clientID": "a", "domain": "a-b-1234.customers.stytch.dev"}},
	{"WorkOS", "workos", object{"clientID": "a", "domain": "example.authkit.app"}},
	{"Okta", "okta", object{"clientID": "a", "domain": "example.okta.com"}},
	{"Entra", "entra", object{"clientID": "a", "tenantIDs": []any{tenant}}},
	{"Keycloak", "keycloak", object{"clientID": "a", "url": "https://sso.example.com", "realm": "staff"}},
}

// preset makes the sample's upstream one of another type, with other edits.
func preset(member string, more edits) edits {
	e := edits{oidc: nil}
	for _, p := range presets {
		if p.member == member {
			e["spec.upstreams[0].type"] = p.kind
			for k, v := range p.good {
				e["spec.upstreams[0]."+member+"."+k] = v
			}
		}
	}
	for k, v := range more {
		e["spec.upstreams[0]."+member+"."+k] = v
	}
	return e
}

func presetRow(member, field string, value any, refused string) row {
	return row{fmt.Sprintf("%s.%s %v", member, field, value), preset(member, edits{field: value}), refused}
}

var presetRows = slices.Concat(membersOfPresets(), []row{
	{"two members", edits{"spec.upstreams[0].google": object{"clientID": "a"}}, oneMember},
	{"another member", edits{"spec.upstreams[0].type": "Google"}, oneMember},
	{"8 upstreams", edits{"spec.upstreams": many(8, upstream)}, ""},
	{"9 upstreams", edits{"spec.upstreams": many(9, upstream)}, "Too many"},
	{"a display name of 64 characters", edits{"spec.upstreams[0].displayName": long(64)}, ""},
	{"a display name of 65 characters", edits{"spec.upstreams[0].displayName": long(65)}, "Too long"},
	{"an empty display name", edits{"spec.upstreams[0].displayName": ""}, "should be at least 1 chars long"},
	{"token renewal", edits{"spec.upstreams[0].tokenRenewal": "Enabled"}, ""},
	{"an unknown token renewal", edits{"spec.upstreams[0].tokenRenewal": "Always"}, `supported values: "Enabled", "Disabled"`},
	{"the shortest maxAgeSeconds", edits{"spec.upstreams[0].maxAgeSeconds": 60}, ""},
	{"maxAgeSeconds too short", edits{"spec.upstreams[0].maxAgeSeconds": 59}, "should be greater than or equal to 60"},
	{"the longest maxAgeSeconds", edits{"spec.upstreams[0].maxAgeSeconds": 31536000}, ""},
	{"maxAgeSeconds too long", edits{"spec.upstreams[0].maxAgeSeconds": 31536001}, "should be less than or equal to 31536000"},

	presetRow("github", "baseURL", "https://github.example.com", ""), presetRow("github", "baseURL", "https://example.ghe.com:8443", ""),
	presetRow("github", "baseURL", "http://127.0.0.1:8080", ""), presetRow("github", "baseURL", "https://"+long(248), ""),
	presetRow("github", "baseURL", "https://"+long(249), "Too long"), presetRow("github", "baseURL", "https://github.example.com/", githubFalse),
	presetRow("github", "baseURL", "http://github.example.com", githubFalse), presetRow("github", "baseURL", "https://a@github.example.com", githubFalse),
	presetRow("github", "baseURL", "", githubFalse),
	presetRow("google", "hostedDomains", []any{"example.com", "a.b-c.example"}, ""),
	presetRow("google", "hostedDomains", []any{"Example.com"}, hostedFalse), presetRow("google", "hostedDomains", []any{"*"}, hostedFalse),
	presetRow("google", "hostedDomains", many(16, texts("d%d.example")), ""), presetRow("google", "hostedDomains", many(17, texts("d%d.example")), "Too many"),
	presetRow("google", "hostedDomains", []any{"a.example", "a.example"}, "Duplicate value"),
	presetRow("google", "hostedDomains", []any{long(62) + "." + long(191)}, "Too long"),
	presetRow("okta", "authorizationServerID", "default", ""), presetRow("okta", "authorizationServerID", long(64), ""),
	presetRow("okta", "authorizationServerID", long(65), "Too long"), presetRow("okta", "authorizationServerID", "a/b", "should match"),
	presetRow("entra", "tenantIDs", nil, "entra.tenantIDs: Required value"), presetRow("entra", "tenantIDs", []any{}, "should have at least 1 items"),
	presetRow("entra", "tenantIDs", []any{"organizations"}, tenantFalse), presetRow("entra", "tenantIDs", []any{"contoso.onmicrosoft.com"}, tenantFalse),
	presetRow("entra", "tenantIDs", many(16, texts("11111111-2222-3333-4444-0123456789%02d")), ""),
	presetRow("entra", "tenantIDs", many(17, texts("11111111-2222-3333-4444-0123456789%02d")), "Too many"),
	presetRow("entra", "tenantIDs", []any{tenant, tenant}, "Duplicate value"), presetRow("entra", "tenantIDs", []any{tenant + "c"}, "Too long"),
	presetRow("keycloak", "url", nil, "keycloak.url: Required value"), presetRow("keycloak", "url", "https://sso.example.com/auth", ""),
	presetRow("keycloak", "url", "https://sso.example.com/", "upstreams[].keycloak.url must have no trailing slash."),
	presetRow("keycloak", "url", "http://sso.example.com", keycloakURL+" https"), presetRow("keycloak", "url", "sso.example.com", keycloakURL+" an absolute URL"),
	presetRow("keycloak", "url", "https://a.example/"+long(257-18), "Too long"),
	presetRow("keycloak", "realm", nil, "keycloak.realm: Required value"), presetRow("keycloak", "realm", "a b", "should match"),
	presetRow("keycloak", "realm", "", "should match"), presetRow("keycloak", "realm", long(129), "Too long"),

	{"no access for GitHub", without(preset("github", nil), "spec.access"), accessUnset},
	{"no access for Google", without(preset("google", edits{"hostedDomains": []any{"example.com"}}), "spec.access"), accessUnset},
	{"no access for Okta", without(preset("okta", nil), "spec.access"), ""},
	{"a contact", edits{"spec.access.contact": long(256)}, ""},
	{"a contact of 257 characters", edits{"spec.access.contact": long(257)}, "Too long"},
	{"an empty contact", edits{"spec.access.contact": ""}, "should be at least 1 chars long"},
	{"a scope for some", edits{"spec.oauth.scopes[1].allow": long(1024)}, ""},
	{"an allow of 1025 characters", edits{"spec.oauth.scopes[1].allow": long(1025)}, "Too long"},
	{"an empty allow", edits{"spec.oauth.scopes[1].allow": ""}, "should be at least 1 chars long"},
})

func without(e edits, field string) edits {
	e[field] = nil
	return e
}

// membersOfPresets are rows about the fields that several types have.
func membersOfPresets() []row {
	var rows []row
	add := func(member, field string, value any, refused string) {
		rows = append(rows, presetRow(member, field, value, refused))
	}
	for _, p := range presets {
		add(p.member, "clientID", long(256), "")
		add(p.member, "clientID", nil, "clientID: Required value")
		add(p.member, "clientID", "", "should be at least 1 chars long")
		add(p.member, "clientID", long(257), "Too long")
		add(p.member, "scopes", many(17, texts("s%d")), "Too many")
		add(p.member, "scopes", []any{"a", "a"}, "Duplicate value")
		add(p.member, "scopes", []any{long(257)}, "Too long")
		add(p.member, "scopes", []any{"a b"}, upstreamScopes)
		add(p.member, "scopes", []any{"openid"}, "scopes must not name openid")
		references := []string{"clientSecretRef"}
		if p.member == "github" || p.member == "keycloak" {
			references = append(references, "caBundleRef")
		}
		for _, r := range references {
			add(p.member, r, object{"name": "a", "key": "b"}, "")
			add(p.member, r, object{"key": "b"}, r+".name: Required value")
			add(p.member, r, object{"name": "a"}, r+".key: Required value")
			add(p.member, r, object{"name": long(254), "key": long(254)}, "Too long")
			add(p.member, r, object{"name": "A", "key": "a/b"}, "should match")
		}
		if _, ok := p.good["domain"]; !ok {
			continue
		}
		add(p.member, "domain", nil, "domain: Required value")
		add(p.member, "domain", long(62)+"."+long(191), "Too long")
		for _, bad := range []string{"", "https://example.com", "example.com/", "Example.com", "example", "example.com:443"} {
			add(p.member, "domain", bad, domainFalse)
		}
	}
	return rows
}
