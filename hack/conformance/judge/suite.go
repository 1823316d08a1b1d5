// Package judge lets the MCP conformance suite judge servers.
package judge

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"vestibule.dev/vestibule/hack/child"
	"vestibule.dev/vestibule/hack/node"
)

// Check is one verdict of the suite.
type Check struct {
	ID     string `json:"id"`
	Status string `json:"status"`
	Error  string `json:"errorMessage"`
}

func (c Check) String() string { return strings.TrimSpace(c.Status + " " + c.Error) }

// Suite is a version of the conformance suite, by its name in package.json.
type Suite string

// Command runs the suite, which writes its verdicts below results.
func (s Suite) Command(t *testing.T, results string, args ...string) *exec.Cmd {
	t.Helper()
	return node.Command(t, "conformance", append([]string{filepath.Join("node_modules", string(s), "dist", "index.js")},
		append(args, "--output-dir", results)...)...)
}

// Server runs scenarios against the MCP server at url, and returns the verdicts
// by scenario. The suite fails when a scenario does, which is not the question.
func (s Suite) Server(t *testing.T, url string, args ...string) map[string][]Check {
	t.Helper()
	began, results := time.Now(), t.TempDir()
	p := child.Start(t, s.Command(t, results, append([]string{"server", "--url", url}, args...)...))
	err := p.Wait(t, 3*time.Minute)
	t.Logf("%s judges in %v", s, time.Since(began).Round(time.Millisecond))
	verdicts := Read(t, results)
	if len(verdicts) == 0 {
		t.Fatalf("the suite has no verdicts (%v)%s", err, p)
	}
	return verdicts
}

var resultsDir = regexp.MustCompile(`^(?:server|authorization-server|authorization)-(.+)-\d{4}-\d\d-\d\dT[\d-]+Z$`)

// Read returns the verdicts in a directory of results, by scenario.
func Read(t *testing.T, results string) map[string][]Check {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(results, "*", "checks.json"))
	if err != nil {
		t.Fatal(err)
	}
	verdicts := map[string][]Check{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var checks []Check
		if err := json.Unmarshal(data, &checks); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		name := resultsDir.FindStringSubmatch(filepath.Base(filepath.Dir(file)))
		if name == nil {
			t.Fatalf("%s: whose results are these?", file)
		}
		verdicts[name[1]] = checks
	}
	return verdicts
}
