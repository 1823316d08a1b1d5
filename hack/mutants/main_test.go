package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A rule that moves takes its mutant along: this says so long before anybody
// runs the mutants.
func TestEveryMutantStillFits(t *testing.T) {
	const root = "../.."
	names := map[string]bool{}
	for _, m := range mutants() {
		if names[m.name] || m.name == "" || m.rule == "" || m.old == m.new {
			t.Errorf("%q needs a name of its own, a rule and an edit", m.name)
		}
		names[m.name] = true
		if _, err := m.edited(root); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
		tests := testsOf(t, filepath.Join(root, m.pkg))
		for run := range strings.SplitSeq(m.run, "|") {
			if test, _, _ := strings.Cut(run, "/"); !strings.Contains(tests, "func "+test+"(") {
				t.Errorf("%s: %s has no %s", m.name, m.pkg, test)
			}
		}
	}
}

func testsOf(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, name := range files {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(content)
	}
	return all.String()
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
