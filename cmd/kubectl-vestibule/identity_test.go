package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A server that is told who calls, and asks for it, in whichever revision.
func TestTheBackendKnowsWhoCalls(t *testing.T) {
	document, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	const object = "    mcpObject:\n"
	if !strings.Contains(string(document), object) {
		t.Fatal("the sample has changed")
	}
	file := filepath.Join(t.TempDir(), "introducing.yaml")
	document = []byte(strings.Replace(string(document), object, object+"      identity: {assertion: {audience: weather, claims: [email]}}\n", 1))
	if err := os.WriteFile(file, document, 0o600); err != nil {
		t.Fatal(err)
	}
	args := sampleArgs(t)
	args[1] = file
	l := start(t, args...)
	for _, revision := range []string{"2025-11-25", "2026-07-28"} {
		for _, user := range []string{"alice", "bob"} {
			c := newClient(t, l, revision, user)
			connect(t, c)
			must(t, c.Forecast(t.Context()))
			result, err := c.Session.CallTool(t.Context(), &mcp.CallToolParams{Name: "whoami"})
			if err != nil {
				t.Fatal(err)
			}
			who, _ := result.StructuredContent.(map[string]any)
			if email, _ := who["email"].(string); !strings.HasPrefix(email, user+"@") || who["user"] == "" || who["client"] == "" {
				t.Errorf("to the server, %s is %v", user, who)
			}
		}
	}
}
