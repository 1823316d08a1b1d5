package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// outcome is what go test made of some tests.
type outcome struct {
	// ran counts the tests, failed are those that said no: the innermost of each.
	ran    int
	failed []string
	// unbuilt and crashed say that the tests did not, or not all, get to speak:
	// the compiler's words, or the line with which the process ended.
	unbuilt, crashed string
	// said is what the tests and the go command wrote.
	said string
}

// event is one line of go test -json (go doc test2json, go help buildjson).
type event struct{ Action, Test, Output string }

// goTest runs go test in root. An error says that it could not.
func goTest(ctx context.Context, root string, args ...string) (outcome, error) {
	// Vet has seen the tree, and says nothing of a rule.
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-json", "-vet=off", "-timeout=120s"}, args...)...)
	cmd.Dir = root
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // go test passes it on
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.Output()
	if ctx.Err() != nil {
		return outcome{}, ctx.Err()
	}
	if _, failed := errors.AsType[*exec.ExitError](err); err != nil && !failed {
		return outcome{}, err
	}
	o, readErr := read(stdout)
	if readErr != nil {
		return outcome{}, readErr
	}
	o.said += stderr.String()
	if err != nil && o.unbuilt == "" && o.crashed == "" && len(o.failed) == 0 {
		return outcome{}, fmt.Errorf("go test failed, and no test did: %w\n%s", err, o.said)
	}
	return o, nil
}

func read(stdout []byte) (outcome, error) {
	var o outcome
	var said, built strings.Builder
	for line := range bytes.Lines(stdout) {
		var e event
		if err := json.Unmarshal(line, &e); err != nil {
			return outcome{}, fmt.Errorf("reading go test's output: %w: %s", err, line)
		}
		said.WriteString(e.Output)
		switch {
		case e.Action == "build-output":
			built.WriteString(e.Output)
		case e.Action == "build-fail":
			o.unbuilt = cmp.Or(built.String(), "the build failed")
		case e.Action == "output" && (strings.HasPrefix(e.Output, "panic: ") || strings.HasPrefix(e.Output, "fatal error: ")):
			o.crashed = strings.TrimSpace(e.Output)
		case e.Action == "run":
			o.ran++
		case e.Action == "fail" && e.Test != "":
			o.addFailed(e.Test)
		}
	}
	o.said = said.String()
	return o, nil
}

// addFailed leaves out a test that failed because one inside of it did.
func (o *outcome) addFailed(test string) {
	for _, inner := range o.failed {
		if strings.HasPrefix(inner, test+"/") {
			return
		}
	}
	o.failed = append(o.failed, test)
}
