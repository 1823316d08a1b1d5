//go:build integration

package hack

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// No container engine is at hand where tests run, so the Dockerfile is read.
func TestTheDockerfileCopiesWhatCommandsAreMadeOf(t *testing.T) {
	content, err := os.ReadFile("../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	copied := map[string]bool{}
	for _, line := range regexp.MustCompile(`(?m)^COPY (\w+) (\w+)$`).FindAllStringSubmatch(string(content), -1) {
		if line[1] != line[2] {
			t.Errorf("%s becomes %s", line[1], line[2])
		}
		copied[line[1]] = true
	}
	for _, command := range []string{"controller", "gateway", "devidp", "weather"} {
		for _, path := range deps(t, module+"/cmd/"+command) {
			if !within(path, module) {
				continue
			}
			top, _, _ := strings.Cut(strings.TrimPrefix(path, module+"/"), "/")
			if !copied[top] {
				t.Errorf("cmd/%s needs %s, and the Dockerfile does not copy %s", command, path, top)
			}
		}
	}
}

func TestTheDockerfileBuildsWithTheModulesGo(t *testing.T) {
	found := map[string]string{}
	for file, version := range map[string]string{"../Dockerfile": `(?m)^FROM .*golang:(\d+\.\d+) AS build$`, "../go.mod": `(?m)^go (\d+\.\d+)`} {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		match := regexp.MustCompile(version).FindSubmatch(content)
		if match == nil {
			t.Fatalf("%s names no version of Go", file)
		}
		found[file] = string(match[1])
	}
	if found["../Dockerfile"] != found["../go.mod"] {
		t.Errorf("the Dockerfile has Go %s, go.mod %s", found["../Dockerfile"], found["../go.mod"])
	}
}

// A -X that names no variable is no error for the linker.
func TestReleasesAreStamped(t *testing.T) {
	source, err := os.ReadFile("../gateway/version/version.go")
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`(?m)^var Version = "development"$`).Match(source) {
		t.Error("gateway/version has no variable Version")
	}
	for _, file := range []string{"../Dockerfile", "release.sh"} {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Count(string(content), "-X "+module+"/gateway/version.Version=") != 1 {
			t.Errorf("%s does not stamp its programs", file)
		}
	}
}
