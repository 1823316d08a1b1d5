package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// binary is the test binary of one package, with all mutants in it.
type binary struct {
	path, dir string
	env       []string // variables that its processes have beside ours
}

// build compiles the tests of a package of the tree at root into dir. The error has
// the compiler's words, which name a mutant that does not compile as if it were a file.
func build(ctx context.Context, root, overlay, pkg, dir string) (binary, error) {
	path := filepath.Join(dir, strings.ReplaceAll(pkg, "/", "_")+".test")
	// Vet has seen the tree, and says nothing of a rule.
	cmd := exec.CommandContext(ctx, "go", "test", "-c", "-vet=off", "-tags=integration", "-overlay="+overlay, "-o", path, "./"+pkg)
	cmd.Dir = root
	said, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return binary{}, ctx.Err()
	}
	if err != nil {
		return binary{}, fmt.Errorf("compiling the tests of %s with their mutants: %w\n%s", pkg, err, said)
	}
	return binary{path: path, dir: filepath.Join(root, filepath.FromSlash(pkg))}, nil
}

// outcome is the result of a test process.
type outcome struct {
	// ran counts the tests, failed are those that said no: the innermost of each.
	ran    int
	failed []string
	// crashed is the line with which the process ended before all could speak, or "".
	crashed string
	// said is the output of the process.
	said string
}

// run runs the tests that match pattern, until the first fails, with a mutant in force
// or with none. An error says that it could not.
func (b binary) run(ctx context.Context, mutant, pattern string) (outcome, error) {
	cmd := exec.CommandContext(ctx, b.path, "-test.run="+pattern, "-test.failfast", "-test.timeout=120s", "-test.v=test2json")
	cmd.Dir = b.dir
	cmd.Env = slices.Concat(os.Environ(), b.env, []string{switchEnv + "=" + mutant})
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	said, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return outcome{}, ctx.Err()
	}
	if _, failed := errors.AsType[*exec.ExitError](err); err != nil && !failed {
		return outcome{}, err
	}
	o := read(said)
	if err != nil && o.crashed == "" && len(o.failed) == 0 {
		return outcome{}, fmt.Errorf("the test process failed, and no test did: %w\n%s", err, o.said)
	}
	return o, nil
}

// What the testing package frames, it marks with the byte SYN (go doc test2json).
var (
	beginning = regexp.MustCompile(`(?m)\x16=== RUN`)
	failure   = regexp.MustCompile(`(?m)\x16\s*--- FAIL: (\S+) \(`)
	crash     = regexp.MustCompile(`(?m)^(panic: |fatal error: ).*`)
)

func read(said []byte) outcome {
	o := outcome{
		ran: len(beginning.FindAll(said, -1)), crashed: strings.TrimSpace(string(crash.Find(said))),
		said: string(bytes.ReplaceAll(said, []byte{0x16}, nil)),
	}
	for _, m := range failure.FindAllSubmatch(said, -1) {
		o.addFailed(string(m[1]))
	}
	return o
}

// addFailed leaves out a test that failed because one inside of it did.
func (o *outcome) addFailed(test string) {
	for i, other := range o.failed {
		switch {
		case strings.HasPrefix(other, test+"/"):
			return
		case strings.HasPrefix(test, other+"/"):
			o.failed[i] = test
			return
		}
	}
	o.failed = append(o.failed, test)
}
