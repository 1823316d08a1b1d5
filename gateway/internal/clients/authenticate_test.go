package clients

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"vestibule.dev/vestibule/gateway/internal/oauth"
)

// attempt is how a request says who sends it.
type attempt struct {
	header []string
	form   url.Values
}

func (r *replica) try(a attempt) (*Client, *oauth.Error) {
	r.t.Helper()
	req := httptest.NewRequestWithContext(r.t.Context(), http.MethodPost, "/token", strings.NewReader(a.form.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, h := range a.header {
		req.Header.Add("Authorization", h)
	}
	p, e := oauth.ParseForm(req)
	if e != nil {
		r.t.Fatalf("the form: %v", e)
	}
	return r.Authenticate(req, p)
}

func basic(user, password string) []string {
	return []string{"Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))}
}

func form(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Add(pairs[i], pairs[i+1])
	}
	return v
}

func TestHowClientsAuthenticate(t *testing.T) {
	w := newWorld(t)
	public, _ := w.a.register(MethodNone)
	confidential, secret := w.a.register(MethodBasic)
	posting, postSecret := w.a.register(MethodPost)
	id := confidential.ID()
	// As form encoding goes, any byte may be written as %XX.
	encoded := strings.ReplaceAll(strings.ReplaceAll(secret, "_", "%5F"), "-", "%2d")

	for name, c := range map[string]struct {
		attempt attempt
		want    string // the client's id, or the error's code
		basic   bool
	}{
		"public":                       {attempt{nil, form("client_id", public.ID())}, public.ID(), false},
		"public, Basic without secret": {attempt{basic(public.ID(), ""), nil}, public.ID(), false},
		"public with a secret":         {attempt{nil, form("client_id", public.ID(), "client_secret", secret)}, oauth.CodeInvalidClient, false},
		"public, Basic with a secret":  {attempt{basic(public.ID(), secret), nil}, oauth.CodeInvalidClient, true},

		"basic":                  {attempt{basic(id, secret), nil}, id, false},
		"basic, form-encoded":    {attempt{basic(strings.ReplaceAll(id, "_", "%5F"), encoded), nil}, id, false},
		"basic and the same id":  {attempt{basic(id, secret), form("client_id", id)}, id, false},
		"basic in lower case":    {attempt{[]string{"basic" + basic(id, secret)[0][5:]}, nil}, id, false},
		"registered basic, post": {attempt{nil, form("client_id", id, "client_secret", secret)}, id, false},
		"post":                   {attempt{nil, form("client_id", posting.ID(), "client_secret", postSecret)}, posting.ID(), false},
		"registered post, basic": {attempt{basic(posting.ID(), postSecret), nil}, posting.ID(), false},

		"no secret":              {attempt{nil, form("client_id", id)}, oauth.CodeInvalidClient, false},
		"an empty secret":        {attempt{nil, form("client_id", id, "client_secret", "")}, oauth.CodeInvalidClient, false},
		"basic, an empty secret": {attempt{basic(id, ""), nil}, oauth.CodeInvalidClient, true},
		"another's secret":       {attempt{basic(id, postSecret), nil}, oauth.CodeInvalidClient, true},
		"a wrong secret":         {attempt{nil, form("client_id", id, "client_secret", secret+"x")}, oauth.CodeInvalidClient, false},
		"a prefix of the secret": {attempt{basic(id, secret[:len(secret)-1]), nil}, oauth.CodeInvalidClient, true},
		"a bad escape":           {attempt{basic(id, secret+"%zz"), nil}, oauth.CodeInvalidClient, true},

		"two proofs":            {attempt{basic(id, secret), form("client_secret", secret)}, oauth.CodeInvalidRequest, false},
		"two proofs, one empty": {attempt{basic(id, ""), form("client_id", id, "client_secret", secret)}, oauth.CodeInvalidRequest, false},
		"two clients":           {attempt{basic(id, secret), form("client_id", public.ID())}, oauth.CodeInvalidRequest, false},
		"two headers":           {attempt{append(basic(id, secret), basic(id, secret)...), nil}, oauth.CodeInvalidRequest, false},

		"nobody":         {attempt{}, oauth.CodeInvalidClient, false},
		"basic, nobody":  {attempt{basic("", ""), nil}, oauth.CodeInvalidClient, true},
		"unknown":        {attempt{nil, form("client_id", "vst_cl_AAAAAAAAAAAAAAAAAAAAAAAA")}, oauth.CodeInvalidClient, false},
		"basic, unknown": {attempt{basic("some-app", secret), nil}, oauth.CodeInvalidClient, true},
		"bearer":         {attempt{[]string{"Bearer " + secret}, form("client_id", public.ID())}, oauth.CodeInvalidClient, true},
		"no base64":      {attempt{[]string{"Basic ???"}, nil}, oauth.CodeInvalidClient, true},
		"no colon":       {attempt{[]string{"Basic " + base64.StdEncoding.EncodeToString([]byte(id))}, nil}, oauth.CodeInvalidClient, true},
		"an empty value": {attempt{[]string{""}, form("client_id", public.ID())}, oauth.CodeInvalidClient, true},
	} {
		t.Run(name, func(t *testing.T) {
			client, e := w.b.try(c.attempt)
			if e == nil {
				if client.ID() != c.want {
					t.Errorf("it passes as %s", client.ID())
				}
				return
			}
			wantStatus := map[string]int{oauth.CodeInvalidClient: http.StatusUnauthorized}[c.want]
			if wantStatus == 0 {
				wantStatus = http.StatusBadRequest
			}
			if e.Code != c.want || e.Status != wantStatus || e.Basic != c.basic {
				t.Errorf("got %d %v, basic %v; want %s, basic %v", e.Status, e, e.Basic, c.want, c.basic)
			}
			if strings.Contains(e.Error(), secret) || strings.Contains(e.Error(), postSecret) {
				t.Error("the error holds the secret")
			}
		})
	}
}

func TestWithoutTheStoreNoClientIsRefused(t *testing.T) {
	w := newWorld(t)
	w.b.view.Pause()
	c, secret := w.a.register(MethodBasic)
	w.b.view.Fail(true)
	_, e := w.b.try(attempt{header: basic(c.ID(), secret)})
	if e == nil || e.Code != oauth.CodeTemporarilyUnavailable || e.Status != http.StatusServiceUnavailable || e.RetryAfter <= 0 {
		t.Errorf("got %v", e)
	}
	w.b.view.Fail(false)
	if _, e := w.b.try(attempt{header: basic(c.ID(), secret)}); e != nil {
		t.Error(e)
	}
}

// Whatever a request says of its client: who passes for one with a secret has sent
// that secret, in one place, and nothing else that proves anything.
func FuzzAuthenticate(f *testing.F) {
	w := newWorld(f)
	c, secret := w.a.register(MethodBasic)
	public, _ := w.a.register(MethodNone)
	encoded := base64.StdEncoding.EncodeToString([]byte(c.ID() + ":" + secret))
	for _, seed := range []struct{ header, query string }{
		{"Basic " + encoded, ""}, {"basic  " + encoded, "client_id=" + c.ID()}, {"", "client_id=" + c.ID() + "&client_secret=" + secret},
		{"", "client_id=" + c.ID()}, {"", "client_id=" + public.ID()}, {"Basic " + encoded, "client_secret=" + secret}, {"Basic Og==", ""}, {"Basic", ""}, {"Basic !", "client_id=" + c.ID()},
		{"Basic " + base64.StdEncoding.EncodeToString([]byte(c.ID()+":%zz")), ""}, {"Bearer " + encoded, "client_id=" + c.ID()}, {"Basic " + encoded + "\nBasic " + encoded, ""},
		{"", "client_assertion=e30.e30.&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_id=" + c.ID()}, {"", "client_id=https://app.example.com/c"},
	} {
		f.Add(seed.header, seed.query)
	}
	f.Fuzz(func(t *testing.T, header, query string) {
		r := httptest.NewRequest(http.MethodPost, "/token", strings.NewReader(query))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if header != "" {
			r.Header["Authorization"] = strings.Split(header, "\n")
		}
		p, e := oauth.ParseForm(r)
		if e != nil {
			return
		}
		got, e := w.a.Authenticate(r, p)
		if e != nil {
			if e.Code != oauth.CodeInvalidClient && e.Code != oauth.CodeInvalidRequest || e.Status/100 != 4 || strings.Contains(e.Description, secret) {
				t.Errorf("%q, %q: %v", header, query, e)
			}
			return
		}
		_, basicSecret, isBasic := basicAuth(r.Header.Get("Authorization"))
		unescaped, err := url.QueryUnescape(basicSecret)
		if err != nil {
			unescaped = basicSecret
		}
		inHeader := isBasic && (basicSecret == secret || unescaped == secret)
		inForm := p.Get("client_secret") == secret
		switch got.ID() {
		case c.ID():
			if inHeader == inForm || len(r.Header["Authorization"]) > 1 {
				t.Errorf("%q, %q passes for a client with a secret", header, query)
			}
		case public.ID():
			if p.Get("client_secret") != "" || isBasic && basicSecret != "" {
				t.Errorf("%q, %q: a public client has a secret", header, query)
			}
		default:
			t.Errorf("%q, %q passes for %q", header, query, got.ID())
		}
	})
}
