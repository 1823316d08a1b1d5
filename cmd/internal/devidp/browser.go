package devidp

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
)

// cookie tells one browser from another. It says nothing of who uses it: it
// only ties a login to where it began, so that nobody can be made to complete a
// login that somebody else has begun.
type cookie struct {
	name   string
	secure bool
}

// cookieFor returns the cookie of one issuer. All ports of a host share their
// cookies, so the name tells the issuers apart.
func cookieFor(issuer *url.URL) cookie {
	sum := sha256.Sum256([]byte(issuer.String()))
	name := "devidp-" + hex.EncodeToString(sum[:4])
	if issuer.Scheme == "https" {
		return cookie{name: "__Host-" + name, secure: true}
	}
	return cookie{name: name}
}

// ensure returns the browser's name for itself, and gives it one if it has none.
func (c cookie) ensure(w http.ResponseWriter, r *http.Request) string {
	if browser := c.read(r); browser != "" {
		return browser
	}
	browser := rand.Text()
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure wherever the issuer is
		Name:     c.name,
		Value:    browser,
		Path:     "/",
		HttpOnly: true,
		Secure:   c.secure,
		SameSite: http.SameSiteLaxMode, // the relying party is another site
	})
	return browser
}

// read returns the browser's name for itself, or "".
func (c cookie) read(r *http.Request) string {
	found, err := r.Cookie(c.name)
	if err != nil {
		return ""
	}
	return found.Value
}

type browserKey struct{}

func withBrowser(ctx context.Context, browser string) context.Context {
	return context.WithValue(ctx, browserKey{}, browser)
}

// browserFrom returns what withBrowser has put there: the library passes the
// context of a request on to the storage, but not the request.
func browserFrom(ctx context.Context) string {
	browser, _ := ctx.Value(browserKey{}).(string)
	return browser
}
