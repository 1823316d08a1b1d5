package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	// calledAtOnce is how many calls are under way, and callsPerRound how many a round
	// has. Rounds of one subject lie between those of the others, so that all of them
	// have the machine as it was at the time.
	calledAtOnce, callsPerRound, rounds = 16, 8000, 5
	// proxyCPUs is on how many CPUs each proxy runs.
	proxyCPUs = 1
)

// subject is a way from the load to the backend.
type subject struct {
	name string
	addr string
	// proxy is nil for the way without one.
	proxy  *process
	token  string
	rounds []result
}

// plane measures what a call of a tool costs through each of several proxies, and what
// a stream costs the gateway on which nothing happens.
func (b *run) plane(ctx context.Context, stores []string, streams int) (err error) {
	backend, err := startRole(ctx, roleBackend, 2)
	if err != nil {
		return err
	}
	defer backend.stop()
	bare, err := startRole(ctx, roleBare, proxyCPUs, backend.addr)
	if err != nil {
		return err
	}
	defer bare.stop()
	nginx, err := startNginx(ctx, backend.addr)
	if err != nil {
		return err
	}
	defer nginx.stop()
	subjects := []*subject{
		{name: "none", addr: backend.addr},
		{name: "nginx", addr: nginx.addr, proxy: &nginx.process},
		{name: "httputil.ReverseProxy", addr: bare.addr, proxy: &bare.process},
	}
	gateways, stop, err := b.gateways(ctx, stores, backend.addr)
	defer func() { err = errors.Join(err, stop()) }()
	if err != nil {
		return err
	}
	subjects = append(subjects, gateways...)
	for round := range rounds + 1 { // the first only warms up
		for _, s := range subjects {
			r, err := s.round(calledAtOnce, callsPerRound)
			if err != nil {
				return fmt.Errorf("through %s: %w", s.name, err)
			}
			if round > 0 {
				s.rounds = append(s.rounds, r)
			}
		}
	}
	report(subjects)
	return b.idleStreams(gateways[0], subjects[2], streams)
}

// gateways starts one for each store, which stop stops.
func (b *run) gateways(ctx context.Context, stores []string, backend string) (subjects []*subject, stop func() error, err error) {
	var stops []func() error
	stop = func() (err error) {
		for _, s := range slices.Backward(stops) {
			err = errors.Join(err, s())
		}
		return err
	}
	for _, store := range stores {
		s, err := startStore(ctx, store, 100)
		if err != nil {
			return nil, stop, err
		}
		stops = append(stops, s.stop)
		g, err := (&launch{
			program: b.program, store: s, provider: b.provider, backend: "http://" + backend, env: []string{fmt.Sprintf("GOMAXPROCS=%d", proxyCPUs)},
		}).start(ctx)
		if err != nil {
			return nil, stop, err
		}
		stops = append(stops, func() error { g.stop(); return nil })
		token, err := signIn(newProgram(g.url, 1))
		if err != nil {
			return nil, stop, err
		}
		if store == stores[0] {
			rss, err := g.memory()
			if err != nil {
				return nil, stop, err
			}
			b.notes = append(b.notes, fmt.Sprintf("A gateway with one grant that does nothing has %d MiB.", rss>>20))
		}
		subjects = append(subjects, &subject{name: "gateway, " + store, addr: strings.TrimPrefix(g.url, "http://"), proxy: &g.process, token: token})
	}
	return subjects, stop, nil
}

// signIn returns an access token.
func signIn(c *program) (string, error) {
	id, err := c.register("192.0.2.1")
	if err != nil {
		return "", err
	}
	l, err := c.login(id)
	if err != nil {
		return "", err
	}
	t, err := c.redeem(l)
	return t.Access, err
}

func (s *subject) round(workers, n int) (result, error) {
	callers := make(chan *caller, workers)
	for range workers {
		c, err := newCaller(s.addr, s.token)
		if err != nil {
			return result{}, err
		}
		defer c.close() //nolint:gocritic // all of them are needed to the end
		callers <- c
	}
	call := func(int) error {
		c := <-callers
		defer func() { callers <- c }()
		return c.call()
	}
	return measure(s.cpu, n, workers, call)
}

// cpu is the proxy's CPU time; without one there is none.
func (s *subject) cpu() (time.Duration, error) {
	if s.proxy == nil {
		return 0, nil
	}
	return s.proxy.cpu()
}

// median is the round whose CPU time, or without a proxy whose duration, is in the
// middle.
func (s *subject) median() result {
	sorted := slices.SortedFunc(slices.Values(s.rounds), func(a, b result) int {
		return cmp.Or(cmp.Compare(a.cpu, b.cpu), cmp.Compare(a.took, b.took))
	})
	return sorted[len(sorted)/2]
}

func report(subjects []*subject) {
	fmt.Printf("\n| proxy, on %d CPU | CPU of the proxy | to ReverseProxy's | per second | to nginx's | half within | 99 %% within |\n", proxyCPUs)
	fmt.Println("|---|---|---|---|---|---|---|")
	nginx, bare := subjects[1].median(), subjects[2].median()
	for _, s := range subjects {
		m := s.median()
		cpu, ratio := "", ""
		if s.proxy != nil {
			cpu = fmt.Sprintf("%.1f µs", float64(m.perOperation())/1e3)
			ratio = fmt.Sprintf("%.2f", float64(m.cpu)/float64(bare.cpu))
		}
		fmt.Printf("| %s | %s | %s | %.0f | %.2f | %s | %s |\n", s.name, cpu, ratio,
			m.perSecond(), m.perSecond()/nginx.perSecond(), m.p50.Round(10*time.Microsecond), m.p99.Round(10*time.Microsecond))
	}
}

// idleStreams opens streams on which nothing happens, through the gateway and through
// the proxy that it is compared with, and notes what memory each takes.
func (b *run) idleStreams(gateway, bare *subject, n int) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	// A proxy has two connections for each.
	n = min(n, int(limit.Max-500)/2)
	for _, s := range []*subject{gateway, bare} {
		per, err := s.stream(n)
		if err != nil {
			return fmt.Errorf("streams through %s: %w", s.name, err)
		}
		b.notes = append(b.notes, fmt.Sprintf("%d streams on which nothing happens, through %s: %d KiB each.", n, s.name, per>>10))
	}
	return nil
}

// stream opens streams, and returns by how many bytes for each the proxy has grown
// when it has collected its garbage.
func (s *subject) stream(n int) (int64, error) {
	before, err := s.proxy.memory()
	if err != nil {
		return 0, err
	}
	open := make([]*caller, n)
	defer func() {
		for _, c := range open {
			if c != nil {
				c.close()
			}
		}
	}()
	if _, err := do(n, calledAtOnce, func(i int) (err error) {
		if open[i], err = newCaller(s.addr, s.token); err != nil {
			return err
		}
		return open[i].listen()
	}); err != nil {
		return 0, err
	}
	after, err := s.proxy.memory()
	return (after - before) / int64(n), err
}
