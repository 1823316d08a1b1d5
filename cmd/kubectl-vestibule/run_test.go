package main

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"vestibule.dev/vestibule/hack/loopback"
	"vestibule.dev/vestibule/hack/testlog"
)

const sample = "../../config/samples/weather.yaml"

// local is a run of the command.
type local struct {
	// endpoint is the URL that it says to paste.
	endpoint string
	// passwords are those of the users that it prints.
	passwords map[string]string
	stdout    *buffer
	stderr    *buffer
	stop      func() error
}

// buffer notices when the command has said all that it says at the start.
type buffer struct {
	testlog.Buffer
	// ready is closed then.
	ready chan struct{}
	once  sync.Once
}

func (b *buffer) Write(p []byte) (int, error) {
	n, err := b.Buffer.Write(p)
	if bytes.Contains(p, []byte("delete it to start anew")) && b.ready != nil {
		b.once.Do(func() { close(b.ready) })
	}
	return n, err
}

var (
	endpointLine = regexp.MustCompile(`Paste into a client +(\S+)`)
	userLine     = regexp.MustCompile(`(?m)^  ([a-z]+) +([a-z0-9]{4}(?:-[a-z0-9]{4})+)`)
)

// start runs the command as a user would type it, until the test ends or stops it.
func start(t *testing.T, args ...string) *local {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	l := &local{stdout: &buffer{ready: make(chan struct{})}, stderr: &buffer{}, passwords: map[string]string{}}
	done := make(chan error, 1)
	go func() { done <- command(ctx, append([]string{"run"}, args...), l.stdout, l.stderr) }()
	var once sync.Once
	var err error
	l.stop = func() error {
		once.Do(func() { cancel(); err = <-done })
		return err
	}
	t.Cleanup(func() {
		if err := l.stop(); err != nil {
			t.Error(err)
		}
	})
	select {
	case <-l.stdout.ready:
	case err = <-done:
		once.Do(func() {}) // it has stopped by itself
		t.Fatalf("the command ended: %v\n%s", err, l.stderr)
	case <-time.After(30 * time.Second):
		t.Fatalf("the command does not become ready:\n%s\n%s", l.stdout, l.stderr)
	}
	m := endpointLine.FindStringSubmatch(l.stdout.String())
	if m == nil {
		t.Fatalf("no URL to paste:\n%s", l.stdout)
	}
	l.endpoint = m[1]
	for _, user := range userLine.FindAllStringSubmatch(l.stdout.String(), -1) {
		l.passwords[user[1]] = user[2]
	}
	return l
}

// sampleArgs run the sample on free ports, with a state of the test's own.
func sampleArgs(t *testing.T) []string {
	t.Helper()
	return []string{"-f", sample, "-listen", loopback.FreeAddress(t), "-idp-listen", loopback.FreeAddress(t), "-state", t.TempDir()}
}

func TestTheSampleSaysHowToUseIt(t *testing.T) {
	l := start(t, sampleArgs(t)...)
	for _, want := range []string{
		"claude mcp add --transport http weather " + l.endpoint,
		"npx @modelcontextprotocol/inspector --server-url " + l.endpoint + " --transport http",
		"let in by the rule staff",
		"will be refused: no rule in spec.access is true without a verified mail address",
		"spec.publicURL",
		"(https://weather.example.com is not this machine)",
		"its Secret weather-oidc is not needed",
	} {
		if !strings.Contains(l.stdout.String(), want) {
			t.Errorf("the welcome does not say %q:\n%s", want, l.stdout)
		}
	}
	if len(l.passwords) != 3 {
		t.Errorf("the welcome names the users %v", l.passwords)
	}
}

func TestARestartSignsNobodyOut(t *testing.T) {
	args := sampleArgs(t)
	first := start(t, args...)
	c := newClient(t, first, "", "alice")
	connect(t, c)
	must(t, first.stop())
	if secrets, err := filepath.Glob(filepath.Join(args[len(args)-1], "upstreams", "*", "client-secret")); err != nil || len(secrets) > 0 {
		t.Errorf("the client secret stays behind: %v %v", secrets, err)
	}
	start(t, args...)
	must(t, c.Refresh(t.Context()))
	must(t, c.Forecast(t.Context()))
}

func TestABadFileIsRefusedInWords(t *testing.T) {
	good, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	own := strings.NewReplacer("https://weather.example.com", "http://127.0.0.1:18788").Replace(string(good))
	for name, tc := range map[string]struct{ file, want string }{
		"no MCPServer":      {"apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n", "the file holds no MCPServer"},
		"not YAML":          {"{", "document 1"},
		"an unknown field":  {strings.Replace(string(good), "publicURL:", "publicUrl:", 1), `unknown field "spec.publicUrl"`},
		"a broken rule":     {strings.Replace(string(good), "claims.email.endsWith", "claim.email.endsWith", 1), "access rule staff"},
		"a refused URL":     {strings.Replace(string(good), "publicURL: https://weather.example.com", "publicURL: https://weather.example.com/", 1), "spec.publicURL"},
		"a Secret is away":  {own, "spec.upstreams[corp].oidc.clientSecretRef: the file holds no Secret weather-oidc"},
		"https on loopback": {strings.Replace(own, "http://127", "https://127", 1), "would need a certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "file.yaml")
			if err := os.WriteFile(path, []byte(tc.file), 0o600); err != nil {
				t.Fatal(err)
			}
			args := append([]string{"run"}, sampleArgs(t)...)
			args[2] = path
			err := command(t.Context(), args, &buffer{}, &buffer{})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("the error is %v, and does not say %q", err, tc.want)
			}
		})
	}
}

func TestTheVersionIsSaid(t *testing.T) {
	var stdout buffer
	must(t, command(t.Context(), []string{"version"}, &stdout, &buffer{}))
	if got := stdout.String(); got != "development\n" {
		t.Errorf("the version is %q", got)
	}
}

func TestBadFlagsAreRefusedInWords(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"no file":             {[]string{"run"}, "Name its file with -f"},
		"a file that is away": {[]string{"run", "-f", "away.yaml"}, "away.yaml"},
		"an argument":         {[]string{"run", "-f", sample, "more"}, `unexpected argument "more"`},
		"a public address":    {[]string{"run", "-f", sample, "-listen", "0.0.0.0:8788"}, "must be a loopback address"},
		"a public IdP":        {[]string{"run", "-f", sample, "-listen", loopback.FreeAddress(t), "-idp-listen", "0.0.0.0:1", "-state", t.TempDir()}, "no loopback address with a port: change -idp-listen"},
		"a port in use":       {[]string{"run", "-f", sample, "-listen", taken.Addr().String(), "-state", t.TempDir()}, "change -listen"},
		"another command":     {[]string{"walk"}, "help requested"},
	} {
		t.Run(name, func(t *testing.T) {
			err := command(t.Context(), tc.args, &buffer{}, &buffer{})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("the error is %v, and does not say %q", err, tc.want)
			}
		})
	}
	if err := command(t.Context(), []string{"run", "-f"}, &buffer{}, &buffer{}); err == nil || errors.Is(err, os.ErrNotExist) {
		t.Errorf("a flag without its value: %v", err)
	}
}
