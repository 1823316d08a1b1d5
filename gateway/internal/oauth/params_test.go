package oauth

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func post(t testing.TB, contentType, body string) *http.Request {
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/token?code=from-the-query", strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	return r
}

const formType = "application/x-www-form-urlencoded"

func TestAFormIsReadStrictly(t *testing.T) {
	long := strings.Repeat("a", MaxParam+1)
	for name, c := range map[string]struct {
		body string
		want Params
		bad  string // the description of the error
	}{
		"plain":                  {"code=a+b%26&state=%C3%BC", Params{"code": {"a b&"}, "state": {"ü"}}, ""},
		"nothing":                {"", Params{}, ""},
		"empty is absent":        {"code=&state&scope=a", Params{"scope": {"a"}}, ""},
		"empty does not count":   {"code=&code=a", Params{"code": {"a"}}, ""},
		"unknown is ignored":     {"nonce=1&nonce=2&prompt=%00&x=" + long, Params{}, ""},
		"case counts":            {"Code=a&CODE=b", Params{}, ""},
		"resource may repeat":    {"resource=a&resource=b", Params{"resource": {"a", "b"}}, ""},
		"repeated":               {"code=a&code=b", nil, "code stands more than once"},
		"repeated the same":      {"scope=a&scope=a", nil, "scope stands more than once"},
		"over-long":              {"scope=" + long, nil, "scope is too long"},
		"just not over-long":     {"scope=" + long[1:], Params{"scope": {long[1:]}}, ""},
		"over-long code":         {"code=" + strings.Repeat("a", MaxCode+1), nil, "code is too long"},
		"longest code":           {"code=" + strings.Repeat("a", MaxCode), Params{"code": {strings.Repeat("a", MaxCode)}}, ""},
		"over-long state":        {"state=" + long[:MaxState+1], nil, "state is too long"},
		"one over-long resource": {"resource=a&resource=" + long, nil, "resource is too long"},
		"not UTF-8":              {"code=%FF", nil, "code has bytes that are not text"},
		"NUL":                    {"code=a%00", nil, "code has bytes that are not text"},
		"line break":             {"redirect_uri=a%0d%0ab", nil, "redirect_uri has bytes that are not text"},
		"DEL":                    {"state=%7F", nil, "state has bytes that are not text"},
		"bad escape":             {"code=%zz", nil, "the body is not form-encoded"},
		"semicolon":              {"code=a;b=c", nil, "the body is not form-encoded"},
		"JSON":                   {`{"code":"a"}`, Params{}, ""},
	} {
		got, e := ParseForm(post(t, formType+"; charset=UTF-8", c.body))
		if c.bad == "" {
			if diff := cmp.Diff(c.want, got); e != nil || diff != "" {
				t.Errorf("%s: %v (-want +got):\n%s", name, e, diff)
			}
		} else if e == nil || e.Description != c.bad || e.Code != CodeInvalidRequest || e.Status != http.StatusBadRequest || got != nil {
			t.Errorf("%s: got %v and the error %v, want %q", name, got, e, c.bad)
		}
	}
}

