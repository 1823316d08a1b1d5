package proxy

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"vestibule.dev/vestibule/gateway/internal/audit"
	"vestibule.dev/vestibule/gateway/internal/caller"
	"vestibule.dev/vestibule/gateway/internal/identity"
	"vestibule.dev/vestibule/gateway/internal/jsonrpc"
	"vestibule.dev/vestibule/gateway/internal/oauth"
	"vestibule.dev/vestibule/gateway/internal/operations"
)

// refusal is an answer to a request that asks for what it may not, or in a way that
// nobody can judge.
type refusal struct {
	status, code int
	message      string
}

func (e *refusal) Error() string { return e.message }

// begin counts the request against its user's and its client's quotas. It answers one
// that is too much itself; otherwise done must be called at the end.
func (h *Handler) begin(w http.ResponseWriter, r *http.Request, who identity.Identity) (done func(), ok bool) {
	done, wait, ok := h.Quotas.Begin(who)
	if !ok {
		h.hurry(w)
		h.audited(r, who, nil, slog.String("error", "too many requests"))
		w.Header().Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
		writeRPCError(w, http.StatusTooManyRequests, "this user or this client sends too many requests; try again later")
	}
	return done, ok
}

// permit says whether who may have what the request asks for, and answers it if not.
// It reads the body only if there are rules that need it: then the body's word counts,
// never that of a header, and the backend gets what was judged, to the byte.
func (h *Handler) permit(w http.ResponseWriter, r *http.Request, policy Policy, who identity.Identity) bool {
	needed := policy.Required
	missing := who.Scopes.Missing(needed)
	var calls []jsonrpc.Call
	var refused error
	rules := policy.Operations
	if rules != nil || len(missing) > 0 {
		h.hurry(w) // once: a body that was late is not waited for again
	}
	if rules != nil {
		var body jsonrpc.Body
		if body, refused = h.read(w, r); refused == nil {
			//rule:first-of-a-batch
			calls = body.Calls
			var more oauth.Scopes
			more, refused = rules.Missing(calls, who.Scopes)
			needed, missing = needed.With(more), missing.With(more)
		}
	}
	switch {
	case refused != nil && (len(missing) == 0 || errors.Is(refused, operations.ErrUnlisted)):
		h.turnDown(w, r, who, calls, refused)
		return false
	//rule:tools-for-everybody
	case len(missing) > 0 && h.Public:
		h.hurry(w)
		h.turnDown(w, r, who, calls, errNoScopes)
		return false
	//rule:scope-not-enforced
	case len(missing) > 0:
		h.askForMore(w, r, who, calls, needed, missing)
		return false
	case rules != nil:
		lift(w)
	}
	return true
}

// askForMore tells a client which scopes it needs, all at once. Some clients replace
// the scopes they have by those they read here, so these are named too.
func (h *Handler) askForMore(w http.ResponseWriter, r *http.Request, who identity.Identity, calls []jsonrpc.Call, needed, missing oauth.Scopes) {
	e := &oauth.Error{
		Code: oauth.CodeInsufficientScope, Status: http.StatusForbidden,
		Description: "the token lacks a scope that this request needs",
		Cause:       errors.New("it lacks " + missing.String()),
	}
	//rule:scopes-held-unsaid
	c := oauth.Challenge{ResourceMetadata: h.ResourceMetadata, Scope: needed.With(who.Scopes), Error: e.Code, Description: e.Description}
	w.Header().Set("WWW-Authenticate", c.String())
	h.audited(r, who, calls, e.Facts()...)
	oauth.WriteError(w, e)
}

// turnDown answers a request that no scope would help.
func (h *Handler) turnDown(w http.ResponseWriter, r *http.Request, who identity.Identity, calls []jsonrpc.Call, refused error) {
	e, ok := errors.AsType[*refusal](refused)
	if !ok {
		e = &refusal{http.StatusForbidden, codeServerError, refused.Error()}
		if bad, ok := errors.AsType[*jsonrpc.Error](refused); ok {
			e.status, e.code = http.StatusBadRequest, bad.Code
		}
	}
	h.audited(r, who, calls, slog.String("error", "operation refused"), slog.String("reason", e.message))
	writeRPC(w, e.status, e.code, e.message)
}

// audited writes down what was refused to whom: of several calls, the first.
func (h *Handler) audited(r *http.Request, who identity.Identity, calls []jsonrpc.Call, facts ...slog.Attr) {
	known := []slog.Attr{slog.String("route", h.Path), slog.String("client_id", who.ClientID), slog.String("subject", who.Subject)}
	if len(calls) > 0 {
		known = append(known, slog.String("method", audit.Claimed(calls[0].Method)), slog.String("name", audit.Claimed(calls[0].Name)))
	}
	h.Audit.Record(r, audit.Refused, append(known, facts...)...)
}

