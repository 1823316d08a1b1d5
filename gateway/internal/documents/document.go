package documents

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4/json"

	"vestibule.dev/vestibule/gateway/internal/assertion"
	"vestibule.dev/vestibule/gateway/internal/oauth"
)

const (
	// MaxClientID bounds a client_id, in bytes: it travels in cookies.
	MaxClientID = 1 << 10

	maxName         = 256
	maxURI          = 512
	maxRedirectURIs = 32
)

// The methods by which a client that this server shares no secret with can
// authenticate (RFC 7591 section 2).
const (
	methodNone          = "none"
	methodPrivateKeyJWT = "private_key_jwt"
)

// Document is a client's description of itself, as far as it means something here.
type Document struct {
	ClientID string
	// Name is what the client calls itself: any text, but not empty. URI is its
	// page, or empty.
	Name, URI string
	// RedirectURIs are those that are fit to be used: at least one.
	RedirectURIs []string
	// Method is none or private_key_jwt.
	Method string
	// JWKS is a JWK Set as assertion.Keys writes it, JWKSURI where one is published.
	// At most one is set. Where Method is none, the client may use its keys, but
	// need not.
	JWKS    []byte
	JWKSURI string
	// SigningAlg, when set, is the only algorithm of its assertions.
	SigningAlg string
}

// Names says whether a client_id is meant to be the URL of a document. Those
// that this server hands out never look like one.
func Names(clientID string) bool { return strings.HasPrefix(clientID, "https://") }

// CheckClientID says why a client_id cannot be the URL of a document, or returns
// nil. It must have a path, and neither user, query, fragment nor dot segments
// (draft-ietf-oauth-client-id-metadata-document section 3). The draft only
// advises against a query; with one, a single host could be any number of clients.
func CheckClientID(s string) (*url.URL, error) {
	if len(s) > MaxClientID {
		return nil, fmt.Errorf("is longer than %d bytes", MaxClientID)
	}
	if strings.ContainsFunc(s, func(c rune) bool { return c <= 0x20 || c >= 0x7f || strings.ContainsRune("\\\"<>^`{|}", c) }) {
		return nil, errors.New("has characters that a URL may not have")
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || !Names(s) || u.Host == "":
		return nil, errors.New("is not an https URL")
	case strings.ContainsFunc(u.Host, func(c rune) bool { return c >= 0x7f || c == '%' }):
		return nil, errors.New("has a host that is not written as it is looked up")
	//rule:document-with-query document-with-fragment
	case u.User != nil || strings.ContainsAny(s, "?#"):
		return nil, errors.New("has a user, a query or a fragment")
	case u.Path == "":
		return nil, errors.New("has no path")
	case slices.ContainsFunc(strings.Split(u.Path, "/"), func(segment string) bool { return segment == "." || segment == ".." }):
		return nil, errors.New("has dot segments")
	case u.String() != s:
		return nil, errors.New("is not written as URL libraries write it")
	}
	return u, nil
}

// parse reads the document that is at the URL clientID. Members that mean nothing
// here are ignored, and of those that do, what cannot be granted is left out as
// long as something is left: a document is written once, for all servers. The
// error continues the sentence that begins with the document, and quotes nothing of it.
func parse(clientID string, body []byte) (*Document, error) {
	// This decoder tells cases apart, and refuses a member that stands twice.
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil || members == nil {
		return nil, errors.New("is not one JSON object")
	}
	m := metadata{members: members}
	d := &Document{ClientID: clientID, Name: m.text("client_name", maxName), URI: oauth.WebPage(m.text("client_uri", maxURI))}
	//rule:document-of-another
	if m.text("client_id", MaxClientID) != clientID {
		m.fail("does not name its own URL as client_id")
	}
	if strings.TrimSpace(d.Name) == "" {
		m.fail("has no client_name")
	}
	if m.has("client_secret") || m.has("client_secret_expires_at") {
		m.fail("has a client_secret, which a public document cannot have")
	}
	m.mustContain("grant_types", "authorization_code")
	m.mustContain("response_types", "code")
	d.RedirectURIs = m.redirectURIs()
	m.authentication(d)
	if m.bad != nil {
		return nil, m.bad
	}
	return d, nil
}

