package proxy

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"testing"
	"time"
)

// passesOn returns a server that passes requests on to a backend.
func passesOn(t *testing.T, backend http.HandlerFunc, http2 bool) (client *http.Client, url string) {
	t.Helper()
	behind := httptest.NewServer(backend)
	t.Cleanup(behind.Close)
	transport := &http.Transport{DisableCompression: true, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, behind.Listener.Addr().String())
	}}
	t.Cleanup(transport.CloseIdleConnections)
	h := bare(t, transport)
	h.KeepAlive = time.Millisecond
	front := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.forward(w, r, &call{}) }))
	if front.EnableHTTP2 = http2; http2 {
		front.StartTLS()
	} else {
		front.Start()
	}
	t.Cleanup(front.Close)
	return front.Client(), front.URL + "/mcp"
}

// What an answer cannot say in its headers, a backend cannot say before the answer or
// behind it either.
func TestAttackHeadersBesideTheAnswer(t *testing.T) {
	forbidden := []string{
		"Set-Cookie", "Www-Authenticate", "Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Clear-Site-Data",
		"Strict-Transport-Security", "Mcp-Session-Id", "Alt-Svc", "Proxy-Authenticate", "Keep-Alive",
	}
	const allowed = "X-Allowed"
	for name, announced := range map[string]bool{"announced": true, "not announced": false} {
		for _, http2 := range []bool{false, true} {
			t.Run(name+map[bool]string{true: ", HTTP/2"}[http2], func(t *testing.T) {
				var trailers http.Header // that the backend has
				client, url := passesOn(t, func(w http.ResponseWriter, r *http.Request) {
					_, _ = io.Copy(io.Discard, r.Body)
					trailers = r.Trailer
					for _, name := range append(forbidden, allowed) {
						w.Header().Set(name, "hint")
					}
					w.WriteHeader(http.StatusEarlyHints)
					clear(w.Header())
					prefix := http.TrailerPrefix
					if announced {
						prefix = ""
						w.Header().Set("Trailer", strings.Join(append(forbidden, allowed), ", "))
					}
					_, _ = io.WriteString(w, "{}")
					_ = http.NewResponseController(w).Flush() // or there would be a length, and no trailer
					for _, name := range append(forbidden, allowed) {
						w.Header().Set(prefix+name, "trailer")
					}
				}, http2)
				var hints []http.Header
				ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(_ int, header textproto.MIMEHeader) error {
					hints = append(hints, http.Header(header))
					return nil
				}})
				r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, io.MultiReader(strings.NewReader("{}")))
				if err != nil {
					t.Fatal(err)
				}
				r.Trailer = http.Header{"X-Remote-User": {"x"}, "X-Vestibule-Assertion": {"x"}, allowed: {"x"}}
				resp, err := client.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "{}" {
					t.Errorf("the body is %q, %v", body, err)
				}
				if len(hints) != 1 || hints[0].Get(allowed) != "hint" || resp.Trailer.Get(allowed) != "trailer" {
					t.Errorf("the answer has the hints %v and the trailers %v", hints, resp.Trailer)
				}
				for what, header := range map[string]http.Header{"hints": slices.Concat(hints, []http.Header{nil})[0], "header": resp.Header, "trailers": resp.Trailer} {
					for _, name := range forbidden {
						if values, ok := header[name]; ok {
							t.Errorf("the %s have %s: %q", what, name, values)
						}
					}
				}
				if len(trailers) > 0 {
					t.Errorf("the backend has the client's trailers: %v", trailers)
				}
			})
		}
	}
}

// A comment within a compressed stream is no comment: it makes the rest unreadable.
func TestACompressedStreamIsLeftAlone(t *testing.T) {
	lookEachMillisecond(t)
	for encoding, commented := range map[string]bool{"gzip": false, "identity, BR": false, "x-unknown": false, "": true, "Identity": true} {
		t.Run(encoding, func(t *testing.T) {
			client, url := passesOn(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				if encoding != "" {
					w.Header().Set("Content-Encoding", encoding)
				}
				w.WriteHeader(http.StatusOK)
				_ = http.NewResponseController(w).Flush()
				time.Sleep(50 * time.Millisecond) // in which comments would be due
				_, _ = io.WriteString(w, "compressed")
			}, false)
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Accept-Encoding", "gzip, br") // or the client would decompress
			resp, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if got := strings.HasPrefix(string(body), comment); err != nil || got != commented || !strings.HasSuffix(string(body), "compressed") {
				t.Errorf("there is %.60q, %v", body, err)
			}
		})
	}
}