// read reads the body of a request, whatever its method: frameworks differ in which
// they look at. Without one, nothing is asked for.
func (h *Handler) read(w http.ResponseWriter, r *http.Request) (jsonrpc.Body, error) {
	//rule:announced-body-waited-for
	if r.ContentLength > maxBody {
		return jsonrpc.Body{}, errTooLarge
	}
	//rule:types-and-encodings
	if e := judgeable(r.Header); e != nil && r.ContentLength != 0 {
		return jsonrpc.Body{}, e
	}
	//rule:body-without-end
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	switch {
	case err != nil:
		return jsonrpc.Body{}, unread(err)
	case len(data) == 0 && r.Method != http.MethodPost:
		return jsonrpc.Body{}, nil
	}
	body, err := jsonrpc.Parse(data)
	if err == nil {
		//rule:headers-differ
		err = mirrored(r.Header, body)
	}
	r.Body, r.ContentLength, r.TransferEncoding = io.NopCloser(bytes.NewReader(data)), int64(len(data)), nil
	return body, err
}

// unread is the answer to a request whose body could not be read.
func unread(err error) *refusal {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return errTooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &refusal{http.StatusRequestTimeout, codeServerError, "the body did not arrive in time"}
	}
	return &refusal{http.StatusBadRequest, codeServerError, "the body did not arrive whole"}
}

// errNoScopes is for what scopes name, on a route where nobody has any.
var errNoScopes = &refusal{http.StatusForbidden, codeServerError, "this needs a scope, and nobody has one on a route without tokens"}

var errTooLarge = &refusal{http.StatusRequestEntityTooLarge, codeServerError, bodyTooLarge}

const (
	methodHeader = "Mcp-Method"
	nameHeader   = "Mcp-Name"
)

// judgeable says why nobody can say from its headers how the body will be read, or
// returns nil.
func judgeable(header http.Header) error {
	for name := range header {
		switch plain := http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-")); plain {
		case "Content-Type", "Content-Encoding", methodHeader, nameHeader:
			if plain != name {
				return &refusal{http.StatusBadRequest, codeServerError, "a header is spelled with underscores, which some take for another"}
			}
		}
	}
	types := header.Values("Content-Type")
	if len(types) != 1 {
		return &refusal{http.StatusUnsupportedMediaType, codeServerError, "the body must have one Content-Type, application/json"}
	}
	mediaType, params, err := mime.ParseMediaType(types[0])
	charset, named := params["charset"]
	if err != nil || mediaType != "application/json" || named && !strings.EqualFold(charset, "utf-8") {
		return &refusal{http.StatusUnsupportedMediaType, codeServerError, "the body must be of type application/json, in UTF-8"}
	}
	for _, encoding := range header.Values("Content-Encoding") {
		if !strings.EqualFold(encoding, "identity") {
			return &refusal{http.StatusUnsupportedMediaType, codeServerError, "the body must have no Content-Encoding"}
		}
	}
	return nil
}

// mirrored insists that the headers which repeat the body say the same: who goes by
// them must not see another call. They repeat one call, not a batch.
func mirrored(header http.Header, body jsonrpc.Body) error {
	var call jsonrpc.Call
	if !body.Batch {
		call = body.Calls[0]
	}
	if !repeats(header.Values(methodHeader), call.Method) {
		return &jsonrpc.Error{Code: jsonrpc.CodeHeaderMismatch, Message: "the header Mcp-Method is not what the body says"}
	}
	// Of methods that name nothing here, it may repeat another parameter.
	names := header.Values(nameHeader)
	if !repeats(names, call.Name) && (call.Name != "" || call.Method == "" || len(names) > 1) {
		return &jsonrpc.Error{Code: jsonrpc.CodeHeaderMismatch, Message: "the header Mcp-Name is not what the body says"}
	}
	return nil
}

// repeats says whether a header, if it is there, is there once and says this.
func repeats(values []string, said string) bool {
	if len(values) == 0 {
		return true
	}
	value, ok := mirror(values[0])
	return ok && len(values) == 1 && value == said && said != ""
}

// mirror decodes a header that repeats a value.
func mirror(header string) (value string, ok bool) {
	encoded, ok := strings.CutPrefix(header, caller.EncodedPrefix)
	if ok {
		encoded, ok = strings.CutSuffix(encoded, caller.EncodedSuffix)
	}
	if !ok {
		return header, true
	}
	decoded, err := base64.StdEncoding.Strict().DecodeString(encoded)
	return string(decoded), err == nil
}
