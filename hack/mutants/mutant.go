package main

import (
	"slices"
	"strings"
)

// mutant is one rule of the tree that one edit switches off. A comment marks the code
// that is edited: see marker.
type mutant struct {
	// name is short, and this mutant's alone.
	name string
	// rule is what holds as long as nobody makes the edit: one sentence.
	rule string
	edit edit
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
		reconcileMutants,
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
