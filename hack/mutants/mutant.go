package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// mutant is one rule of the tree that one edit switches off.
type mutant struct {
	// name is short, and this mutant's alone.
	name string
	// rule is what holds as long as nobody makes the edit: one sentence.
	rule string
	// file is edited: old, which stands in it once, becomes new. Paths are those
	// of the repository.
	file, old, new string
	// pkg is the package whose tests notice, and run which: tests of these whole
	// names, with subtests after slashes as go test's -run has them, and | between
	// several. The fewer and the smaller, the sooner a mutant is done: tests of the
	// whole gateway are for what only they can see. Not a property test, which
	// writes the case that it failed at into the tree.
	pkg, run string
}

// mutants are all there are, a list for each part in a file of its own. A rule that is
// guarded twice is not in them: no single edit switches it off.
func mutants() []mutant {
	return slices.Concat(
		oauthMutants, registerMutants, clientMutants, documentMutants, authorizeMutants, consentMutants, upstreamMutants,
		codeMutants, refreshMutants, accessMutants, storeMutants, storesMutants, routeMutants, backendMutants,
		unattendedMutants, operationMutants, openRouteMutants, telemetryMutants, identityMutants, operatorMutants,
	)
}

// pattern is what -run must be.
func (m mutant) pattern() string {
	var tests []string
	for run := range strings.SplitSeq(m.run, "|") {
		name, inner, found := strings.Cut(run, "/")
		if found {
			inner = "/" + inner
		}
		tests = append(tests, "^"+name+"$"+inner)
	}
	return strings.Join(tests, "|")
}

// edited returns the file of the tree at root with the rule switched off.
func (m mutant) edited(root string) (string, error) {
	content, err := os.ReadFile(filepath.Join(root, m.file))
	if err != nil {
		return "", fmt.Errorf("the rule moved: mend the mutant: %w", err)
	}
	if n := strings.Count(string(content), m.old); n != 1 {
		return "", fmt.Errorf("the rule moved: mend the mutant: %s has this %d times, not once:\n%s", m.file, n, m.old)
	}
	return strings.Replace(string(content), m.old, m.new, 1), nil
}

// leftOut are test files by package that no mutant needs: what they import takes as
// long to link as all else.
var leftOut = map[string][]string{
	"gateway": {"etcd_test.go", "kubernetes_test.go", "processes_test.go", "restored_test.go"},
}

// overlay writes, into dir, what makes the go command see the edited file in
// place of the tree's, which stays as it is, and not see the files left out.
func (m mutant) overlay(root, dir string) (string, error) {
	content, err := m.edited(root)
	if err != nil {
		return "", err
	}
	edited := filepath.Join(dir, "edited.go")
	if err := os.WriteFile(edited, []byte(content), 0o600); err != nil {
		return "", err
	}
	return writeOverlay(root, dir, m.pkg, map[string]string{m.file: edited})
}

// writeOverlay writes, into dir, what makes the go command see the replaced files of
// the tree at root as others, and not see those of the package that are left out.
func writeOverlay(root, dir, pkg string, replaced map[string]string) (string, error) {
	inTree := map[string]string{}
	for _, name := range leftOut[pkg] {
		replaced[filepath.Join(pkg, name)] = ""
	}
	for name, other := range replaced {
		path, err := filepath.Abs(filepath.Join(root, name))
		if err != nil {
			return "", err
		}
		inTree[path] = other
	}
	b, err := json.Marshal(map[string]map[string]string{"Replace": inTree})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, b, 0o600)
}
