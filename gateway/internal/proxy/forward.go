package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"

	"vestibule.dev/vestibule/gateway/internal/caller"
	"vestibule.dev/vestibule/gateway/internal/cors"
)

// maxBody bounds a request's body, in bytes. Answers are not bounded.
const maxBody = 8 << 20

// smallBody is up to what size a body is read before the backend is asked. Then it
// leaves in one write with its head, where net/http makes two of a body that is still
// to come. Almost all calls are smaller.
const smallBody = 4 << 10

// forward passes the request on.
func (h *Handler) forward(w http.ResponseWriter, r *http.Request, c *call) {
	if r.ContentLength > maxBody {
		writeTooLarge(w)
		return
	}
	status, message := 0, ""
	switch {
	case h.Plain:
		//rule:session-on-a-page
		r.Header.Del(sessionHeader) // of another route, if of any
		c.target = h.below(r.URL)
	case h.isEndpoint(r.URL.Path):
		status, message = h.openSession(r, c)
	default:
		//rule:session-beside-a-message
		r.Header.Del(sessionHeader) // the URL names the session
		c.target, status, message = h.openMessage(r, c)
	}
	if status != 0 {
		if status == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", "2")
		}
		writeRPCError(w, status, message)
		return
	}
	if !h.introduce(w, r, c) {
		return
	}
	if h.Public {
		h.hurry(w) // whose it is, nobody knows
		liftWhenRead(w, r, c)
	}
	// It remembers the body's end, too. The server closes the body when the answer
	// begins, and a transport that looks for the end once more, after that, would take
	// the closed body for a failure and cut the answer off.
	//rule:request-of-any-size
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	r = r.WithContext(context.WithValue(r.Context(), callKey{}, c))
	if r.ContentLength > 0 && r.ContentLength <= smallBody {
		c.body = make([]byte, r.ContentLength)
		if _, err := io.ReadFull(r.Body, c.body); err != nil {
			e := unread(err)
			writeRPC(w, e.status, e.code, e.message)
			return
		}
	}
	cors.Hide(w.Header())
	c.answer = newAnswer(w, r.ProtoMajor > 1)
	defer c.answer.close()
	h.proxy.ServeHTTP(c.answer, r)
}

func (h *Handler) newProxy() *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Transport:      h.transport(),
		BufferPool:     buffers,
		Rewrite:        h.rewrite,
		ModifyResponse: h.modifyResponse,
		ErrorHandler:   h.fail,
		// It speaks of bodies that ended early, mostly because the client went.
		ErrorLog: slog.NewLogLogger(h.Log.Handler(), slog.LevelDebug),
	}
}

// rewrite makes the backend's request of the client's. Everything of MCP goes
// on as it came; what would tell the backend who the client is, was said by the
// client, and is taken away.
func (h *Handler) rewrite(p *httputil.ProxyRequest) {
	out := p.Out
	out.URL = &url.URL{Scheme: h.Backend.Scheme, Host: h.Backend.Host, Path: h.Backend.Path, RawQuery: p.In.URL.RawQuery}
	c, _ := p.In.Context().Value(callKey{}).(*call)
	if c != nil && c.target != nil {
		out.URL = c.target
	}
	//rule:clients-host-to-backend
	out.Host = h.Backend.Host // its own, which servers that guard against rebinding insist on
	out.Trailer = nil         // or the client could still name headers behind the body
	for name := range out.Header {
		//rule:identity-header-from-client
		if plain := caller.PlainName(name); claimed(name, plain) || h.Caller.Says(plain) {
			delete(out.Header, name)
		}
	}
	if p.In.Method == http.MethodGet {
		out.Header.Del("Accept-Encoding") // a compressed stream is a buffered one
	}
	//rule:clients-word-for-address
	out.Header.Set("X-Forwarded-For", h.Sources.Of(p.In).String())
	out.Header.Set("X-Forwarded-Host", h.PublicURL.Host)
	out.Header.Set("X-Forwarded-Proto", h.PublicURL.Scheme)
	if c != nil && c.introduction != nil {
		c.introduction.Set(out.Header)
	}
}

// errBackendUnauthorized is a backend that asks for credentials of its own. If
// its 401 reached the client, that would log in again, and again.
var errBackendUnauthorized = errors.New("the backend answered 401")

// isStream says whether an answer is a stream of server-sent events.
func isStream(resp *http.Response) bool {
	mediaType, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(mediaType), "text/event-stream")
}

