// Package pages renders what people see: consent, and what went wrong. A page
// loads nothing, runs nothing, and cannot be framed.
package pages

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"strings"
	"unicode"
)

//go:embed templates
var files embed.FS

// style is the only thing that a page may load, and it is in the page.
var style = func() string {
	b, err := files.ReadFile("templates/style.css")
	if err != nil {
		panic(err) // embedded above
	}
	return string(b)
}()

var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"style": func() template.CSS { return template.CSS(style) }, //nolint:gosec // our own file
}).ParseFS(files, "templates/*.html"))

// policy has no form-action: browsers apply it to all redirects that follow a
// form, and those end wherever the client lives.
var policy = func() string {
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		//rule:consent-framed-csp
		"'; base-uri 'none'; frame-ancestors 'none'"
}()

// Consent is the page that asks a person.
type Consent struct {
	// Action is where the form goes, and Request what it carries.
	Action, Request string
	ClientName      string
	ClientURI       string
	// Provisioned says that an administrator has named the client.
	Provisioned bool
	// ClientHost is the host that vouches for the name, if one does.
	ClientHost   string
	RedirectURI  string
	RedirectHost string
	// Loopback says that the answer goes to a program on this machine.
	Loopback bool
	// Resource is the URL of the MCP server.
	Resource string
	Scopes   []Scope
	// Upstreams are where the person may log in. At least one.
	Upstreams []Choice
}

// Choice is a button to go on with: what the form says then, and what people
// read of who asks for the password.
type Choice struct{ Decision, Title string }

// Scope is one thing that the client may do.
type Scope struct{ Name, Description string }

// WriteConsent answers with the consent page.
func WriteConsent(w http.ResponseWriter, c Consent) {
	c.ClientName, c.ClientURI = Clean(c.ClientName), Clean(c.ClientURI)
	if c.ClientName == "" {
		c.ClientName = "An application without a name"
	}
	write(w, http.StatusOK, "consent.html", c)
}

// Problem is the page for what cannot be answered by a redirect.
type Problem struct {
	Title  string
	Text   string
	Advice string
}

// WriteProblem answers with a page that says what is wrong and what to do.
func WriteProblem(w http.ResponseWriter, status int, p Problem) {
	write(w, status, "problem.html", p)
}

// Denied is the page for somebody who has logged in and may not go on.
type Denied struct {
	// Name is as whom they are logged in, and Upstream what people read of where.
	Name, Upstream string
	// Resource is the URL of the MCP server.
	Resource string
	// Contact is whom to ask, or "".
	Contact string
	// Back is the client's redirect URI, which it has registered, with an error.
	Back string
}

// WriteDenied answers with a page that says so. Its link back may have any scheme
// that a client may register.
func WriteDenied(w http.ResponseWriter, d Denied) {
	d.Name = Clean(d.Name)
	write(w, http.StatusForbidden, "denied.html", struct {
		Denied
		Link template.URL
	}{d, template.URL(d.Back)}) //nolint:gosec // oauth.CheckRedirectURI lets no scheme through that runs anything
}

func write(w http.ResponseWriter, status int, name string, data any) {
	var page bytes.Buffer
	if err := templates.ExecuteTemplate(&page, name, data); err != nil {
		http.Error(w, "this page cannot be shown", http.StatusInternalServerError)
		return
	}
	SetHeaders(w.Header())
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	w.WriteHeader(status)
	_, _ = w.Write(page.Bytes()) // the browser has gone: nobody to tell
}

// SetHeaders sets what every answer to a browser has, pages and redirects: no
// cache keeps it, nobody frames it, and where it leads does not learn its URL.
func SetHeaders(h http.Header) {
	h.Set("Cache-Control", "no-store")
	//rule:referrer
	h.Set("Referrer-Policy", "no-referrer")
	//rule:consent-framed
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
}

// blanks are letters and symbols, for Unicode, that leave no ink: the fillers of
// Hangul and the empty braille pattern.
const blanks = "\u115f\u1160\u3164\uffa0\u2800"

// Clean makes text that a stranger chose fit to be shown in a line: without
// control characters, without those that turn the direction of writing or
// cannot be seen, at most 80 characters.
func Clean(s string) string {
	var b strings.Builder
	n := 0
	for _, c := range strings.ToValidUTF8(s, "") {
		if n == 80 {
			b.WriteRune('…')
			break
		}
		if unicode.IsSpace(c) {
			c = ' '
		}
		//rule:name-turns-line
		if !unicode.IsPrint(c) || strings.ContainsRune(blanks, c) {
			continue
		}
		b.WriteRune(c)
		n++
	}
	return strings.TrimSpace(b.String())
}
