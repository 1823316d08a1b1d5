//go:build integration

// Package conformance runs the MCP conformance suite against the gateway: against
// what is behind it and its authorization server.
package conformance

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"vestibule.dev/vestibule/hack/child"
	"vestibule.dev/vestibule/hack/loopback"
	"vestibule.dev/vestibule/hack/mcpclient"
)

// soon is when what starts on this machine must have started.
const soon = 30 * time.Second

// local is a gateway on this machine, as kubectl vestibule run assembles it.
type local struct {
	// issuer is its public URL, endpoint that of the MCP server behind it.
	issuer, endpoint string
	person           *mcpclient.Person
	http             *http.Client
}

const manifest = `
apiVersion: mcp.vestibule.dev/v1alpha1
kind: MCPServer
metadata: {name: conformance}
spec:
  publicURL: https://conformance.example.com
  bindings:
    mcpObject: {type: URL, url: %q}
    oauthKV: {type: Memory}
  routes: [{name: mcp, path: /mcp}]
  upstreams:
  - {name: corp, type: OIDC, oidc: {issuerURL: https://idp.example.com, clientID: conformance}}
  gateway: {replicas: 1}
`

var (
	endpointLine = regexp.MustCompile(`Paste into a client +(\S+)`)
	aliceLine    = regexp.MustCompile(`(?m)^  alice +(\S+)`)
	lastLine     = regexp.MustCompile(`delete it to start anew`)
)

// startGateway starts a gateway in front of an MCP server, until the test ends.
func startGateway(t *testing.T, behind string) *local {
	t.Helper()
	file := filepath.Join(t.TempDir(), "server.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, manifest, behind), 0o600); err != nil {
		t.Fatal(err)
	}
	run := child.Start(t, exec.Command(program(t, gateway), "run", "-f", file,
		"-listen", loopback.FreeAddress(t), "-idp-listen", loopback.FreeAddress(t), "-state", t.TempDir()))
	t.Cleanup(func() {
		if err := run.Stop(); err != nil || t.Failed() {
			t.Errorf("the gateway ended: %v%s", err, run)
		}
	})
	run.Await(t, lastLine, soon)
	l := &local{endpoint: run.Await(t, endpointLine, soon)[1], http: mcpclient.NewHTTP(nil)}
	l.issuer = strings.TrimSuffix(l.endpoint, "/mcp")
	var err error
	if l.person, err = mcpclient.NewPerson("alice", run.Await(t, aliceLine, soon)[1], l.http); err != nil {
		t.Fatal(err)
	}
	return l
}

// token is an access token that a client got by a login.
func (l *local) token(t *testing.T) string {
	t.Helper()
	c := &mcpclient.Client{Endpoint: l.endpoint, HTTP: l.http, Person: l.person}
	if err := c.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Session.Close(); err != nil {
		t.Fatal(err)
	}
	return c.Token.AccessToken
}

// startBackend starts the MCP server that the Go SDK is itself tested with, and
// returns the URL that it serves MCP at.
func startBackend(t *testing.T, flags ...string) string {
	t.Helper()
	addr := loopback.FreeAddress(t)
	child.Start(t, exec.Command(program(t, backend), append(flags, "-http", addr)...)).AwaitListener(t, addr, soon)
	return "http://" + addr
}

// The programs, built with race detection if the test has it.
var (
	gateway = sync.OnceValues(func() (string, error) {
		return build("vestibule.dev/vestibule/cmd/kubectl-vestibule")
	})
	backend = sync.OnceValues(func() (string, error) {
		return build("github.com/modelcontextprotocol/go-sdk/conformance/everything-server")
	})
	// binaries is where they are, while tests run.
	binaries string
)

func TestMain(m *testing.M) {
	var err error
	if binaries, err = os.MkdirTemp("", "conformance-"); err != nil {
		log.Fatal(err)
	}
	code := m.Run()
	_ = os.RemoveAll(binaries) // whatever is left is a temporary file
	os.Exit(code)
}

func build(path string) (string, error) {
	program := filepath.Join(binaries, filepath.Base(path))
	args := []string{"build", "-o", program}
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		args = append(args, "-race")
	}
	if out, err := exec.Command("go", append(args, path)...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s: %w\n%s", path, err, out)
	}
	return program, nil
}

// program returns what built a program, or ends the test.
func program(t *testing.T, built func() (string, error)) string {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return path
}
