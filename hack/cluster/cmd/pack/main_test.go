//go:build integration

package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTheLayerHoldsTheBinaryAndWhatIsAdded(t *testing.T) {
	added := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(added, []byte("certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	layer, err := packLayer([]string{binary(t) + ":/server", added + ":/etc/ssl/ca.pem"})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{}
	for archive := tar.NewReader(bytes.NewReader(layer)); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got[header.Name] = header.Mode
	}
	want := map[string]int64{
		"etc/": 0o755, "etc/group": 0o644, "etc/passwd": 0o644,
		"etc/ssl/": 0o755, "etc/ssl/ca.pem": 0o644,
		"server": 0o755, "tmp/": 0o1777,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files and their modes (-want +got):\n%s", diff)
	}
}

func TestTheSameInputGivesTheSameImage(t *testing.T) {
	binary := binary(t)
	var first, second bytes.Buffer
	for _, w := range []io.Writer{&first, &second} {
		if err := pack(w, "localhost/server:1", binary, nil); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("two archives of the same binary differ")
	}
}

func TestAnImageThatCouldNotRunIsRefused(t *testing.T) {
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	static := binary(t)
	for _, test := range []struct{ name, image, binary, extra, want string }{
		{"no registry", "server:1", static, "", "call it localhost/server:1"},
		{"a registry in name alone", "library/server:1", static, "", "lacks a registry"},
		{"no tag", "localhost/server", static, "", "needs a tag"},
		{"the tag that is always pulled", "localhost:5000/server:latest", static, "", "needs a tag other than latest"},
		{"a script", "localhost/server:1", script, "", "reading " + script},
		{"a file without a place", "localhost/server:1", static, "go.mod", "is not SRC:/DEST"},
		{"a file in a directory", "localhost/server:1", static, "go.mod:/etc/", "is not SRC:/DEST"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var extra []string
			if test.extra != "" {
				extra = []string{test.extra}
			}
			err := pack(io.Discard, test.image, test.binary, extra)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}

// binary builds a static binary.
func binary(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "server")
	build := exec.Command("go", "build", "-o", path, "../pause")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building a binary: %v\n%s", err, out)
	}
	return path
}
