package devidp

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
	"net/http"
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
// form, and these go on to the relying party and wherever it sends people.
var policy = func() string {
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; base-uri 'none'; frame-ancestors 'none'"
}()

// form is the login page.
type form struct {
	// Action is where the form goes, and Request what it carries.
	Action, Request string
	// Destination is the host that gets to know who logged in.
	Destination string
	// Username is filled in already.
	Username string
	// Failed says that the name or the password was wrong.
	Failed bool
}

func writeForm(w http.ResponseWriter, status int, f form) { write(w, status, "login.html", f) }

// writeStranded answers a browser whose login cannot be found. It is one answer
// for every cause, since the causes are nobody's business but that browser's.
func writeStranded(w http.ResponseWriter) {
	write(w, http.StatusBadRequest, "stranded.html", nil)
}

func write(w http.ResponseWriter, status int, name string, data any) {
	var page bytes.Buffer
	if err := templates.ExecuteTemplate(&page, name, data); err != nil {
		http.Error(w, "this page cannot be shown", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	setHeaders(h)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	w.WriteHeader(status)
	_, _ = w.Write(page.Bytes()) // the browser has gone: nobody to tell
}

// setHeaders sets what every answer about a login has: no cache keeps it, nobody
// frames it, and where it leads does not learn its URL.
func setHeaders(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
}
