package conformance

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
)

// TestTheGatewayChangesNoVerdict judges an MCP server, then another of the kind
// that is behind the gateway. What the suite thinks of the server is not the
// question, only that it thinks the same of both.
func TestTheGatewayChangesNoVerdict(t *testing.T) {
	stateful := []string{"-stateless=false"}
	for _, tc := range []struct {
		name    string
		backend []string
		suite   suite
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
			direct := tc.suite.judge(t, startBackend(t, tc.backend...)+"/mcp", args...)
			l := startGateway(t, startBackend(t, tc.backend...))
			behind := tc.suite.judge(t, l.withToken(t, l.token(t)), args...)
			if table := differences(direct, behind); table != "" {
				t.Errorf("the gateway changes verdicts:\n%s", table)
			}
			n := 0
			for _, checks := range behind {
				for _, c := range checks {
					if c.Status == "SUCCESS" {
						n++
					}
				}
			}
			if n < tc.passed {
				t.Errorf("behind the gateway pass %d checks, not %d", n, tc.passed)
			}
			t.Logf("%d checks of %d scenarios pass", n, len(behind))
		})
	}
}

// differences is a table of the checks that differ, or empty.
func differences(direct, behind map[string][]check) string {
	var rows []string
	scenarios := maps.Clone(direct)
	maps.Copy(scenarios, behind)
	for _, scenario := range slices.Sorted(maps.Keys(scenarios)) {
		d, b := direct[scenario], behind[scenario]
		for i := range max(len(d), len(b)) {
			one, other := at(d, i), at(b, i)
			if one != other {
				rows = append(rows, fmt.Sprintf("%s\t%s\t%.80s\t%.200s", scenario, cmp.Or(one.ID, other.ID), one, other))
			}
		}
	}
	if rows == nil {
		return ""
	}
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "scenario\tcheck\tdirect\tbehind the gateway")
	for _, row := range rows {
		fmt.Fprintln(w, row)
	}
	_ = w.Flush() // a strings.Builder takes all
	return out.String()
}

// at is a check of a list that may be shorter.
func at(checks []check, i int) check {
	if i < len(checks) {
		return checks[i]
	}
	return check{Status: "not judged"}
}
