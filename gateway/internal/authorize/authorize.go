package authorize

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/clients"
	"vestibule.dev/vestibule/gateway/internal/grants"
	"vestibule.dev/vestibule/gateway/internal/oauth"
	"vestibule.dev/vestibule/gateway/internal/pages"
)

// Authorize is the authorization endpoint (RFC 6749 section 3.1). Until client
// and redirect URI are known good, an error is a page: anything else would be
// an open redirector.
func (h *Handler) Authorize(w http.ResponseWriter, r *http.Request) {
	p, malformed := oauth.ParseQuery(r)
	clientID, e := p.Need("client_id")
	if e != nil {
		h.problem(w, r, first(malformed, e), malformedPage)
		return
	}
	c := h.findClient(w, r, clientID)
	if c == nil {
		return
	}
	//rule:open-redirector
	redirectURI, e := h.chooseRedirectURI(c, p, r.URL.Query())
	if e != nil {
		h.problem(w, r, e, strangeRedirectPage)
		return
	}
	req := request{ClientID: clientID, RedirectURI: redirectURI, State: p.Get("state")}
	if malformed != nil {
		h.redirectError(w, r, req, malformed)
		return
	}
	if e := h.readRequest(h.Policy(r.Context()), c, p, &req); e != nil {
		h.redirectError(w, r, req, e)
		return
	}
	h.askConsent(w, r, c, req)
}

var malformedPage = pages.Problem{
	Title:  "This request cannot be answered",
	Text:   "It does not say properly which application sends it.",
	Advice: startAgain,
}

var strangeRedirectPage = pages.Problem{
	Title:  "This request cannot be answered",
	Text:   "The application asks for the answer at an address that it has not registered.",
	Advice: "Do not go on if you did not start this yourself. Else remove this MCP server in the application, and add it again.",
}

func first(errs ...*oauth.Error) *oauth.Error {
	for _, e := range errs {
		if e != nil {
			return e
		}
	}
	return nil
}

// chooseRedirectURI returns the redirect URI that the client asks for. It may
// leave it out, or empty (RFC 6749 section 3.1), if it has registered only one.
// What it registered, the policy may have ceased to allow.
func (h *Handler) chooseRedirectURI(c *clients.Client, p oauth.Params, raw url.Values) (string, *oauth.Error) {
	asked := p.Get("redirect_uri")
	if asked == "" {
		if strings.Join(raw["redirect_uri"], "") != "" || len(c.RedirectURIs) != 1 {
			return "", oauth.InvalidRequest("redirect_uri is missing, or not fit to be one")
		}
		asked = c.RedirectURIs[0]
	}
	//rule:redirect-unchecked
	if !c.MayRedirectTo(asked) {
		return "", oauth.InvalidRequest("redirect_uri is not registered for this client")
	}
	//rule:redirect-policy-of-before
	check := h.Redirects.Check
	if c.Provisioned() {
		check = oauth.CheckRedirectURI
	}
	if err := check(asked); err != nil {
		return "", oauth.InvalidRequest("redirect_uri is not one that clients may use here").Because(err)
	}
	return asked, nil
}

// readRequest checks what is left once errors can go to the client.
func (h *Handler) readRequest(judge Policy, c *clients.Client, p oauth.Params, req *request) *oauth.Error {
	if !c.May(config.GrantAuthorizationCode) {
		return oauth.UnauthorizedClient("this client is not there for users to log in with")
	}
	responseType, e := p.Need("response_type")
	if e != nil {
		return e
	}
	//rule:implicit-grant
	if responseType != "code" {
		return &oauth.Error{Code: oauth.CodeUnsupportedResponseType, Description: "response_type must be code"}
	}
	if mode := p.Get("response_mode"); mode != "" && mode != "query" {
		return oauth.InvalidRequest("response_mode must be query")
	}
	if e := readChallenge(p, req); e != nil {
		return e
	}
	resource, e := h.chooseResource(p["resource"])
	if e != nil {
		return e
	}
	req.Resource = resource.URL
	scopes, e := narrow(judge, p.Get("scope"), resource)
	if e != nil {
		return e
	}
	if req.Scopes = c.Narrow(scopes); len(req.Scopes) == 0 && len(scopes) > 0 {
		return oauth.InvalidScope("this client may have none of the requested scopes")
	}
	return nil
}

// readChallenge insists on PKCE with S256, for confidential clients too (OAuth
// 2.1 section 4.1.1). A missing method would mean plain.
func readChallenge(p oauth.Params, req *request) *oauth.Error {
	//rule:pkce-optional
	challenge, e := p.Need("code_challenge")
	if e != nil {
		return e
	}
	//rule:pkce-plain pkce-without-method
	if p.Get("code_challenge_method") != "S256" {
		return oauth.InvalidRequest("code_challenge_method must be S256")
	}
	var err error
	if req.Challenge, err = grants.ParseChallenge(challenge); err != nil {
		return oauth.InvalidRequest("code_challenge must be the base64url of a SHA-256").Because(err)
	}
	return nil
}

// chooseResource returns the one resource that the client asks for.
func (h *Handler) chooseResource(asked []string) (Resource, *oauth.Error) {
	urls := make([]string, len(h.Resources))
	for i, r := range h.Resources {
		urls[i] = r.URL
	}
	url, e := oauth.ChooseResource(h.PublicURL, urls, asked)
	if e != nil {
		return Resource{}, e
	}
	return h.Resources[slices.Index(urls, url)], nil
}

// narrow returns those of the asked scopes that exist, since clients ask for
// what other servers have; it is an error only if none is left. The token
// response says what was granted.
func narrow(p Policy, asked string, res Resource) (oauth.Scopes, *oauth.Error) {
	if asked == "" {
		return p.Suggested(res.Path), nil
	}
	scopes, err := oauth.ParseScopes(asked)
	if err != nil {
		return nil, oauth.InvalidScope("scope is not a list of scope tokens").Because(err)
	}
	known := p.Described()
	offline := slices.Contains(scopes, oauth.ScopeOfflineAccess)
	granted := slices.DeleteFunc(slices.Clone(scopes), func(s string) bool {
		return !slices.ContainsFunc(known, func(k pages.Scope) bool { return k.Name == s })
	})
	switch {
	case len(granted) > 0:
	case len(known) == 0, offline && len(scopes) == 1:
		granted = slices.Clone(p.Suggested(res.Path))
	default:
		return nil, oauth.InvalidScope("none of the requested scopes exists here").Because(errors.New("nothing left"))
	}
	if offline && !slices.Contains(granted, oauth.ScopeOfflineAccess) {
		granted = append(granted, oauth.ScopeOfflineAccess)
	}
	return granted, nil
}
