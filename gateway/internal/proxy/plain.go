package proxy

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"
)

// Routes that are not MCP's, and those that need no token.

const plainMethods = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"

// sandbox keeps pages of a public route apart from the authorization server, whose
// origin they share: a script on one could otherwise approve what clients ask for, in
// the name of whoever reads the page.
const sandbox = "sandbox allow-downloads allow-forms allow-modals allow-popups allow-popups-to-escape-sandbox allow-scripts"

// below is the backend's URL for one at or below the route's.
func (h *Handler) below(u *url.URL) *url.URL {
	target := *h.Backend
	target.RawQuery = u.RawQuery
	if !h.isEndpoint(u.Path) {
		target.Path = strings.TrimSuffix(target.Path, "/") + strings.TrimPrefix(u.Path, h.base)
	}
	return &target
}

// ambiguous says whether some servers read more in a path than there is: another
// slash, what is decoded twice, or what a parameter hides. A backend that does could
// serve what another route protects.
func ambiguous(u *url.URL) bool {
	return !utf8.ValidString(u.Path) || strings.Contains(strings.ToLower(u.EscapedPath()), "%2f") ||
		strings.ContainsFunc(u.Path, func(c rune) bool { return c < ' ' || c == 0x7f || strings.ContainsRune(`\%;`, c) })
}

// arriving is a body that must arrive in time: whose it is, nobody knows.
type arriving struct {
	io.ReadCloser
	w    http.ResponseWriter
	late *atomic.Bool
}

// liftWhenRead takes away the deadline that a request has at first once its body has
// been read: what is answered may take its time.
func liftWhenRead(w http.ResponseWriter, r *http.Request, c *call) {
	if r.ContentLength == 0 {
		lift(w)
		return
	}
	r.Body = arriving{r.Body, w, &c.late}
}

func (a arriving) Read(p []byte) (int, error) {
	n, err := a.ReadCloser.Read(p)
	switch {
	case errors.Is(err, io.EOF):
		lift(a.w)
	case errors.Is(err, os.ErrDeadlineExceeded):
		a.late.Store(true)
	}
	return n, err
}

// lift takes away the deadline by which a request must arrive. Not every writer has
// one; the server's own has.
func lift(w http.ResponseWriter) { _ = http.NewResponseController(w).SetReadDeadline(time.Time{}) }
