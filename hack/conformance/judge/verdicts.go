package judge

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// Passed counts the checks that pass.
func Passed(verdicts map[string][]Check) int {
	n := 0
	for _, checks := range verdicts {
		for _, c := range checks {
			if c.Status == "SUCCESS" {
				n++
			}
		}
	}
	return n
}

// Differences is a table of the checks that differ, or empty.
func Differences(direct, behind map[string][]Check) string {
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
func at(checks []Check, i int) Check {
	if i < len(checks) {
		return checks[i]
	}
	return Check{Status: "not judged"}
}
