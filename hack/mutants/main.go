// Command mutants switches rules of the gateway off, one at a time, and insists
// that a test fails each time: a rule that can be lost unnoticed will be.
//
//	go run ./hack/mutants [-run regexp] [-list] [-j n]
//
// Run it at the root of the repository. No file of the tree is changed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

func main() {
	run := flag.String("run", "", "take only the mutants whose names this regular expression matches")
	list := flag.Bool("list", false, "say which rules the mutants switch off, and try none")
	parallel := flag.Int("j", runtime.NumCPU(), "how many mutants to try at once")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := start(ctx, *run, *list, *parallel)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func start(ctx context.Context, run string, list bool, parallel int) error {
	wanted, err := regexp.Compile(run)
	if err != nil {
		return fmt.Errorf("-run: %w", err)
	}
	chosen := slices.DeleteFunc(mutants(), func(m mutant) bool { return !wanted.MatchString(m.name) })
	switch {
	case flag.NArg() > 0 || parallel < 1:
		return errors.New("usage: go run ./hack/mutants [-run regexp] [-list] [-j n]")
	case len(chosen) == 0:
		return errors.New("-run matches no mutant")
	case list:
		for _, m := range chosen {
			fmt.Printf("%-*s  %s\n", width(chosen), m.name, m.rule)
		}
		return nil
	}
	if err := passUnmutated(ctx, ".", chosen, parallel); err != nil {
		return err
	}
	return try(ctx, os.Stdout, ".", chosen, parallel)
}

// passUnmutated insists that the tests pass on the tree as it is: one that fails
// anyway notices nothing.
func passUnmutated(ctx context.Context, root string, chosen []mutant, parallel int) error {
	runs := map[string][]string{}
	for _, m := range chosen {
		if run := m.pattern(); !slices.Contains(runs[m.pkg], run) {
			runs[m.pkg] = append(runs[m.pkg], run)
		}
	}
	var group errgroup.Group
	group.SetLimit(parallel)
	for pkg, run := range runs {
		group.Go(func() error { return passes(ctx, root, pkg, strings.Join(run, "|")) })
	}
	return group.Wait()
}

func passes(ctx context.Context, root, pkg, run string) (err error) {
	dir, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	overlay, err := writeOverlay(root, dir, pkg, map[string]string{})
	if err != nil {
		return err
	}
	o, err := goTest(ctx, root, "-overlay="+overlay, "-run="+run, "./"+pkg)
	if err != nil {
		return err
	}
	if o.unbuilt != "" || o.crashed != "" || len(o.failed) > 0 {
		return fmt.Errorf("without a mutant the tests of %s do not pass:\n%s%s", pkg, o.unbuilt, o.said)
	}
	return nil
}

// try tries all mutants, and writes a line for each, in their order. The error
// says how many were not caught.
func try(ctx context.Context, w io.Writer, root string, chosen []mutant, parallel int) error {
	type result struct {
		by   string
		err  error
		took time.Duration
	}
	room := make(chan struct{}, parallel)
	results := make([]chan result, len(chosen))
	for i := range results {
		results[i] = make(chan result, 1)
	}
	go func() {
		for i, m := range chosen {
			room <- struct{}{}
			go func() {
				defer func() { <-room }()
				started := time.Now()
				by, err := m.try(ctx, root)
				results[i] <- result{by, err, time.Since(started)}
			}()
		}
	}()
	bad := 0
	fmt.Fprintf(w, "%-*s  seconds  caught by\n", width(chosen), "mutant")
	for i, m := range chosen {
		r := <-results[i]
		if ctx.Err() != nil { // what was interrupted says nothing
			return ctx.Err()
		}
		if r.err != nil {
			bad++
			r.by = "NOT CAUGHT: " + r.err.Error()
		}
		fmt.Fprintf(w, "%-*s  %7.1f  %s\n", width(chosen), m.name, r.took.Seconds(), r.by)
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d mutants were not caught", bad, len(chosen))
	}
	fmt.Fprintf(w, "%d mutants, all caught\n", len(chosen))
	return nil
}

func width(of []mutant) int {
	n := 0
	for _, m := range of {
		n = max(n, len(m.name))
	}
	return n
}

// try returns which test was the first to notice that the rule is off, or why it
// cannot be said that any does.
func (m mutant) try(ctx context.Context, root string) (by string, err error) {
	dir, err := os.MkdirTemp("", "mutant")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	overlay, err := m.overlay(root, dir)
	if err != nil {
		return "", err
	}
	o, err := goTest(ctx, root, "-count=1", "-failfast", "-overlay="+overlay, "-run="+m.pattern(), "./"+m.pkg)
	switch {
	case err != nil:
		return "", err
	case o.unbuilt != "":
		return "", fmt.Errorf("it does not compile: mend the mutant:\n%s", o.unbuilt)
	case o.crashed != "":
		return "", fmt.Errorf("the tests crashed, or took too long, which is no verdict on the rule: %s", o.crashed)
	case o.ran == 0:
		return "", fmt.Errorf("%s has no test %s: mend the mutant", m.pkg, m.run)
	case len(o.failed) == 0:
		return "", fmt.Errorf("%s of %s passes without this rule: %s", m.run, m.pkg, m.rule)
	}
	return o.failed[0], nil
}
