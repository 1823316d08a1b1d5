package pages

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func consent(t *testing.T, c Consent) (http.Header, string) {
	t.Helper()
	w := httptest.NewRecorder()
	WriteConsent(w, c)
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return w.Header(), w.Body.String()
}

func some() Consent {
	return Consent{
		Action: "/consent", Request: "sealed-request", ClientName: "Weather App", ClientURI: "https://app.example.com",
		RedirectURI: "http://127.0.0.1:7000/callback?a=b&c=d", RedirectHost: "127.0.0.1:7000", Loopback: true,
		Resource: "https://weather.example.com/mcp", Upstreams: []Choice{{"approve", "idp.example.com"}},
		Scopes: []Scope{{"weather:read", "Read the forecast"}, {"offline_access", ""}},
	}
}

func TestConsentSaysWhoAsksForWhat(t *testing.T) {
	_, page := consent(t, some())
	for _, want := range []string{
		"Weather App asks for access", "Nobody has checked it", "https://weather.example.com/mcp", "Read the forecast", "weather:read",
		"<li>offline_access</li>", "127.0.0.1:7000", "http://127.0.0.1:7000/callback?a=b&amp;c=d", "https://app.example.com", "idp.example.com",
		"a program on this computer", `<form method="post" action="/consent">`, `name="request" value="sealed-request"`,
		`name="decision" value="approve"`, `name="decision" value="deny"`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not hold %q", want)
		}
	}
	for _, never := range []string{"<script", "http-equiv", "src=", "<link", "<a "} {
		if strings.Contains(page, never) {
			t.Errorf("the page holds %s", never)
		}
	}
	remote := some()
	remote.Loopback, remote.ClientURI, remote.Scopes = false, "", nil
	if _, page := consent(t, remote); strings.Contains(page, "a program on this computer") || strings.Contains(page, "described at") || strings.Contains(page, "be able to") {
		t.Error("the page says what does not apply")
	}
}

func TestConsentSaysWhoPublishesTheName(t *testing.T) {
	c := some()
	c.ClientHost = "app.example.com"
	_, page := consent(t, c)
	for _, want := range []string{"published at <strong>app.example.com</strong>", "which app.example.com cannot vouch for: any program here can take it"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not hold %q", want)
		}
	}
	if strings.Contains(page, "Nobody has checked it") {
		t.Error("the page says what does not apply")
	}
}

func TestNothingThatAStrangerChoseIsMarkup(t *testing.T) {
	const hostile = `"><script>alert(1)</script><img src=x onerror=alert(1)>'`
	c := some()
	c.ClientName, c.ClientURI, c.RedirectURI, c.RedirectHost, c.Request, c.Resource, c.ClientHost = hostile, hostile, hostile, hostile, hostile, hostile, hostile
	c.Scopes = []Scope{{hostile, hostile}, {hostile, ""}}
	c.Upstreams = []Choice{{"approve:" + hostile, hostile}, {"approve:" + hostile, hostile}}
	header, page := consent(t, c)
	denied := httptest.NewRecorder()
	WriteDenied(denied, Denied{
		Name: hostile, Upstream: hostile, Resource: hostile, Contact: hostile, Back: "https://app.example.com/cb?a=" + hostile,
	})
	w := httptest.NewRecorder()
	WriteProblem(w, http.StatusBadRequest, Problem{Title: hostile, Text: hostile, Advice: hostile})
	for _, html := range []string{page, w.Body.String(), denied.Body.String()} {
		for _, never := range []string{"<script", "<img", `"">`, `="x" onerror`} {
			if strings.Contains(html, never) {
				t.Errorf("the page holds %s", never)
			}
		}
	}
	for name, values := range header {
		if strings.Contains(strings.Join(values, ""), "script>") {
			t.Errorf("%s: %v", name, values)
		}
	}
}

func TestUpstreamsToChooseFrom(t *testing.T) {
	c := some()
	c.Upstreams = []Choice{{"approve:corp", "Example Corp"}, {"approve:github", "GitHub"}}
	_, page := consent(t, c)
	for _, want := range []string{
		`name="decision" value="approve:corp">Continue with Example Corp</button>`, `value="approve:github">Continue with GitHub</button>`,
		`name="decision" value="deny"`, "Your account may be given less",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not hold %q", want)
		}
	}
	if strings.Contains(page, `value="approve"`) {
		t.Error("there is a button without an upstream")
	}
}

func TestDeniedSaysAsWhomAndLeadsBack(t *testing.T) {
	d := Denied{
		Name: "mallory\u202e@example.com", Upstream: "Example Corp", Resource: "https://weather.example.com/mcp", Contact: "it@example.com",
		Back: "cursor://anysphere.cursor/cb?error=access_denied&state=s",
	}
	w := httptest.NewRecorder()
	WriteDenied(w, d)
	if w.Code != http.StatusForbidden || w.Header().Get("Referrer-Policy") != "no-referrer" || w.Header().Get("Location") != "" {
		t.Errorf("the answer is %d %v", w.Code, w.Header())
	}
	for _, want := range []string{
		"<strong>mallory@example.com</strong> at Example Corp", "https://weather.example.com/mcp", "it@example.com",
		`<a href="cursor://anysphere.cursor/cb?error=access_denied&amp;state=s">`,
	} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("the page does not hold %q:\n%s", want, w.Body)
		}
	}
	w = httptest.NewRecorder()
	d.Contact = ""
	if WriteDenied(w, d); strings.Contains(w.Body.String(), "Whom to ask") {
		t.Error("the page names nobody to ask, and says so")
	}
}

