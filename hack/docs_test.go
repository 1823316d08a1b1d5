package hack

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	declaration = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	// named is a test as the pages name it: with its package, unless that is gateway
	// or no other has a test of this name, and with the subtests that are meant.
	named = regexp.MustCompile("`(?:([a-z-]+) )?((?:Test|Fuzz)\\w+)(?:/([^`]+))?`")
)

// A test is where it is declared.
type test struct{ directory, name, file string }

// declared are all tests, with the sources of their files.
func declared(t *testing.T) (tests []test, sources map[string][]byte) {
	t.Helper()
	sources = map[string][]byte{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || strings.HasPrefix(d.Name(), ".") && path != ".."):
			return filepath.SkipDir
		case !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		sources[path], err = os.ReadFile(path)
		for _, match := range declaration.FindAllSubmatch(sources[path], -1) {
			tests = append(tests, test{filepath.Base(filepath.Dir(path)), string(match[1]), path})
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return tests, sources
}

func readPage(t *testing.T, name string) []byte {
	t.Helper()
	page, err := os.ReadFile("../docs/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return page
}

// A threat is answered by the tests that docs/security.md names: they must exist, and
// no attack may be missing there.
func TestSecurityPageNamesTheTests(t *testing.T) {
	page := readPage(t, "security.md")
	tests, _ := declared(t)
	for _, match := range named.FindAllSubmatch(page, -1) {
		name := string(match[2])
		if !slices.ContainsFunc(tests, func(d test) bool { return d.name == name }) {
			t.Errorf("docs/security.md names %s, which no test file declares", name)
		}
	}
	for _, d := range tests {
		if strings.HasPrefix(d.name, "TestAttack") && !bytes.Contains(page, []byte("`"+d.name+"`")) {
			t.Errorf("%s is an attack that docs/security.md does not name", d.name)
		}
	}
}

// requirements are the ids of docs/standards.md, in their order. What belongs together
// begins with a new ten, so numbers are left out.
func requirements() []string {
	var ids []string
	for _, group := range []struct {
		letter      string
		first, last int
	}{
		{"A", 1, 8}, {"A", 10, 17}, {"A", 20, 25}, {"A", 30, 41}, {"A", 50, 58}, {"A", 60, 62},
		{"R", 1, 13}, {"R", 20, 23},
		{"T", 1, 12}, {"T", 20, 24}, {"T", 30, 33}, {"T", 40, 46},
		{"C", 1, 15},
	} {
		for n := group.first; n <= group.last; n++ {
			ids = append(ids, fmt.Sprintf("%s%d", group.letter, n))
		}
	}
	return ids
}

var (
	requirement = regexp.MustCompile(`(?m)^\| ([ARTC]\d+) \| (.+) \| (.+) \| (.+) \|$`)
	// excuse is what stands in place of a test.
	excuse = regexp.MustCompile(`planned|not yet|not applicable: .`)
	// cited are ids that a test says it is about, in a comment or in a subtest's name.
	cited = regexp.MustCompile(`(?:// |")([ARTC]\d+(?:, [ARTC]\d+)*)\b`)
)

// Each requirement of docs/standards.md has its row with the tests that show it, or
// says why there is none; the tests exist; and what tests say that they are about,
// is a requirement there.
func TestStandardsPageNamesTheTests(t *testing.T) {
	tests, sources := declared(t)
	exists := func(directory, name, subtest string) bool {
		return slices.ContainsFunc(tests, func(d test) bool {
			return d.name == name && d.directory == directory && (subtest == "" || bytes.Contains(sources[d.file], []byte(`"`+subtest)))
		})
	}
	var ids []string
	for _, row := range requirement.FindAllStringSubmatch(string(readPage(t, "standards.md")), -1) {
		id, shownBy := row[1], row[4]
		ids = append(ids, id)
		names := named.FindAllStringSubmatch(shownBy, -1)
		if len(names) == 0 && !excuse.MatchString(shownBy) {
			t.Errorf("%s has neither a test nor a reason why not", id)
		}
		if len(names) != strings.Count(shownBy, "`")/2 {
			t.Errorf("%s names something that is no test: %s", id, shownBy)
		}
		for _, n := range names {
			directory := n[1]
			if directory == "" {
				directory = "gateway"
			}
			if !exists(directory, n[2], n[3]) {
				t.Errorf("%s names %s, which no test file in %s declares", id, n[0], directory)
			}
		}
	}
	if want := requirements(); !slices.Equal(ids, want) {
		t.Errorf("the requirements are\n%v, not\n%v", ids, want)
	}
	for path, source := range sources {
		if !strings.HasPrefix(path, "../gateway/") {
			continue
		}
		for _, match := range cited.FindAllSubmatch(source, -1) {
			for id := range strings.SplitSeq(string(match[1]), ", ") {
				if !slices.Contains(ids, id) {
					t.Errorf("%s is about %s, which docs/standards.md does not have", path, id)
				}
			}
		}
	}
}
