package proxy

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync/atomic"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/audit"
	"vestibule.dev/vestibule/gateway/internal/caller"
	"vestibule.dev/vestibule/gateway/internal/identity"
	"vestibule.dev/vestibule/gateway/internal/keys"
	"vestibule.dev/vestibule/gateway/internal/pods"
	"vestibule.dev/vestibule/gateway/internal/seal"
)

const (
	sessionHeader = "Mcp-Session-Id"
	// maxSessionID bounds a backend's own id, in bytes: the sealed one is a header.
	maxSessionID = 1 << 10
)

// session is what the client's session id holds: the backend's own, and whose
// it is. So a stolen one is of no use to another user, on any replica.
type session struct {
	ID      string `cbor:"1,keyasint"`
	Issuer  string `cbor:"2,keyasint"`
	Subject string `cbor:"3,keyasint"`
	// Route keeps the sessions of two routes apart.
	Route string `cbor:"4,keyasint"`
	// Pod is the UID of the pod that has it, if pods are told apart.
	Pod string `cbor:"5,keyasint,omitempty"`
}

// sealSession hands a session that the backend has begun to the user whose
// request began it.
func (h *Handler) sealSession(resp *http.Response) error {
	id := resp.Header.Get(sessionHeader)
	if id == "" {
		return nil
	}
	if len(id) > maxSessionID {
		return fmt.Errorf("the backend's session id is longer than %d bytes", maxSessionID)
	}
	call, _ := resp.Request.Context().Value(callKey{}).(*call)
	if id == call.session.ID {
		// Backends repeat the id. To the client it stays the one that it knows.
		resp.Header.Set(sessionHeader, call.sealed)
		return nil
	}
	sealed, err := seal.Seal(h.Sessions, h.begun(call, id), h.Sessions.Now().Add(config.SessionTTL))
	if err != nil {
		return err
	}
	//rule:session-unsealed
	resp.Header.Set(sessionHeader, sealed)
	return nil
}

// begun is what the request c has begun at the backend.
func (h *Handler) begun(c *call, id string) session {
	s := session{ID: id, Issuer: c.who.Issuer, Subject: c.who.Subject, Route: h.Path}
	if c.pod != nil {
		s.Pod = c.pod.UID
	}
	return s
}

// call is a request on its way to the backend.
type call struct {
	policy Policy
	who    identity.Identity
	token  string
	origin string
	// session is the one that the request belongs to, if any, and sealed the id
	// that the client knows it by.
	session session
	sealed  string
	// target is where at the backend it goes, if not to the route's own URL.
	target *url.URL
	// pod is the one that the request goes to, or went to; nil where they are not told
	// apart.
	pod *pods.Pod
	// answer is where the backend's goes to.
	answer *answer
	// body is all of it, if it was read.
	body []byte
	// late says that the body did not arrive in time.
	late atomic.Bool
	// introduction is what the backend is told of who calls, if anything.
	introduction *caller.Introduction
}

type callKey struct{}

// openSession finds the session of a request, and gives the backend its own id
// back. If the session is not this user's, the request ends with the status that
// it returns: the same as for one that does not exist, and that makes clients
// start another.
func (h *Handler) openSession(r *http.Request, c *call) (status int, message string) {
	values := r.Header.Values(sessionHeader)
	switch len(values) {
	case 0:
		return 0, ""
	case 1:
	default:
		return http.StatusBadRequest, "there is more than one Mcp-Session-Id header"
	}
	s, status, message := h.open(r, c, values[0])
	if status != 0 {
		return status, message
	}
	c.session, c.sealed = s, values[0]
	r.Header.Set(sessionHeader, s.ID)
	return 0, ""
}

// open returns what is sealed, if it is of this route, and its user's who sends the
// request; and finds its pod.
func (h *Handler) open(r *http.Request, c *call, sealed string) (s session, status int, message string) {
	s, err := seal.Open[session](h.Sessions, sealed)
	//rule:session-of-another-user session-of-another-route equal-subjects
	if err == nil && (s.Route != h.Path || s.Issuer != c.who.Issuer || s.Subject != c.who.Subject) {
		err = errors.New("it is another user's, or another route's")
	}
	if err != nil {
		h.Audit.Record(r, audit.Refused, slog.String("route", h.Path), slog.String("client_id", c.who.ClientID),
			slog.String("subject", c.who.Subject), slog.String("error", "unknown session"), slog.String("reason", err.Error()))
		if errors.Is(err, keys.ErrNotYet) {
			return s, http.StatusServiceUnavailable, "the session cannot be looked up now; try again shortly"
		}
		return s, http.StatusNotFound, "there is no such session"
	}
	if h.Pods != nil && s.Pod != "" {
		if !h.podsKnown(r.Context()) {
			return s, http.StatusServiceUnavailable, "the session's pod cannot be looked up now; try again shortly"
		}
		//rule:session-of-a-lost-pod
		if c.pod = h.Pods.Find(s.Pod); c.pod == nil {
			// It took the session with it: the client is to begin another.
			return s, http.StatusNotFound, "there is no such session"
		}
	}
	return s, 0, ""
}
