//go:build integration

package conformance

import (
	"testing"

	"vestibule.dev/vestibule/hack/conformance/judge"
)

// TestTheGatewayChangesNoVerdict judges an MCP server, then another of the kind
// that is behind the gateway. What the suite thinks of the server is not the
// question, only that it thinks the same of both.
func TestTheGatewayChangesNoVerdict(t *testing.T) {
	stateful := []string{"-stateless=false"}
	for _, tc := range []struct {
		name    string
		backend []string
		suite   judge.Suite
		args    []string
		// passed is how many checks pass at least: the comparison is about something.
		passed int
	}{
		{"released, with sessions", stateful, "stable", nil, 44},
		{"released, without sessions", nil, "stable", nil, 30},
		{"to come, with sessions", stateful, "alpha", nil, 133},
		{"to come, without sessions", nil, "alpha", nil, 182},
		{"to come, revision 2025-11-25", stateful, "alpha", []string{"--spec-version", "2025-11-25"}, 82},
		{"to come, revision 2026-07-28", nil, "alpha", []string{"--spec-version", "2026-07-28"}, 153},
	} {
		t.Run(tc.name, func(t *testing.T) {
			args := append([]string{"--suite", "all"}, tc.args...)
			direct := tc.suite.Server(t, startBackend(t, tc.backend...)+"/mcp", args...)
			l := startGateway(t, startBackend(t, tc.backend...))
			behind := tc.suite.Server(t, judge.WithToken(t, l.issuer, l.token(t)), args...)
			if table := judge.Differences(direct, behind); table != "" {
				t.Errorf("the gateway changes verdicts:\n%s", table)
			}
			n := judge.Passed(behind)
			if n < tc.passed {
				t.Errorf("behind the gateway pass %d checks, not %d", n, tc.passed)
			}
			t.Logf("%d checks of %d scenarios pass", n, len(behind))
		})
	}
}
