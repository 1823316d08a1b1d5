package proxy

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/seal"
)

// The transport of 2024-11-05: a stream says in its first event where messages are to
// be sent, and they must arrive where the stream is.
const (
	messagePath = "/message"
	// messageParam is the parameter of that URL which holds the sealed session.
	messageParam = "session"
	// maxEndpointEvent bounds the event that names the URL, and what comes before it.
	maxEndpointEvent = 8 << 10
)

// openMessage finds the stream that a message belongs to, as openSession finds a
// session. It returns the backend's URL of its messages.
func (h *Handler) openMessage(r *http.Request, c *call) (target *url.URL, status int, message string) {
	values := r.URL.Query()[messageParam]
	if len(values) != 1 {
		return nil, http.StatusBadRequest, "the URL must be the one that the stream began with"
	}
	s, status, message := h.open(r, c, values[0])
	if status != 0 {
		return nil, status, message
	}
	target, err := h.messageURL(s.ID)
	if err != nil {
		return nil, http.StatusNotFound, "there is no such session"
	}
	return target, 0, ""
}

// messageURL returns the URL of a stream's messages. uri is a path and perhaps a query.
// Scheme and host are always the backend's. Resolving uri as a reference would read a
// host out of a path that begins with two slashes.
func (h *Handler) messageURL(uri string) (*url.URL, error) {
	u, err := url.ParseRequestURI(uri)
	if err != nil || u.IsAbs() {
		return nil, errors.New("it is not a path")
	}
	//rule:messages-by-an-unclean-path
	if unclean(u.Path) {
		return nil, errors.New("the path has a backslash, a dot segment or an empty segment, or does not begin with a slash")
	}
	return &url.URL{
		Scheme: h.Backend.Scheme, Host: h.Backend.Host,
		Path: u.Path, RawPath: u.RawPath, ForceQuery: u.ForceQuery, RawQuery: u.RawQuery,
	}, nil
}

// unclean reports whether some servers could read a host or another path in a decoded
// path. The last segment may be empty.
func unclean(path string) bool {
	segments := strings.Split(path, "/")
	last := len(segments) - 1
	for n, segment := range segments {
		if segment == "." || segment == ".." || segment == "" && n > 0 && n < last {
			return true
		}
	}
	return last < 1 || segments[0] != "" || strings.Contains(path, `\`)
}

// errEndpoint is a stream that does not say where its messages go, or sends them
// somewhere else.
var errEndpoint = errors.New("the backend's stream does not begin as the transport of 2024-11-05 has it")

// leadBack has the stream's messages sent to this gateway. It waits for the event that
// says where they go, which comes first.
func (h *Handler) leadBack(resp *http.Response) error {
	c, _ := resp.Request.Context().Value(callKey{}).(*call)
	from := bufio.NewReaderSize(resp.Body, 4<<10)
	var begin bytes.Buffer
	for {
		raw, name, data, err := readEvent(from, maxEndpointEvent-begin.Len())
		if err != nil {
			return fmt.Errorf("%w: %w", errEndpoint, err)
		}
		if name != "endpoint" {
			begin.Write(raw)
			continue
		}
		target, err := h.Backend.Parse(data)
		switch {
		case err != nil:
			return fmt.Errorf("%w: the endpoint is no URL", errEndpoint)
		//rule:messages-elsewhere
		case target.Host != h.Backend.Host || target.Scheme != h.Backend.Scheme:
			return fmt.Errorf("%w: the endpoint is at another host", errEndpoint)
		case target.User != nil:
			return fmt.Errorf("%w: the endpoint has credentials", errEndpoint)
		case len(target.RequestURI()) > maxSessionID:
			return fmt.Errorf("%w: the endpoint is longer than %d bytes", errEndpoint, maxSessionID)
		}
		if _, err := h.messageURL(target.RequestURI()); err != nil {
			return fmt.Errorf("%w: the endpoint: %w", errEndpoint, err)
		}
		sealed, err := seal.Seal(h.Sessions, h.begun(c, target.RequestURI()), h.Sessions.Now().Add(config.SessionTTL))
		if err != nil {
			return err
		}
		fmt.Fprintf(&begin, "event: endpoint\ndata: %s%s?%s=%s\n\n", h.base, messagePath, messageParam, sealed)
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(&begin, from), resp.Body}
		return nil
	}
}

// readEvent reads up to the empty line behind an event, and returns all of it, its
// name and its data.
func readEvent(from *bufio.Reader, limit int) (raw []byte, name, data string, err error) {
	var lines []string
	for {
		line, err := from.ReadSlice('\n')
		raw = append(raw, line...)
		switch {
		case len(raw) > limit || errors.Is(err, bufio.ErrBufferFull):
			return nil, "", "", errors.New("an endpoint event is not among its first bytes")
		case err != nil:
			return nil, "", "", err
		}
		text := strings.TrimRight(string(line), "\r\n")
		if text == "" {
			return raw, name, strings.Join(lines, "\n"), nil
		}
		switch field, value, _ := strings.Cut(text, ":"); field {
		case "event":
			name = strings.TrimPrefix(value, " ")
		case "data":
			lines = append(lines, strings.TrimPrefix(value, " "))
		}
	}
}
