package conformance

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

// check is one verdict of the suite.
type check struct {
	ID     string `json:"id"`
	Status string `json:"status"`
	Error  string `json:"errorMessage"`
}

func (c check) String() string { return strings.TrimSpace(c.Status + " " + c.Error) }

// suite is a version of the conformance suite, by its name in package.json.
type suite string

// command runs the suite, which writes its verdicts below results.
func (s suite) command(t *testing.T, results string, args ...string) *exec.Cmd {
	t.Helper()
	return exec.Command(node(t), append([]string{filepath.Join("node_modules", string(s), "dist", "index.js")},
		append(args, "--output-dir", results)...)...)
}

// judge runs scenarios against the MCP server at url, and returns the verdicts
// by scenario. The suite fails when a scenario does, which is not the question.
func (s suite) judge(t *testing.T, url string, args ...string) map[string][]check {
	t.Helper()
	began, results := time.Now(), t.TempDir()
	p := child.Start(t, s.command(t, results, append([]string{"server", "--url", url}, args...)...))
	err := p.Wait(t, 3*time.Minute)
	t.Logf("%s judges in %v", s, time.Since(began).Round(time.Millisecond))
	verdicts := read(t, results)
	if len(verdicts) == 0 {
		t.Fatalf("the suite has no verdicts (%v)%s", err, p)
	}
	return verdicts
}

var resultsDir = regexp.MustCompile(`^(?:server|authorization-server|authorization)-(.+)-\d{4}-\d\d-\d\dT[\d-]+Z$`)

// read returns the verdicts in a directory of results, by scenario.
func read(t *testing.T, results string) map[string][]check {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(results, "*", "checks.json"))
	if err != nil {
		t.Fatal(err)
	}
	verdicts := map[string][]check{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var checks []check
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
func node(t *testing.T) string {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "../npm.sh", ".").CombinedOutput(); err != nil {
		t.Fatalf("installing the suite: %v\n%s", err, out)
	}
	out, err := exec.CommandContext(t.Context(), "../node.sh").Output()
	if err != nil {
		t.Fatalf("finding Node.js: %v", err)
	}
	return strings.TrimSpace(string(out))
}
