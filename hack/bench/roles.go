package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"vestibule.dev/vestibule/hack/loopback"
)

// This program is also what is behind a proxy, and the proxy that others are compared
// with, each in a process of its own.
const (
	roleVariable = "VESTIBULE_BENCH_ROLE"
	roleBackend  = "backend"
	roleBare     = "bare"
)

// play plays a role until the process is killed, or returns false if it has none.
func play() bool {
	var h http.Handler
	switch os.Getenv(roleVariable) {
	default:
		return false
	case roleBackend:
		h = http.HandlerFunc(answer)
	case roleBare:
		h = bare(os.Args[2])
	}
	if err := http.ListenAndServe(os.Args[1], h); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return true
}

// message is a request as the load sends it, and what it is answered with.
type message struct {
	Version string `json:"jsonrpc"`
	ID      int    `json:"id"`
	Method  string `json:"method,omitempty"`
	Params  *struct {
		Name      string            `json:"name"`
		Arguments map[string]string `json:"arguments"`
	} `json:"params,omitempty"`
	Result *struct {
		Content []content `json:"content"`
	} `json:"result,omitempty"`
}

type content struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

// filler makes an answer about as long as that of a tool.
var filler = strings.Repeat("Sunny, with a few clouds. ", 40)

// answer is a tool that says what it was asked, and a stream on which nothing happens.
func answer(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		return
	}
	var m message
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(body, &m)
	}
	if err != nil || m.Params == nil {
		http.Error(w, "no call of a tool", http.StatusBadRequest)
		return
	}
	out := message{Version: "2.0", ID: m.ID}
	out.Result = &struct {
		Content []content `json:"content"`
	}{[]content{{"text", m.Params.Arguments["city"] + filler}}}
	writeJSON(w, out)
}

// bare is the least that a reverse proxy of the standard library does, with the same
// settings as the gateway's.
func bare(backend string) http.Handler {
	target := &url.URL{Scheme: "http", Host: backend}
	return &httputil.ReverseProxy{
		Rewrite:    func(p *httputil.ProxyRequest) { p.SetURL(target) },
		BufferPool: &buffers{sync.Pool{New: func() any { return new([32 << 10]byte) }}},
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
			MaxIdleConnsPerHost: 512, IdleConnTimeout: 90 * time.Second, DisableCompression: true,
		},
	}
}

type buffers struct{ sync.Pool }

func (p *buffers) Get() []byte  { return p.Pool.Get().(*[32 << 10]byte)[:] } //nolint:forcetypeassert // holds nothing else
func (p *buffers) Put(b []byte) { p.Pool.Put((*[32 << 10]byte)(b)) }

// peer is a process that takes part.
type peer struct {
	process
	addr string
	stop func()
}

// startRole runs this program in a role, on so many CPUs.
func startRole(ctx context.Context, role string, cpus int, args ...string) (*peer, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return startPeer(ctx, func(addr string) (*exec.Cmd, error) {
		cmd := exec.CommandContext(ctx, self, append([]string{addr}, args...)...)
		cmd.Env = append(os.Environ(), roleVariable+"="+role, fmt.Sprintf("GOMAXPROCS=%d", cpus))
		return cmd, nil
	})
}

// nginx is as its manual has it for a proxy with kept connections and without buffers.
const nginxConfig = `
daemon off;
worker_processes 1;
error_log stderr crit;
pid %[1]s/pid;
events { worker_connections 10000; }
http {
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path %[1]s/body;
  proxy_temp_path %[1]s/proxy;
  fastcgi_temp_path %[1]s/fastcgi;
  uwsgi_temp_path %[1]s/uwsgi;
  scgi_temp_path %[1]s/scgi;
  upstream backend { server %[3]s; keepalive 512; keepalive_requests 1000000000; }
  server {
    listen %[2]s;
    client_max_body_size 8m;
    location / {
      proxy_pass http://backend;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_read_timeout 1h;
    }
  }
}
`

func startNginx(ctx context.Context, backend string) (*peer, error) {
	if out, err := exec.CommandContext(ctx, "hack/deps.sh", "nginx").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("nginx: %w\n%s", err, out)
	}
	directory, err := os.MkdirTemp("", "vestibule-bench-")
	if err != nil {
		return nil, err
	}
	p, err := startPeer(ctx, func(addr string) (*exec.Cmd, error) {
		file := filepath.Join(directory, "nginx.conf")
		if err := os.WriteFile(file, fmt.Appendf(nil, nginxConfig, directory, addr, backend), 0o600); err != nil {
			return nil, err
		}
		// Its master and its worker in one process, which is the one that is measured.
		return exec.CommandContext(ctx, "nginx", "-c", file, "-g", "master_process off;"), nil
	})
	if err != nil {
		return nil, err
	}
	kill := p.stop
	p.stop = func() {
		kill()
		_ = os.RemoveAll(directory) // temporary in any case
	}
	return p, nil
}

// startPeer runs what command returns for an address, and waits until it listens.
func startPeer(ctx context.Context, command func(addr string) (*exec.Cmd, error)) (*peer, error) {
	addresses, err := loopback.FreeAddresses(1)
	if err != nil {
		return nil, err
	}
	cmd, err := command(addresses[0])
	if err != nil {
		return nil, err
	}
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &peer{process: process(cmd.Process.Pid), addr: addresses[0], stop: func() {
		_ = cmd.Process.Kill() // it has nothing to tell any more
		_ = cmd.Wait()
	}}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", p.addr)
		if err == nil {
			return p, conn.Close()
		}
		if time.Now().After(deadline) {
			p.stop()
			return nil, fmt.Errorf("%s does not listen: %w", cmd.Path, err)
		}
	}
}
