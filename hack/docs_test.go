package hack

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var declaration = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)

// A threat is answered by the tests that docs/security.md names: they must exist, and
// no attack may be missing there.
func TestSecurityPageNamesTheTests(t *testing.T) {
	page, err := os.ReadFile("../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	declared := map[string]bool{}
	err = filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || strings.HasPrefix(d.Name(), ".") && path != ".."):
			return filepath.SkipDir
		case !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		source, err := os.ReadFile(path)
		for _, match := range declaration.FindAllSubmatch(source, -1) {
			declared[string(match[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, match := range regexp.MustCompile("`((?:Test|Fuzz)\\w+)`").FindAllSubmatch(page, -1) {
		if name := string(match[1]); !declared[name] {
			t.Errorf("docs/security.md names %s, which no test file declares", name)
		}
	}
	for name := range declared {
		if strings.HasPrefix(name, "TestAttack") && !bytes.Contains(page, []byte("`"+name+"`")) {
			t.Errorf("%s is an attack that docs/security.md does not name", name)
		}
	}
}
