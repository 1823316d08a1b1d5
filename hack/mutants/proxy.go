package main

// Who gets through to a protected route.
var routeMutants = []mutant{
	{
		name: "scope-not-enforced",
		rule: "a token reaches a route only with the scopes that the route needs",
		edit: never,
		pkg:  "gateway", run: "TestTooSmallAScope",
	},
	{
		name: "scopes-held-unsaid",
		rule: "who is asked for more scopes is reminded of those it has, since some clients replace one by the other",
		edit: replace(".With(who.Scopes)", ""),
		pkg:  "gateway", run: "TestTooSmallAScope",
	},
	{
		name: "method-before-token",
		rule: "who has no token learns where to get one, whatever the method",
		edit: first(`if !strings.Contains(methods, r.Method) {
			writeRPCError(w, http.StatusMethodNotAllowed, "no such method")
			return
		}`),
		pkg: "gateway", run: "TestWhoIsNotLetThrough",
	},
	{
		name: "path-before-token",
		rule: "who has no token does not learn what is at a path",
		edit: first(`if r.URL.Path != h.path {
			writeRPCError(w, http.StatusNotFound, "there is nothing at this path")
			return
		}`),
		pkg: "gateway", run: "TestWhoIsNotLetThrough",
	},
	{
		name: "challenge-missing",
		rule: "a request without a token gets a challenge",
		edit: remove,
		pkg:  "gateway", run: "TestWhoIsNotLetThrough",
	},
	{
		name: "token-in-query",
		rule: "a token in the URL, which is logged and goes on to the backend, is refused",
		edit: never,
		pkg:  "gateway", run: "TestWhoIsNotLetThrough",
	},
	{
		name: "any-host",
		rule: "a request names this server's host, or a page has rebound its own",
		edit: never,
		pkg:  "gateway", run: "TestAttackDNSRebinding",
	},
	{
		name: "session-of-another-user",
		rule: "a session is its user's alone",
		edit: replace(" || s.Issuer != c.who.Issuer || s.Subject != c.who.Subject", ""),
		pkg:  "gateway", run: "TestAttackStolenSession",
	},
	{
		name: "session-of-another-route",
		rule: "a session is good on its own route alone",
		edit: without("s.Route"),
		pkg:  "gateway", run: "TestAttackStolenSession",
	},
	{
		name: "session-unsealed",
		rule: "a client never sees the backend's own session id",
		edit: instead("_ = sealed"),
		pkg:  "gateway", run: "TestAttackStolenSession",
	},
	{
		name: "path-read-twice",
		rule: "a path with dot segments or empty ones is refused, and not interpreted",
		edit: never,
		pkg:  "gateway", run: "TestAttackPathConfusion",
	},
	{
		name: "pages-to-scripts",
		rule: "what is meant for a person answers its one method, and no preflight",
		edit: replace("r.Method != method", "r.Method != method && r.Method != http.MethodOptions"),
		pkg:  "gateway", run: "TestNoScriptMayUseThePages",
	},
	{
		name: "route-from-any-origin",
		rule: "a page of an origin that was not let in does not reach a route",
		edit: never,
		pkg:  "gateway", run: "TestAttackDNSRebinding",
	},
	{
		name: "streams-end-at-once",
		rule: "the streams of a gateway that stops end one by one, so their clients come back one by one",
		edit: replace("<=", ">"),
		pkg:  "gateway", run: "TestStreamsEndOneByOne",
	},
	{
		name: "clients-kept-to-the-end",
		rule: "clients leave a gateway that stops with an answer, before it closes their connections",
		edit: remove,
		pkg:  "gateway", run: "TestReadiness",
	},
	{
		name: "stuck-reader-kept",
		rule: "a client that does not read what it is sent is cut off",
		edit: replace("a.control.SetWriteDeadline(until)", "until"),
		pkg:  "gateway/internal/proxy", run: "TestAClientThatDoesNotReadIsCutOff",
	},
	{
		name: "comment-within-an-event",
		rule: "comments stand between events only",
		edit: without("e.between"),
		pkg:  "gateway/internal/proxy", run: "TestAQuietStreamHasComments",
	},
	{
		name: "comment-in-a-compressed-stream",
		rule: "nothing is inserted into a compressed stream",
		edit: never,
		pkg:  "gateway/internal/proxy", run: "TestACompressedStreamIsLeftAlone",
	},
	{
		name: "session-beside-a-message",
		rule: "a message of the older transport brings no session id of the client's choice",
		edit: remove,
		pkg:  "gateway/internal/proxy", run: "TestAttackSessionBesideAMessage",
	},
	{
		name: "session-at-any-pod",
		rule: "a session stays with its pod",
		edit: replace("c.pod", "(*pods.Pod)(nil)"),
		pkg:  "gateway", run: "TestASessionStaysWithItsPod",
	},
	{
		name: "session-of-a-lost-pod",
		rule: "a session ends with its pod, whoever has its address then",
		edit: never,
		pkg:  "gateway", run: "TestASessionStaysWithItsPod",
	},
	{
		name: "sent-twice",
		rule: "another pod is tried only if nothing was sent to the first",
		edit: without("notSent"),
		pkg:  "gateway", run: "TestWhatWasSentIsNotSentAgain",
	},
	{
		name: "messages-elsewhere",
		rule: "a stream of the older transport does not lead to another host",
		edit: never,
		pkg:  "gateway", run: "TestStreamsThatLeadElsewhere",
	},
	{
		name: "messages-by-an-unclean-path",
		rule: "a stream of the older transport does not lead to a host that is written in a path",
		edit: never,
		pkg:  "gateway/internal/proxy", run: "TestAttackMessagesToAnotherHost",
	},
	{
		name: "equal-subjects",
		rule: "a user is issuer and subject: the same subject elsewhere is somebody else",
		edit: without("s.Issuer"),
		pkg:  "gateway", run: "TestAttackEqualSubjects",
	},
}
