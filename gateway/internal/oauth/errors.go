// Package oauth holds the vocabulary of OAuth 2.1 that all endpoints share:
// errors as values, strict parameters, redirect URIs, scopes and challenges.
package oauth

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"
)

// Error is an answer of the protocol: a registered code for the client, and
// the cause for our log. Handlers return it; one place writes it.
type Error struct {
	// Code is from the IANA registry of OAuth error codes.
	Code string
	// Status is the HTTP status where the error is not sent by redirect.
	Status int
	// Description is for developers: ASCII without quotes or backslashes
	// (RFC 6749 section 5.2), and never part of what the client sent.
	Description string
	// Cause is why, in words that only the log sees. It may be nil.
	Cause error
	// RetryAfter, when positive, is sent in whole seconds.
	RetryAfter time.Duration
	// Basic says that the client tried HTTP Basic authentication, and is to be
	// told so (RFC 6749 section 5.2).
	Basic bool
}

func (e *Error) Error() string {
	s := e.Code + ": " + e.Description
	if e.Cause != nil {
		s += ": " + e.Cause.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Cause }

// Because returns a copy of e with a cause for the log.
func (e *Error) Because(cause error) *Error {
	c := *e
	c.Cause = cause
	return &c
}

// Error codes of RFC 6749, 6750, 7591 and 8707.
const (
	CodeInvalidRequest          = "invalid_request"
	CodeInvalidClient           = "invalid_client"
	CodeInvalidGrant            = "invalid_grant"
	CodeUnauthorizedClient      = "unauthorized_client"
	CodeUnsupportedGrantType    = "unsupported_grant_type"
	CodeUnsupportedResponseType = "unsupported_response_type"
	CodeUnsupportedTokenType    = "unsupported_token_type"
	CodeInvalidScope            = "invalid_scope"
	CodeInvalidTarget           = "invalid_target"
	CodeAccessDenied            = "access_denied"
	CodeServerError             = "server_error"
	CodeTemporarilyUnavailable  = "temporarily_unavailable"
	CodeInvalidToken            = "invalid_token"
	CodeInsufficientScope       = "insufficient_scope"
	CodeInvalidRedirectURI      = "invalid_redirect_uri"
	CodeInvalidClientMetadata   = "invalid_client_metadata"
)

func badRequest(code, format string, args []any) *Error {
	return &Error{Code: code, Status: http.StatusBadRequest, Description: fmt.Sprintf(format, args...)}
}

// InvalidRequest is a request that is malformed (RFC 6749 section 5.2).
func InvalidRequest(format string, args ...any) *Error {
	return badRequest(CodeInvalidRequest, format, args)
}

// InvalidGrant is a code or refresh token that is not good for this client.
func InvalidGrant(format string, args ...any) *Error {
	return badRequest(CodeInvalidGrant, format, args)
}

// InvalidScope is a scope that cannot be granted.
func InvalidScope(format string, args ...any) *Error {
	return badRequest(CodeInvalidScope, format, args)
}

// InvalidTarget is a resource that is not one of ours (RFC 8707 section 2).
func InvalidTarget(format string, args ...any) *Error {
	return badRequest(CodeInvalidTarget, format, args)
}

// UnauthorizedClient is a client that may not do this.
func UnauthorizedClient(format string, args ...any) *Error {
	return badRequest(CodeUnauthorizedClient, format, args)
}

// InvalidClient is a client that is unknown or did not authenticate. The
// status is 401 so that clients know to register again.
func InvalidClient(format string, args ...any) *Error {
	return &Error{Code: CodeInvalidClient, Status: http.StatusUnauthorized, Description: fmt.Sprintf(format, args...)}
}

// InvalidToken is an access token that is not good here (RFC 6750 section
// 3.1). The client learns no more than that; the reason is for the log.
func InvalidToken(reason string) *Error {
	return &Error{
		Code: CodeInvalidToken, Status: http.StatusUnauthorized,
		Description: "the access token is not valid here", Cause: errors.New(reason),
	}
}

// Unavailable is a dependency that does not answer: nothing is decided, and
// the same request may succeed later.
func Unavailable(cause error) *Error {
	return &Error{
		Code: CodeTemporarilyUnavailable, Status: http.StatusServiceUnavailable,
		Description: "try again shortly", Cause: cause, RetryAfter: 2 * time.Second,
	}
}

// AsError returns the protocol error in err, or server_error for any other.
func AsError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{
		Code: CodeServerError, Status: http.StatusInternalServerError,
		Description: "something went wrong here", Cause: err,
	}
}

// Facts are what the audit log says of a refusal, behind what the caller knows.
func (e *Error) Facts(known ...slog.Attr) []slog.Attr {
	facts := append(slices.Clone(known), slog.String("error", e.Code), slog.String("description", e.Description))
	if e.Cause != nil {
		facts = append(facts, slog.String("reason", e.Cause.Error()))
	}
	return facts
}
