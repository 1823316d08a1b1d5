package proxy

import (
	"io"
	"net/http"
	"strings"
)

// Headers that the proxy does not pass on: of requests, answers, interim responses and
// trailers.

// claimed says whether a header is about who sends the request. Those that
// concern one connection alone, the proxy has removed already. It goes by the plain
// name: underscores count as hyphens, since many frameworks cannot tell one from the
// other.
func claimed(name, plain string) bool {
	if plain == sessionHeader {
		return plain != name // a session that was not opened
	}
	switch plain {
	//rule:token-to-backend cookie-to-backend
	case "Authorization", "Cookie", "Origin", "Forwarded", "Upgrade", "Connection",
		"Remote-User", "X-Remote-User", "X-Real-Ip", "X-Client-Ip", "True-Client-Ip", "Cf-Connecting-Ip",
		"X-Original-Url", "X-Rewrite-Url": // by which some frameworks take another path
		return true
	}
	//rule:identity-claimed
	return strings.HasPrefix(plain, "X-Forwarded-") || strings.HasPrefix(plain, "X-Auth-Request-") ||
		strings.HasPrefix(plain, "Proxy-") || strings.HasPrefix(plain, "X-Vestibule-")
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
