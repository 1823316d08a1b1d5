//go:build integration

package gateway_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"

	"vestibule.dev/vestibule/gateway"
	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/gatewaytest"
)

// A replica is a gateway in a process of its own: this test binary, run again
// with the environment variable set. It listens at file descriptor 3, takes
// commands by line on standard input, and answers each with a line.
const replicaEnv = "VESTIBULE_TEST_REPLICA"

func init() {
	asReplica = func() (was bool, err error) {
		arg := os.Getenv(replicaEnv)
		if arg == "" {
			return false, nil
		}
		return true, runReplica(arg)
	}
}

// replicaConfig is what the environment variable holds.
type replicaConfig struct{ Config, Kubeconfig string }

// runReplica is the other process. It ends when its standard input does.
func runReplica(arg string) error {
	var rc replicaConfig
	if err := json.Unmarshal([]byte(arg), &rc); err != nil {
		return err
	}
	cfg, err := config.Load(rc.Config)
	if err != nil {
		return err
	}
	keySet, err := config.LoadKeySet(cfg.KeysFile)
	if err != nil {
		return err
	}
	clock, watch := &gatewaytest.Clock{}, newGate()
	g, err := gateway.New(cfg, keySet, gateway.Options{
		Kubeconfig:    rc.Kubeconfig,
		Log:           slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})),
		WrapTransport: watch.wrap, DialOptions: watch.dial(), Now: clock.Now,
	})
	if err != nil {
		return err
	}
	l, err := net.FileListener(os.NewFile(3, "listener"))
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	served := make(chan error, 1)
	go func() { served <- g.Serve(ctx, l, nil, gateway.Timing{Finish: time.Second}) }()
	for commands := bufio.NewScanner(os.Stdin); commands.Scan(); {
		switch name, arg, _ := strings.Cut(commands.Text(), " "); name {
		case "synced":
			<-g.Synced()
		case "pause":
			watch.close()
		case "resume":
			watch.open()
		case "advance":
			d, err := time.ParseDuration(arg)
			if err != nil {
				return err
			}
			clock.Advance(d)
		}
		fmt.Println("done")
	}
	stop()
	return <-served
}

// gate holds back what watches say, as a network would that loses their packets.
type gate struct {
	mu     sync.Mutex
	opened chan struct{} // closed while the gate is open
}

func newGate() *gate {
	g := &gate{opened: make(chan struct{})}
	close(g.opened)
	return g
}

func (g *gate) close() { g.mu.Lock(); defer g.mu.Unlock(); g.opened = make(chan struct{}) }
func (g *gate) open()  { g.mu.Lock(); defer g.mu.Unlock(); close(g.opened) }

func (g *gate) wait() {
	g.mu.Lock()
	opened := g.opened
	g.mu.Unlock()
	<-opened
}

func (g *gate) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		watching := r.URL.Query().Has("watch")
		if watching {
			g.wait()
		}
		resp, err := next.RoundTrip(r)
		if err == nil && watching {
			resp.Body = gatedBody{resp.Body, g}
		}
		return resp, err
	})
}

// dial is wrap for an etcd, whose only streams are watches.
func (g *gate) dial() []grpc.DialOption {
	return []grpc.DialOption{grpc.WithChainStreamInterceptor(func(
		ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption,
	) (grpc.ClientStream, error) {
		stream, err := open(ctx, desc, cc, method, opts...)
		return gatedStream{stream, g}, err
	})}
}

type gatedStream struct {
	grpc.ClientStream
	gate *gate
}

func (s gatedStream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	s.gate.wait()
	return err
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

type gatedBody struct {
	io.ReadCloser
	gate *gate
}

func (b gatedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.gate.wait()
	return n, err
}

// replica is this process's end of one.
type replica struct {
	stdin  io.WriteCloser
	stdout *bufio.Reader
}

// startReplica runs a gateway with s's configuration in another process, and
// waits until it is ready. It ends with the test.
func startReplica(t *testing.T, s *gatewaytest.Server, l net.Listener, kubeconfig string) *replica {
	t.Helper()
	arg, err := json.Marshal(replicaConfig{writeConfig(t, s), kubeconfig})
	if err != nil {
		t.Fatal(err)
	}
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), replicaEnv+"="+string(arg))
	cmd.ExtraFiles = []*os.File{f}
	cmd.Stderr = s.Secrets
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := &replica{stdin, bufio.NewReader(stdout)}
	t.Cleanup(func() {
		_ = stdin.Close() // which ends the process
		if err := cmd.Wait(); err != nil {
			t.Errorf("a replica ended with %v", err)
		}
	})
	s.Addrs = append(s.Addrs, l.Addr().String())
	_ = l.Close() // the other process has it
	r.do(t, "synced")
	return r
}

// do has the replica follow a command.
func (r *replica) do(t *testing.T, command string) {
	t.Helper()
	if _, err := io.WriteString(r.stdin, command+"\n"); err != nil {
		t.Fatalf("telling a replica to %s: %v", command, err)
	}
	if answer, err := r.stdout.ReadString('\n'); err != nil || answer != "done\n" {
		t.Fatalf("a replica answers %q to %s: %v", answer, command, err)
	}
}

func writeConfig(t *testing.T, s *gatewaytest.Server) string {
	t.Helper()
	document, err := json.Marshal(s.Config)
	if err != nil {
		t.Fatal(err)
	}
	keySet, err := s.Keys.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "config.json")
	for path, content := range map[string][]byte{path: document, s.Config.KeysFile: keySet} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path
}
