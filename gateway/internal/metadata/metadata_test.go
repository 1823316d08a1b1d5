package metadata

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"vestibule.dev/vestibule/gateway/internal/oauth"
)

// What is served at the URL of the document is the document, to the byte.
func TestTheDocumentIsWhatIsServed(t *testing.T) {
	for publicURL, want := range map[string]string{
		"https://weather.example.com":         "https://weather.example.com/.well-known/oauth-authorization-server",
		"https://example.com:8443/team/a.b_c": "https://example.com:8443/.well-known/oauth-authorization-server/team/a.b_c",
	} {
		s := Server{
			PublicURL: publicURL, Registration: true, Scopes: func() oauth.Scopes { return oauth.Scopes{"weather:read"} },
			Resources: []Resource{{Name: "mcp", Path: "/mcp", Scopes: func() oauth.Scopes { return nil }}},
		}
		if got := ServerMetadataURL(publicURL); got != want {
			t.Errorf("the document of %s is at %s", publicURL, got)
		}
		u, err := url.Parse(want)
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		s.Documents()[u.Path].ServeHTTP(w, httptest.NewRequest(http.MethodGet, want, nil))
		document, err := s.Document()
		if err != nil || w.Body.String() != string(document) {
			t.Errorf("served is %s, want %s (%v)", w.Body, document, err)
		}
	}
}
