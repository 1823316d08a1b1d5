package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"

	"vestibule.dev/vestibule/hack/loopback"
	"vestibule.dev/vestibule/hack/repository"
)

// Where the controller is, and whom it is to the API server, as config/rbac has it.
const (
	controllerNamespace = "vestibule-system"
	controllerAccount   = "controller"
)

// aims are what the controller is to stay within.
const (
	aimRequests = 25
	aimMemory   = 150 << 20
)

// controllerCosts are what a number of MCPServers costs the controller.
type controllerCosts struct {
	servers int
	// converging is until all of them are Ready.
	converging span
	// rest is when nothing happens, for a while.
	rest span
	// secret is when a Secret changes that some of them refer to: users of it.
	secret span
	users  int
	// restarted is from a new start until the controller has looked at all of them.
	restarted span
	// rss and heap are what it has at rest, heap after a collection.
	rss, heap int64
}

// span is what happened in a time.
type span struct {
	took, cpu  time.Duration
	reconciles int
	requests   *requests
}

// controller prints what many MCPServers cost the controller.
func controller(ctx context.Context, servers int, rest time.Duration) error {
	c, err := measureController(ctx, servers, rest, time.Second)
	if err != nil {
		return err
	}
	fmt.Printf("\n| %d MCPServers | time | CPU of the controller | passes | reads | writes | reads and writes for each |\n", servers)
	fmt.Println("|---|---|---|---|---|---|---|")
	row := func(what string, s span, of int) {
		fmt.Printf("| %s | %.1f s | %.1f s | %d | %d | %d | %.1f |\n", what, s.took.Seconds(), s.cpu.Seconds(), s.reconciles,
			s.requests.reads, s.requests.writes, float64(s.requests.total())/float64(of))
	}
	row("created, until all are Ready", c.converging, servers)
	row("at rest", c.rest, servers)
	row(fmt.Sprintf("a Secret of %d of them changes, until they are Ready again", c.users), c.secret, c.users)
	row("the controller starts anew", c.restarted, servers)
	fmt.Printf("\n| request, until all are Ready | for each MCPServer |\n|---|---|\n")
	for _, what := range c.converging.requests.most() {
		fmt.Printf("| %s | %.2f |\n", what, float64(c.converging.requests.by[what])/float64(servers))
	}
	fmt.Printf("\nAt rest the controller has %d MiB, and a heap of %d MiB. The change of the Secret had it write for %d MCPServers. ",
		c.rss>>20, c.heap>>20, len(c.secret.requests.servers))
	fmt.Printf("Its lease took %d requests meanwhile.\n", c.converging.requests.lease+c.rest.requests.lease+c.secret.requests.lease)
	return nil
}

// measureController has the controller bring so many MCPServers to where they are Ready,
// rest for a while, take in a change and start anew.
func measureController(ctx context.Context, servers int, rest, step time.Duration) (c *controllerCosts, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	klog.SetLogger(logr.Discard()) // client-go's, which says only that watches end
	directory, err := os.MkdirTemp("", "vestibule-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(directory) //nolint:errcheck // a directory too many does no harm
	f, err := startFleet(ctx, directory, step)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.env.Stop()) }()
	defer cancel() // before there is no API server any more
	p, err := startController(ctx, directory, f.kubeconfig)
	if err != nil {
		return nil, err
	}
	defer func() { p.stop() }() // whichever runs
	c = &controllerCosts{servers: servers}
	// A controller that has nothing to do yet has read what there is.
	if _, err := f.log.next(); err != nil {
		return nil, err
	}
	if c.converging, err = f.span(p, func() error { return f.create(ctx, servers) }); err != nil {
		return nil, fmt.Errorf("creating MCPServers: %w", err)
	}
	if c.rest, err = f.span(p, func() error { time.Sleep(rest); return f.err() }); err != nil {
		return nil, fmt.Errorf("at rest: %w", err)
	}
	if c.heap, err = p.heap(ctx); err != nil {
		return nil, err
	}
	if c.rss, err = p.memory(); err != nil {
		return nil, err
	}
	if c.secret, err = f.span(p, func() (err error) { c.users, err = f.changeSecret(ctx); return err }); err != nil {
		return nil, fmt.Errorf("changing a Secret: %w", err)
	}
	p.stop()
	if _, err := f.log.next(); err != nil { // it has given up its lease
		return nil, err
	}
	started := time.Now()
	if p, err = startController(ctx, directory, f.kubeconfig); err != nil {
		return nil, err
	}
	if c.restarted, err = f.settled(p, started, 0, 0, servers); err != nil {
		return nil, fmt.Errorf("starting anew: %w", err)
	}
	return c, nil
}

