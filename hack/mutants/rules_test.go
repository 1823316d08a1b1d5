package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

const repository = "../.."

// Every rule is marked where it stands, can be edited, and has a test; and nothing else
// is marked. This says so long before the mutants run.
func TestEveryMutantHasItsRule(t *testing.T) {
	found, err := places(repository)
	if err != nil {
		t.Fatal(err)
	}
	known, tests := map[string]bool{}, map[string]map[string]bool{}
	for _, m := range mutants() {
		if known[m.name] || m.name == "" || m.rule == "" || m.edit == nil {
			t.Errorf("%q needs a name of its own, a rule and an edit", m.name)
		}
		known[m.name] = true
		if c, err := m.change(found); err != nil {
			t.Error(err)
		} else if _, err := switched([]change{c}); err != nil {
			t.Error(err)
		}
		if tests[m.pkg] == nil {
			tests[m.pkg] = testsOf(t, m.pkg)
		}
		for run := range strings.SplitSeq(m.run, "|") {
			if test, _, _ := strings.Cut(run, "/"); !tests[m.pkg][test] {
				t.Errorf("%s: %s has no %s", m.name, m.pkg, test)
			}
		}
	}
	for name, at := range found {
		if !known[name] {
			t.Errorf("%s marks the rule %s, which no mutant switches off", at.name, name)
		}
	}
}

// testsOf returns the names of a package's tests.
func testsOf(t *testing.T, pkg string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(repository, pkg, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, path := range files {
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil {
				names[f.Name.Name] = true
			}
		}
	}
	return names
}
