package apiserver

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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
