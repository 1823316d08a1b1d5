package main

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"vestibule.dev/vestibule/hack/loopback"
)

// Each sample is something to try on this machine, too: every Service that it names is
// another server here as well.
func TestEverySampleRuns(t *testing.T) {
	samples, err := filepath.Glob("../../config/samples/*.yaml")
	if err != nil || len(samples) < 3 {
		t.Fatalf("there are %v: %v", samples, err)
	}
	for _, file := range samples {
		t.Run(filepath.Base(file), func(t *testing.T) {
			l := start(t, "-f", file, "-listen", loopback.FreeAddress(t), "-idp-listen", loopback.FreeAddress(t), "-state", t.TempDir())
			c := newClient(t, l, "", "alice")
			connect(t, c)
			must(t, c.Forecast(t.Context()))
			if !strings.Contains(l.stdout.String(), "spec.routes[docs]") {
				return
			}
			resp, err := http.Get(strings.TrimSuffix(l.endpoint, "/mcp") + "/docs/")
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			// The demo server has no pages, and says so itself.
			if resp.StatusCode != http.StatusNotFound || resp.Header.Get("Content-Security-Policy") == "" {
				t.Errorf("the public route answers %s %v", resp.Status, resp.Header)
			}
		})
	}
}