// modifyResponse lets the backend's answer through, status and body untouched:
// by them clients tell which revision of MCP the backend speaks. Headers that
// are the gateway's to say are taken out.
func (h *Handler) modifyResponse(resp *http.Response) error {
	//rule:backend-401
	if resp.StatusCode == http.StatusUnauthorized && (!h.Plain || !h.Public) {
		return errBackendUnauthorized
	}
	withhold(resp.Header)
	if isStream(resp) {
		resp.Header.Set("X-Accel-Buffering", "no")
		resp.Header.Del("Content-Length") // what is added counts, too
		if resp.Header.Get("Cache-Control") == "" {
			resp.Header.Set("Cache-Control", "no-cache, no-transform")
		}
		body := newStream(resp.Body)
		resp.Body = body
		if resp.Request.Method == http.MethodGet {
			body.endAfter(h.Draining, h.Stagger)
			if h.Legacy && resp.StatusCode == http.StatusOK {
				if err := h.leadBack(resp); err != nil {
					return err
				}
			}
		}
		if c, ok := resp.Request.Context().Value(callKey{}).(*call); ok {
			c.answer.events = &events{body: body, keepAlive: h.KeepAlive, good: h.stillGood(c)}
			//rule:comment-in-a-compressed-stream
			if isEncoded(resp) {
				c.answer.events.keepAlive = 0
			}
		}
	}
	withholdMore(resp.Trailer) // the announced names
	//rule:trailer-of-backend
	resp.Body = trailing{resp.Body, resp}
	if c, ok := resp.Request.Context().Value(callKey{}).(*call); ok && c.origin != "" {
		// Said here and not before: an interim response wipes what was said before it.
		cors.Expose(resp.Header, c.origin)
	}
	if h.Public {
		//rule:page-in-our-origin
		resp.Header.Add("Content-Security-Policy", sandbox)
	}
	if h.Plain {
		resp.Header.Del(sessionHeader)
		return nil
	}
	return h.sealSession(resp)
}

// fail answers for a backend that did not, or not well. Never with 401 or 404,
// which mean something to MCP clients.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	c, ok := r.Context().Value(callKey{}).(*call)
	if ok && c.origin != "" {
		cors.Expose(w.Header(), c.origin)
	}
	var timeout interface{ Timeout() bool }
	switch tooLarge, cut := (*http.MaxBytesError)(nil), r.Context().Err() != nil; {
	case errors.Is(err, errNoPod):
		w.Header().Set("Retry-After", "2")
		writeRPCError(w, http.StatusServiceUnavailable, "no pod of the MCP server behind this gateway takes requests now; try again shortly")
	case errors.As(err, &tooLarge):
		writeTooLarge(w)
		return
	case ok && c.late.Load():
		writeRPCError(w, http.StatusRequestTimeout, "the body did not arrive in time")
	case cut:
		return // the client has gone: nobody to tell
	case errors.Is(err, errBackendUnauthorized) && h.upstreamTokenRefused(w, r):
	case errors.Is(err, errBackendUnauthorized):
		h.Log.ErrorContext(r.Context(), "the backend asks for credentials: it must let the gateway in without", "route", h.Path)
		writeRPCError(w, http.StatusBadGateway, "the MCP server behind this gateway asks for credentials of its own")
	case errors.Is(err, errEndpoint):
		h.Log.ErrorContext(r.Context(), "the backend's stream cannot be used", "route", h.Path, "error", err)
		writeRPCError(w, http.StatusBadGateway, "the MCP server behind this gateway does not speak the transport of this route")
	case errors.As(err, &timeout) && timeout.Timeout():
		h.Log.ErrorContext(r.Context(), "the backend does not answer in time", "route", h.Path, "error", err)
		writeRPCError(w, http.StatusGatewayTimeout, "the MCP server behind this gateway does not answer in time")
	default:
		h.Log.ErrorContext(r.Context(), "the backend cannot be reached", "route", h.Path, "error", err)
		writeRPCError(w, http.StatusBadGateway, "the MCP server behind this gateway cannot be reached")
	}
}

// bodyTooLarge says what maxBody is.
const bodyTooLarge = "the body is larger than 8 MiB"

func writeTooLarge(w http.ResponseWriter) {
	writeRPCError(w, http.StatusRequestEntityTooLarge, bodyTooLarge)
}

// codeServerError is for errors that JSON-RPC and MCP have no code for.
const codeServerError = -32000

// writeRPCError answers as an MCP server would.
func writeRPCError(w http.ResponseWriter, status int, message string) {
	writeRPC(w, status, codeServerError, message)
}

// writeRPC is writeRPCError with a code. The answer has no id, since the request was
// not read, or was more than one.
func writeRPC(w http.ResponseWriter, status, code int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	var body struct {
		Version string `json:"jsonrpc"`
		Error   struct {
			Code    int    `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	}
	body.Version, body.Error.Code, body.Error.Message = "2.0", code, message
	_ = json.NewEncoder(w).Encode(body) // the client has gone: nobody to tell
}

// pool lends the buffers that answers are copied with. A stream has one for as long as
// it lasts, so they are smaller than others make them.
type pool struct{ sync.Pool }

const bufferSize = 4 << 10

var buffers = &pool{sync.Pool{New: func() any { return new([bufferSize]byte) }}}

func (p *pool) Get() []byte  { return p.Pool.Get().(*[bufferSize]byte)[:] } //nolint:forcetypeassert // holds nothing else
func (p *pool) Put(b []byte) { p.Pool.Put((*[bufferSize]byte)(b)) }
