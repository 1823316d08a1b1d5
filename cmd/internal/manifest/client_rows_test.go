//go:build integration

package manifest_test

import (
	"fmt"
	"slices"
	"strings"
)

const (
	redirectHostsFalse = "oauth.clientRegistration.allowedRedirectHosts must be host names"
	schemesFalse       = "oauth.clientRegistration.privateUseSchemes must be schemes"
	schemesSpecial     = "oauth.clientRegistration.privateUseSchemes must not name"
)

// clientRows are of how clients come to be known.
var clientRows = slices.Concat(references(registration+".initialAccessTokenRef"), provisionedRows, issuerRows, []row{
	redirectHosts("", "claude.ai", "*.example.com", "localhost", "10.0.0.1"),
	redirectHosts(redirectHostsFalse, "https://claude.ai"), redirectHosts(redirectHostsFalse, "claude.ai:443"), redirectHosts(redirectHostsFalse, "Claude.ai"),
	redirectHosts(redirectHostsFalse, "*"), redirectHosts(redirectHostsFalse, "*.*.example.com"), redirectHosts(redirectHostsFalse, ""), redirectHosts(redirectHostsFalse, "a.example.*"),
	redirectHosts("Too long", long(254)), redirectHosts("Duplicate value", "claude.ai", "claude.ai"),
	{"64 redirect hosts", edits{registration + ".allowedRedirectHosts": many(64, texts("h%d.example.com"))}, ""},
	{"65 redirect hosts", edits{registration + ".allowedRedirectHosts": many(65, texts("h%d.example.com"))}, "Too many"},
	schemes("", "cursor", "com.example.app", "*.*", "a+b-c"), schemes(""),
	schemes(schemesFalse, "cursor:"), schemes(schemesFalse, "Cursor"), schemes(schemesFalse, "*"), schemes(schemesFalse, ""), schemes(schemesFalse, "1password"),
	schemes(schemesSpecial, "javascript"), schemes(schemesSpecial, "https"),
	schemes("Too long", long(65)), schemes("Duplicate value", "cursor", "cursor"),
	{"32 schemes", edits{registration + ".privateUseSchemes": many(32, texts("s%d"))}, ""},
	{"33 schemes", edits{registration + ".privateUseSchemes": many(33, texts("s%d"))}, "Too many"},
})

func redirectHosts(refused string, hosts ...any) row {
	return row{fmt.Sprintf("redirect hosts %q", hosts), edits{registration + ".allowedRedirectHosts": hosts}, refused}
}

func schemes(refused string, schemes ...any) row {
	return row{fmt.Sprintf("schemes %q", schemes), edits{registration + ".privateUseSchemes": append([]any{}, schemes...)}, refused}
}

const (
	client        = "spec.oauth.clients[0]"
	clientIDFalse = "oauth.clients[].clientID must be visible ASCII"
	oneProof      = "oauth.clients[].clientSecretRef must not be set with"
	provesNothing = "oauth.clients[].grantTypes must be AuthorizationCode alone"
	needsRedirect = "oauth.clients[].redirectURIs must be set for"
	redirectForm  = "oauth.clients[].redirectURIs must be absolute URIs"
	redirectKind  = "oauth.clients[].redirectURIs must be https"
	clientJWKS    = "oauth.clients[].jwksURL must be an https URL"
	needsIssuer   = "oauth.identityAssertion must be set for clients"
)

var (
	secretRef = object{"name": "clients", "key": "nightly"}
)

// provisioned is a client with members in place of or besides those of a public one.
func provisioned(members object) object {
	c := object{"clientID": "nightly", "redirectURIs": []any{"https://nightly.example/cb"}}
	for k, v := range members {
		if c[k] = v; v == nil {
			delete(c, k)
		}
	}
	return c
}

func clientRow(name string, members object, refused string) row {
	return row{"a client with " + name, edits{"spec.oauth.clients": []any{provisioned(members)}}, refused}
}

func clientID(id, refused string) row {
	return clientRow(fmt.Sprintf("the id %.20q", id), object{"clientID": id}, refused)
}

func redirectURI(uri, refused string) row {
	return clientRow(fmt.Sprintf("the redirect URI %.40q", uri), object{"redirectURIs": []any{uri}}, refused)
}

func clientScope(i int) any { return fmt.Sprintf("s%d", i) }

