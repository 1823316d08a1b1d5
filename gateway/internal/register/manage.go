package register

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"

	"vestibule.dev/vestibule/gateway/internal/audit"
	"vestibule.dev/vestibule/gateway/internal/clients"
	"vestibule.dev/vestibule/gateway/internal/oauth"
)

// ManageMethods are those of a client's configuration endpoint.
const ManageMethods = "GET, PUT, DELETE, OPTIONS"

// Manage shows, replaces and deletes a registration for who has its token: the
// path names the client, as the value client. It works where nobody new may
// register, too. Every request that could reach the store counts like a
// registration, so guesses get nobody far.
func (h *Handler) Manage(w http.ResponseWriter, r *http.Request) {
	clientID := r.PathValue("client")
	answer, e := h.manage(r, clientID)
	if e != nil {
		if e.Status == http.StatusMethodNotAllowed {
			w.Header().Set("Allow", ManageMethods)
		}
		h.refuse(w, r, e, slog.String("claimed_client_id", audit.Claimed(clientID)))
		return
	}
	if answer == nil {
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusNoContent)
		return
	}
	oauth.WriteJSON(w, http.StatusOK, answer)
}

// manage returns what is registered now, or nil after a deletion.
func (h *Handler) manage(r *http.Request, clientID string) (map[string]any, *oauth.Error) {
	token := bearer(r)
	var change replacement
	switch r.Method {
	case http.MethodGet, http.MethodDelete:
	case http.MethodPut:
		members, e := readMembers(r)
		if e != nil {
			return nil, e
		}
		if change, e = h.parseReplacement(members, clientID); e != nil {
			return nil, e
		}
	default:
		e := oauth.InvalidRequest("the method must be GET, PUT or DELETE")
		e.Status = http.StatusMethodNotAllowed
		return nil, e
	}
	if token == "" {
		return nil, notAdmitted(errors.New("no registration access token was sent"))
	}
	//rule:managed-without-limit
	if e := h.take(r); e != nil {
		return nil, e
	}
	c, issued, err := h.act(r, clientID, token, change)
	switch {
	case errors.Is(err, clients.ErrForeign):
		return nil, notAdmitted(err)
	case errors.Is(err, clients.ErrSecret):
		return nil, invalidMetadata("client_secret is not that of this client")
	case err != nil:
		return nil, oauth.Unavailable(err)
	case c == nil:
		h.Audit.Record(r, audit.Unregistered, slog.String("client_id", clientID))
		return nil, nil
	case r.Method == http.MethodPut:
		h.Audit.Record(r, audit.Reregistered, facts(c)...)
	}
	issued.ManagementToken = token
	return h.describe(c, issued), nil
}

// act does what the method says. The client is nil after a deletion.
func (h *Handler) act(r *http.Request, clientID, token string, change replacement) (c *clients.Client, issued clients.Issued, err error) {
	switch r.Method {
	case http.MethodGet:
		c, err = h.Clients.Managed(r.Context(), clientID, token)
	case http.MethodPut:
		c, issued, err = h.Clients.Replace(r.Context(), clientID, token, change.secret, change.client)
	case http.MethodDelete:
		err = h.Clients.Delete(r.Context(), clientID, token)
	}
	return c, issued, err
}

// replacement is what a PUT is to make of a client.
type replacement struct {
	client clients.Client
	// secret is what the client says is its secret, or "".
	secret string
}

// issuedMembers are what the server alone sets (RFC 7592 section 2.2).
var issuedMembers = []string{"registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at"}

func (h *Handler) parseReplacement(members map[string]json.RawMessage, clientID string) (replacement, *oauth.Error) {
	m := metadata{members: members}
	if m.text("client_id", maxText) != clientID {
		m.fail(invalidMetadata("client_id must be that of the URL"))
	}
	for _, name := range issuedMembers {
		if _, sent := members[name]; sent {
			m.fail(invalidMetadata("%s is not for the client to set", name))
		}
	}
	secret := m.text("client_secret", maxText)
	if m.bad != nil {
		return replacement{}, m.bad
	}
	c, e := h.parse(members)
	return replacement{c, secret}, e
}

// describe is what a client gets (RFC 7591 section 3.2.1, RFC 7592 section 3): all
// that is registered, and no member without a value, which some clients choke on.
// A secret is told once, when it is issued.
func (h *Handler) describe(c *clients.Client, issued clients.Issued) map[string]any {
	answer := map[string]any{}
	if len(c.Metadata) > 0 {
		_ = json.Unmarshal(c.Metadata, &answer) // it was written here
	}
	answer["client_id"] = c.ID()
	answer["client_id_issued_at"] = c.CreatedAt
	answer["redirect_uris"] = c.RedirectURIs
	answer["token_endpoint_auth_method"] = c.Method
	answer["grant_types"], answer["response_types"] = grantTypes, responseTypes
	answer["registration_client_uri"] = h.PublicURL + Path + "/" + c.ID()
	answer["registration_access_token"] = issued.ManagementToken
	for name, value := range map[string]string{
		"client_name": c.Name, "client_uri": c.URI, "jwks_uri": c.JWKSURI, "token_endpoint_auth_signing_alg": c.SigningAlg,
	} {
		if value != "" {
			answer[name] = value
		}
	}
	//rule:null-in-registration
	if len(c.JWKS) > 0 {
		answer["jwks"] = json.RawMessage(c.JWKS)
	}
	if issued.Secret != "" {
		// Secrets do not expire: a registration lapses when it is not used.
		answer["client_secret"], answer["client_secret_expires_at"] = issued.Secret, 0
	}
	return answer
}
