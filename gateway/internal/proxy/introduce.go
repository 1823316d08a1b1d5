package proxy

import (
	"errors"
	"log/slog"
	"net/http"

	"vestibule.dev/vestibule/gateway/internal/caller"
	"vestibule.dev/vestibule/gateway/internal/oauth"
)

// introduce finds out what the backend is told of who calls. If it cannot, it answers
// the request, and returns false: nothing goes to the backend without.
func (h *Handler) introduce(w http.ResponseWriter, r *http.Request, c *call) bool {
	if h.Caller == nil || c.token == "" {
		return true
	}
	introduction, err := h.Caller.Introduce(r.Context(), c.who, c.token)
	if err == nil {
		c.introduction = introduction
		return true
	}
	h.hurry(w)
	switch {
	case errors.Is(err, caller.ErrTooLong):
		h.Log.ErrorContext(r.Context(), "the backend cannot be told who calls", "route", h.Path,
			"client_id", c.who.ClientID, "subject", c.who.Subject, "error", err)
		writeRPCError(w, http.StatusBadGateway, "what the MCP server behind this gateway is to be told of you is too long")
	default:
		h.refuse(w, r, c.policy, oauth.AsError(err), slog.String("client_id", c.who.ClientID), slog.String("subject", c.who.Subject))
	}
	//rule:not-introduced
	return false
}

// upstreamTokenRefused answers for a backend that did not take the token of the user's
// upstream, which was renewed for that, or refused for good. It returns false if the
// backend was sent none.
func (h *Handler) upstreamTokenRefused(w http.ResponseWriter, r *http.Request) bool {
	c, _ := r.Context().Value(callKey{}).(*call)
	if c == nil || !c.introduction.HasUpstreamToken() {
		return false
	}
	err := h.Caller.Refused(r.Context(), c.introduction, c.token)
	if err != nil {
		h.refuse(w, r, c.policy, oauth.AsError(err), slog.String("client_id", c.who.ClientID), slog.String("subject", c.who.Subject))
		return true
	}
	h.Log.WarnContext(r.Context(), "the backend does not take the token of a user's upstream, which was renewed", "route", h.Path,
		"client_id", c.who.ClientID, "subject", c.who.Subject)
	w.Header().Set("Retry-After", "2")
	writeRPCError(w, http.StatusBadGateway, "the MCP server behind this gateway did not take the token of your identity provider, which was renewed; try again")
	return true
}
