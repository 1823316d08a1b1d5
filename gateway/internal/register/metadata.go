package register

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"vestibule.dev/vestibule/gateway/internal/assertion"
	"vestibule.dev/vestibule/gateway/internal/clients"
	"vestibule.dev/vestibule/gateway/internal/oauth"
)

// What every registered client gets, and all that it can get.
var (
	grantTypes    = []string{"authorization_code", "refresh_token"}
	responseTypes = []string{"code"}
	methods       = []string{clients.MethodNone, clients.MethodBasic, clients.MethodPost, clients.MethodPrivateKeyJWT}
)

const (
	maxRedirectURIs = 16
	maxText         = 256
	maxURI          = 512
	maxContacts     = 16
	maxScope        = 1 << 10
)

// parse reads client metadata (RFC 7591 section 2). Members that mean nothing
// here are ignored; among them is software_statement, since nobody is trusted to
// make one. Of those that do, what cannot be granted is left out as long as
// something is left: clients ask for what other servers have.
func (h *Handler) parse(members map[string]json.RawMessage) (clients.Client, *oauth.Error) {
	m := metadata{members: members}
	c := clients.Client{
		Name: m.text("client_name", maxText),
		URI:  oauth.WebPage(m.text("client_uri", maxURI)),
	}
	c.Method = h.method(&m)
	m.keys(&c)
	m.mustContain("grant_types", "authorization_code")
	m.mustContain("response_types", "code")
	c.RedirectURIs = m.redirectURIs(h.Redirects)
	var err error
	if c.Metadata, err = json.Marshal(h.echo(&m)); err != nil {
		m.fail(oauth.AsError(err))
	}
	//rule:registration-kept-whole
	if n := kept(c); m.bad == nil && n > maxKept {
		m.fail(invalidMetadata("what is to be kept of this client has %d bytes; at most %d are kept", n, maxKept))
	}
	return c, m.bad
}

func kept(c clients.Client) int {
	n := len(c.Name) + len(c.URI) + len(c.Metadata) + len(c.JWKS) + len(c.JWKSURI)
	for _, u := range c.RedirectURIs {
		n += len(u)
	}
	return n
}

// echo returns the members that are kept only to be told again.
func (h *Handler) echo(m *metadata) map[string]any {
	kept := map[string]any{}
	keep := func(name, value string) {
		if value != "" {
			kept[name] = value
		}
	}
	for _, name := range []string{"software_id", "software_version"} {
		keep(name, m.text(name, maxText))
	}
	for _, name := range []string{"logo_uri", "tos_uri", "policy_uri"} {
		keep(name, oauth.WebPage(m.text(name, maxURI)))
	}
	for name := range m.members {
		switch field, language, translated := strings.Cut(name, "#"); {
		case !translated || !languageTag.MatchString(language):
		case field == "client_name":
			keep(name, m.text(name, maxText))
		case slices.Contains([]string{"client_uri", "logo_uri", "tos_uri", "policy_uri"}, field):
			keep(name, oauth.WebPage(m.text(name, maxURI)))
		}
	}
	// Some send web with a loopback redirect, as no OpenID provider would have it.
	if t := m.text("application_type", maxText); t == "web" || t == "native" {
		kept["application_type"] = t
	}
	if contacts := m.contacts(); len(contacts) > 0 {
		kept["contacts"] = contacts
	}
	keep("scope", h.scope(m).String())
	return kept
}

// languageTag is what is behind the # of a member for readers of one language
// (RFC 7591 section 2.2, BCP 47).
var languageTag = regexp.MustCompile(`^[A-Za-z0-9]{1,8}(-[A-Za-z0-9]{1,8}){0,7}$`)

// scope returns those of the scopes that exist here. They bind nobody: what the
// client may do, a user says each time.
func (h *Handler) scope(m *metadata) oauth.Scopes {
	asked, err := oauth.ParseScopes(m.text("scope", maxScope))
	if err != nil {
		return nil
	}
	known := h.Scopes().With(oauth.Scopes{oauth.ScopeOfflineAccess})
	return slices.DeleteFunc(asked, func(s string) bool { return !slices.Contains(known, s) })
}

// method is how the client wants to authenticate; the default is the RFC's.
func (h *Handler) method(m *metadata) string {
	method := m.text("token_endpoint_auth_method", 64)
	switch {
	case method == "":
		return clients.MethodBasic
	case !slices.Contains(methods, method):
		m.fail(invalidMetadata("token_endpoint_auth_method must be %s", oneOf(methods)))
	//rule:public-clients
	case method == clients.MethodNone && !h.Settings.PublicClients:
		m.fail(invalidMetadata("clients without a secret may not register here: token_endpoint_auth_method must be %s", oneOf(methods[1:])))
	}
	return method
}

