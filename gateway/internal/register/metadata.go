package register

import (
	"encoding/json"
	"errors"
	"slices"

	"vestibule.dev/vestibule/gateway/internal/clients"
	"vestibule.dev/vestibule/gateway/internal/oauth"
)

// What every registered client gets, and all that it can get.
var (
	grantTypes    = []string{"authorization_code", "refresh_token"}
	responseTypes = []string{"code"}
	methods       = []string{clients.MethodNone, clients.MethodBasic, clients.MethodPost}
)

const (
	maxRedirectURIs = 16
	maxName         = 256
	maxURI          = 512
)

// parse reads client metadata (RFC 7591 section 2). Members that mean nothing
// here are ignored. Of those that do, what cannot be granted is left out as
// long as something is left: clients ask for what other servers have.
func (h *Handler) parse(body []byte) (clients.Client, *oauth.Error) {
	// A map, not a struct: a struct would take Redirect_URIs for redirect_uris.
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil || members == nil {
		return clients.Client{}, invalidMetadata("the body must be one JSON object").Because(err)
	}
	m := metadata{members: members}
	c := clients.Client{
		Name: m.text("client_name", maxName),
		URI:  oauth.WebPage(m.text("client_uri", maxURI)),
	}
	c.Method = h.method(&m)
	m.mustContain("grant_types", "authorization_code")
	m.mustContain("response_types", "code")
	c.RedirectURIs = m.redirectURIs()
	if m.bad == nil && kept(c) > maxKept {
		m.fail(invalidMetadata("client_name, client_uri and redirect_uris are longer than %d bytes in all", maxKept))
	}
	return c, m.bad
}

func kept(c clients.Client) int {
	n := len(c.Name) + len(c.URI)
	for _, u := range c.RedirectURIs {
		n += len(u)
	}
	return n
}

// method is how the client wants to authenticate; the default is the RFC's.
func (h *Handler) method(m *metadata) string {
	method := m.text("token_endpoint_auth_method", 64)
	switch {
	case method == "":
		return clients.MethodBasic
	case !slices.Contains(methods, method):
		m.fail(invalidMetadata("token_endpoint_auth_method must be none, client_secret_basic or client_secret_post"))
	case method == clients.MethodNone && !h.Settings.PublicClients:
		m.fail(invalidMetadata("clients without a secret may not register here: token_endpoint_auth_method must be client_secret_basic or client_secret_post"))
	}
	return method
}

// metadata reads members one by one, and remembers the first that is wrong.
type metadata struct {
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

func (m *metadata) mustContain(name, value string) {
	if list := m.list(name); len(list) > 0 && !slices.Contains(list, value) {
		m.fail(invalidMetadata("%s must contain %s", name, value))
	}
}

// redirectURIs returns those that are fit to be used. Some clients send several
// for their different forms, of which one would do.
func (m *metadata) redirectURIs() []string {
	asked := m.list("redirect_uris")
	if len(asked) > maxRedirectURIs {
		m.fail(invalidMetadata("there are more than %d redirect_uris", maxRedirectURIs))
		return nil
	}
	var good []string
	reason := errors.New("there is none")
	for _, u := range asked {
		if err := oauth.CheckRedirectURI(u); err != nil {
			reason = err
		} else if !slices.Contains(good, u) {
			good = append(good, u)
		}
	}
	if len(good) == 0 {
		e := oauth.InvalidRequest("redirect_uris must hold an https URL, an http URL of a loopback host, or a private-use scheme of an app")
		e.Code = oauth.CodeInvalidRedirectURI
		m.fail(e.Because(reason))
	}
	return good
}
