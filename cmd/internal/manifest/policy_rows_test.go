//go:build integration

package manifest_test

import (
	"fmt"
	"strings"
)

const (
	pathFalse    = "routes[].path must begin with a slash"
	pathTaken    = "routes[].path must not be one of the gateway's own paths"
	backendFalse = "routes[].backendPath must begin with a slash"
)

var routeRows = []row{
	{"no routes", edits{"spec.routes": nil}, "spec.routes: Required value"},
	{"an empty list of routes", edits{"spec.routes": []any{}}, "should have at least 1 items"},
	{"16 routes", edits{"spec.routes": many(16, route)}, ""},
	{"16 routes to backends of their own", edits{"spec.routes": many(16, ownedRoute)}, ""},
	{"17 routes", edits{"spec.routes": many(17, route)}, "Too many"},
	{"a name of a route twice", edits{"spec.routes": []any{object{"name": "a", "path": "/a"}, object{"name": "a", "path": "/b"}}}, "Duplicate value"},
	{"a path twice", edits{"spec.routes": []any{object{"name": "a", "path": "/a"}, object{"name": "b", "path": "/a"}}}, "routes[].path must be different in every route."},
	{"a route below another", edits{"spec.routes": []any{object{"name": "a", "path": "/a"}, object{"name": "b", "path": "/a/b"}}}, ""},
	{"no name of a route", edits{"spec.routes[0].name": nil}, "spec.routes[0].name: Required value"},
	{"a route name of 40 characters", edits{"spec.routes[0].name": long(40)}, ""},
	{"a route name of 41 characters", edits{"spec.routes[0].name": long(41)}, "Too long"},
	{"a route name in upper case", edits{"spec.routes[0].name": "MCP"}, "should match"},
	{"no path", edits{"spec.routes[0].path": nil}, "spec.routes[0].path: Required value"},
	path("/mcp", ""), path("/a/b.c_d~e-F0", ""), path("/tokens", ""), path("/Token", ""), path("/a/token", ""), path("/.well", ""), path("/..a/.b", ""),
	path("/"+long(127), ""), path("/"+long(128), "Too long"),
	path("/", ""), path("//", pathFalse), path("", pathFalse), path("mcp", pathFalse), path("/mcp/", pathFalse), path("/a//b", pathFalse), path("//a", pathFalse),
	path("/a/../b", pathFalse), path("/..", pathFalse), path("/./a", pathFalse), path("/a b", pathFalse), path("/a%2fb", pathFalse),
	path("/a?b", pathFalse), path("/a#b", pathFalse), path("/{a}", pathFalse), path("/a\n", pathFalse),
	path("/authorize", pathTaken), path("/consent", pathTaken), path("/callback", pathTaken), path("/callback/corp", pathTaken),
	path("/token", pathTaken), path("/register", pathTaken), path("/revoke", pathTaken), path("/.well-known", pathTaken),
	path("/.well-known/mcp", pathTaken),
	{"a known transport", edits{"spec.routes[0].transport": "StreamableHTTP"}, ""},
	{"an unknown transport", edits{"spec.routes[0].transport": "Carrier"}, `supported values: "StreamableHTTP"`},
	{"a known authentication", edits{"spec.routes[0].authentication": "Required"}, ""},
	{"an unknown authentication", edits{"spec.routes[0].authentication": "Maybe"}, `supported values: "Required", "None"`},
	{"pages for everybody", second(object{"path": "/", "transport": "HTTP", "authentication": "None"}), ""},
	{"pages for who has a token", second(object{"path": "/docs", "transport": "HTTP", "requiredScopes": []any{"weather:read"}}), ""},
	{"scopes without a token", second(object{"path": "/docs", "authentication": "None", "requiredScopes": []any{"weather:read"}}), "routes[].requiredScopes must be empty where"},
	{"no scopes, and no token", second(object{"path": "/docs", "authentication": "None", "requiredScopes": []any{}}), ""},
	{"a first route for everybody", edits{"spec.routes[0].authentication": "None", "spec.routes[0].requiredScopes": nil}, "routes must begin with one that serves MCP and needs a token"},
	{"a first route that is not MCP", edits{"spec.routes[0].transport": "HTTP"}, "routes must begin with one that serves MCP and needs a token"},
	backendPath("/", ""), backendPath("/v1/mcp/", ""), backendPath("/token", ""), backendPath("/..a/.b", ""), backendPath("/"+long(127), ""), backendPath("/"+long(128), "Too long"),
	backendPath("", backendFalse), backendPath("mcp", backendFalse), backendPath("/a//b", backendFalse), backendPath("/a/../b", backendFalse),
	backendPath("/a?b", backendFalse), backendPath("/a#b", backendFalse), backendPath("http://b/a", backendFalse),
	{"a required scope that is unknown", edits{"spec.routes[0].requiredScopes": []any{"weather:read", "weather:delete"}}, "routes[].requiredScopes must name scopes that are in oauth.scopes"},
	{"a required scope where there are no scopes", edits{"spec.oauth": nil}, "routes[].requiredScopes must name scopes that are in oauth.scopes"},
	{"a required scope twice", edits{"spec.routes[0].requiredScopes": []any{"weather:read", "weather:read"}}, "Duplicate value"},
	{"16 required scopes", edits{"spec.oauth.scopes": many(16, scope), "spec.routes[0].requiredScopes": many(16, texts("s%d"))}, ""},
	{"17 required scopes", edits{"spec.oauth.scopes": many(17, scope), "spec.routes[0].requiredScopes": many(17, texts("s%d"))}, "Too many"},
	{"a required scope of 65 characters", edits{"spec.routes[0].requiredScopes": []any{long(65)}}, "Too long"},
	{"unlisted tools denied", edits{"spec.routes[0].unlistedTools": "Deny"}, ""},
	{"unlisted tools denied on a public route", second(object{"path": "/docs", "authentication": "None", "unlistedTools": "Deny"}), "routes[].unlistedTools must not be Deny where"},
	{"unlisted tools denied on a route without MCP", second(object{"path": "/docs", "transport": "HTTP", "unlistedTools": "Deny"}), "routes[].unlistedTools must not be Deny where"},
	{"an unknown unlistedTools", edits{"spec.routes[0].unlistedTools": "Ask"}, `supported values: "Allow", "Deny"`},
}

