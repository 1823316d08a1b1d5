package main

// The authorization request, and its answer.
var authorizeMutants = []mutant{
	{
		name: "redirect-unchecked",
		rule: "a client is answered where it has registered, or not at all",
		file: "gateway/internal/authorize/authorize.go",
		old:  `if !c.MayRedirectTo(asked) {`,
		new:  `if false {`,
		pkg:  "gateway", run: "TestBadAuthorizationRequests",
	},
	{
		name: "open-redirector",
		rule: "an error goes to a redirect URI only once that is known to be the client's",
		file: "gateway/internal/authorize/authorize.go",
		old:  `redirectURI, e := h.chooseRedirectURI(c, p, r.URL.Query())`,
		new: `if _, e := p.Need("response_type"); e != nil {
		h.redirectError(w, r, request{ClientID: clientID, RedirectURI: p.Get("redirect_uri")}, e)
		return
	}
	redirectURI, e := h.chooseRedirectURI(c, p, r.URL.Query())`,
		pkg: "gateway", run: "TestBadAuthorizationRequests",
	},
	{
		name: "pkce-plain",
		rule: "a code challenge is a hash: plain would show the verifier to whoever reads the URL (RFC 9700 section 2.1.1)",
		file: "gateway/internal/authorize/authorize.go",
		old:  `if p.Get("code_challenge_method") != "S256" {`,
		new:  `if m := p.Get("code_challenge_method"); m != "S256" && m != "plain" {`,
		pkg:  "gateway", run: "TestAttackPKCEDowngrade",
	},
	{
		name: "pkce-without-method",
		rule: "a challenge without a method, which means plain, is refused",
		file: "gateway/internal/authorize/authorize.go",
		old:  `if p.Get("code_challenge_method") != "S256" {`,
		new:  `if m := p.Get("code_challenge_method"); m != "S256" && m != "" {`,
		pkg:  "gateway", run: "TestAttackPKCEDowngrade",
	},
	{
		name: "pkce-optional",
		rule: "every client uses PKCE (OAuth 2.1 section 4.1.1)",
		file: "gateway/internal/authorize/authorize.go",
		old:  `challenge, e := p.Need("code_challenge")`,
		new: `if p.Get("code_challenge") == "" {
		return nil
	}
	challenge, e := p.Need("code_challenge")`,
		pkg: "gateway", run: "TestAttackPKCEDowngrade",
	},
	{
		name: "implicit-grant",
		rule: "the response type is code and no other",
		file: "gateway/internal/authorize/authorize.go",
		old:  `if responseType != "code" {`,
		new:  `if false && responseType != "code" {`,
		pkg:  "gateway", run: "TestBadAuthorizationRequests",
	},
	{
		name: "foreign-resource",
		rule: "a client asks for a resource of this server (RFC 8707 section 2)",
		file: "gateway/internal/oauth/resource.go",
		old:  `return "", InvalidTarget("resource must be one URL of this server")`,
		new:  `return resources[0], nil`,
		pkg:  "gateway", run: "TestBadAuthorizationRequests",
	},
	{
		name: "state-lost",
		rule: "state comes back (RFC 6749 section 4.1.2)",
		file: "gateway/internal/authorize/handler.go",
		old:  `if req.State != "" {`,
		new:  `if false {`,
		pkg:  "gateway", run: "TestStateIsEchoedByteForByte",
	},
	{
		name: "iss-missing",
		rule: "an answer with a code names its issuer (RFC 9207 section 2)",
		file: "gateway/internal/authorize/handler.go",
		old:  `params.Set("iss", h.PublicURL)`,
		new: `if params.Has("error") {
		params.Set("iss", h.PublicURL)
	}`,
		pkg: "gateway", run: "TestStateIsEchoedByteForByte",
	},
	{
		name: "iss-missing-in-errors",
		rule: "an answer with an error names its issuer too (RFC 9207 section 2)",
		file: "gateway/internal/authorize/handler.go",
		old:  `params.Set("iss", h.PublicURL)`,
		new: `if params.Has("code") {
		params.Set("iss", h.PublicURL)
	}`,
		pkg: "gateway", run: "TestTheUserSaysNo",
	},
	{
		name: "answer-by-307",
		rule: "the redirect to a client is a 303, which makes a GET of the form's POST (RFC 9700 section 4.12)",
		file: "gateway/internal/authorize/handler.go",
		old:  `http.Redirect(w, r, h.answer(req, params), http.StatusSeeOther)`,
		new:  `http.Redirect(w, r, h.answer(req, params), http.StatusTemporaryRedirect)`,
		pkg:  "gateway", run: "TestTheUserSaysNo",
	},
	{
		name: "no-rule-at-login",
		rule: "the access rules decide who gets a grant",
		file: "gateway/internal/authorize/callback.go",
		old:  `rule, ok := h.Allowed(user)`,
		new:  `rule, ok := "", true`,
		pkg:  "gateway", run: "TestAccessRules",
	},
	{
		name: "failing-rule-lets-in",
		rule: "an access rule that fails lets nobody in",
		file: "gateway/policy/policy.go",
		old: `if err != nil {
		return false
	}
	yes`,
		new: `if err != nil {
		return true
	}
	yes`,
		pkg: "gateway/policy", run: "TestAllowed",
	},
	{
		name: "scopes-of-others-at-login",
		rule: "a user gets no scope that is not theirs to give",
		file: "gateway/internal/authorize/callback.go",
		old:  `scopes := h.MayHave(req.Scopes, user)`,
		new:  `scopes := oauth.Scopes(req.Scopes)`,
		pkg:  "gateway", run: "TestScopesByRule",
	},
	{
		name: "scopes-of-others-at-refresh",
		rule: "a scope that is the user's no more is lost at the next refresh",
		file: "gateway/internal/grants/refresh.go",
		old:  `granted := opts.MayHave(existing, user)`,
		new:  `granted := existing`,
		pkg:  "gateway/internal/grants", run: "TestNewClaimsDecideAnew",
	},
}
