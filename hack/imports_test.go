//go:build integration

// Package hack checks what no package can check of itself.
package hack

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "vestibule.dev/vestibule"

// The gateway faces the internet. The linter's rules bound what each package
// imports; this bounds what all of them together link.
func TestTheGatewayLinksNothingItMustNot(t *testing.T) {
	linked := deps(t, module+"/cmd/gateway")
	for _, forbidden := range []struct{ path, why string }{
		{"github.com/zitadel/oidc/v3/pkg/op", "the development identity provider's server must not reach production"},
		{module + "/cmd/internal", "what is for development must not reach production"},
		{module + "/api", "the gateway knows its configuration, not the CRD"},
		{module + "/controllers", "the gateway knows its configuration, not who renders it"},
		{module + "/hack", "what is for tests must not reach production"},
		{"sigs.k8s.io/controller-runtime", "the gateway is no controller"},
		{"k8s.io/client-go/kubernetes", "the typed clientset doubles the binary"},
		{"k8s.io/client-go/informers", "the typed informers double the binary"},
		{"testing", "test helpers must not reach production"},
	} {
		for _, path := range linked {
			if within(path, forbidden.path) {
				t.Errorf("cmd/gateway links %s: %s", path, forbidden.why)
			}
		}
	}
	if !slices.Contains(linked, module+"/gateway") {
		t.Errorf("cmd/gateway does not link %s/gateway: is it still the gateway?", module)
	}
}

// An import rule that names directories says nothing about a new one.
func TestEveryPackageOfTheGatewayHasAnImportRule(t *testing.T) {
	rules, err := os.ReadFile("../.golangci.yml")
	if err != nil {
		t.Fatal(err)
	}
	ruled := map[string]bool{}
	for _, files := range regexp.MustCompile(`/gateway/internal/(\{[a-z,]+\}|[a-z]+)/\*\*`).FindAllStringSubmatch(string(rules), -1) {
		for name := range strings.SplitSeq(strings.Trim(files[1], "{}"), ",") {
			ruled[name] = true
		}
	}
	packages, err := os.ReadDir("../gateway/internal")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range packages {
		if !ruled[p.Name()] {
			t.Errorf("gateway/internal/%s is in no depguard rule of .golangci.yml: say which layer it belongs to", p.Name())
		}
	}
}

// deps is every package that the program of this path links.
func deps(t *testing.T, path string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{.ImportPath}} {{.Dir}}", path)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("listing what %s links: %v\n%s", path, err, stderr.String())
	}
	var linked []string
	for line := range strings.Lines(string(out)) {
		name, dir, _ := strings.Cut(strings.TrimSpace(line), " ")
		linked = append(linked, name)
		// go test reuses a result until a file that the test itself read has
		// changed; of what go list read it knows nothing.
		if within(name, module) {
			if _, err := os.ReadDir(dir); err != nil {
				t.Fatal(err)
			}
		}
	}
	return linked
}

// within says whether path is the package root or one below it.
func within(path, root string) bool {
	return path == root || strings.HasPrefix(path, root+"/")
}
