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
)

// Check is one verdict of the suite.
type Check struct {
	ID     string `json:"id"`
	Status string `json:"status"`
	Error  string `json:"errorMessage"`
}

func (c Check) String() string { return strings.TrimSpace(c.Status + " " + c.Error) }

// Suite is a version of the conformance suite.
type Suite struct {
	// Name is what package.json calls it, and Dir where that is.
	Name, Dir string
}

// Command runs the suite, which writes its verdicts below results.
func (s Suite) Command(t *testing.T, results string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(s.node(t), append([]string{filepath.Join("node_modules", s.Name, "dist", "index.js")},
		append(args, "--output-dir", results)...)...)
	cmd.Dir = s.Dir
	return cmd
}

// Server runs scenarios against the MCP server at url, and returns the verdicts
// by scenario. The suite fails when a scenario does, which is not the question.
func (s Suite) Server(t *testing.T, url string, args ...string) map[string][]Check {
	t.Helper()
	began, results := time.Now(), t.TempDir()
	p := child.Start(t, s.Command(t, results, append([]string{"server", "--url", url}, args...)...))
	err := p.Wait(t, 3*time.Minute)
	t.Logf("%s judges in %v", s.Name, time.Since(began).Round(time.Millisecond))
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

// node is the path of a Node.js that is new enough; what package-lock.json pins
// is installed then.
func (s Suite) node(t *testing.T) string {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), filepath.Join(s.Dir, "..", "npm.sh"), s.Dir).CombinedOutput(); err != nil {
		t.Fatalf("installing the suite: %v\n%s", err, out)
	}
	out, err := exec.CommandContext(t.Context(), filepath.Join(s.Dir, "..", "node.sh")).Output()
	if err != nil {
		t.Fatalf("finding Node.js: %v", err)
	}
	return strings.TrimSpace(string(out))
}
