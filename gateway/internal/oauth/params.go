package oauth

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"unicode/utf8"
)

// Bounds of what a request may carry, in bytes.
const (
	MaxForm      = 64 << 10 // a form body or a query
	MaxState     = 1 << 10  // state, which comes back in a cookie
	MaxCode      = 8 << 10  // code, which upstreams choose: Entra's grow with what is asked for
	MaxAssertion = 8 << 10  // a signed JWT
	MaxParam     = 2 << 10  // any other parameter
)

// Params are the parameters of a request to an OAuth endpoint: each at most
// once (RFC 6749 section 3.1), save resource (RFC 8707 section 2), none empty.
type Params map[string][]string

// known are the parameters that mean something here. Others are ignored,
// however often they stand (RFC 6749 section 3.1).
var known = []string{
	"response_type", "client_id", "client_secret", "redirect_uri", "scope", "state", "resource",
	"code_challenge", "code_challenge_method", "code_verifier", "code", "grant_type", "refresh_token",
	"token", "token_type_hint", "request", "decision", "iss", "error", "error_description",
	"assertion", "client_assertion", "client_assertion_type", "response_mode",
}

// ParseQuery reads the parameters in a request's query. The error, of code
// invalid_request, says what is wrong with one of them; the others are returned
// all the same, since they may say where the error has to go.
func ParseQuery(r *http.Request) (Params, *Error) {
	if len(r.URL.RawQuery) > MaxForm {
		return Params{}, InvalidRequest("the query is too long")
	}
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return Params{}, InvalidRequest("the query is not form-encoded").Because(err)
	}
	return newParams(values)
}

// ParseForm reads the parameters in a request's form body; those in the query
// count for nothing (OAuth 2.1 section 3.2). The error says what is wrong.
func ParseForm(r *http.Request) (Params, *Error) {
	if r.Method != http.MethodPost {
		e := InvalidRequest("the method must be POST")
		e.Status = http.StatusMethodNotAllowed
		return nil, e
	}
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != "application/x-www-form-urlencoded" {
		e := InvalidRequest("the content type must be application/x-www-form-urlencoded")
		e.Status = http.StatusUnsupportedMediaType
		return nil, e.Because(err)
	}
	body, e := ReadBody(r, MaxForm)
	if e != nil {
		return nil, e
	}
	//rule:parameters-in-query
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, InvalidRequest("the body is not form-encoded").Because(err)
	}
	p, e := newParams(values)
	if e != nil {
		return nil, e
	}
	return p, nil
}

// ReadBody reads a body of at most limit bytes.
func ReadBody(r *http.Request, limit int64) ([]byte, *Error) {
	//rule:body-limit
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, limit))
	if _, tooLong := errors.AsType[*http.MaxBytesError](err); tooLong {
		e := InvalidRequest("the body is longer than %d bytes", limit)
		e.Status = http.StatusRequestEntityTooLarge
		return nil, e
	}
	if err != nil {
		return nil, InvalidRequest("the body cannot be read").Because(err)
	}
	return body, nil
}

func newParams(values url.Values) (Params, *Error) {
	p, bad := Params{}, (*Error)(nil)
	for _, name := range known {
		all := slices.DeleteFunc(values[name], func(v string) bool { return v == "" })
		if len(all) == 0 {
			continue
		}
		switch {
		//rule:parameter-twice
		case len(all) > 1 && name != "resource":
			bad = InvalidRequest("%s stands more than once", name)
		case slices.ContainsFunc(all, func(v string) bool { return tooLong(name, v) }):
			bad = InvalidRequest("%s is too long", name)
		case slices.ContainsFunc(all, func(v string) bool { return !utf8.ValidString(v) || hasControl(v) }):
			bad = InvalidRequest("%s has bytes that are not text", name)
		default:
			p[name] = all
		}
	}
	return p, bad
}

func tooLong(name, v string) bool {
	switch name {
	case "state":
		return len(v) > MaxState
	case "assertion", "client_assertion":
		return len(v) > MaxAssertion
	case "code":
		return len(v) > MaxCode
	case "request": // our own sealed request, which holds several parameters
		return len(v) > MaxForm
	}
	return len(v) > MaxParam
}

func hasControl(s string) bool {
	for _, c := range s {
		if c < 0x20 || c == 0x7f {
			return true
		}
	}
	return false
}

// Get returns the parameter, or "" if it is absent.
func (p Params) Get(name string) string {
	if len(p[name]) == 0 {
		return ""
	}
	return p[name][0]
}

// Need returns the parameter, or an invalid_request that names it.
func (p Params) Need(name string) (string, *Error) {
	v := p.Get(name)
	if v == "" {
		return "", InvalidRequest("%s is missing", name)
	}
	return v, nil
}

// IsCodeVerifier says whether s has the form of a code verifier (RFC 7636
// section 4.1).
func IsCodeVerifier(s string) bool {
	if len(s) < 43 || len(s) > 128 {
		return false
	}
	for _, c := range []byte(s) {
		alphanumeric := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alphanumeric && c != '-' && c != '.' && c != '_' && c != '~' {
			return false
		}
	}
	return true
}
