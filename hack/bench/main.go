// Command bench measures what the gateway costs, in a process of its own, on each
// store: as an authorization server, with a client and an identity provider that are
// not measured, and as a proxy, beside others; and what the controller does for many
// MCPServers. It prints tables in Markdown, of times
// of this machine: what can be compared are those of one run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// batch is how many codes are collected before they are redeemed: they live for a minute.
const batch = 200

func main() {
	if play() {
		return
	}
	if err := bench(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func bench(ctx context.Context) error {
	what := flag.String("measure", "authorization,plane,scale,controller", "`what` to measure: the authorization server, the data plane, a large store, the controller")
	many := flag.Int("many", 100000, "`how many` grants a large store has")
	streams := flag.Int("streams", 10000, "`how many` streams are open at once")
	servers := flag.Int("servers", 1000, "`how many` MCPServers the controller has")
	rest := flag.Duration("rest", 10*time.Minute, "how `long` the controller is watched at rest")
	stores := flag.String("stores", "Memory,Etcd,Kubernetes", "`stores` to measure")
	sizes := flag.String("grants", "100,1000,10000", "`numbers` of grants to measure them with")
	workers := flag.Int("workers", 8, "how many requests are under way at once")
	hourly := flag.Duration("hourly", time.Minute, "how `long` the Kubernetes store's grants are refreshed at the rate of once an hour each")
	flag.Parse()
	log.SetLogger(logr.Discard()) // envtest's, which has nothing to say that an error does not
	directory, err := os.MkdirTemp("", "vestibule-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(directory) //nolint:errcheck // a directory too many does no harm
	fmt.Printf("%s, %d CPUs, %s, %d requests at once\n", runtime.Version(), runtime.NumCPU(), time.Now().UTC().Format("2 January 2006"), *workers)
	if strings.Contains(*what, "controller") {
		if err := controller(ctx, *servers, *rest); err != nil {
			return fmt.Errorf("controller: %w", err)
		}
	}
	if *what == "controller" {
		return nil
	}
	program := filepath.Join(directory, "gateway")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", program, "vestibule.dev/vestibule/cmd/gateway")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("building the gateway: %w", err)
	}
	provider, err := startIdP()
	if err != nil {
		return err
	}
	b := &run{program: program, provider: provider, workers: *workers, hourly: *hourly}
	if strings.Contains(*what, "plane") {
		if err := b.plane(ctx, strings.Split(*stores, ","), *streams); err != nil {
			return fmt.Errorf("data plane: %w", err)
		}
	}
	if strings.Contains(*what, "authorization") {
		if err := b.authorization(ctx, strings.Split(*stores, ","), strings.Split(*sizes, ",")); err != nil {
			return fmt.Errorf("authorization server: %w", err)
		}
	}
	if strings.Contains(*what, "scale") {
		if err := b.scale(ctx, *many); err != nil {
			return fmt.Errorf("a large store: %w", err)
		}
	}
	for _, line := range b.notes {
		fmt.Println("\n" + line)
	}
	return nil
}

// authorization measures the authorization server on each store with each number of
// grants.
func (b *run) authorization(ctx context.Context, stores, sizes []string) error {
	fmt.Println("\n| store | grants | operation | CPU of the gateway | per second | half within | 99 % within |")
	fmt.Println("|---|---|---|---|---|---|---|")
	for _, store := range stores {
		for _, size := range sizes {
			n, err := strconv.Atoi(size)
			if err != nil || n < batch/2 {
				return fmt.Errorf("-grants: %q is not a number from %d", size, batch/2)
			}
			if err := b.store(ctx, store, n); err != nil {
				return fmt.Errorf("%s with %d grants: %w", store, n, err)
			}
		}
	}
	return nil
}

// run is what all measurements have in common.
type run struct {
	program  string
	provider *idp
	workers  int
	hourly   time.Duration
	notes    []string
}

func (b *run) store(ctx context.Context, name string, grants int) (err error) {
	s, err := startStore(ctx, name, grants)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	g, err := (&launch{program: b.program, store: s, provider: b.provider}).start(ctx)
	if err != nil {
		return err
	}
	defer g.stop()
	c := newProgram(g.url, b.workers)

	row := func(operation string, r result) {
		fmt.Printf("| %s | %d | %s | %d µs | %.0f | %s | %s |\n", name, grants, operation,
			r.perOperation().Microseconds(), r.perSecond(), r.p50.Round(10*time.Microsecond), r.p99.Round(10*time.Microsecond))
	}
	id, err := c.register("192.0.2.1")
	if err != nil {
		return err
	}
	live, redeemed, err := b.fill(g, c, id, grants)
	if err != nil {
		return err
	}
	row("code exchange", redeemed)

	refreshed, err := measure(g.cpu, min(grants, 2000), b.workers, func(i int) error {
		t, err := c.refresh(id, live[i].Refresh)
		live[i] = t
		return err
	})
	if err != nil {
		return fmt.Errorf("refreshing: %w", err)
	}
	row("refresh", refreshed)
	registered, err := measure(g.cpu, 250, b.workers, func(i int) error { // fewer than are let in at once, by a gateway that is warm
		_, err := c.register(fmt.Sprintf("198.51.100.%d", i))
		return err
	})
	if err != nil {
		return fmt.Errorf("registering: %w", err)
	}
	row("register", registered)
	if rss, err := g.memory(); err == nil {
		b.notes = append(b.notes, fmt.Sprintf("%s with %d grants: the gateway has %d MiB.", name, grants, rss>>20))
	}
	if s.env != nil && b.hourly > 0 {
		return b.refreshHourly(c, id, live)
	}
	return nil
}

// fill makes grants, and measures the code exchange of the last batch of them.
func (b *run) fill(g *gateway, c *program, id string, grants int) ([]tokens, result, error) {
	var live []tokens
	var last result
	for len(live) < grants {
		n := min(batch, grants-len(live))
		logins := make([]login, n)
		if _, err := do(n, b.workers, func(i int) (err error) {
			logins[i], err = c.login(id)
			return err
		}); err != nil {
			return nil, last, fmt.Errorf("logging in: %w", err)
		}
		got := make([]tokens, n)
		var err error
		if last, err = measure(g.cpu, n, b.workers, func(i int) (err error) {
			got[i], err = c.redeem(logins[i])
			return err
		}); err != nil {
			return nil, last, fmt.Errorf("redeeming: %w", err)
		}
		live = slices.Concat(live, got)
	}
	return live, last, nil
}

// refreshHourly refreshes as many grants in its time as would be due if each were
// refreshed once an hour, evenly, and notes what that costs the cluster.
func (b *run) refreshHourly(c *program, id string, live []tokens) error {
	server, err := child("kube-apiserver")
	if err != nil {
		return err
	}
	etcd, err := child("etcd")
	if err != nil {
		return err
	}
	every := time.Hour / time.Duration(len(live))
	due := max(int(b.hourly/every), 1)
	idle, err := observe(server, etcd, func() error { time.Sleep(b.hourly); return nil })
	if err != nil {
		return err
	}
	busy, err := observe(server, etcd, func() error {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for i := range due {
			<-tick.C
			t, err := c.refresh(id, live[i%len(live)].Refresh)
			if err != nil {
				return err
			}
			live[i%len(live)] = t
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("refreshing hourly: %w", err)
	}
	b.notes = append(b.notes, fmt.Sprintf(
		"Kubernetes with %d grants, each refreshed once an hour (%.2f a second): beyond what they do when nothing happens, the API server takes %.1f %% and etcd %.1f %% of one CPU, and etcd writes %.0f KiB a second.",
		len(live), time.Second.Seconds()/every.Seconds(), busy.server-idle.server, busy.etcd-idle.etcd, busy.written-idle.written))
	return nil
}

// load is what a control plane does: in percent of one CPU, and in KiB a second.
type load struct{ server, etcd, written float64 }

func observe(server, etcd process, work func() error) (load, error) {
	read := func() (s, e time.Duration, w int64, err error) {
		var errs [3]error
		s, errs[0] = server.cpu()
		e, errs[1] = etcd.cpu()
		w, errs[2] = etcd.written()
		return s, e, w, errors.Join(errs[:]...)
	}
	s0, e0, w0, err := read()
	if err != nil {
		return load{}, err
	}
	started := time.Now()
	if err := work(); err != nil {
		return load{}, err
	}
	took := time.Since(started)
	s1, e1, w1, err := read()
	return load{100 * float64(s1-s0) / float64(took), 100 * float64(e1-e0) / float64(took), float64(w1-w0) / 1024 / took.Seconds()}, err
}