func route(i int) any { return object{"name": fmt.Sprintf("r%d", i), "path": fmt.Sprintf("/r%d", i)} }

// second adds a route to the sample.
func second(r object) edits {
	r["name"] = "second"
	return edits{"spec.routes": []any{object{"name": "first", "path": "/first"}, r}}
}

// ownedRoute is one of many with a backend of its own.
func ownedRoute(i int) any {
	return object{"name": fmt.Sprintf("r%d", i), "path": fmt.Sprintf("/r%d", i), "mcpObject": object{"type": "Service", "service": object{"name": "own", "port": i}}}
}

func scope(i int) any { return object{"name": fmt.Sprintf("s%d", i)} }

func path(path, refused string) row {
	return row{fmt.Sprintf("path %q", path), edits{"spec.routes[0].path": path}, refused}
}

func backendPath(path, refused string) row {
	return row{"backendPath " + path, edits{"spec.routes[0].backendPath": path}, refused}
}

const (
	registration  = "spec.oauth.clientRegistration"
	documents     = "spec.oauth.clientIDMetadataDocuments"
	hostsFalse    = "oauth.clientIDMetadataDocuments.allowedHosts must be hosts"
	deniedFalse   = "oauth.clientIDMetadataDocuments.deniedCIDRs must be CIDRs"
	allowedFalse  = "oauth.clientIDMetadataDocuments.allowedCIDRs must be CIDRs"
	scopeFalse    = "oauth.scopes[].name must be visible ASCII characters"
	scopeReserved = "oauth.scopes[].name must not be offline_access"
)

