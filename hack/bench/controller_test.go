//go:build integration

package main

import (
	"testing"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// What an MCPServer costs the API server stays within what docs/performance.md says.
func TestTheControllerStaysWithinItsBudget(t *testing.T) {
	log.SetLogger(logr.Discard())
	const servers = 50
	c, err := measureController(t.Context(), servers, 30*time.Second, 500*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if n := float64(c.converging.requests.total()) / servers; n > aimRequests {
		t.Errorf("%.1f requests for each MCPServer, want at most %d", n, aimRequests)
	}
	for what, n := range c.converging.requests.by {
		t.Logf("%s: %.2f for each MCPServer", what, float64(n)/servers)
	}
	if n := c.rest.requests.total(); n > 0 || c.rest.reconciles > 0 {
		t.Errorf("at rest: %d passes, %v", c.rest.reconciles, c.rest.requests.by)
	}
	if n := len(c.secret.requests.servers); n != c.users {
		t.Errorf("the change of a Secret of %d MCPServers had it write for %d", c.users, n)
	}
	if n := c.restarted.requests.writes; n > 0 {
		t.Errorf("a controller that starts anew writes: %v", c.restarted.requests.by)
	}
	t.Logf("%d MiB, of which %d are on the heap", c.rss>>20, c.heap>>20)
}
