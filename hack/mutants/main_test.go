//go:build integration

package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tree is a module with rules of every shape, each kept by a test.
func tree(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range map[string]string{
		"go.mod": "module example.com/door\n\ngo 1.26\n",
		"door/door.go": `package door

func Opens(key string) bool {
	//rule:key key-replaced key-crashes
	if key != "good" {
		return false
	}
	return true
}

var (
	//rule:holidays
	closed = []string{"Sunday", "Monday"}
	log    []string
)

// Open says on which of the days the door may be opened. Its label is there once.
func Open(days []string, public bool) (open []string) {
all:
	for _, day := range days {
		for _, c := range closed {
			//rule:closed
			if c == day {
				continue all
			}
		}
		//rule:public public-always
		if public || day == "Friday" {
			open = append(open, day)
		}
	}
	//rule:logged
	note(
		"open",
		//rule:logged-days
		"days",
	)
	return open
}

func note(words ...string) {
	//rule:noted noted-elsewhere
	log = append(log, words...)
}
`,
		"door/door_test.go": `package door

import (
	"slices"
	"testing"
)

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

func TestDays(t *testing.T) {
	week := []string{"Sunday", "Monday", "Friday", "Saturday"}
	if got := Open(week, false); !slices.Equal(got, []string{"Friday"}) {
		t.Errorf("at first: %v", got)
	}
	if got := Open(week, true); !slices.Equal(got, []string{"Friday", "Saturday"}) {
		t.Errorf("for the public: %v", got)
	}
	if !slices.Equal(log, []string{"open", "days", "open", "days"}) {
		t.Errorf("the log is %v", log)
	}
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
	rows := []struct {
		mutant
		by, err string
	}{
		{mutant{name: "key", edit: never, run: "TestTheDoor"}, "TestTheDoor/no_key", ""},
		{mutant{name: "key-replaced", edit: replace(`!= "good"`, `== "bad"`), run: "TestTheDoor"}, "TestTheDoor/no_key", ""},
		{mutant{name: "holidays", edit: without(`"Monday"`), run: "TestDays"}, "TestDays", ""},
		{mutant{name: "closed", edit: never, run: "TestDays"}, "TestDays", ""},
		{mutant{name: "public", edit: without("public"), run: "TestDays"}, "TestDays", ""},
		{mutant{name: "public-always", edit: always, run: "TestDays"}, "TestDays", ""},
		{mutant{name: "logged", edit: remove, run: "TestDays"}, "TestDays", ""},
		{mutant{name: "logged-days", edit: remove, run: "TestDays"}, "TestDays", ""},
		{mutant{name: "noted", edit: then("log = nil"), run: "TestNothing"}, "", "TestNothing of door passes without this rule: it is kept"},
		{mutant{name: "noted-elsewhere", edit: instead("log = nil"), run: "TestTheWindow"}, "", "door has no test TestTheWindow"},
		{mutant{name: "key-crashes", edit: first(`panic("no key")`), run: "TestTheDoor"}, "", "the tests crashed"},
	}
	var all []mutant
	for i := range rows {
		rows[i].pkg, rows[i].rule = "door", "it is kept"
		all = append(all, rows[i].mutant)
	}
	binaries, err := buildAll(t.Context(), root, t.TempDir(), all, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			by, err := row.try(t.Context(), binaries["door"])
			if by != row.by || (err == nil) != (row.err == "") || err != nil && !strings.Contains(err.Error(), row.err) {
				t.Errorf("caught by %q: %v", by, err)
			}
		})
	}
	if err := passUnmutated(t.Context(), binaries, all[:2], 1); err != nil {
		t.Errorf("without a mutant: %v", err)
	}
}

func TestMutantsThatCannotBeTried(t *testing.T) {
	root := tree(t)
	for name, row := range map[string]struct {
		mutant
		err string
	}{
		"the rule is gone":        {mutant{name: "window", edit: never}, "no comment //rule:window marks the rule"},
		"no condition":            {mutant{name: "noted", edit: first("")}, ""},
		"nothing to be false":     {mutant{name: "logged", edit: never}, "no condition"},
		"the text is not there":   {mutant{name: "key", edit: replace("bad", "good")}, `"bad" occurs 0 times`},
		"the text is there twice": {mutant{name: "logged", edit: without(`d`)}, "occurs 3 times"},
		"it does not compile":     {mutant{name: "key", edit: replace(`!= "good"`, "")}, "key:"},
		"not a list":              {mutant{name: "noted", edit: without("log =")}, "no operand or element"},
	} {
		t.Run(name, func(t *testing.T) {
			row.pkg = "door"
			_, err := buildAll(t.Context(), root, t.TempDir(), []mutant{row.mutant}, 1)
			if (err == nil) != (row.err == "") || err != nil && !strings.Contains(err.Error(), row.err) {
				t.Errorf("the error is %v", err)
			}
		})
	}
	marked := filepath.Join(root, "door", "window.go")
	for content, want := range map[string]string{
		"package door\n\n//rule:key\nvar glass = 1\n": "is also in",
		"package door\n\n//rule:frame\n":              "marks nothing",
	} {
		if err := os.WriteFile(marked, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := places(root); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", content, err)
		}
	}
}

func TestTheTableAndItsEnd(t *testing.T) {
	root := tree(t)
	good := mutant{name: "key", rule: "the key is good", edit: never, pkg: "door", run: "TestTheDoor/a_bad_key"}
	bad := mutant{name: "noted", rule: "it is noted", edit: remove, pkg: "door", run: "TestNothing"}
	var b strings.Builder
	err := tryAll(t.Context(), &b, root, []mutant{good, bad}, 2)
	if err == nil || err.Error() != "1 of 2 mutants were not caught" {
		t.Errorf("with one that survives: %v", err)
	}
	lines := strings.Split(b.String(), "\n")
	if len(lines) != 5 || !strings.HasSuffix(lines[2], "  TestTheDoor/a_bad_key") || !strings.Contains(lines[3], "  NOT CAUGHT: ") {
		t.Errorf("the table is:\n%s", b.String())
	}
	if err := tryAll(t.Context(), &b, root, []mutant{good}, 1); err != nil {
		t.Errorf("with none that survives: %v", err)
	}
	interrupted, stop := context.WithCancel(t.Context())
	stop()
	b.Reset()
	if err := tryAll(interrupted, &b, root, []mutant{good, bad}, 1); !errors.Is(err, context.Canceled) || strings.Contains(b.String(), "CAUGHT") {
		t.Errorf("interrupted: %v\n%s", err, b.String())
	}
	// A test that fails anyway notices nothing.
	broken := filepath.Join(root, "door", "broken_test.go")
	if err := os.WriteFile(broken, []byte("package door\n\nimport \"testing\"\n\nfunc TestBroken(t *testing.T) { t.Error(1) }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	bad.run = "TestBroken"
	if err := tryAll(t.Context(), &b, root, []mutant{bad}, 1); err == nil || !strings.Contains(err.Error(), "TestBroken") {
		t.Errorf("with a test that fails anyway: %v", err)
	}
}
