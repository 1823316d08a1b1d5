package proxy

import (
	"io"
	"net/http"
	"strings"
)

// Headers that the proxy does not pass on: of requests, answers, interim responses and
// trailers.

// claimed says whether a header is about who sends the request, or names another method
// or path than the request has. Those that concern one connection alone, the proxy has
// removed already. It goes by the plain name: underscores count as hyphens, since many
// frameworks cannot tell one from the other.
func claimed(name, plain string) bool {
	if plain == sessionHeader {
		return plain != name // a session that was not opened
	}
	switch plain {
	//rule:token-to-backend cookie-to-backend
	case "Authorization", "Cookie", "Origin", "Forwarded", "Upgrade", "Connection",
		"X-Real-Ip", "X-Client-Ip", "True-Client-Ip", "Cf-Connecting-Ip":
		return true
	}
	//rule:identity-of-other-front-doors
	if hasAnyPrefix(plain, frontDoors) {
		return true
	}
	//rule:method-overridden
	if hasAnyPrefix(plain, overrides) {
		return true
	}
	//rule:identity-claimed
	return strings.HasPrefix(plain, "X-Forwarded-") || strings.HasPrefix(plain, "X-Auth-Request-") ||
		strings.HasPrefix(plain, "Proxy-") || strings.HasPrefix(plain, "X-Vestibule-")
}

// overrides are how the headers begin by which some frameworks take another method or
// another path than the request has.
var overrides = []string{"X-Http-Method", "X-Method-Override", "X-Original-", "X-Rewrite-"}

// frontDoors are how the headers begin in which other proxies and platforms tell a
// backend who the user is. A backend that was behind one of them may still believe them.
var frontDoors = []string{
	"Remote-", "X-Remote-", "X-Webauth-", "X-Authenticated-", "X-Consumer-", // proxies in general, Kubernetes, Grafana, Kong
	"X-Authentik-", "X-Pomerium-", "Tailscale-User-", "Oidc-Claim-",
	"X-Ms-Client-Principal", "X-Ms-Token-", "X-Goog-Authenticated-User-", "X-Goog-Iap-", "X-Amzn-Oidc-", "Cf-Access-",
	// Client certificates. That of RFC 9440 is the first.
	"Client-Cert", "X-Client-Cert", "X-Client-Verify", "X-Client-Dn", "Ssl-Client", "X-Ssl-Client", "X-Tls-Client",
	"X-Amzn-Mtls-", "X-Arr-Clientcert", "Cf-Client-Cert",
}

func hasAnyPrefix(s string, prefixes []string) bool {
	for _, prefix := range prefixes {
		if strings.HasPrefix(s, prefix) {
			return true
		}
	}
	return false
}

// ofOrigin are headers by which one answer speaks for a whole origin, which is the
// authorization server's.
var ofOrigin = map[string]bool{
	"Alt-Svc": true, "Clear-Site-Data": true, "Nel": true, "Report-To": true, "Service-Worker-Allowed": true, "Strict-Transport-Security": true,
}

// withhold deletes the headers of an answer that are the gateway's to say.
func withhold(header http.Header) {
	for name := range header {
		//rule:cookie-of-backend cors-of-backend header-for-the-origin
		if name == "Set-Cookie" || name == "Www-Authenticate" || ofOrigin[name] || strings.HasPrefix(name, "Access-Control-") {
			delete(header, name)
		}
	}
}

// withholdMore is withhold for the headers of an interim response and for trailers. The
// reverse proxy copies both as they are, and neither can begin a session.
func withholdMore(header http.Header) {
	withhold(header)
	for _, value := range header["Connection"] {
		for name := range strings.SplitSeq(value, ",") {
			header.Del(strings.TrimSpace(name))
		}
	}
	for _, name := range ofConnection {
		header.Del(name)
	}
	header.Del(sessionHeader)
}

// ofConnection are headers about one connection.
var ofConnection = []string{
	"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

// trailing is the body of an answer. The transport sets the trailers when the body ends
// or is closed, so they are filtered then.
type trailing struct {
	io.ReadCloser
	resp *http.Response
}

func (t trailing) Read(p []byte) (int, error) {
	n, err := t.ReadCloser.Read(p)
	if err != nil {
		withholdMore(t.resp.Trailer)
	}
	return n, err
}

func (t trailing) Close() error {
	err := t.ReadCloser.Close()
	withholdMore(t.resp.Trailer)
	return err
}

// isEncoded reports whether an answer has a Content-Encoding, in which nothing can be
// inserted.
func isEncoded(resp *http.Response) bool {
	for _, value := range resp.Header.Values("Content-Encoding") {
		for encoding := range strings.SplitSeq(value, ",") {
			if encoding = strings.TrimSpace(encoding); encoding != "" && !strings.EqualFold(encoding, "identity") {
				return true
			}
		}
	}
	return false
}
