//go:build integration

package conformance

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"vestibule.dev/vestibule/hack/child"
	"vestibule.dev/vestibule/hack/conformance/judge"
	"vestibule.dev/vestibule/hack/loopback"
)

var (
	authorizationURL = regexp.MustCompile(`http://\S+/authorize\?\S+`)
	// listening is said after the URL, when the suite can be called back.
	listening = regexp.MustCompile(`Callback server started`)
)

// TestTheAuthorizationServerConforms lets the suite be a client, and alice log
// in. The suite as it is released has no scenarios for authorization servers yet,
// and the one to come is a public client wherever it may be.
func TestTheAuthorizationServerConforms(t *testing.T) {
	l := startGateway(t, "http://127.0.0.1:9") // no request gets that far
	for _, revision := range []string{"2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"} {
		t.Run(revision, func(t *testing.T) {
			_, port, _ := strings.Cut(loopback.FreeAddress(t), ":")
			results := t.TempDir()
			p := child.Start(t, judge.Suite("alpha").Command(t, results, "authorization",
				"--url", l.issuer, "--resource", l.endpoint, "--spec-version", revision, "--port", port,
				"--client-id", register(t, l, "http://127.0.0.1:"+port+"/callback")))
			p.Await(t, listening, soon)
			page, err := l.person.Visit(p.Await(t, authorizationURL, soon)[0])
			if err != nil {
				t.Fatalf("alice does not get through: %v%s", err, p)
			}
			_ = page.Body.Close()
			if err := p.Wait(t, soon); err != nil {
				t.Errorf("the suite fails: %v%s", err, p)
			}
			verdicts := judge.Read(t, results)
			for _, scenario := range []string{"authorization-server-metadata-endpoint", "authorization-code-grant"} {
				if len(verdicts[scenario]) == 0 {
					t.Errorf("%s has no verdict", scenario)
				}
			}
			for scenario, checks := range verdicts {
				for _, c := range checks {
					if c.Status != "SUCCESS" {
						t.Errorf("%s: %s is %s", scenario, c.ID, c)
					}
				}
			}
		})
	}
}

// register registers a public client, and returns its id.
func register(t *testing.T, l *local, redirectURI string) string {
	t.Helper()
	resp, err := http.Post(l.issuer+"/register", "application/json",
		strings.NewReader(`{"client_name": "conformance", "redirect_uris": ["`+redirectURI+`"], "token_endpoint_auth_method": "none"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var client struct {
		ID string `json:"client_id"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&client); err != nil || client.ID == "" {
		t.Fatalf("registration answers %s: %v", resp.Status, err)
	}
	return client.ID
}
