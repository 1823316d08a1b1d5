package config

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// frozenReaders read what other processes, of this version or the one before, have
// written, and say what is in it.
var frozenReaders = map[string]func([]byte) (any, error){
	"config":  func(b []byte) (any, error) { return Parse(b) },
	"policy":  func(b []byte) (any, error) { return ParsePolicy(b) },
	"targets": func(b []byte) (any, error) { return ParseTargets(b) },
	"report":  func(b []byte) (any, error) { return ParseReport(b) },
	"keyset":  func(b []byte) (any, error) { return ParseKeySet(b) },
}

// Each document in testdata/frozen/VERSION was written at the time of that version, and
// stays as it is. Before the format of one changes, copy what is written until then to the
// directory of the next version; a new member that may be missing changes no format.
// A version may be deleted when no release that is supported reads from the one before
// it: N reads N-1.
func TestFrozenDocuments(t *testing.T) {
	files, err := filepath.Glob("testdata/frozen/*/*.json")
	if err != nil {
		t.Fatal(err)
	}
	read := map[string]int{}
	for _, file := range files {
		kind, _, _ := strings.Cut(strings.TrimSuffix(filepath.Base(file), ".json"), "-")
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		reader := frozenReaders[kind]
		if reader == nil {
			t.Errorf("%s: what is it?", file)
			continue
		}
		document, err := reader(data)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		read[kind]++
		// All that was said is heard.
		again, err := json.Marshal(document)
		if err != nil {
			t.Fatal(err)
		}
		var want, got any
		for data, into := range map[string]*any{string(data): &want, string(again): &got} {
			if err := json.Unmarshal([]byte(data), into); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-written +read):\n%s", file, diff)
		}
	}
	for kind := range frozenReaders {
		if read[kind] == 0 {
			t.Errorf("there is no %s", kind)
		}
	}
}
