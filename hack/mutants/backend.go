package main

// What the backend sees of a client, and the client of the backend.
var backendMutants = []mutant{
	{
		name: "token-to-backend",
		rule: "no access token reaches the backend",
		edit: without(`"Authorization"`),
		pkg:  "gateway", run: "TestWhatTheBackendSees",
	},
	{
		name: "cookie-to-backend",
		rule: "no cookie reaches the backend",
		edit: without(`"Cookie"`),
		pkg:  "gateway", run: "TestWhatTheBackendSees",
	},
	{
		name: "identity-claimed",
		rule: "a client cannot write a header in the gateway's name",
		edit: without(`HasPrefix(plain, "X-Vestibule-")`),
		pkg:  "gateway", run: "TestWhatTheBackendSees",
	},
	{
		name: "identity-of-other-front-doors",
		rule: "a client cannot write the headers in which other front doors say who the user is",
		edit: never,
		pkg:  "gateway/internal/proxy", run: "TestAttackHeadersOfOtherFrontDoors",
	},
	{
		name: "method-overridden",
		rule: "the backend is told no other method than the request has",
		edit: never,
		pkg:  "gateway/internal/proxy", run: "TestAttackHeadersOfOtherFrontDoors",
	},
	{
		name: "method-that-echoes",
		rule: "no method has the backend repeat what the gateway told it",
		edit: never,
		pkg:  "gateway/internal/proxy", run: "TestAttackMethodsThatEcho",
	},
	{
		name: "underscore-for-hyphen",
		rule: "a header that frameworks cannot tell from one of ours is one of ours",
		edit: replace("http.CanonicalHeaderKey(string(plain))", "name"),
		pkg:  "gateway", run: "TestWhatTheBackendSees",
	},
	{
		name: "clients-word-for-address",
		rule: "the backend reads the sender's address in the gateway's words",
		edit: replace("h.Sources.Of(p.In).String()", `p.In.Header.Get("X-Forwarded-For")`),
		pkg:  "gateway", run: "TestWhatTheBackendSees|TestTheSenderBehindAProxy",
	},
	{
		name: "clients-host-to-backend",
		rule: "the backend is called by its own name",
		edit: replace("h.Backend.Host", "p.In.Host"),
		pkg:  "gateway", run: "TestWhatTheBackendSees",
	},
	{
		name: "backend-401",
		rule: "a backend's 401 does not reach the client, which would log in again and again",
		edit: never,
		pkg:  "gateway", run: "TestBackendsThatDoNotAnswer",
	},
	{
		name: "cookie-of-backend",
		rule: "the backend sets no cookie on the authorization server's host",
		edit: without(`"Set-Cookie"`),
		pkg:  "gateway", run: "TestWhatTheClientSees",
	},
	{
		name: "cors-of-backend",
		rule: "which origins may read an answer is the gateway's to say",
		edit: without("strings.HasPrefix"),
		pkg:  "gateway", run: "TestWhatTheClientSees",
	},
	{
		name: "early-hint-of-backend",
		rule: "an interim response has no header that an answer cannot have",
		edit: never,
		pkg:  "gateway/internal/proxy", run: "TestAttackHeadersBesideTheAnswer",
	},
	{
		name: "trailer-of-backend",
		rule: "a trailer has no name that a header of an answer cannot have",
		edit: remove,
		pkg:  "gateway/internal/proxy", run: "TestAttackHeadersBesideTheAnswer",
	},
	{
		name: "request-of-any-size",
		rule: "a body is passed on up to a limit, whether it says its length or not",
		edit: remove,
		pkg:  "gateway", run: "TestBodiesOverTheLimit",
	},
}
