package proxy

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/audit"
	"vestibule.dev/vestibule/gateway/internal/keys"
	"vestibule.dev/vestibule/gateway/internal/seal"
)

// older is a backend of the older transport. Its streams lead to endpoint.
type older struct {
	endpoint string
	header   http.Header // of its streams, beside the type
	messages []*http.Request
}

func (o *older) RoundTrip(r *http.Request) (*http.Response, error) {
	resp := &http.Response{StatusCode: http.StatusAccepted, Request: r, Body: http.NoBody, Header: http.Header{}}
	if r.Method != http.MethodGet {
		o.messages = append(o.messages, r)
		return resp, nil
	}
	resp.StatusCode, resp.ContentLength = http.StatusOK, -1
	resp.Header.Set("Content-Type", "text/event-stream")
	for name, values := range o.header {
		resp.Header[name] = values
	}
	resp.Body = io.NopCloser(strings.NewReader("event: endpoint\ndata: " + o.endpoint + "\n\n"))
	return resp, nil
}

// olderRoute returns a route to the backend.
func olderRoute(t *testing.T, backend http.RoundTripper) *Handler {
	t.Helper()
	ring, err := keys.NewRing(config.NewKeySet(time.Now()))
	if err != nil {
		t.Fatal(err)
	}
	h := bare(t, backend)
	h.Legacy = true
	h.Sessions = seal.Box{Ring: ring, ServerUID: "uid", Purpose: "session", Now: time.Now}
	h.Audit = audit.New(slog.New(slog.DiscardHandler), func(*http.Request) netip.Addr { return netip.Addr{} })
	return h
}

// forwarded returns the answer to a request.
func forwarded(t *testing.T, h *Handler, method, uri string, header http.Header) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, uri, nil)
	for name, values := range header {
		r.Header[name] = values
	}
	w := httptest.NewRecorder()
	h.forward(w, r, &call{})
	return w
}

// leadsTo returns the URL that a stream names for its messages.
func leadsTo(stream string) string {
	_, data, _ := strings.Cut(stream, "data: ")
	uri, _, _ := strings.Cut(data, "\n")
	return uri
}

// Wherever a stream leads, the user's messages go to the backend alone.
func TestAttackMessagesToAnotherHost(t *testing.T) {
	for _, endpoint := range []string{
		"/.//evil.example/steal",
		"//messages/",
		"/messages//42",
		"http://backend.example//evil.example/steal",
		"/..//evil.example/steal/..//x",
		"/x/.././/evil.example/steal",
		"/.//user@evil.example/steal",
		`/\evil.example/steal`,
		`\\evil.example\steal`,
		"/%5c%5cevil.example/steal",
		"/%2f%2fevil.example/steal",
		"%2f%2fevil.example/steal",
		"/%2e%2e/steal",
		"http:evil.example/steal",
		"http://backend.example:81/messages",
		"http://user:password@backend.example/messages",
		"http://evil.example@/messages",
		"https://backend.example/messages",
		"http://backend.example.evil.example/messages",
	} {
		backend := &older{endpoint: endpoint}
		h := olderRoute(t, backend)
		w := forwarded(t, h, http.MethodGet, "/mcp", nil)
		if w.Code == http.StatusBadGateway {
			continue
		}
		t.Errorf("%s begins a stream: %d %s", endpoint, w.Code, w.Body)
		forwarded(t, h, http.MethodPost, leadsTo(w.Body.String()), nil)
		for _, r := range backend.messages {
			t.Errorf("%s: a message goes to %s", endpoint, r.URL)
		}
	}
	for endpoint, want := range map[string]string{
		"/messages/":                           "http://backend.example/messages/",
		"/messages?to=//evil.example/#//x":     "http://backend.example/messages?to=//evil.example/",
		"messages/a%2Fb;v=1?":                  "http://backend.example/messages/a%2Fb;v=1?",
		"http://backend.example/messages?id=1": "http://backend.example/messages?id=1",
		"/..//steal":                           "http://backend.example/steal", // as RFC 3986 section 5.2.4 has it
	} {
		backend := &older{endpoint: endpoint}
		h := olderRoute(t, backend)
		stream := forwarded(t, h, http.MethodGet, "/mcp", nil).Body.String()
		w := forwarded(t, h, http.MethodPost, leadsTo(stream), nil)
		if len(backend.messages) != 1 || backend.messages[0].URL.String() != want || backend.messages[0].Host != "backend.example" {
			t.Errorf("%s: a message gets %d, and goes to %v", endpoint, w.Code, backend.messages)
		}
	}
}

// A URL that was sealed by a gateway without these checks is checked when it is used.
func TestASealedMessageURLIsCheckedAgain(t *testing.T) {
	for _, uri := range []string{"//evil.example/steal", "http://evil.example/steal", "/.//evil.example", `/\evil.example`, "messages", "*", ""} {
		backend := &older{}
		h := olderRoute(t, backend)
		sealed, err := seal.Seal(h.Sessions, h.begun(&call{}, uri), time.Now().Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		w := forwarded(t, h, http.MethodPost, "/mcp/message?session="+sealed, nil)
		if w.Code != http.StatusNotFound || len(backend.messages) > 0 {
			t.Errorf("%q gets %d, and the backend has %d messages", uri, w.Code, len(backend.messages))
		}
	}
}

// The URL of a message names its session. The client cannot name another beside it.
func TestAttackSessionBesideAMessage(t *testing.T) {
	backend := &older{endpoint: "/messages?id=1"}
	h := olderRoute(t, backend)
	endpoint := leadsTo(forwarded(t, h, http.MethodGet, "/mcp", nil).Body.String())
	for _, name := range []string{sessionHeader, "Mcp_Session_Id", "Mcp.Session-Id"} {
		backend.messages = nil
		w := forwarded(t, h, http.MethodPost, endpoint, http.Header{name: {"another's"}})
		if len(backend.messages) != 1 {
			t.Fatalf("a message with %s gets %d: %s", name, w.Code, w.Body)
		}
		for header, values := range backend.messages[0].Header {
			if slices.Contains(values, "another's") {
				t.Errorf("the backend has %s: %q", header, values)
			}
		}
	}
}
