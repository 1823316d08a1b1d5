// Command mutants switches rules off, one at a time, and insists that a test fails
// each time: a rule that can be lost unnoticed will be.
//
//	go run ./hack/mutants [-run regexp] [-list] [-j n]
//
// Run it at the root of the repository. No file of the tree changes: the mutants are
// compiled into test binaries, all of a package's at once, each behind a switch.
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

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"vestibule.dev/vestibule/hack/testenv"
)

func main() {
	run := flag.String("run", "", "take only the mutants whose names this regular expression matches")
	list := flag.Bool("list", false, "say which rules the mutants switch off, and try none")
	parallel := flag.Int("j", runtime.NumCPU(), "how many packages to compile, or mutants to try, at once")
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
	return tryAll(ctx, os.Stdout, ".", chosen, parallel)
}

// shares is the package whose mutants share a control plane. Each would take longer to start
// its own than to be caught.
const shares = "controllers"

// tryAll tries mutants of the tree at root, and writes a line for each, in their order.
// The error says how many were not caught.
func tryAll(ctx context.Context, w io.Writer, root string, chosen []mutant, parallel int) (err error) {
	dir, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	began := time.Now()
	binaries, err := buildAll(ctx, root, dir, chosen, parallel)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%d packages compiled in %.0f s\n", len(binaries), time.Since(began).Seconds())
	if b, ok := binaries[shares]; ok {
		log.SetLogger(logr.Discard()) // of the control plane's library
		plane, failed := testenv.Start(testenv.Options{})
		if failed != nil {
			return fmt.Errorf("starting a control plane: %w", failed)
		}
		defer func() { err = errors.Join(err, plane.Stop()) }()
		b.env = append(b.env, testenv.SharedEnv+"="+plane.Kubeconfig())
		binaries[shares] = b
	}
	if err := passUnmutated(ctx, binaries, chosen, parallel); err != nil {
		return err
	}
	return try(ctx, w, binaries, chosen, parallel)
}

// buildAll compiles the test binaries that the mutants need, by package.
func buildAll(ctx context.Context, root, dir string, chosen []mutant, parallel int) (map[string]binary, error) {
	found, err := places(root)
	if err != nil {
		return nil, err
	}
	var changes []change
	for _, m := range chosen {
		c, err := m.change(found)
		if err != nil {
			return nil, err
		}
		changes = append(changes, c)
	}
	overlay, err := writeOverlay(root, dir, changes)
	if err != nil {
		return nil, err
	}
	packages := packagesOf(chosen)
	built := make([]binary, len(packages))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i, pkg := range packages {
		group.Go(func() (err error) {
			built[i], err = build(ctx, root, overlay, pkg, dir)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	binaries := map[string]binary{}
	for i, pkg := range packages {
		binaries[pkg] = built[i]
	}
	return binaries, nil
}

// packagesOf returns the packages whose tests notice, each once, in order.
func packagesOf(chosen []mutant) []string {
	var packages []string
	for _, m := range chosen {
		packages = append(packages, m.pkg)
	}
	slices.Sort(packages)
	return slices.Compact(packages)
}

// passUnmutated insists that the tests pass without a mutant: one that fails anyway
// notices nothing.
func passUnmutated(ctx context.Context, binaries map[string]binary, chosen []mutant, parallel int) error {
	patterns := map[string][]string{}
	for _, m := range chosen {
		if p := m.pattern(); !slices.Contains(patterns[m.pkg], p) {
			patterns[m.pkg] = append(patterns[m.pkg], p)
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for pkg, all := range patterns {
		group.Go(func() error {
			o, err := binaries[pkg].run(ctx, "", strings.Join(all, "|"))
			if err == nil && (o.crashed != "" || len(o.failed) > 0) {
				err = fmt.Errorf("without a mutant the tests of %s do not pass:\n%s", pkg, o.said)
			}
			return err
		})
	}
	return group.Wait()
}

func try(ctx context.Context, w io.Writer, binaries map[string]binary, chosen []mutant, parallel int) error {
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
				by, err := m.try(ctx, binaries[m.pkg])
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
func (m mutant) try(ctx context.Context, b binary) (by string, err error) {
	o, err := b.run(ctx, m.name, m.pattern())
	switch {
	case err != nil:
		return "", err
	case o.crashed != "":
		return "", fmt.Errorf("the tests crashed, or took too long, which is no verdict on the rule: %s", o.crashed)
	case o.ran == 0:
		return "", fmt.Errorf("%s has no test %s: mend the mutant", m.pkg, m.run)
	case len(o.failed) == 0:
		return "", fmt.Errorf("%s of %s passes without this rule: %s", m.run, m.pkg, m.rule)
	}
	return o.failed[0], nil
}
