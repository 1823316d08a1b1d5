package apiserver

import (
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/rest"
)

func TestRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		code       int
		retryAfter string
		body       string
		want       Refusal
	}{
		"a failed test": {422, "", `{"reason":"Invalid","details":{},"message":"the server rejected our request"}`, Refusal{Code: 422, Reason: "Invalid", Test: true}},
		"validation":    {422, "", `{"reason":"Invalid","details":{"kind":"Secret","causes":[{"reason":"FieldValueTooLong"}]}}`, Refusal{Code: 422, Reason: "Invalid"}},
		"admission":     {422, "", `{"reason":"Invalid","details":{"causes":[{"message":"no"}]}}`, Refusal{Code: 422, Reason: "Invalid"}},
		"a proxy's 422": {422, "", `<html>secret</html>`, Refusal{Code: 422}},
		"too many":      {429, "3", `{"reason":"TooManyRequests"}`, Refusal{Code: 429, Reason: "TooManyRequests", RetryAfter: 3 * time.Second}},
		"a date to retry after, which the API server never sends": {429, "Fri, 31 Dec 1999 23:59:59 GMT", `{}`, Refusal{Code: 429}},
		"forbidden": {403, "", `{"reason":"Forbidden","message":"secret"}`, Refusal{Code: 403, Reason: "Forbidden"}},
		"nothing":   {502, "", ``, Refusal{Code: 502}},
	} {
		t.Run(name, func(t *testing.T) {
			resp := &http.Response{StatusCode: tc.code, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(tc.body))}
			resp.Header.Set("Retry-After", tc.retryAfter)
			got := refused(resp)
			if diff := cmp.Diff(&tc.want, got); diff != "" {
				t.Error(diff)
			}
			if strings.Contains(got.Error(), "secret") {
				t.Errorf("error %q quotes the answer", got)
			}
		})
	}
}

// A proxy of the environment would see every record that is read and written, and could
// cut the gateway off from its store.
func TestTheAPIServerIsCalledWithoutAProxy(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://proxy.example.com:3128")
	explicit, err := url.Parse("http://explicit.example.com:3128")
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		set  func(*http.Request) (*url.URL, error)
		want *url.URL
	}{
		"of the environment": {nil, nil},
		"of a kubeconfig":    {http.ProxyURL(explicit), explicit},
	} {
		t.Run(name, func(t *testing.T) {
			var base http.RoundTripper
			_, err := New(&rest.Config{Host: "https://10.0.0.1", Proxy: tc.set}, Secrets, "default", func(rt http.RoundTripper) http.RoundTripper {
				base = rt
				return rt
			})
			if err != nil {
				t.Fatal(err)
			}
			transport, ok := base.(*http.Transport)
			if !ok {
				t.Fatalf("the transport is a %T", base)
			}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://10.0.0.1/api", nil)
			if err != nil {
				t.Fatal(err)
			}
			if transport.Proxy == nil {
				return
			}
			if got, err := transport.Proxy(req); err != nil || !reflect.DeepEqual(got, tc.want) {
				t.Errorf("the proxy is %v, %v, want %v", got, err, tc.want)
			}
		})
	}
}
