// Package revoke serves the token revocation endpoint (RFC 7009).
package revoke

import (
	"context"
	"log/slog"
	"net/http"

	"vestibule.dev/vestibule/gateway/internal/audit"
	"vestibule.dev/vestibule/gateway/internal/clients"
	"vestibule.dev/vestibule/gateway/internal/grants"
	"vestibule.dev/vestibule/gateway/internal/oauth"
)

// Path is under the public URL.
const Path = "/revoke"

// Clients authenticates clients.
type Clients interface {
	Authenticate(r *http.Request, p oauth.Params) (*clients.Client, *oauth.Error)
}

// Grants ends tokens.
type Grants interface {
	// Revoke returns whose grant or token has ended, or nil if none has.
	Revoke(ctx context.Context, token, clientID string) (*grants.Holder, error)
}

// Handler serves the endpoint.
type Handler struct {
	Clients Clients
	Grants  Grants
	Audit   *audit.Log
}

// ServeHTTP ends what the token stands for. An unknown token is answered like a
// known one (RFC 7009 section 2.2), and token_type_hint is not needed.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	holder, client, e := h.revoke(r)
	if e != nil {
		h.Audit.Record(r, audit.Refused, e.Facts(client, slog.String("endpoint", Path))...)
		oauth.WriteError(w, e)
		return
	}
	if holder != nil {
		h.Audit.Record(r, audit.Revoked, client, slog.String("upstream", holder.Upstream), slog.String("subject", holder.Subject))
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
}

// revoke returns whose token has ended, if any has, and which client asked, as
// far as that is known.
func (h *Handler) revoke(r *http.Request) (*grants.Holder, slog.Attr, *oauth.Error) {
	p, e := oauth.ParseForm(r)
	if e != nil {
		return nil, slog.Attr{}, e
	}
	client, e := h.Clients.Authenticate(r, p)
	if e != nil {
		return nil, slog.String("claimed_client_id", audit.Claimed(clients.Claimed(r, p))), e
	}
	about := slog.String("client_id", client.ID())
	token, e := p.Need("token")
	if e != nil {
		return nil, about, e
	}
	holder, err := h.Grants.Revoke(r.Context(), token, client.ID())
	if err != nil {
		return nil, about, oauth.AsError(err)
	}
	return holder, about, nil
}