var oauthRows = []row{
	{"registration off", edits{registration + ".policy": "Disabled"}, ""},
	{"an unknown policy", edits{registration + ".policy": "Sometimes"}, `supported values: "Enabled", "Disabled"`},
	{"no public clients", edits{registration + ".publicClients": "Deny"}, ""},
	{"an unknown permission", edits{registration + ".publicClients": "Maybe"}, `supported values: "Allow", "Deny"`},
	{"the shortest ttlSeconds", edits{registration + ".ttlSeconds": 172800}, ""},
	{"ttlSeconds too short", edits{registration + ".ttlSeconds": 172799}, "should be greater than or equal to 172800"},
	{"the longest ttlSeconds", edits{registration + ".ttlSeconds": 31536000, registration + ".unusedTTLSeconds": 31536000}, ""},
	{"ttlSeconds too long", edits{registration + ".ttlSeconds": 31536001}, "should be less than or equal to 31536000"},
	{"the shortest unusedTTLSeconds", edits{registration + ".unusedTTLSeconds": 1800}, ""},
	{"unusedTTLSeconds too short", edits{registration + ".unusedTTLSeconds": 1799}, "should be greater than or equal to 1800"},
	{"unusedTTLSeconds too long", edits{registration + ".unusedTTLSeconds": 31536001}, "should be less than or equal to 31536000"},
	{"unusedTTLSeconds above ttlSeconds", edits{registration + ".unusedTTLSeconds": 200001, registration + ".ttlSeconds": 200000}, "oauth.clientRegistration.unusedTTLSeconds must not be greater than ttlSeconds"},
	{"unusedTTLSeconds above the default ttlSeconds", edits{registration + ".unusedTTLSeconds": 7776001}, "oauth.clientRegistration.unusedTTLSeconds must not be greater than ttlSeconds"},
	{"documents off", edits{documents + ".policy": "Disabled"}, ""},
	{"an unknown policy of documents", edits{documents + ".policy": "Sometimes"}, `supported values: "Enabled", "Disabled"`},
	hosts("claude.ai", ""), hosts("*.example.com", ""), hosts("clients.tools.svc.cluster.local:8443", ""), hosts("localhost", ""),
	hosts("10.0.0.1", ""), hosts("[fd00::1]", ""), hosts("[fd00::1]:8443", ""), hosts("xn--bcher-kva.example", ""),
	hosts(long(256), ""), hosts(long(257), "Too long"),
	hosts("", hostsFalse), hosts("https://claude.ai", hostsFalse), hosts("claude.ai/a", hostsFalse), hosts("Claude.ai", hostsFalse), hosts("*", hostsFalse),
	hosts("a.*.example.com", hostsFalse), hosts("a..b", hostsFalse), hosts("claude.ai.", hostsFalse), hosts("claude.ai:0", hostsFalse), hosts("a@claude.ai", hostsFalse),
	hosts("fd00::1", hostsFalse), hosts("[fd00::1::2]", hostsFalse), hosts("[claude.ai]", hostsFalse),
	{"64 allowed hosts", edits{documents + ".allowedHosts": many(64, texts("a%d.example.com"))}, ""},
	{"65 allowed hosts", edits{documents + ".allowedHosts": many(65, texts("a%d.example.com"))}, "Too many"},
	{"an allowed host twice", edits{documents + ".allowedHosts": []any{"claude.ai", "claude.ai"}}, "Duplicate value"},
	{"a denied and an allowed CIDR", edits{documents + ".deniedCIDRs": []any{"198.51.100.0/24"}, documents + ".allowedCIDRs": []any{"fd00::/8"}}, ""},
	{"a denied address", edits{documents + ".deniedCIDRs": []any{"10.0.0.1"}}, deniedFalse},
	{"an allowed address", edits{documents + ".allowedCIDRs": []any{"10.0.0.1"}}, allowedFalse},
	{"a denied CIDR of 44 characters", edits{documents + ".deniedCIDRs": []any{"10.0.0.0/8" + strings.Repeat(" ", 34)}}, "Too long"},
	{"an allowed CIDR of 44 characters", edits{documents + ".allowedCIDRs": []any{"10.0.0.0/8" + strings.Repeat(" ", 34)}}, "Too long"},
	{"33 denied CIDRs", edits{documents + ".deniedCIDRs": many(33, texts("10.0.0.%d/32"))}, "Too many"},
	{"33 allowed CIDRs", edits{documents + ".allowedCIDRs": many(33, texts("10.0.0.%d/32"))}, "Too many"},
	{"a denied CIDR twice", edits{documents + ".deniedCIDRs": []any{"10.0.0.0/8", "10.0.0.0/8"}}, "Duplicate value"},
	{"an allowed CIDR twice", edits{documents + ".allowedCIDRs": []any{"10.0.0.0/8", "10.0.0.0/8"}}, "Duplicate value"},
	{"a CA bundle for documents", edits{documents + ".caBundleRef": object{"name": "clients-ca", "key": "ca.crt"}}, ""},
	{"a CA bundle for documents without a name", edits{documents + ".caBundleRef": object{"key": "a"}}, "caBundleRef.name: Required value"},
	{"a CA bundle for documents without a key", edits{documents + ".caBundleRef": object{"name": "a"}}, "caBundleRef.key: Required value"},
	{"a CA bundle for documents with a long name", edits{documents + ".caBundleRef": object{"name": long(254), "key": "a"}}, "Too long"},
	{"a CA bundle for documents with a long key", edits{documents + ".caBundleRef": object{"name": "a", "key": long(254)}}, "Too long"},
	{"a CA bundle for documents with an empty name", edits{documents + ".caBundleRef": object{"name": "", "key": "a"}}, "should match"},
	{"a CA bundle for documents with an empty key", edits{documents + ".caBundleRef": object{"name": "a", "key": ""}}, "should match"},
	{"the shortest lives of tokens", edits{"spec.oauth.accessTokenTTLSeconds": 60, "spec.oauth.refreshTokenTTLSeconds": 60}, ""},
	{"the longest lives of tokens", edits{"spec.oauth.accessTokenTTLSeconds": 86400, "spec.oauth.refreshTokenTTLSeconds": 31536000}, ""},
	{"accessTokenTTLSeconds too short", edits{"spec.oauth.accessTokenTTLSeconds": 59}, "should be greater than or equal to 60"},
	{"accessTokenTTLSeconds too long", edits{"spec.oauth.accessTokenTTLSeconds": 86401}, "should be less than or equal to 86400"},
	{"refreshTokenTTLSeconds too short", edits{"spec.oauth.refreshTokenTTLSeconds": 59}, "should be greater than or equal to 60"},
	{"refreshTokenTTLSeconds too long", edits{"spec.oauth.refreshTokenTTLSeconds": 31536001}, "should be less than or equal to 31536000"},
	{"access tokens that outlive the grant", edits{"spec.oauth.accessTokenTTLSeconds": 61, "spec.oauth.refreshTokenTTLSeconds": 60}, "oauth.accessTokenTTLSeconds must not be greater than oauth.refreshTokenTTLSeconds"},
	{"a grant shorter than the default access token", edits{"spec.oauth.refreshTokenTTLSeconds": 3599}, "oauth.accessTokenTTLSeconds must not be greater than oauth.refreshTokenTTLSeconds"},
	{"no tolerance of outages", edits{"spec.oauth.outageToleranceSeconds": 0}, ""},
	{"the most tolerance of outages", edits{"spec.oauth.outageToleranceSeconds": 86400}, ""},
	{"outageToleranceSeconds too low", edits{"spec.oauth.outageToleranceSeconds": -1}, "should be greater than or equal to 0"},
	{"outageToleranceSeconds too high", edits{"spec.oauth.outageToleranceSeconds": 86401}, "should be less than or equal to 86400"},
	{"the shortest life of a newest key", edits{"spec.oauth.keys": object{"rotationPeriodSeconds": 86400}}, ""},
	{"the longest life of a newest key", edits{"spec.oauth.keys": object{"rotationPeriodSeconds": 31536000}}, ""},
	{"rotationPeriodSeconds too short", edits{"spec.oauth.keys": object{"rotationPeriodSeconds": 86399}}, "should be greater than or equal to 86400"},
	{"rotationPeriodSeconds too long", edits{"spec.oauth.keys": object{"rotationPeriodSeconds": 31536001}}, "should be less than or equal to 31536000"},
	{"32 scopes", edits{"spec.oauth.scopes": many(32, scope), "spec.routes[0].requiredScopes": nil}, ""},
	{"33 scopes", edits{"spec.oauth.scopes": many(33, scope)}, "Too many"},
	{"a scope twice", edits{"spec.oauth.scopes": []any{object{"name": "weather:read"}, object{"name": "weather:read"}}}, "Duplicate value"},
	{"no name of a scope", edits{"spec.oauth.scopes[1].name": nil}, "spec.oauth.scopes[1].name: Required value"},
	scopeName("!#$~[]", ""), scopeName("https://example.com/read", ""), scopeName(long(64), ""), scopeName(long(65), "Too long"),
	scopeName("", scopeFalse), scopeName("a b", scopeFalse), scopeName(`a"b`, scopeFalse), scopeName(`a\b`, scopeFalse), scopeName("ä", scopeFalse),
	scopeName("a\n", scopeFalse), scopeName("offline_access", scopeReserved),
	{"a description of 200 characters", edits{"spec.oauth.scopes[1].description": strings.Repeat("ä", 200)}, ""},
	{"a description of 201 characters", edits{"spec.oauth.scopes[1].description": strings.Repeat("ä", 201)}, "Too long"},
	{"an empty description", edits{"spec.oauth.scopes[1].description": ""}, "should be at least 1 chars long"},
}

