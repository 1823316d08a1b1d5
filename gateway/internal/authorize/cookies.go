package authorize

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// maxFlowCookies bounds what all pending logins of one browser take of its
// requests' headers, in bytes.
const maxFlowCookies = 6 << 10

// maxCookie is how many bytes of one cookie's name and value every browser
// keeps (RFC 6265 section 6.1). A longer one it drops without a word.
const maxCookie = 4 << 10

// jar names and sets the gateway's cookies. Names carry a hash of the public
// URL, since all servers on one host share a browser's cookies.
type jar struct {
	prefix string
	secure bool
}

func newJar(publicURL string) jar {
	sum := sha256.Sum256([]byte(publicURL))
	name := "vestibule-" + base64.RawURLEncoding.EncodeToString(sum[:6])
	if u, err := url.Parse(publicURL); err == nil && u.Scheme == "http" {
		// On loopback there is no TLS. Its ports share cookies too.
		return jar{prefix: name + "-" + u.Port()}
	}
	//rule:cookie-over-http
	return jar{prefix: "__Host-" + name, secure: true}
}

func (j jar) set(w http.ResponseWriter, name, value string, age time.Duration) {
	//rule:cookie-to-scripts
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // not Secure on loopback alone, where there is no TLS
		Name: j.prefix + "-" + name, Value: value, Path: "/", MaxAge: int(age / time.Second),
		Secure: j.secure, HttpOnly: true,
		SameSite: http.SameSiteLaxMode, // the upstream sends the browser back from its own site
	})
}

func (j jar) drop(w http.ResponseWriter, name string) { j.set(w, name, "", -time.Second) }

// size is what a cookie takes of a request's headers.
func (j jar) size(name, value string) int { return len(j.prefix) + len("-") + len(name) + len(value) }

// get returns the cookie's value. One that stands twice was set by somebody
// else too, and counts for nothing.
func (j jar) get(r *http.Request, name string) string {
	found := r.CookiesNamed(j.prefix + "-" + name)
	//rule:cookie-tossing
	if len(found) != 1 {
		return ""
	}
	return found[0].Value
}

// flowName is the name of the cookie of the login with this state: the state
// names it, and only the browser has it.
func flowName(state string) string { return "flow-" + state[:12] }

// makeRoom drops the oldest pending logins until another of this size fits.
func (j jar) makeRoom(w http.ResponseWriter, r *http.Request, size int, startedAt func(value string) int64) {
	type pending struct {
		name      string
		size      int
		startedAt int64
	}
	var flows []pending
	for _, c := range r.Cookies() {
		if rest, ok := strings.CutPrefix(c.Name, j.prefix+"-"); ok && strings.HasPrefix(rest, "flow-") {
			n := len(c.Name) + len(c.Value)
			flows = append(flows, pending{rest, n, startedAt(c.Value)})
			size += n
		}
	}
	slices.SortFunc(flows, func(a, b pending) int { return int(a.startedAt - b.startedAt) })
	for _, f := range flows {
		//rule:login-cookies-without-end
		if size <= maxFlowCookies {
			return
		}
		j.drop(w, f.name)
		size -= f.size
	}
}