// metadata reads members one by one, and remembers the first that is wrong.
type metadata struct {
	members map[string]json.RawMessage
	bad     error
}

func (m *metadata) fail(format string, args ...any) {
	if m.bad == nil {
		m.bad = fmt.Errorf(format, args...)
	}
}

// has says whether a member is there; null is not there.
func (m *metadata) has(name string) bool {
	raw, ok := m.members[name]
	return ok && string(raw) != "null"
}

func (m *metadata) read(name, what string, into any) {
	if !m.has(name) {
		return
	}
	if err := json.Unmarshal(m.members[name], into); err != nil {
		m.fail("has a %s that is not %s", name, what)
	}
}

func (m *metadata) text(name string, limit int) string {
	var s string
	m.read(name, "a string", &s)
	if len(s) > limit {
		m.fail("has a %s of more than %d bytes", name, limit)
	}
	return s
}

func (m *metadata) list(name string) []string {
	var list []string
	m.read(name, "an array of strings", &list)
	return list
}

func (m *metadata) mustContain(name, value string) {
	if list := m.list(name); len(list) > 0 && !slices.Contains(list, value) {
		m.fail("has %s without %s", name, value)
	}
}

func (m *metadata) redirectURIs() []string {
	var good []string
	asked := m.list("redirect_uris")
	if len(asked) > maxRedirectURIs {
		m.fail("has more than %d redirect_uris", maxRedirectURIs)
	}
	for _, u := range asked {
		if oauth.CheckRedirectURI(u) == nil && !slices.Contains(good, u) {
			good = append(good, u)
		}
	}
	if len(good) == 0 {
		m.fail("has no redirect_uris that may be used: an https URL, an http URL of a loopback host, or a private-use scheme of an app")
	}
	return good
}

// authentication decides how the client proves who it is. The default of RFC
// 7591, a shared secret, cannot be meant: without a word, the client is public.
// Documents in transition name one method as their preference, and list all that
// the client can use; the preference binds it, if it can be met here.
func (m *metadata) authentication(d *Document) {
	preferred, all := m.text("token_endpoint_auth_method", 64), m.list("token_endpoint_auth_methods_supported")
	if strings.HasPrefix(preferred, "client_secret_") {
		m.fail("has a token_endpoint_auth_method that needs a shared secret, which a public document cannot have")
	}
	switch {
	case preferred == methodNone, preferred == methodPrivateKeyJWT:
		d.Method = preferred
	case preferred == "" && len(all) == 0, slices.Contains(all, methodNone):
		d.Method = methodNone
	case slices.Contains(all, methodPrivateKeyJWT):
		d.Method = methodPrivateKeyJWT
	default:
		m.fail("has a token_endpoint_auth_method that is neither none nor private_key_jwt")
	}
	if d.Method == methodPrivateKeyJWT || slices.Contains(all, methodPrivateKeyJWT) {
		m.keys(d)
	}
	if d.Method == methodPrivateKeyJWT && len(d.JWKS) == 0 && d.JWKSURI == "" {
		m.fail("has neither jwks nor jwks_uri, which private_key_jwt needs")
	}
}

func (m *metadata) keys(d *Document) {
	if m.has("jwks") && m.has("jwks_uri") {
		m.fail("has both jwks and jwks_uri")
		return
	}
	d.SigningAlg = m.text("token_endpoint_auth_signing_alg", 16)
	if d.SigningAlg != "" && !slices.Contains(assertion.AlgorithmNames(), d.SigningAlg) {
		m.fail("has a token_endpoint_auth_signing_alg that is not supported here")
	}
	if m.has("jwks") {
		keys, err := assertion.ParseKeys(m.members["jwks"])
		if err == nil {
			d.JWKS, err = keys.Marshal()
		}
		if err != nil {
			m.fail("has jwks of which this is wrong: %w", err)
		}
	}
	d.JWKSURI = m.text("jwks_uri", MaxClientID)
}
