package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// scale measures on an etcd what the number of grants does to the check of a token, and
// to the start of a gateway.
func (b *run) scale(ctx context.Context, grants int) (err error) {
	backend, err := startRole(ctx, roleBackend, 2)
	if err != nil {
		return err
	}
	defer backend.stop()
	store, err := inEtcd()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.stop()) }()
	l := &launch{program: b.program, store: store, provider: b.provider, backend: "http://" + backend.addr}
	g, err := l.start(ctx)
	if err != nil {
		return err
	}
	defer func() { // whichever runs
		if g != nil {
			g.stop()
		}
	}()
	c := newProgram(g.url, b.workers)
	id, err := c.register("192.0.2.1")
	if err != nil {
		return err
	}
	fmt.Println("\n| grants, in an etcd | CPU of the gateway for a call | it has | start to ready |")
	fmt.Println("|---|---|---|---|")
	made := 0
	var token string
	for _, n := range []int{100, grants} {
		live, _, err := b.fill(g, c, id, n-made)
		if err != nil {
			return err
		}
		made, token = n, live[0].Access
		g.stop()
		started := time.Now()
		if g, err = l.start(ctx); err != nil {
			return err
		}
		took := time.Since(started)
		s := &subject{name: "gateway", addr: strings.TrimPrefix(g.url, "http://"), proxy: &g.process, token: token}
		for range rounds {
			r, err := s.round(calledAtOnce, callsPerRound)
			if err != nil {
				return err
			}
			s.rounds = append(s.rounds, r)
		}
		rss, err := g.memory()
		if err != nil {
			return err
		}
		fmt.Printf("| %d | %.1f µs | %d MiB | %.2f s |\n", n, float64(s.median().perOperation())/1e3, rss>>20, took.Seconds())
	}
	return nil
}
