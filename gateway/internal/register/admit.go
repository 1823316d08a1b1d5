package register

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"strings"

	"vestibule.dev/vestibule/gateway/internal/keys"
	"vestibule.dev/vestibule/gateway/internal/oauth"
	"vestibule.dev/vestibule/gateway/internal/tokens"
)

// admit lets in who has the initial access token (RFC 7591 section 3). Its file is
// read each time, so that a change needs no restart.
func (h *Handler) admit(r *http.Request) *oauth.Error {
	want, err := os.ReadFile(h.Settings.InitialAccessTokenFile)
	want = bytes.TrimSpace(want)
	if err == nil && len(want) == 0 {
		err = errors.New("the file is empty")
	}
	if err != nil {
		h.Log.ErrorContext(r.Context(), "the initial access token cannot be read", "error", err)
		return oauth.Unavailable(err)
	}
	got := bearer(r)
	if got == "" {
		return notAdmitted(errors.New("no initial access token was sent"))
	}
	// Hashed, so that the time tells nothing of the length either.
	//rule:initial-access-token
	if !keys.Equal(tokens.Hash(got), tokens.Hash(string(want))) {
		return notAdmitted(errors.New("not the initial access token"))
	}
	return nil
}

// bearer is the token in the Authorization header, or "".
func bearer(r *http.Request) string {
	header := r.Header["Authorization"]
	if len(header) != 1 {
		return ""
	}
	scheme, token, _ := strings.Cut(header[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// notAdmitted is RFC 6750 section 3.1. Whether a token was sent, was another's or
// its client is gone makes no difference.
func notAdmitted(cause error) *oauth.Error {
	e := oauth.InvalidToken(cause.Error())
	e.Description = "a token that is good here is needed, as Authorization: Bearer"
	return e
}