func hosts(host, refused string) row {
	return row{"allowed host " + host, edits{documents + ".allowedHosts": []any{host}}, refused}
}

func scopeName(name, refused string) row {
	return row{fmt.Sprintf("scope %q", name), edits{"spec.oauth.scopes[1].name": name}, refused}
}

const (
	oidc           = "spec.upstreams[0].oidc"
	issuerFalse    = "upstreams[].oidc.issuerURL must be an absolute URL"
	issuerHTTPS    = "upstreams[].oidc.issuerURL must be https"
	upstreamScopes = "scopes must be visible ASCII characters"
	google         = "https://accounts.google.com"
)

var upstreamRows = []row{
	{"no upstreams", edits{"spec.upstreams": nil}, "spec.upstreams: Required value"},
	{"an empty list of upstreams", edits{"spec.upstreams": []any{}}, "should have at least 1 items"},
	{"the same upstream twice", edits{"spec.upstreams": []any{upstream(1), upstream(1)}}, "Duplicate value"},
	{"no name of an upstream", edits{"spec.upstreams[0].name": nil}, "spec.upstreams[0].name: Required value"},
	{"an upstream name of 40 characters", edits{"spec.upstreams[0].name": long(40)}, ""},
	{"an upstream name of 41 characters", edits{"spec.upstreams[0].name": long(41)}, "Too long"},
	{"an upstream name with a slash", edits{"spec.upstreams[0].name": "a/b"}, "should match"},
	{"no type of an upstream", edits{"spec.upstreams[0].type": nil}, "spec.upstreams[0].type: Required value"},
	{"an unknown type of an upstream", edits{"spec.upstreams[0].type": "SAML"}, `supported values: "OIDC", "GitHub"`},
	{"no oidc for type OIDC", edits{oidc: nil}, oneMember},
	{"no issuerURL", edits{oidc + ".issuerURL": nil}, oidc + ".issuerURL: Required value"},
	issuer("https://idp.example.com/realms/a", ""), issuer("https://idp.example.com/", ""), issuer("https://idp.example.com:8443", ""),
	issuer("http://localhost:5556/dex", ""), issuer("http://127.0.0.1:5556", ""), issuer("http://[::1]:5556", ""),
	issuer("https://idp.example.com/"+long(256-24), ""), issuer("https://idp.example.com/"+long(257-24), "Too long"),
	issuer("", issuerFalse), issuer("idp.example.com", issuerFalse), issuer("/realms/a", issuerFalse), issuer("https://idp.example.com?a", issuerFalse),
	issuer("https://idp.example.com/#a", issuerFalse), issuer("https://a:b@idp.example.com", issuerFalse),
	issuer("http://idp.example.com", issuerHTTPS), issuer("http://localhost.example.com", issuerHTTPS), issuer("HTTPS://idp.example.com", issuerHTTPS), issuer("ftp://idp.example.com", issuerHTTPS),
	{"no clientID", edits{oidc + ".clientID": nil}, oidc + ".clientID: Required value"},
	{"an empty clientID", edits{oidc + ".clientID": ""}, "should be at least 1 chars long"},
	{"a clientID of 256 characters", edits{oidc + ".clientID": long(256)}, ""},
	{"a clientID of 257 characters", edits{oidc + ".clientID": long(257)}, "Too long"},
	reference("clientSecretRef", "weather.oidc", "client_secret.A-1", ""),
	reference("clientSecretRef", nil, "a", "clientSecretRef.name: Required value"),
	reference("clientSecretRef", "a", nil, "clientSecretRef.key: Required value"),
	reference("clientSecretRef", long(253), long(253), ""),
	reference("clientSecretRef", long(254), "a", "Too long"),
	reference("clientSecretRef", "a", long(254), "Too long"),
	reference("clientSecretRef", "A", "a", "should match"),
	reference("clientSecretRef", "a", "a/b", "should match"),
	reference("caBundleRef", "corp-ca", "ca.crt", ""),
	reference("caBundleRef", nil, "a", "caBundleRef.name: Required value"),
	reference("caBundleRef", "a", nil, "caBundleRef.key: Required value"),
	reference("caBundleRef", long(254), "a", "Too long"),
	reference("caBundleRef", "a", long(254), "Too long"),
	reference("caBundleRef", "", "a", "should match"),
	reference("caBundleRef", "a", "", "should match"),
	{"16 scopes of the upstream", edits{oidc + ".scopes": many(16, texts("s%d"))}, ""},
	{"17 scopes of the upstream", edits{oidc + ".scopes": many(17, texts("s%d"))}, "Too many"},
	{"a scope of the upstream twice", edits{oidc + ".scopes": []any{"email", "email"}}, "Duplicate value"},
	{"a scope of the upstream of 256 characters", edits{oidc + ".scopes": []any{long(256)}}, ""},
	{"a scope of the upstream of 257 characters", edits{oidc + ".scopes": []any{long(257)}}, "Too long"},
	{"two scopes of the upstream in one", edits{oidc + ".scopes": []any{"email profile"}}, upstreamScopes},
	{"an empty scope of the upstream", edits{oidc + ".scopes": []any{""}}, upstreamScopes},
	{"openid", edits{oidc + ".scopes": []any{"openid", "email"}}, "scopes must not name openid"},

	{"access for an upstream of everybody", edits{oidc + ".issuerURL": google}, ""},
	{"no access for an upstream of everybody", edits{oidc + ".issuerURL": google, "spec.access": nil}, accessUnset},
	{"access without rules", edits{"spec.access": object{}}, "spec.access.rules: Required value"},
	{"access with an empty list of rules", edits{"spec.access.rules": []any{}}, "should have at least 1 items"},
	{"32 rules", edits{"spec.access.rules": many(32, rule)}, ""},
	{"33 rules", edits{"spec.access.rules": many(33, rule)}, "Too many"},
	{"a rule twice", edits{"spec.access.rules": []any{rule(1), rule(1)}}, "Duplicate value"},
	{"no name of a rule", edits{"spec.access.rules[0].name": nil}, "spec.access.rules[0].name: Required value"},
	{"a rule name of 40 characters", edits{"spec.access.rules[0].name": long(40)}, ""},
	{"a rule name of 41 characters", edits{"spec.access.rules[0].name": long(41)}, "Too long"},
	{"a rule name with a space", edits{"spec.access.rules[0].name": "the staff"}, "should match"},
	{"no expression", edits{"spec.access.rules[0].expression": nil}, "spec.access.rules[0].expression: Required value"},
	{"an empty expression", edits{"spec.access.rules[0].expression": ""}, "should be at least 1 chars long"},
	{"an expression of 1024 characters", edits{"spec.access.rules[0].expression": long(1024)}, ""},
	{"an expression of 1025 characters", edits{"spec.access.rules[0].expression": long(1025)}, "Too long"},
}

