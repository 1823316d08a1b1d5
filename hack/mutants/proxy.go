package main

// Who gets through to a protected route.
var routeMutants = []mutant{
	{
		name: "scope-not-enforced",
		rule: "a token reaches a route only with the scopes that the route needs",
		file: "gateway/internal/proxy/permit.go",
		old:  `case len(missing) > 0:`,
		new:  `case false:`,
		pkg:  "gateway", run: "TestTooSmallAScope",
	},
	{
		name: "scopes-held-unsaid",
		rule: "who is asked for more scopes is reminded of those it has, since some clients replace one by the other",
		file: "gateway/internal/proxy/permit.go",
		old:  `Scope: needed.With(who.Scopes), `,
		new:  `Scope: needed, `,
		pkg:  "gateway", run: "TestTooSmallAScope",
	},
	{
		name: "method-before-token",
		rule: "who has no token learns where to get one, whatever the method",
		file: "gateway/internal/proxy/handler.go",
		old:  `who, token, e := h.authenticate(r)`,
		new: `if !strings.Contains(methods, r.Method) {
		writeRPCError(w, http.StatusMethodNotAllowed, "no such method")
		return
	}
	who, token, e := h.authenticate(r)`,
		pkg: "gateway", run: "TestWhoIsNotLetThrough",
	},
	{
		name: "path-before-token",
		rule: "who has no token does not learn what is at a path",
		file: "gateway/internal/proxy/handler.go",
		old:  `who, token, e := h.authenticate(r)`,
		new: `if r.URL.Path != h.path {
		writeRPCError(w, http.StatusNotFound, "there is nothing at this path")
		return
	}
	who, token, e := h.authenticate(r)`,
		pkg: "gateway", run: "TestWhoIsNotLetThrough",
	},
	{
		name: "challenge-missing",
		rule: "a request without a token gets a challenge",
		file: "gateway/internal/proxy/handler.go",
		old: `w.Header().Set("WWW-Authenticate", c.String())
		oauth.WriteError(w, e)
		return`,
		new: `oauth.WriteError(w, e)
		return`,
		pkg: "gateway", run: "TestWhoIsNotLetThrough",
	},
	{
		name: "token-in-query",
		rule: "a token in the URL, which is logged and goes on to the backend, is refused",
		file: "gateway/internal/proxy/handler.go",
		old:  `r.URL.Query().Has("access_token") {`,
		new:  `false {`,
		pkg:  "gateway", run: "TestWhoIsNotLetThrough",
	},
	{
		name: "any-host",
		rule: "a request names this server's host, or a page has rebound its own",
		file: "gateway/internal/proxy/handler.go",
		old:  `!sameHost(host, h.PublicURL) {`,
		new:  `false && !sameHost(host, h.PublicURL) {`,
		pkg:  "gateway", run: "TestAttackDNSRebinding",
	},
	{
		name: "session-of-another-user",
		rule: "a session is its user's alone",
		file: "gateway/internal/proxy/session.go",
		old:  ` || s.Issuer != c.who.Issuer || s.Subject != c.who.Subject) {`,
		new:  `) {`,
		pkg:  "gateway", run: "TestAttackStolenSession",
	},
	{
		name: "session-of-another-route",
		rule: "a session is good on its own route alone",
		file: "gateway/internal/proxy/session.go",
		old:  `(s.Route != h.Path || `,
		new:  `(`,
		pkg:  "gateway", run: "TestAttackStolenSession",
	},
	{
		name: "session-unsealed",
		rule: "a client never sees the backend's own session id",
		file: "gateway/internal/proxy/session.go",
		old:  `resp.Header.Set(sessionHeader, sealed)`,
		new:  `_ = sealed`,
		pkg:  "gateway", run: "TestAttackStolenSession",
	},
	{
		name: "path-read-twice",
		rule: "a path with dot segments or empty ones is refused, and not interpreted",
		file: "gateway/router.go",
		old:  `if clean := path.Clean(p); p != clean && (p != clean+"/" || clean == "/") {`,
		new:  `if false && path.Clean(p) != p {`,
		pkg:  "gateway", run: "TestAttackPathConfusion",
	},
	{
		name: "pages-to-scripts",
		rule: "what is meant for a person answers its one method, and no preflight",
		file: "gateway/router.go",
		old:  `if r.Method != method {`,
		new:  `if r.Method != method && r.Method != http.MethodOptions {`,
		pkg:  "gateway", run: "TestNoScriptMayUseThePages",
	},
	{
		name: "route-from-any-origin",
		rule: "a page of an origin that was not let in does not reach a route",
		file: "gateway/internal/proxy/handler.go",
		old: `origin, ok := h.Origins().Allow(r)
	if !ok {`,
		new: `origin, ok := h.Origins().Allow(r)
	if false && !ok {`,
		pkg: "gateway", run: "TestAttackDNSRebinding",
	},
	{
		name: "streams-end-at-once",
		rule: "the streams of a gateway that stops end one by one, so their clients come back one by one",
		file: "gateway/drain.go",
		old:  `if within <= 0 {`,
		new:  `if within > 0 {`,
		pkg:  "gateway", run: "TestStreamsEndOneByOne",
	},
	{
		name: "clients-kept-to-the-end",
		rule: "clients leave a gateway that stops with an answer, before it closes their connections",
		file: "gateway/serve.go",
		old:  `w.Header().Set("Connection", "close")`,
		new:  `_ = w`,
		pkg:  "gateway", run: "TestReadiness",
	},
	{
		name: "stuck-reader-kept",
		rule: "a client that does not read what it is sent is cut off",
		file: "gateway/internal/proxy/events.go",
		old:  `_ = a.control.SetWriteDeadline(until)`,
		new:  `_ = until`,
		pkg:  "gateway/internal/proxy", run: "TestAClientThatDoesNotReadIsCutOff",
	},
	{
		name: "comment-within-an-event",
		rule: "comments stand between events only",
		file: "gateway/internal/proxy/events.go",
		old:  ` && e.between() {`,
		new:  ` {`,
		pkg:  "gateway/internal/proxy", run: "TestAQuietStreamHasComments",
	},
	{
		name: "session-at-any-pod",
		rule: "a session stays with its pod",
		file: "gateway/internal/proxy/balance.go",
		old:  `pinned := c.pod`,
		new:  `pinned := (*pods.Pod)(nil)`,
		pkg:  "gateway", run: "TestASessionStaysWithItsPod",
	},
	{
		name: "session-of-a-lost-pod",
		rule: "a session ends with its pod, whoever has its address then",
		file: "gateway/internal/proxy/session.go",
		old:  `c.pod = h.Pods.Find(s.Pod); c.pod == nil {`,
		new:  `c.pod = h.Pods.Find(s.Pod); false {`,
		pkg:  "gateway", run: "TestASessionStaysWithItsPod",
	},
	{
		name: "sent-twice",
		rule: "another pod is tried only if nothing was sent to the first",
		file: "gateway/internal/proxy/balance.go",
		old:  `if err == nil || !notSent(err) {`,
		new:  `if err == nil {`,
		pkg:  "gateway", run: "TestWhatWasSentIsNotSentAgain",
	},
	{
		name: "messages-elsewhere",
		rule: "a stream of the older transport does not lead to another host",
		file: "gateway/internal/proxy/sse.go",
		old:  `case target.Host != h.Backend.Host || target.Scheme != h.Backend.Scheme:`,
		new:  `case false:`,
		pkg:  "gateway", run: "TestStreamsThatLeadElsewhere",
	},
	{
		name: "equal-subjects",
		rule: "a user is issuer and subject: the same subject elsewhere is somebody else",
		file: "gateway/internal/proxy/session.go",
		old:  ` || s.Issuer != c.who.Issuer`,
		new:  ``,
		pkg:  "gateway", run: "TestAttackEqualSubjects",
	},
}