var provisionedRows = slices.Concat([]row{
	clientRow("nothing but a redirect URI", nil, ""),
	clientRow("no id", object{"clientID": nil}, "clientID: Required value"),
	clientID("a", ""), clientID("crawler.example/1?x=#~", ""), clientID("http://x", ""), clientID(long(128), ""), clientID(long(129), "Too long"),
	clientID("", clientIDFalse), clientID("a b", clientIDFalse), clientID("ä", clientIDFalse), clientID("https://a.example/c", clientIDFalse), clientID("vst_cl_x", clientIDFalse),
	{"two clients", edits{"spec.oauth.clients": []any{provisioned(nil), provisioned(object{"clientID": "b"})}}, ""},
	{"a client twice", edits{"spec.oauth.clients": []any{provisioned(nil), provisioned(nil)}}, "Duplicate value"},
	{"32 clients", edits{"spec.oauth.clients": many(32, func(i int) any { return provisioned(object{"clientID": fmt.Sprint("c", i)}) })}, ""},
	{"33 clients", edits{"spec.oauth.clients": many(33, func(i int) any { return provisioned(object{"clientID": fmt.Sprint("c", i)}) })}, "Too many"},
	clientRow("a name", object{"name": strings.Repeat("ä", 80)}, ""),
	clientRow("a long name", object{"name": strings.Repeat("ä", 81)}, "Too long"),
	clientRow("an empty name", object{"name": ""}, "should be at least 1 chars long"),

	redirectURI("https://a.example/cb?x=1", ""), redirectURI("http://localhost/cb", ""), redirectURI("http://127.0.0.1:3000/", ""), redirectURI("http://[::1]:1/cb", ""),
	redirectURI("cursor://a/cb", ""), redirectURI("com.example.app:/cb", ""), redirectURI("https://"+long(504), ""), redirectURI("https://"+long(505), "Too long"),
	redirectURI("", redirectForm), redirectURI("/cb", redirectForm), redirectURI("https://a.example/cb#x", redirectForm), redirectURI("https://*.example/cb", redirectForm),
	redirectURI("https://a@b.example/cb", redirectForm), redirectURI("https://a.example/ cb", redirectForm), redirectURI("HTTPS://a.example/cb", redirectForm),
	redirectURI("http://a.example/cb", redirectKind), redirectURI("http://localhost.evil.example/cb", redirectKind), redirectURI("javascript:alert(1)", redirectKind), redirectURI("data:text/html,x", redirectKind),
	clientRow("an empty list of redirect URIs", object{"redirectURIs": []any{}}, "should have at least 1 items"),
	clientRow("16 redirect URIs", object{"redirectURIs": many(16, texts("https://a%d.example/"))}, ""),
	clientRow("17 redirect URIs", object{"redirectURIs": many(17, texts("https://a%d.example/"))}, "Too many"),
	clientRow("a redirect URI twice", object{"redirectURIs": []any{"https://a.example/", "https://a.example/"}}, "Duplicate value"),
	clientRow("no redirect URI", object{"redirectURIs": nil}, needsRedirect),
	clientRow("no redirect URI, and a secret", object{"redirectURIs": nil, "clientSecretRef": secretRef, "grantTypes": []any{"ClientCredentials", "AuthorizationCode"}}, needsRedirect),

	clientRow("credentials of its own", object{"redirectURIs": nil, "clientSecretRef": secretRef, "grantTypes": []any{"ClientCredentials"}}, ""),
	clientRow("keys in a ConfigMap", object{"jwksRef": secretRef, "grantTypes": []any{"ClientCredentials"}}, ""),
	clientRow("keys at a URL", object{"jwksURL": "https://a.svc:8443/jwks?x", "grantTypes": []any{"ClientCredentials"}}, ""),
	clientRow("a secret and keys", object{"clientSecretRef": secretRef, "jwksRef": secretRef}, oneProof),
	clientRow("a secret and a URL of keys", object{"clientSecretRef": secretRef, "jwksURL": "https://a.example/"}, oneProof),
	clientRow("keys and a URL of keys", object{"jwksRef": secretRef, "jwksURL": "https://a.example/"}, oneProof),
	clientRow("credentials of its own, and no proof", object{"grantTypes": []any{"ClientCredentials"}}, provesNothing),
	clientRow("assertions, and no proof", object{"grantTypes": []any{"AuthorizationCode", "JWTBearer"}}, provesNothing),
	clientRow("keys at an http URL", object{"jwksURL": "http://a.example/"}, clientJWKS),
	clientRow("keys at a URL with a user", object{"jwksURL": "https://a@b.example/"}, clientJWKS),
	clientRow("keys at a URL with a fragment", object{"jwksURL": "https://b.example/#a"}, clientJWKS),
	clientRow("keys at a long URL", object{"jwksURL": "https://" + long(505)}, "Too long"),
	clientRow("no grant type", object{"grantTypes": []any{}}, "should have at least 1 items"),
	clientRow("an unknown grant type", object{"grantTypes": []any{"Password"}}, `supported values: "AuthorizationCode", "ClientCredentials", "JWTBearer"`),
	clientRow("a grant type twice", object{"grantTypes": []any{"AuthorizationCode", "AuthorizationCode"}}, "Duplicate value"),
	clientRow("four grant types", object{"grantTypes": []any{"AuthorizationCode", "ClientCredentials", "JWTBearer", "AuthorizationCode"}}, "Too many"),
	clientRow("assertions, and nobody to make them", object{"clientSecretRef": secretRef, "grantTypes": []any{"AuthorizationCode", "JWTBearer"}}, needsIssuer),
	clientRow("scopes", object{"scopes": many(32, clientScope)}, ""),
	clientRow("33 scopes", object{"scopes": many(33, clientScope)}, "Too many"),
	clientRow("an empty list of scopes", object{"scopes": []any{}}, "should have at least 1 items"),
	clientRow("a scope twice", object{"scopes": []any{"a", "a"}}, "Duplicate value"),
	clientRow("a long scope", object{"scopes": []any{long(65)}}, "Too long"),
}, inClient("clientSecretRef"), inClient("jwksRef"))

