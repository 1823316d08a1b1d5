// Package register serves the client registration endpoint (RFC 7591), and to
// each registered client its own configuration endpoint (RFC 7592). They are the
// only place where a stranger's request is written down, so everything about
// them is bounded.
package register

import (
	"context"
	"encoding/json"
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

// Path is under the public URL, and the configuration endpoint of each client
// under it.
const Path = "/register"

const (
	// maxBody bounds a request, in bytes.
	maxBody = 64 << 10
	// maxKept bounds what is kept of it, so that a record stays under 4 KiB.
	maxKept = 3 << 10
)

// Clients keeps clients.
type Clients interface {
	// Register returns clients.ErrTooMany, store.ErrFull or store.ErrUnavailable.
	Register(ctx context.Context, c clients.Client) (*clients.Client, clients.Issued, error)
	// These return clients.ErrForeign for an unknown client as for a token that is
	// not its own, clients.ErrSecret, or store.ErrUnavailable.
	Managed(ctx context.Context, clientID, token string) (*clients.Client, error)
	Replace(ctx context.Context, clientID, token, secret string, with clients.Client) (*clients.Client, clients.Issued, error)
	Delete(ctx context.Context, clientID, token string) error
}

// Handler serves the endpoints.
type Handler struct {
	// PublicURL is what the URLs begin with that clients are told.
	PublicURL string
	Clients   Clients
	Settings  config.Registration
	// Redirects says which redirect URIs clients may register.
	Redirects oauth.RedirectPolicy
	// Scopes returns those that can be granted.
	Scopes func() oauth.Scopes
	// Take counts a request that could reach the store by its sender, or says how
	// long they have to wait.
	Take  func(*http.Request) (wait time.Duration, ok bool)
	Audit *audit.Log
	Log   *slog.Logger
}

// ServeHTTP registers a client.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, issued, e := h.register(r)
	if e != nil {
		h.refuse(w, r, e)
		return
	}
	h.Audit.Record(r, audit.Registered, facts(c)...)
	oauth.WriteJSON(w, http.StatusCreated, h.describe(c, issued))
}

// facts are what the audit log says of a registration.
func facts(c *clients.Client) []slog.Attr {
	return []slog.Attr{
		slog.String("client_id", c.ID()), slog.String("client_name", c.Name),
		slog.String("method", c.Method), slog.String("redirect_uris", strings.Join(c.RedirectURIs, " ")),
	}
}

func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, e *oauth.Error, facts ...slog.Attr) {
	h.Audit.Record(r, audit.Refused, e.Facts(append(facts, slog.String("endpoint", Path))...)...)
	if e.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", oauth.Challenge{Error: e.Code, Description: e.Description}.String())
	}
	oauth.WriteError(w, e)
}

func (h *Handler) register(r *http.Request) (*clients.Client, clients.Issued, *oauth.Error) {
	c, e := h.admitted(r)
	if e != nil {
		return nil, clients.Issued{}, e
	}
	registered, issued, err := h.Clients.Register(r.Context(), c)
	switch {
	case errors.Is(err, clients.ErrTooMany), errors.Is(err, store.ErrFull):
		h.Log.WarnContext(r.Context(), "a client is turned away: the store is full of younger ones", "error", err)
		return nil, clients.Issued{}, tooMany(time.Minute, err)
	case err != nil:
		return nil, clients.Issued{}, oauth.Unavailable(err)
	}
	return registered, issued, nil
}

// admitted returns what is to be registered, if that may be.
func (h *Handler) admitted(r *http.Request) (c clients.Client, e *oauth.Error) {
	if r.Method != http.MethodPost {
		e := oauth.InvalidRequest("the method must be POST")
		e.Status = http.StatusMethodNotAllowed
		return c, e
	}
	//rule:registration-closed
	if !h.Settings.Enabled {
		e := oauth.InvalidRequest("clients cannot register here: ask who runs this server for a client id")
		e.Status = http.StatusForbidden
		return c, e
	}
	guarded := h.Settings.InitialAccessTokenFile != ""
	if guarded {
		// Counted first: else whoever guesses could go on guessing.
		//rule:initial-access-token-guessed
		if e := h.take(r); e != nil {
			return c, e
		}
		if e := h.admit(r); e != nil {
			return c, e
		}
	}
	members, e := readMembers(r)
	if e != nil {
		return c, e
	}
	if c, e = h.parse(members); e != nil {
		return c, e
	}
	if !guarded {
		// Counted last: what is refused anyway costs the store nothing.
		e = h.take(r)
	}
	return c, e
}

// readMembers reads a body that is one JSON object.
func readMembers(r *http.Request) (map[string]json.RawMessage, *oauth.Error) {
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != "application/json" {
		e := oauth.InvalidRequest("the content type must be application/json").Because(err)
		e.Status = http.StatusUnsupportedMediaType
		return nil, e
	}
	body, e := oauth.ReadBody(r, maxBody)
	if e != nil {
		return nil, e
	}
	return parseMembers(body)
}

func parseMembers(body []byte) (map[string]json.RawMessage, *oauth.Error) {
	if !utf8.Valid(body) {
		return nil, invalidMetadata("the body is not UTF-8")
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil || members == nil {
		return nil, invalidMetadata("the body must be one JSON object").Because(err)
	}
	return members, nil
}

func (h *Handler) take(r *http.Request) *oauth.Error {
	//rule:registration-unlimited
	if wait, ok := h.Take(r); !ok {
		return tooMany(wait, errors.New("too many registrations from this source, or in all"))
	}
	return nil
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
