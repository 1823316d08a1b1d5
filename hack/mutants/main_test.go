package main

import (
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const repository = "../.."

// A rule that moves takes its mutant along: this says so long before anybody
// runs the mutants.
func TestEveryMutantStillFits(t *testing.T) {
	names, tests := map[string]bool{}, map[string]map[string]bool{}
	for _, m := range mutants() {
		if names[m.name] || m.name == "" || m.rule == "" || m.old == m.new {
			t.Errorf("%q needs a name of its own, a rule and an edit", m.name)
		}
		names[m.name] = true
		if _, err := m.edited(repository); err != nil {
			t.Errorf("%s: %v", m.name, err)
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
}

// testFiles returns the test files of a package that are not left out.
func testFiles(t *testing.T, pkg string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(repository, pkg, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(files, func(path string) bool { return slices.Contains(leftOut[pkg], filepath.Base(path)) })
}

// testsOf returns the names of a package's tests.
func testsOf(t *testing.T, pkg string) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for _, path := range testFiles(t, pkg) {
		for name := range declared(parse(t, path)) {
			names[name] = true
		}
	}
	return names
}

func parse(t *testing.T, path string) *ast.File {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// declared returns the names of what a file declares for its package.
func declared(f *ast.File) map[string]bool {
	names := map[string]bool{}
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil {
				names[d.Name.Name] = true
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					names[spec.Name.Name] = true
				case *ast.ValueSpec:
					for _, name := range spec.Names {
						names[name.Name] = true
					}
				}
			}
		}
	}
	return names
}

// The files that are there do not need those that are left out.
func TestWhatIsLeftOutIsNotMissed(t *testing.T) {
	for pkg, names := range leftOut {
		missing := map[string]bool{}
		for _, name := range names {
			maps.Copy(missing, declared(parse(t, filepath.Join(repository, pkg, name))))
		}
		for _, path := range testFiles(t, pkg) {
			ast.Inspect(parse(t, path), func(n ast.Node) bool {
				if id, ok := n.(*ast.Ident); ok && missing[id.Name] {
					t.Errorf("%s needs %s, which is left out", path, id.Name)
				}
				return true
			})
		}
	}
}

// tree is a module with one rule, kept by one test.
func tree(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range map[string]string{
		"go.mod": "module example.com/door\n\ngo 1.26\n",
		"door/door.go": `package door

func Opens(key string) bool {
	if key != "good" {
		return false
	}
	return true
}
`,
		"door/door_test.go": `package door

import "testing"

func TestTheDoor(t *testing.T) {
	t.Run("no key", func(t *testing.T) {
		if Opens("") {
			t.Error("it opens")
		}
	})
	t.Run("a bad key", func(t *testing.T) {
		if Opens("bad") {
			t.Error("it opens")
		}
	})
}

func TestNothing(*testing.T) {}
`,
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestWhatCountsAsCaught(t *testing.T) {
	root := tree(t)
	const rule = `key != "good"`
	for _, row := range []struct{ name, old, new, run, by, err string }{
		{name: "caught", old: rule, new: `false`, run: "TestTheDoor", by: "TestTheDoor/no_key"},
		{name: "caught by one", old: rule, new: `key == "bad"`, run: "TestTheDoor/no_key", by: "TestTheDoor/no_key"},
		{name: "survived", old: rule, new: `false`, run: "TestNothing", err: "TestNothing of door passes without this rule: the key is good"},
		{name: "no test", old: rule, new: `false`, run: "TestTheWindow", err: "door has no test TestTheWindow"},
		{name: "moved", old: `key == "good"`, new: `false`, run: "TestTheDoor", err: "the rule moved"},
		{name: "twice", old: `return`, new: `false`, run: "TestTheDoor", err: "the rule moved"},
		{name: "does not compile", old: rule, new: `key`, run: "TestTheDoor", err: "it does not compile"},
		{name: "crashes", old: `if ` + rule, new: `if key[0] != 'g'`, run: "TestTheDoor", err: "crashed"},
	} {
		t.Run(row.name, func(t *testing.T) {
			m := mutant{name: "key", rule: "the key is good", file: "door/door.go", old: row.old, new: row.new, pkg: "door", run: row.run}
			by, err := m.try(t.Context(), root)
			if by != row.by || (err == nil) != (row.err == "") || err != nil && !strings.Contains(err.Error(), row.err) {
				t.Errorf("caught by %q: %v", by, err)
			}
		})
	}
}

func TestTheTableAndItsEnd(t *testing.T) {
	root := tree(t)
	good := mutant{name: "key", rule: "the key is good", file: "door/door.go", old: `key != "good"`, new: `false`, pkg: "door", run: "TestTheDoor/a_bad_key"}
	bad := good
	bad.name, bad.run = "a-longer-name", "TestNothing"
	var b strings.Builder
	err := try(t.Context(), &b, root, []mutant{good, bad}, 2)
	if err == nil || err.Error() != "1 of 2 mutants were not caught" {
		t.Errorf("with one that survives: %v", err)
	}
	lines := strings.Split(b.String(), "\n")
	if len(lines) != 4 || !strings.HasSuffix(lines[1], "  TestTheDoor/a_bad_key") || !strings.Contains(lines[2], "  NOT CAUGHT: ") {
		t.Errorf("the table is:\n%s", b.String())
	}
	if err := try(t.Context(), &b, root, []mutant{good}, 1); err != nil {
		t.Errorf("with none that survives: %v", err)
	}
	interrupted, stop := context.WithCancel(t.Context())
	stop()
	b.Reset()
	if err := try(interrupted, &b, root, []mutant{good, bad}, 1); !errors.Is(err, context.Canceled) || strings.Contains(b.String(), "CAUGHT") {
		t.Errorf("interrupted: %v\n%s", err, b.String())
	}
	// The tree is as it was; and a test that fails anyway notices nothing.
	if err := passUnmutated(t.Context(), root, []mutant{good, bad}, 2); err != nil {
		t.Error(err)
	}
	broken := filepath.Join(root, "door", "broken_test.go")
	if err := os.WriteFile(broken, []byte("package door\n\nimport \"testing\"\n\nfunc TestBroken(t *testing.T) { t.Error(1) }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	bad.run = "TestBroken"
	if err := passUnmutated(t.Context(), root, []mutant{bad}, 1); err == nil || !strings.Contains(err.Error(), "TestBroken") {
		t.Errorf("with a test that fails anyway: %v", err)
	}
}