// span is what the controller does from the beginning of work until it is done with what
// came of it.
func (f *fleet) span(p *operator, work func() error) (span, error) {
	before, err := p.reconciles()
	if err != nil {
		return span{}, err
	}
	cpu, err := p.cpu()
	if err != nil {
		return span{}, err
	}
	started := time.Now()
	if err := work(); err != nil {
		return span{}, err
	}
	return f.settled(p, started, before, cpu, before)
}

// quiet is how long nothing happens when all is done. What follows a write arrives within
// milliseconds.
const quiet = 3 * time.Second

// settled waits until there were at least so many reconciles and nothing happens any more.
func (f *fleet) settled(p *operator, started time.Time, before int, cpu time.Duration, least int) (span, error) {
	last, since := -1, time.Now()
	for deadline := time.Now().Add(10 * time.Minute); last < least || time.Since(since) < quiet; time.Sleep(100 * time.Millisecond) {
		n, err := p.reconciles()
		if err != nil {
			return span{}, err
		}
		if n != last {
			last, since = n, time.Now()
		}
		if err := f.err(); err != nil {
			return span{}, err
		}
		if time.Now().After(deadline) {
			return span{}, fmt.Errorf("the controller does not come to rest after %d passes", n)
		}
	}
	s := span{took: since.Sub(started), reconciles: last - before}
	now, err := p.cpu()
	if err != nil {
		return span{}, err
	}
	s.cpu = now - cpu
	s.requests, err = f.log.next()
	return s, err
}

// operator is a controller that runs.
type operator struct {
	process
	metrics, profiles string
	stop              func()
}

func startController(ctx context.Context, directory, kubeconfig string) (*operator, error) {
	program := filepath.Join(directory, "controller")
	if _, err := os.Stat(program); err != nil {
		root, err := repository.Root()
		if err != nil {
			return nil, err
		}
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", program, "./cmd/controller")
		build.Dir, build.Stderr = root, os.Stderr
		if err := build.Run(); err != nil {
			return nil, fmt.Errorf("building the controller: %w", err)
		}
	}
	addresses, err := loopback.FreeAddresses(3)
	if err != nil {
		return nil, err
	}
	logged, err := os.OpenFile(filepath.Join(directory, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, program, "-kubeconfig", kubeconfig, "-gateway-image", "registry.example.com/vestibule/gateway:v1",
		"-leader-election-namespace", controllerNamespace,
		"-metrics-bind-address", addresses[0], "-health-probe-bind-address", addresses[1], "-pprof-addr", addresses[2])
	cmd.Stdout, cmd.Stderr = logged, logged
	cmd.Env = append(os.Environ(), "GOMEMLIMIT=450MiB") // as config/manager has it
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &operator{process: process(cmd.Process.Pid), metrics: "http://" + addresses[0] + "/metrics", profiles: "http://" + addresses[2] + "/debug/pprof/"}
	p.stop = func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it gives up its lease
		_ = cmd.Wait()
		_ = logged.Close()
		p.stop = func() {}
	}
	if err := ready(ctx, "http://"+addresses[1]+"/readyz"); err != nil {
		p.stop()
		said, _ := os.ReadFile(logged.Name())
		return nil, fmt.Errorf("the controller: %w\n%s", err, said)
	}
	return p, nil
}

// reconciles is how often it has passed over an MCPServer.
func (p *operator) reconciles() (int, error) {
	w, err := http.Get(p.metrics)
	if err != nil {
		return 0, err
	}
	defer w.Body.Close()
	n := 0
	for lines := bufio.NewScanner(w.Body); lines.Scan(); {
		value, ok := strings.CutPrefix(lines.Text(), `controller_runtime_reconcile_total{controller="mcpserver",`)
		if !ok {
			continue
		}
		_, value, _ = strings.Cut(value, " ")
		count, err := strconv.Atoi(value)
		if err != nil {
			return 0, fmt.Errorf("the controller's metrics: %w", err)
		}
		n += count
	}
	return n, nil
}

// heap is what it has on its heap after a collection, in bytes.
func (p *operator) heap(ctx context.Context) (int64, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.profiles+"heap?gc=1&debug=1", nil)
	if err != nil {
		return 0, err
	}
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	defer w.Body.Close()
	lines := bufio.NewScanner(w.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if n, ok := strings.CutPrefix(lines.Text(), "# HeapAlloc = "); ok {
			return strconv.ParseInt(n, 10, 64)
		}
	}
	return 0, errors.New("the heap's profile does not say how large it is")
}
