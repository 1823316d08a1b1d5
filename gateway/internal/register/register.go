// Package register serves the client registration endpoint (RFC 7591). It is
// the only place where a stranger's request is written down, so everything
// about it is bounded.
package register

import (
	"context"
	"errors"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/audit"
	"vestibule.dev/vestibule/gateway/internal/clients"
	"vestibule.dev/vestibule/gateway/internal/oauth"
	"vestibule.dev/vestibule/gateway/internal/store"
)

// Path is under the public URL.
const Path = "/register"

const (
	// maxBody bounds a request, in bytes.
	maxBody = 64 << 10
	// maxKept bounds what is kept of it, so that a record stays under 4 KiB.
	maxKept = 3 << 10
)

// Clients registers clients.
type Clients interface {
	// Register returns clients.ErrTooMany, store.ErrFull or store.ErrUnavailable.
	Register(ctx context.Context, c clients.Client) (*clients.Client, string, error)
}

// Handler serves the endpoint.
type Handler struct {
	Clients  Clients
	Settings config.Registration
	// Take counts a registration by the sender of this request, or says how
	// long they have to wait.
	Take  func(*http.Request) (wait time.Duration, ok bool)
	Audit *audit.Log
	Log   *slog.Logger
}

// response is what the client gets (RFC 7591 section 3.2.1): all that was
// registered, and no member without a value, which some clients choke on.
type response struct {
	ClientID      string   `json:"client_id"`
	IssuedAt      int64    `json:"client_id_issued_at"`
	ClientSecret  string   `json:"client_secret,omitempty"`
	SecretExpires *int64   `json:"client_secret_expires_at,omitempty"`
	RedirectURIs  []string `json:"redirect_uris"`
	Method        string   `json:"token_endpoint_auth_method"`
	GrantTypes    []string `json:"grant_types"`
	ResponseTypes []string `json:"response_types"`
	Name          string   `json:"client_name,omitempty"`
	URI           string   `json:"client_uri,omitempty"`
}

// ServeHTTP registers a client.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, secret, e := h.register(r)
	if e != nil {
		h.Audit.Record(r, audit.Refused, e.Facts(slog.String("endpoint", Path))...)
		oauth.WriteError(w, e)
		return
	}
	answer := response{
		ClientID: c.ID(), IssuedAt: c.CreatedAt, ClientSecret: secret,
		RedirectURIs: c.RedirectURIs, Method: c.Method,
		GrantTypes: grantTypes, ResponseTypes: responseTypes,
		Name: c.Name, URI: c.URI,
	}
	if secret != "" {
		// Secrets do not expire: a registration lapses when it is not used.
		answer.SecretExpires = new(int64)
	}
	h.Audit.Record(r, audit.Registered, slog.String("client_id", c.ID()), slog.String("client_name", c.Name),
		slog.String("method", c.Method), slog.String("redirect_uris", strings.Join(c.RedirectURIs, " ")))
	oauth.WriteJSON(w, http.StatusCreated, answer)
}

func (h *Handler) register(r *http.Request) (*clients.Client, string, *oauth.Error) {
	if r.Method != http.MethodPost {
		e := oauth.InvalidRequest("the method must be POST")
		e.Status = http.StatusMethodNotAllowed
		return nil, "", e
	}
	if !h.Settings.Enabled {
		e := oauth.InvalidRequest("clients cannot register here: ask who runs this server for a client id")
		e.Status = http.StatusForbidden
		return nil, "", e
	}
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != "application/json" {
		e := oauth.InvalidRequest("the content type must be application/json").Because(err)
		e.Status = http.StatusUnsupportedMediaType
		return nil, "", e
	}
	body, e := oauth.ReadBody(r, maxBody)
	if e != nil {
		return nil, "", e
	}
	if !utf8.Valid(body) {
		return nil, "", invalidMetadata("the body is not UTF-8")
	}
	c, e := h.parse(body)
	if e != nil {
		return nil, "", e
	}
	// Counted last: what is refused anyway costs the store nothing.
	if wait, ok := h.Take(r); !ok {
		return nil, "", tooMany(wait, errors.New("too many registrations from this source, or in all"))
	}
	return h.write(r.Context(), c)
}

func (h *Handler) write(ctx context.Context, c clients.Client) (*clients.Client, string, *oauth.Error) {
	registered, secret, err := h.Clients.Register(ctx, c)
	switch {
	case errors.Is(err, clients.ErrTooMany), errors.Is(err, store.ErrFull):
		h.Log.WarnContext(ctx, "a client is turned away: the store is full of younger ones", "error", err)
		return nil, "", tooMany(time.Minute, err)
	case err != nil:
		return nil, "", oauth.Unavailable(err)
	}
	return registered, secret, nil
}

func tooMany(wait time.Duration, cause error) *oauth.Error {
	return &oauth.Error{
		Code: oauth.CodeTemporarilyUnavailable, Status: http.StatusTooManyRequests,
		Description: "too many clients have registered lately; try again later", RetryAfter: wait, Cause: cause,
	}
}

func invalidMetadata(format string, args ...any) *oauth.Error {
	e := oauth.InvalidRequest(format, args...)
	e.Code = oauth.CodeInvalidClientMetadata
	return e
}