func oneOf(list []string) string {
	last := len(list) - 1
	return fmt.Sprintf("%s or %s", strings.Join(list[:last], ", "), list[last])
}

// metadata reads members one by one, and remembers the first that is wrong.
type metadata struct {
	// A map, not a struct: a struct would take Redirect_URIs for redirect_uris.
	members map[string]json.RawMessage
	bad     *oauth.Error
}

func (m *metadata) fail(e *oauth.Error) {
	if m.bad == nil {
		m.bad = e
	}
}

// read decodes a member. An absent one and a null leave into as it is.
func (m *metadata) read(name, what string, into any) {
	raw, ok := m.members[name]
	if !ok {
		return
	}
	if err := json.Unmarshal(raw, into); err != nil {
		m.fail(invalidMetadata("%s must be %s", name, what).Because(errors.New("it is of another type")))
	}
}

func (m *metadata) text(name string, limit int) string {
	var s string
	m.read(name, "a string", &s)
	if len(s) > limit {
		m.fail(invalidMetadata("%s is longer than %d bytes", name, limit))
	}
	return s
}

func (m *metadata) list(name string) []string {
	var list []string
	m.read(name, "an array of strings", &list)
	return list
}

func (m *metadata) contacts() []string {
	contacts := slices.DeleteFunc(m.list("contacts"), func(s string) bool { return s == "" })
	if len(contacts) > maxContacts {
		m.fail(invalidMetadata("there are more than %d contacts", maxContacts))
	}
	return contacts
}

// keys reads what the client's assertions are verified with. One that does not
// need keys may send a set without any that is of use.
func (m *metadata) keys(c *clients.Client) {
	signs := c.Method == clients.MethodPrivateKeyJWT
	c.JWKSURI = m.text("jwks_uri", maxURI)
	if set := m.members["jwks"]; len(set) > 0 && string(set) != "null" {
		keys, err := assertion.ParseKeys(set)
		if err == nil {
			c.JWKS, err = keys.Marshal()
		}
		if err != nil && (signs || errors.Is(err, assertion.ErrNotPublic)) {
			m.fail(invalidMetadata("jwks must be a JWK Set of public keys").Because(err))
		}
	}
	u, err := url.Parse(c.JWKSURI)
	switch {
	case c.JWKSURI != "" && len(c.JWKS) > 0:
		m.fail(invalidMetadata("only one of jwks and jwks_uri may be set"))
	case c.JWKSURI != "" && (err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil):
		m.fail(invalidMetadata("jwks_uri must be an https URL"))
	case signs && c.JWKSURI == "" && len(c.JWKS) == 0:
		m.fail(invalidMetadata("for private_key_jwt, jwks or jwks_uri must be set"))
	}
	if !signs {
		return
	}
	c.SigningAlg = m.text("token_endpoint_auth_signing_alg", 16)
	if known := assertion.AlgorithmNames(); c.SigningAlg != "" && !slices.Contains(known, c.SigningAlg) {
		m.fail(invalidMetadata("token_endpoint_auth_signing_alg must be %s", oneOf(known)))
	}
}

func (m *metadata) mustContain(name, value string) {
	if list := m.list(name); len(list) > 0 && !slices.Contains(list, value) {
		m.fail(invalidMetadata("%s must contain %s", name, value))
	}
}

// redirectURIs returns those that are fit to be used. Some clients send several
// for their different forms, of which one would do.
func (m *metadata) redirectURIs(policy oauth.RedirectPolicy) []string {
	asked := m.list("redirect_uris")
	if len(asked) > maxRedirectURIs {
		m.fail(invalidMetadata("there are more than %d redirect_uris", maxRedirectURIs))
		return nil
	}
	var good []string
	reason := errors.New("there is none")
	for _, u := range asked {
		//rule:bad-redirect-registered
		if err := policy.Check(u); err != nil {
			reason = err
		} else if !slices.Contains(good, u) {
			good = append(good, u)
		}
	}
	if len(good) == 0 {
		e := oauth.InvalidRequest("redirect_uris must hold an https URL, an http URL of a loopback host, or a private-use scheme of an app, as the policy here has it")
		e.Code = oauth.CodeInvalidRedirectURI
		m.fail(e.Because(reason))
	}
	return good
}