func TestThePolicyAllowsTheStyleAndNothingElse(t *testing.T) {
	header, page := consent(t, some())
	csp := header.Get("Content-Security-Policy")
	style := regexp.MustCompile(`(?s)<style>(.*)</style>`).FindStringSubmatch(page)
	if style == nil {
		t.Fatal("the page has no style")
	}
	sum := sha256.Sum256([]byte(style[1]))
	want := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; frame-ancestors 'none'"
	if csp != want {
		t.Errorf("got  %s\nwant %s", csp, want)
	}
	// Browsers would apply it to the redirect that leads to the client.
	if strings.Contains(csp, "form-action") {
		t.Error("the policy bounds where the form may lead")
	}
}

func TestEveryPageIsForOnePairOfEyes(t *testing.T) {
	w := httptest.NewRecorder()
	WriteProblem(w, http.StatusForbidden, Problem{Title: "No entry", Text: "You may not.", Advice: "Ask."})
	if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "<h1>No entry</h1>") {
		t.Errorf("status %d: %s", w.Code, w.Body)
	}
	page, _ := consent(t, some())
	for what, header := range map[string]http.Header{"consent": page, "problem": w.Header()} {
		for name, want := range map[string]string{
			"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer",
			"X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff",
		} {
			if got := header.Values(name); len(got) != 1 || got[0] != want {
				t.Errorf("%s: %s is %q", what, name, got)
			}
		}
		if header.Get("Content-Security-Policy") != policy {
			t.Errorf("%s has another policy", what)
		}
	}
}

func TestNamesAreMadeFitToShow(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"as it is":          {"Weather App", "Weather App"},
		"other scripts":     {"天気 Погода é", "天気 Погода é"},
		"white space":       {"  a\t\n b  ", "a   b"},
		"control":           {"a\x00\x07\x1b[31mb\x7f", "a[31mb"},
		"bidi":              {"\u202egoogle\u2066\u2069\u200f", "google"},
		"zero width":        {"Goo\u200bgle\ufeff\u2060", "Google"},
		"line separators":   {"a\u2028b\u2029c", "a b c"},
		"not UTF-8":         {"a\xff\xc3b", "ab"},
		"fillers":           {"\u3164\u115f\u1160\uffa0\u2800", ""},
		"tags":              {"a\U000e0041b", "ab"},
		"private use":       {"a\ue000b", "ab"},
		"nothing":           {"", ""},
		"nothing but space": {" \u00a0\u3000 ", ""},
		"eighty":            {strings.Repeat("é", 80), strings.Repeat("é", 80)},
		"more than eighty":  {strings.Repeat("é", 81), strings.Repeat("é", 80) + "…"},
	} {
		if got := Clean(c.in); got != c.want {
			t.Errorf("%s: Clean(%q) = %q, want %q", name, c.in, got, c.want)
		}
	}
}

func TestAHostileNameOrPageDoesNotTurnTheText(t *testing.T) {
	c := some()
	c.ClientName, c.ClientURI = "\u202eppA\u3164", "https://evil.example.com/\u202emoc.elgoog\u2066"
	_, page := consent(t, c)
	if strings.ContainsAny(page, "\u202e\u2066\u3164") {
		t.Error("the page holds characters that turn the text, or hide")
	}
	c.ClientName = "\u200b\u3164 "
	if _, page := consent(t, c); !strings.Contains(page, "An application without a name asks for access") {
		t.Error("an empty name is not said to be one")
	}
}

func FuzzClean(f *testing.F) {
	for _, seed := range []string{"Claude", "Good\u202eevil\u2066\u200b\n<br>", strings.Repeat("👨‍", 100), "\xff\xfe", "", "\u3164", " a \t b ", "a\x00\x1b[2J\u0085\u2028", strings.Repeat("e\u0301", 100)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Clean(s)
		if n := utf8.RuneCountInString(got); !utf8.ValidString(got) || n > 81 || strings.TrimSpace(got) != got {
			t.Errorf("%q becomes %q, of %d characters", s, got, n)
		}
		if strings.ContainsFunc(got, func(c rune) bool {
			return !unicode.IsPrint(c) || unicode.In(c, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
		}) {
			t.Errorf("%q becomes %q", s, got)
		}
		if again := Clean(got); again != got && utf8.RuneCountInString(got) <= 80 {
			t.Errorf("%q becomes %q, and then %q", s, got, again)
		}
	})
}