func TestAFormIsAPostedForm(t *testing.T) {
	for name, c := range map[string]struct {
		request *http.Request
		status  int
	}{
		"GET":          {httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/token?code=a", nil), http.StatusMethodNotAllowed},
		"PUT":          {httptest.NewRequestWithContext(t.Context(), http.MethodPut, "/token", strings.NewReader("code=a")), http.StatusMethodNotAllowed},
		"JSON":         {post(t, "application/json", "{}"), http.StatusUnsupportedMediaType},
		"multipart":    {post(t, "multipart/form-data; boundary=a", "--a--"), http.StatusUnsupportedMediaType},
		"no type":      {post(t, "", "code=a"), http.StatusUnsupportedMediaType},
		"a wrong type": {post(t, formType+";;", "code=a"), http.StatusUnsupportedMediaType},
		"too long":     {post(t, formType, "x="+strings.Repeat("a", MaxForm)), http.StatusRequestEntityTooLarge},
		"cut off":      {post(t, formType, ""), http.StatusBadRequest},
	} {
		if name == "cut off" {
			c.request.Body = io.NopCloser(io.MultiReader(strings.NewReader("code=a"), brokenReader{}))
		}
		p, e := ParseForm(c.request)
		if e == nil || e.Status != c.status || e.Code != CodeInvalidRequest || p != nil {
			t.Errorf("%s: %v, %v", name, p, e)
		}
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func query(t testing.TB, raw string) *http.Request {
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/authorize", nil)
	r.URL.RawQuery = raw
	return r
}

// Where an error has to go is in the query itself, so what is good is returned.
func TestAQueryIsReadAsFarAsItIsGood(t *testing.T) {
	p, e := ParseQuery(query(t, "client_id=a&state=b&scope=c&scope=d&code_challenge=%00"))
	if e == nil || e.Code != CodeInvalidRequest {
		t.Errorf("error: %v", e)
	}
	if diff := cmp.Diff(Params{"client_id": {"a"}, "state": {"b"}}, p); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, bad := range []string{"client_id=a&client_id=a", "client_id=%", "client_id=a;", "client_id=" + strings.Repeat("a", MaxForm)} {
		if p, e := ParseQuery(query(t, bad)); e == nil || p.Get("client_id") != "" {
			t.Errorf("ParseQuery(%.30q) = %v, %v", bad, p, e)
		}
	}
	if p, e := ParseQuery(query(t, "request="+strings.Repeat("a", MaxParam+1))); e != nil || len(p.Get("request")) != MaxParam+1 {
		t.Errorf("our own sealed request: %v", e)
	}
}

func TestNeedNamesWhatIsMissing(t *testing.T) {
	if v, e := (Params{"code": {"a"}}).Need("code"); v != "a" || e != nil {
		t.Errorf("Need = %q, %v", v, e)
	}
	if _, e := (Params(nil)).Need("code"); e == nil || e.Description != "code is missing" || e.Code != CodeInvalidRequest {
		t.Errorf("Need = %v", e)
	}
}

// wellFormed is what every handler may rely on.
func wellFormed(t *testing.T, p Params) {
	t.Helper()
	for name, values := range p {
		if len(values) == 0 || len(values) > 1 && name != "resource" {
			t.Errorf("%s stands %d times", name, len(values))
		}
		limit, ok := map[string]int{"state": MaxState, "code": MaxCode, "client_assertion": MaxAssertion, "request": MaxForm}[name]
		if !ok {
			limit = MaxParam
		}
		for _, v := range values {
			if v == "" || len(v) > limit || !utf8.ValidString(v) || strings.ContainsAny(v, "\x00\r\n\x7f") {
				t.Errorf("%s is %q", name, v)
			}
		}
	}
}

func fuzzSeeds(f *testing.F) {
	for _, seed := range []string{
		"", "code=a&state=b", "code=a&code=b", "resource=a&resource=b", "code=%00", "state=%FF%FE", "a;b", "%", "=&=&", "code=%0D%0A",
		"state=" + strings.Repeat("a", MaxState+1), "code=" + strings.Repeat("%41", MaxParam), "code=" + strings.Repeat("a", MaxParam+1), "scope=" + strings.Repeat("a", MaxParam+1),
	} {
		f.Add(seed)
	}
}

func FuzzParseForm(f *testing.F) {
	fuzzSeeds(f)
	f.Fuzz(func(t *testing.T, body string) {
		p, e := ParseForm(post(t, formType, body))
		if e != nil && p != nil {
			t.Error("both parameters and an error")
		}
		wellFormed(t, p)
		if values, err := url.ParseQuery(body); err == nil && e == nil {
			for name := range p {
				if !values.Has(name) {
					t.Errorf("%s comes from nowhere", name)
				}
			}
		}
	})
}

func FuzzParseQuery(f *testing.F) {
	fuzzSeeds(f)
	f.Fuzz(func(t *testing.T, raw string) {
		p, e := ParseQuery(query(t, raw))
		wellFormed(t, p)
		if e != nil && (e.Code != CodeInvalidRequest || e.Status != http.StatusBadRequest) {
			t.Errorf("error: %v", e)
		}
	})
}

func FuzzIsCodeVerifier(f *testing.F) {
	for _, seed := range []string{"", strings.Repeat("a", 42), strings.Repeat("a", 43), strings.Repeat("~", 128), strings.Repeat("a", 129), "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", strings.Repeat("ä", 30), strings.Repeat("a", 43) + "\n"} {
		f.Add(seed)
	}
	form := regexp.MustCompile(`^[A-Za-z0-9._~-]{43,128}\z`)
	f.Fuzz(func(t *testing.T, s string) {
		if IsCodeVerifier(s) != form.MatchString(s) {
			t.Errorf("IsCodeVerifier(%q) = %v", s, IsCodeVerifier(s))
		}
	})
}
