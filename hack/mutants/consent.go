package main

// The consent page, the cookies, and the browser's way through the login.
var consentMutants = []mutant{
	{
		name: "consent-framed-csp",
		rule: "the policy of a page lets nobody frame it",
		edit: replace("frame-ancestors 'none'", ""),
		pkg:  "gateway/internal/pages", run: "TestThePolicyAllowsTheStyleAndNothingElse|TestEveryPageIsForOnePairOfEyes",
	},
	{
		name: "consent-framed",
		rule: "browsers that know no policy frame no page either",
		edit: remove,
		pkg:  "gateway/internal/pages", run: "TestEveryPageIsForOnePairOfEyes",
	},
	{
		name: "name-turns-line",
		rule: "no client's name turns the line around, or hides in it",
		edit: never,
		pkg:  "gateway/internal/pages", run: "TestNamesAreMadeFitToShow|TestAHostileNameOrPageDoesNotTurnTheText",
	},
	{
		name: "referrer",
		rule: "where a page leads does not learn its URL, which holds a state or a code",
		edit: remove,
		pkg:  "gateway/internal/pages", run: "TestEveryPageIsForOnePairOfEyes",
	},
	{
		name: "consent-of-another-browser",
		rule: "a consent page is good in the browser that it was shown in alone",
		edit: never,
		pkg:  "gateway", run: "TestAttackForgedConsent",
	},
	{
		name: "consent-from-another-site",
		rule: "a browser that says that a form is from elsewhere is believed",
		edit: never,
		pkg:  "gateway", run: "TestAttackForgedConsent",
	},
	{
		name: "denied-and-approved",
		rule: "who says no gives nothing",
		edit: first(`if pending.upstream == nil {
			pending.upstream = h.Upstreams[0]
		}`),
		pkg: "gateway", run: "TestTheUserSaysNo",
	},
	{
		name: "consent-of-lapsed-client",
		rule: "a client that lapsed while the page stood open gets nothing",
		edit: first(`if pending.upstream != nil {
			h.startLogin(w, r, req, pending.upstream)
			return
		}`),
		pkg: "gateway", run: "TestTheRegistrationLapsesWhileThePageStandsOpen",
	},
	{
		name: "login-by-307",
		rule: "the redirect to the upstream is a 303, or the browser would send it the form",
		edit: replace("SeeOther", "TemporaryRedirect"),
		pkg:  "gateway", run: "TestCookies",
	},
	{
		name: "cookie-to-scripts",
		rule: "no script reads a cookie",
		edit: without("HttpOnly"),
		pkg:  "gateway", run: "TestCookies",
	},
	{
		name: "cookie-over-http",
		rule: "where there is TLS, no cookie travels without",
		edit: without("secure"),
		pkg:  "gateway", run: "TestCookies",
	},
	{
		name: "cookie-tossing",
		rule: "a cookie that stands twice counts for nothing, since another host of the site may have set one",
		edit: replace("!= 1", "== 0"),
		pkg:  "gateway", run: "TestAttackTossedConsentCookie",
	},
	{
		name: "login-cookies-without-end",
		rule: "pending logins take only so much of a browser's headers",
		edit: always,
		pkg:  "gateway", run: "TestManyPendingLogins",
	},
	{
		name: "callback-twice",
		rule: "a browser loses the cookie of a login that was finished",
		edit: remove,
		pkg:  "gateway", run: "TestAttackForgedCallback",
	},
	{
		name: "login-replayed",
		rule: "a login is finished once, also if the browser keeps its cookie",
		edit: never,
		pkg:  "gateway", run: "TestAttackReplayedLogin",
	},
	{
		name: "failed-exchanges",
		rule: "code exchanges of one sender fail only so often",
		edit: never,
		pkg:  "gateway", run: "TestAttackMadeUpCodes",
	},
	{
		name: "callback-state",
		rule: "the upstream's state is that of the login, whole",
		edit: never,
		pkg:  "gateway", run: "TestAttackForgedCallback",
	},
	{
		name: "callback-of-another-upstream",
		rule: "an upstream answers for its own logins (RFC 9700 section 4.4)",
		edit: without("r.PathValue"),
		pkg:  "gateway", run: "TestAttackForgedCallback|TestAttackMixUp",
	},
}
