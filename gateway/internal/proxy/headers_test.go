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

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/oauth"
	"vestibule.dev/vestibule/gateway/internal/quota"
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

// A backend that was behind another front door may still believe its headers.
func TestAttackHeadersOfOtherFrontDoors(t *testing.T) {
	names := strings.Fields(`
		Remote-User Remote-Groups Remote-Email Remote-Name X-Remote-User X-Remote-Group X-Remote-Extra-Scopes
		X-WEBAUTH-USER X-WEBAUTH-EMAIL X-Authenticated-Userid X-Consumer-Username X-Consumer-Custom-Id
		X-authentik-username X-Pomerium-Jwt-Assertion Tailscale-User-Login OIDC_CLAIM_sub
		X-MS-CLIENT-PRINCIPAL X-MS-CLIENT-PRINCIPAL-ID X-MS-CLIENT-PRINCIPAL-NAME X-MS-CLIENT-PRINCIPAL-IDP X-MS-TOKEN-AAD-ID-TOKEN
		X-Goog-Authenticated-User-Email X-Goog-Authenticated-User-Id X-Goog-Iap-Jwt-Assertion
		X-Amzn-Oidc-Data X-Amzn-Oidc-Identity X-Amzn-Oidc-Accesstoken
		Cf-Access-Jwt-Assertion Cf-Access-Authenticated-User-Email Cf-Access-Client-Id
		X-Forwarded-User X-Forwarded-Email X-Forwarded-Groups X-Forwarded-Preferred-Username X-Forwarded-Access-Token
		X-Auth-Request-User X-Auth-Request-Email X-Auth-Request-Groups X-Auth-Request-Access-Token
		Client-Cert Client-Cert-Chain X-Client-Cert X-Client-Cert-Subject-Dn X-Client-Verify X-Client-Dn
		Ssl-Client-Cert SSL_CLIENT_S_DN Ssl-Client-Verify X-SSL-Client-Cert X-SSL-Client-S-DN X-Tls-Client-Subject
		X-Forwarded-Client-Cert X-Forwarded-Tls-Client-Cert X-Amzn-Mtls-Clientcert-Subject X-ARR-ClientCert Cf-Client-Cert-Der-Base64
		X-HTTP-Method-Override X-HTTP-Method X-Method-Override X-Original-Method X-Original-Uri X-Rewrite-Url`)
	passes := []string{"X-Api-Key", "X-Request-Id", "X-Client-Version", "Remote", "X-Goog-User-Project", "Mcp-Method", "Accept", "Client-Name"}
	backend := &older{}
	h := bare(t, backend)
	for spelled, spell := range map[string]func(string) string{
		"as it is": func(s string) string { return s }, "in small letters": strings.ToLower,
		"with underscores": func(s string) string { return strings.ReplaceAll(s, "-", "_") },
		"with dots":        func(s string) string { return strings.ReplaceAll(s, "-", ".") },
	} {
		header := http.Header{}
		for _, name := range names {
			header.Set(spell(name), "root")
		}
		for _, name := range passes {
			header.Set(name, "client")
		}
		backend.messages = nil
		forwarded(t, h, http.MethodPost, "/mcp", header)
		if len(backend.messages) != 1 {
			t.Fatalf("the backend has %d requests", len(backend.messages))
		}
		got := backend.messages[0].Header
		for name, values := range got {
			if slices.Contains(values, "root") {
				t.Errorf("%s, %s arrives", spelled, name)
			}
		}
		for _, name := range passes {
			if got.Get(name) != "client" {
				t.Errorf("%s does not arrive", name)
			}
		}
	}
}

// An answer to TRACE repeats the request, with what only the backend is to know.
func TestAttackMethodsThatEcho(t *testing.T) {
	for name, public := range map[string]bool{"with a token": false, "without tokens": true} {
		backend := &older{}
		h := bare(t, backend)
		h.Public = public
		h.Quotas = quota.New(func() config.Quotas { return config.Quotas{} }, time.Now)
		h.Policy = func(context.Context) (Policy, *oauth.Error) { return Policy{}, nil }
		for _, method := range []string{"TRACE", "trace", "Track", "CONNECT", "connect", http.MethodPost} {
			r := httptest.NewRequest(method, "/mcp", nil)
			r.Host = "localhost"
			r.Header.Set("Authorization", "Bearer token")
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if method == http.MethodPost {
				if w.Code != http.StatusAccepted {
					t.Errorf("%s, %s gets %d: %s", name, method, w.Code, w.Body)
				}
			} else if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") == "" || len(backend.messages) > 0 {
				t.Errorf("%s, %s gets %d, and the backend has %d requests", name, method, w.Code, len(backend.messages))
			}
		}
	}
}