func upstream(i int) any {
	return object{"name": fmt.Sprintf("u%d", i), "type": "OIDC", "oidc": object{"issuerURL": "https://idp.example.com", "clientID": "a"}}
}

func rule(i int) any { return object{"name": fmt.Sprintf("r%d", i), "expression": "true"} }

func issuer(url, refused string) row {
	return row{"issuerURL " + url, edits{oidc + ".issuerURL": url}, refused}
}

func reference(field string, name, key any, refused string) row {
	ref := object{}
	if name != nil {
		ref["name"] = name
	}
	if key != nil {
		ref["key"] = key
	}
	return row{fmt.Sprintf("%s %v", field, ref), edits{oidc + "." + field: ref}, refused}
}

const (
	proxiesFalse = "gateway.trustedProxies must be CIDRs"
	tracingFalse = "gateway.tracing.endpoint must be scheme, host and port"
	originsFalse = "gateway.allowedOrigins must be origins as browsers send them"
)

var gatewayRows = []row{
	{"32 replicas", edits{"spec.gateway.replicas": 32}, ""},
	{"33 replicas", edits{"spec.gateway.replicas": 33}, "should be less than or equal to 32"},
	{"streamKeepAliveSeconds below 5", edits{"spec.gateway.streamKeepAliveSeconds": 4}, "should be greater than or equal to 5"},
	{"streamKeepAliveSeconds of 600", edits{"spec.gateway.streamKeepAliveSeconds": 600}, ""},
	{"streamKeepAliveSeconds above 600", edits{"spec.gateway.streamKeepAliveSeconds": 601}, "should be less than or equal to 600"},
	{"no replicas", edits{"spec.gateway.replicas": 0}, "should be greater than or equal to 1"},
	proxies("10.0.0.0/8", ""), proxies("192.0.2.1/32", ""), proxies("2001:db8::/32", ""),
	proxies("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128", ""),
	proxies("10.0.0.1", proxiesFalse), proxies("", proxiesFalse), proxies("10.0.0.0/33", proxiesFalse), proxies("proxy.example.com/8", proxiesFalse),
	proxies("10.0.0.0/8"+strings.Repeat(" ", 34), "Too long"),
	{"no metrics", edits{"spec.gateway.metrics": "Disabled"}, ""},
	{"metrics of another kind", edits{"spec.gateway.metrics": "OTLP"}, `supported values: "Enabled", "Disabled"`},
	{"objects that outlive the MCPServer", edits{"spec.deletionPolicy": "Retain"}, ""},
	{"an unknown deletion policy", edits{"spec.deletionPolicy": "Orphan"}, `supported values: "Delete", "Retain"`},
	{"profiles", edits{"spec.gateway.profiling": "Enabled"}, ""},
	{"profiling on a port", edits{"spec.gateway.profiling": ":6060"}, `supported values: "Enabled", "Disabled"`},
	{"no endpoint of tracing", edits{"spec.gateway.tracing": object{}}, "spec.gateway.tracing.endpoint: Required value"},
	tracing("http://otel-collector.observability.svc:4318", ""),
	tracing("https://[fd00::1]", ""),
	tracing("http://"+long(249), ""),
	tracing("http://"+long(250), "Too long"),
	tracing("otel-collector:4318", tracingFalse),
	tracing("grpc://otel-collector:4317", tracingFalse),
	tracing("http://otel-collector:4318/", tracingFalse),
	tracing("http://alice@otel-collector", tracingFalse),
	{"no sample", edits{"spec.gateway.tracing": object{"endpoint": "http://a", "samplePercent": 0}}, "should be greater than or equal to 1"},
	{"all samples", edits{"spec.gateway.tracing": object{"endpoint": "http://a", "samplePercent": 100}}, ""},
	{"more than all samples", edits{"spec.gateway.tracing": object{"endpoint": "http://a", "samplePercent": 101}}, "should be less than or equal to 100"},
	{"TLS", edits{"spec.gateway.tls": object{"secretRef": object{"name": "weather-tls"}}}, ""},
	{"TLS without a Secret", edits{"spec.gateway.tls": object{}}, "spec.gateway.tls.secretRef: Required value"},
	{"TLS with a Secret that has no name", edits{"spec.gateway.tls": object{"secretRef": object{}}}, "spec.gateway.tls.secretRef.name: Required value"},
	{"TLS with a name in upper case", edits{"spec.gateway.tls": object{"secretRef": object{"name": "A"}}}, "should match"},
	{"TLS with a long name", edits{"spec.gateway.tls": object{"secretRef": object{"name": long(254)}}}, "Too long"},
	{"32 trusted proxies", edits{"spec.gateway.trustedProxies": many(32, texts("10.0.0.%d/32"))}, ""},
	{"33 trusted proxies", edits{"spec.gateway.trustedProxies": many(33, texts("10.0.0.%d/32"))}, "Too many"},
	{"a trusted proxy twice", edits{"spec.gateway.trustedProxies": []any{"10.0.0.0/8", "10.0.0.0/8"}}, "Duplicate value"},
	origins("https://app.example.com", ""), origins("http://localhost:8080", ""), origins("https://a:4430", ""), origins("https://[2001:db8::1]:8443", ""),
	origins("https://"+long(248), ""), origins("https://"+long(249), "Too long"),
	origins("*", originsFalse), origins("https://*.example.com", originsFalse), origins("null", originsFalse), origins("", originsFalse),
	origins("app.example.com", originsFalse), origins("https://app.example.com/", originsFalse), origins("https://app.example.com/a", originsFalse),
	origins("https://App.example.com", originsFalse), origins("https://app.example.com:443", originsFalse), origins("http://localhost:80", originsFalse),
	origins("https://a@app.example.com", originsFalse), origins("file://a", originsFalse),
	{"32 allowed origins", edits{"spec.gateway.allowedOrigins": many(32, texts("https://a%d.example.com"))}, ""},
	{"33 allowed origins", edits{"spec.gateway.allowedOrigins": many(33, texts("https://a%d.example.com"))}, "Too many"},
	{"an allowed origin twice", edits{"spec.gateway.allowedOrigins": []any{"https://a", "https://a"}}, "Duplicate value"},
}

func proxies(cidr, refused string) row {
	return row{"trusted proxy " + cidr, edits{"spec.gateway.trustedProxies": []any{cidr}}, refused}
}

func origins(origin, refused string) row {
	return row{"allowed origin " + origin, edits{"spec.gateway.allowedOrigins": []any{origin}}, refused}
}

func tracing(endpoint, refused string) row {
	return row{"traces to " + endpoint, edits{"spec.gateway.tracing": object{"endpoint": endpoint}}, refused}
}