// inClient are the rows of a client's reference.
func inClient(name string) []row {
	var rows []row
	for _, r := range references(client + "." + name) {
		reference := r.edits[client+"."+name]
		rows = append(rows, row{r.name, edits{"spec.oauth.clients": []any{provisioned(object{name: reference})}}, r.refused})
	}
	return rows
}

const (
	issuerURLFalse = "oauth.identityAssertion.trustedIssuers[].issuerURL must be an https URL"
	issuerJWKS     = "oauth.identityAssertion.trustedIssuers[].jwksURL must be an https URL"
	issuerTwice    = "oauth.identityAssertion.trustedIssuers must each have an issuerURL"
)

func trusted(name, issuer, jwks any) object {
	i := object{"name": name, "issuerURL": issuer, "jwksURL": jwks}
	for k, v := range i {
		if v == nil {
			delete(i, k)
		}
	}
	return i
}

func issuerRow(name string, refused string, list ...any) row {
	return row{"trusted issuers: " + name, edits{"spec.oauth.identityAssertion": object{"trustedIssuers": append([]any{}, list...)}}, refused}
}

const idp, idpKeys = "https://idp.example.com/", "https://idp.example.com/jwks"

var issuerRows = slices.Concat([]row{
	{"a client that acts on an issuer's word", edits{
		"spec.oauth.clients":           []any{provisioned(object{"clientSecretRef": secretRef, "grantTypes": []any{"JWTBearer"}})},
		"spec.oauth.identityAssertion": object{"trustedIssuers": []any{trusted("a", idp, idpKeys)}},
	}, ""},
	{"trusted issuers: not set", edits{"spec.oauth.identityAssertion": object{}}, "trustedIssuers: Required value"},
	issuerRow("none", "should have at least 1 items"),
	issuerRow("the same name", "Duplicate value", trusted("a", idp, idpKeys), trusted("a", "https://b.example", idpKeys)),
	issuerRow("the same URL", issuerTwice, trusted("a", idp, idpKeys), trusted("b", idp, idpKeys)),
	issuerRow("eight", "", many(8, func(i int) any { return trusted(fmt.Sprint("i", i), fmt.Sprintf("https://i%d.example", i), idpKeys) })...),
	issuerRow("nine", "Too many", many(9, func(i int) any { return trusted(fmt.Sprint("i", i), fmt.Sprintf("https://i%d.example", i), idpKeys) })...),
	issuerRow("no name", "name: Required value", trusted(nil, idp, idpKeys)),
	issuerRow("a long name", "Too long", trusted(long(41), idp, idpKeys)),
	issuerRow("a name in upper case", "should match", trusted("A", idp, idpKeys)),
	issuerRow("no URL", "issuerURL: Required value", trusted("a", nil, idpKeys)),
	issuerRow("no keys", "jwksURL: Required value", trusted("a", idp, nil)),
	issuerRow("http", issuerURLFalse, trusted("a", "http://idp.example.com", idpKeys)),
	issuerRow("a query", issuerURLFalse, trusted("a", idp+"?a", idpKeys)),
	issuerRow("a long URL", "Too long", trusted("a", "https://"+long(249), idpKeys)),
	issuerRow("keys over http", issuerJWKS, trusted("a", idp, "http://idp.example.com")),
	issuerRow("keys at a fragment", issuerJWKS, trusted("a", idp, idpKeys+"#a")),
	issuerRow("keys at a long URL", "Too long", trusted("a", idp, "https://"+long(505))),
}, inIssuer())

// inIssuer are the rows of a trusted issuer's reference.
func inIssuer() []row {
	const field = "caBundleRef"
	var rows []row
	for _, r := range references(field) {
		i := trusted("a", idp, idpKeys)
		i[field] = r.edits[field]
		rows = append(rows, issuerRow(r.name, r.refused, i))
	}
	return rows
}

// references are the rows of a field that refers to a key of an object.
func references(field string) []row {
	ref := func(name, key any, refused string) row {
		reference := object{}
		if name != nil {
			reference["name"] = name
		}
		if key != nil {
			reference["key"] = key
		}
		return row{fmt.Sprintf("%s to %.9v of %.9v", field, key, name), edits{field: reference}, refused}
	}
	return []row{
		ref("weather.oidc", "client_secret.A-1", ""), ref(long(253), long(253), ""),
		ref(nil, "a", "name: Required value"), ref("a", nil, "key: Required value"),
		ref(long(254), "a", "Too long"), ref("a", long(254), "Too long"),
		ref("A", "a", "should match"), ref("a", "a/b", "should match"),
	}
}
