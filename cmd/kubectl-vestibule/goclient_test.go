package main

import (
	"net/http"
	"testing"

	"vestibule.dev/vestibule/hack/mcpclient"
)

// newClient returns a client of the run, with this user at the browser. It speaks
// a revision of MCP, or, if that is empty, whatever the SDK chooses.
func newClient(t *testing.T, l *local, revision, user string) *mcpclient.Client {
	t.Helper()
	h := mcpclient.NewHTTP(nil)
	return &mcpclient.Client{Endpoint: l.endpoint, Revision: revision, HTTP: h, Person: newPerson(t, l, user, h)}
}

func newPerson(t *testing.T, l *local, user string, through *http.Client) *mcpclient.Person {
	t.Helper()
	p, err := mcpclient.NewPerson(user, l.passwords[user], through)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// connect connects, until the test ends.
func connect(t *testing.T, c *mcpclient.Client) {
	t.Helper()
	if err := c.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Session.Close() }) // its server may have ended
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
