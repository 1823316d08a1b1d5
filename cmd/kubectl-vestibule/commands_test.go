//go:build integration

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"vestibule.dev/vestibule/hack/child"
	"vestibule.dev/vestibule/hack/loopback"
	"vestibule.dev/vestibule/hack/mcpclient"
	"vestibule.dev/vestibule/hack/node"
)

// authorizationURL is what a command that cannot open a browser prints.
var authorizationURL = regexp.MustCompile(`http://\S+/authorize\?\S+`)

// soon is when a command must have taken its next step.
const soon = time.Minute

func TestTheInspectorConnects(t *testing.T) {
	l := start(t, sampleArgs(t)...)
	for _, era := range []string{"legacy", "modern"} {
		t.Run(era, func(t *testing.T) {
			cmd := nodeCommand(t, "@modelcontextprotocol/inspector/clients/launcher/build/index.js", "--cli",
				"--server-url", l.endpoint, "--transport", "http", "--protocol-era", era, "--format", "json",
				"--callback-url", "http://"+loopback.FreeAddress(t)+"/oauth/callback", "--method", "tools/list")
			// It gives up at once where nobody could be asked to log in.
			cmd.Env = append(cmd.Env, "MCP_AUTO_OPEN_ENABLED=true", "MCP_INSPECTOR_SECRET_STORE=memory")
			p := child.Start(t, cmd)
			logIn(t, l, p)
			if err := p.Wait(t, soon); err != nil {
				t.Fatalf("the inspector fails: %v%s", err, p)
			}
			toolsIn(t, p, p.Stdout.String())
		})
	}
	noSecretIn(t, l)
}

func TestMCPRemoteConnects(t *testing.T) {
	l := start(t, sampleArgs(t)...)
	_, port, _ := strings.Cut(loopback.FreeAddress(t), ":")
	cmd := nodeCommand(t, "mcp-remote/dist/proxy.js", l.endpoint, port, "--transport", "http-only")
	cmd.Env = append(cmd.Env, "MCP_REMOTE_CONFIG_DIR="+t.TempDir())
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p := child.Start(t, cmd)
	logIn(t, l, p)
	send := func(message string) {
		if _, err := io.WriteString(stdin, message+"\n"); err != nil {
			t.Fatalf("%v%s", err, p)
		}
	}
	answer := func(id int) string {
		return p.Await(t, regexp.MustCompile(fmt.Sprintf(`(?m)^\{.*"id":%d[,}].*$`, id)), soon)[0]
	}
	send(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}`)
	answer(1)
	send(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	// The command does not wait until the notification has arrived.
	tools := ""
	for id := 2; tools == "" || strings.Contains(tools, "during session initialization") && id < 1000; id++ {
		send(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/list"}`, id))
		tools = answer(id)
	}
	toolsIn(t, p, tools)
	noSecretIn(t, l)
}

// nodeCommand is a command of hack/clients/commands that has nothing of whoever runs
// the test: no home and no browser.
func nodeCommand(t *testing.T, path string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := node.Command(t, "clients/commands", append([]string{filepath.Join("node_modules", path)}, args...)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "BROWSER=true"}
	return cmd
}

// logIn is what alice does when the command asks for it.
func logIn(t *testing.T, l *local, p *child.Process) {
	t.Helper()
	alice := newPerson(t, l, "alice", mcpclient.NewHTTP(nil))
	page, err := alice.Visit(p.Await(t, authorizationURL, soon)[0])
	if err != nil {
		t.Fatalf("alice does not get through: %v%s", err, p)
	}
	defer page.Body.Close()
	if page.StatusCode != http.StatusOK {
		t.Fatalf("the command answers its callback with %s%s", page.Status, p)
	}
}

// toolsIn insists that an answer to tools/list has the weather server's.
func toolsIn(t *testing.T, p *child.Process, answer string) {
	t.Helper()
	if !json.Valid([]byte(answer)) || !strings.Contains(answer, `"get_forecast"`) {
		t.Errorf("get_forecast is not among the tools: %s%s", answer, p)
	}
}
