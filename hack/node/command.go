// Package node runs the clients and suites in JavaScript that tests use.
package node

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"vestibule.dev/vestibule/hack/repository"
)

// Command is a program in a directory below hack, such as clients/typescript, to be
// run there. What the package-lock.json there pins is installed first, and a Node.js
// that is new enough if the machine has none.
func Command(t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	root, err := repository.Root()
	if err != nil {
		t.Fatal(err)
	}
	hack := filepath.Join(root, "hack")
	dir = filepath.Join(hack, dir)
	if out, err := exec.CommandContext(t.Context(), filepath.Join(hack, "npm.sh"), dir).CombinedOutput(); err != nil {
		t.Fatalf("installing what %s pins: %v\n%s", dir, err, out)
	}
	node, err := exec.CommandContext(t.Context(), filepath.Join(hack, "node.sh")).Output()
	if err != nil {
		t.Fatalf("finding Node.js: %v", err)
	}
	cmd := exec.Command(strings.TrimSpace(string(node)), args...)
	cmd.Dir = dir
	return cmd
}
