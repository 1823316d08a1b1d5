package main

// Routes with backends of their own, and those that need no token.
var openRouteMutants = []mutant{
	{
		name: "backend-of-another-route",
		rule: "what is for one backend never reaches another",
		edit: never,
		pkg:  "gateway", run: "TestTwoBackends",
	},
	{
		name: "any-certificate",
		rule: "nothing is sent to who cannot prove to be the backend",
		edit: replace("ServerName:", "InsecureSkipVerify: true, ServerName:"),
		pkg:  "gateway", run: "TestACertificateOfTheBackend",
	},
	{
		name: "certificate-of-an-address",
		rule: "a pod's certificate is for the backend's name, not for the address that is called",
		edit: replace("u.Hostname()", `""`),
		pkg:  "gateway", run: "TestACertificateOfTheBackend",
	},
	{
		name: "public-token-in-query",
		rule: "no token reaches the backend in the query, also where none is asked for",
		edit: replace("tokenInQuery(r)", "nil"),
		pkg:  "gateway", run: "TestAttackSpoofingOnAPublicRoute",
	},
	{
		name: "page-in-our-origin",
		rule: "a page of the backend has no say in the authorization server's origin",
		edit: remove,
		pkg:  "gateway", run: "TestAttackPageOfTheBackend",
	},
	{
		name: "header-for-the-origin",
		rule: "no header of the backend's speaks for the authorization server's origin",
		edit: without("ofOrigin"),
		pkg:  "gateway", run: "TestAttackPageOfTheBackend",
	},
	{
		name: "ambiguous-path",
		rule: "a path that servers read in several ways does not go on",
		edit: without("h.Plain && ambiguous"),
		pkg:  "gateway", run: "TestAttackPathsOutOfAPublicRoute",
	},
	{
		name: "own-path-shadowed",
		rule: "a route at / has nothing that is the gateway's own",
		edit: without("config.IsOwnPath"),
		pkg:  "gateway", run: "TestAttackShadowedPaths",
	},
	{
		name: "public-resource",
		rule: "no token can be for a route that needs none",
		edit: always,
		pkg:  "gateway", run: "TestAPublicRoute",
	},
	{
		name: "route-exposed",
		rule: "a route does not lead past what guards another",
		edit: replace("other.Public || !r.Public &&", "around ||"),
		pkg:  "gateway/config", run: "TestARouteThatCannotWorkIsNamed",
	},
	{
		name: "route-exposed-in-capitals",
		rule: "nor to the same path in other capitals, which many servers cannot tell apart",
		edit: replace("strings.ToLower(strings.TrimSuffix(path, \"/\"))", "strings.TrimSuffix(path, \"/\")"),
		pkg:  "gateway/config", run: "TestARouteThatCannotWorkIsNamed",
	},
	{
		name: "quiet-stream-in-http2",
		rule: "a stream that says nothing is not cut off, whatever it is sent over",
		edit: never,
		pkg:  "gateway/internal/proxy", run: "TestAQuietStreamInHTTP2IsNotCutOff",
	},
	{
		name: "tools-for-everybody",
		rule: "what scopes name is shut where nobody has any",
		edit: replace("len(missing) > 0 && h.Public", `h.Public:
	case false`),
		pkg: "gateway", run: "TestToolsOnAPublicRoute",
	},
	{
		name: "session-on-a-page",
		rule: "a session id goes to the route alone that it is of",
		edit: remove,
		pkg:  "gateway", run: "TestSessionsOfNobody",
	},
	{
		name: "public-url-for-any-resource",
		rule: "where a route is the public URL, it stands for no other",
		edit: replace("p.anyResource()", "cfg.PublicURL"),
		pkg:  "gateway", run: "TestTheRouteOfThePublicURL",
	},
}
