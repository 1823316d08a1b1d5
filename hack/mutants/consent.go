package main

// The consent page, the cookies, and the browser's way through the login.
var consentMutants = []mutant{
	{
		name: "consent-framed-csp",
		rule: "the policy of a page lets nobody frame it",
		file: "gateway/internal/pages/pages.go",
		old:  `frame-ancestors 'none'`,
		new:  ``,
		pkg:  "gateway/internal/pages", run: "TestThePolicyAllowsTheStyleAndNothingElse|TestEveryPageIsForOnePairOfEyes",
	},
	{
		name: "consent-framed",
		rule: "browsers that know no policy frame no page either",
		file: "gateway/internal/pages/pages.go",
		old:  `h.Set("X-Frame-Options", "DENY")`,
		new:  ``,
		pkg:  "gateway/internal/pages", run: "TestEveryPageIsForOnePairOfEyes",
	},
	{
		name: "name-turns-line",
		rule: "no client's name turns the line around, or hides in it",
		file: "gateway/internal/pages/pages.go",
		old:  `if !unicode.IsPrint(c) || strings.ContainsRune(blanks, c) {`,
		new:  `if false {`,
		pkg:  "gateway/internal/pages", run: "TestNamesAreMadeFitToShow|TestAHostileNameOrPageDoesNotTurnTheText",
	},
	{
		name: "referrer",
		rule: "where a page leads does not learn its URL, which holds a state or a code",
		file: "gateway/internal/pages/pages.go",
		old:  `h.Set("Referrer-Policy", "no-referrer")`,
		new:  ``,
		pkg:  "gateway/internal/pages", run: "TestEveryPageIsForOnePairOfEyes",
	},
	{
		name: "consent-of-another-browser",
		rule: "a consent page is good in the browser that it was shown in alone",
		file: "gateway/internal/authorize/consent.go",
		old:  `if binding == "" || !keys.Equal(digest(binding), pending.Browser) {`,
		new:  `if false && !keys.Equal(digest(binding), pending.Browser) {`,
		pkg:  "gateway", run: "TestAttackForgedConsent",
	},
	{
		name: "consent-from-another-site",
		rule: "a browser that says that a form is from elsewhere is believed",
		file: "gateway/internal/authorize/consent.go",
		old:  `if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" {`,
		new:  `if false {`,
		pkg:  "gateway", run: "TestAttackForgedConsent",
	},
	{
		name: "denied-and-approved",
		rule: "who says no gives nothing",
		file: "gateway/internal/authorize/consent.go",
		old:  `if pending.upstream == nil {`,
		new: `if pending.upstream == nil {
		pending.upstream = h.Upstreams[0]
	}
	if false {`,
		pkg: "gateway", run: "TestTheUserSaysNo",
	},
	{
		name: "consent-of-lapsed-client",
		rule: "a client that lapsed while the page stood open gets nothing",
		file: "gateway/internal/authorize/consent.go",
		old: `c := h.findClient(w, r, req.ClientID)
	if c == nil {
		return
	}
	if !c.MayRedirectTo(req.RedirectURI) {`,
		new: `if false {`,
		pkg: "gateway", run: "TestTheRegistrationLapsesWhileThePageStandsOpen",
	},
	{
		name: "login-by-307",
		rule: "the redirect to the upstream is a 303, or the browser would send it the form",
		file: "gateway/internal/authorize/consent.go",
		old:  `http.Redirect(w, r, target, http.StatusSeeOther)`,
		new:  `http.Redirect(w, r, target, http.StatusTemporaryRedirect)`,
		pkg:  "gateway", run: "TestCookies",
	},
	{
		name: "cookie-to-scripts",
		rule: "no script reads a cookie",
		file: "gateway/internal/authorize/cookies.go",
		old:  `HttpOnly: true,`,
		new:  ``,
		pkg:  "gateway", run: "TestCookies",
	},
	{
		name: "cookie-over-http",
		rule: "where there is TLS, no cookie travels without",
		file: "gateway/internal/authorize/cookies.go",
		old:  `return jar{prefix: "__Host-" + name, secure: true}`,
		new:  `return jar{prefix: "__Host-" + name}`,
		pkg:  "gateway", run: "TestCookies",
	},
	{
		name: "cookie-tossing",
		rule: "a cookie that stands twice counts for nothing, since another host of the site may have set one",
		file: "gateway/internal/authorize/cookies.go",
		old:  `if len(found) != 1 {`,
		new:  `if len(found) == 0 {`,
		pkg:  "gateway", run: "TestAttackTossedConsentCookie",
	},
	{
		name: "login-cookies-without-end",
		rule: "pending logins take only so much of a browser's headers",
		file: "gateway/internal/authorize/cookies.go",
		old:  `if size <= maxFlowCookies {`,
		new:  `if true {`,
		pkg:  "gateway", run: "TestManyPendingLogins",
	},
	{
		name: "callback-twice",
		rule: "a login is finished once",
		file: "gateway/internal/authorize/callback.go",
		old:  `h.cookies.drop(w, flowName(state))`,
		new:  ``,
		pkg:  "gateway", run: "TestAttackForgedCallback",
	},
	{
		name: "callback-state",
		rule: "the upstream's state is that of the login, whole",
		file: "gateway/internal/authorize/callback.go",
		old:  `if !keys.Equal([]byte(login.State), []byte(state)) {`,
		new:  `if false && !keys.Equal(nil, nil) {`,
		pkg:  "gateway", run: "TestAttackForgedCallback",
	},
	{
		name: "callback-of-another-upstream",
		rule: "an upstream answers for its own logins (RFC 9700 section 4.4)",
		file: "gateway/internal/authorize/callback.go",
		old:  `if r.PathValue("upstream") != login.Upstream || `,
		new:  `if `,
		pkg:  "gateway", run: "TestAttackForgedCallback|TestAttackMixUp",
	},
}
