package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"sync"
	"time"

	"vestibule.dev/vestibule/gateway/config"
)

// serveProfiles serves the profiles of the Go runtime at a loopback address until ctx
// is done. wait returns when the server has ended. A profile shows what is in memory, so
// no other host may read it.
//
// The package that makes them puts them into http.DefaultServeMux as well, which is
// served nowhere.
func serveProfiles(ctx context.Context, address string) (addr net.Addr, wait func(), err error) {
	//rule:profiles-for-all
	if err := config.CheckLoopback("-pprof-addr", address, "127.0.0.1:6060"); err != nil {
		return nil, nil, err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, nil, fmt.Errorf("listening: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	s := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { _ = s.Close() }) // a profile that is not done is not wanted any more
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.Serve(l) }) // its end is ours
	return l.Addr(), serving.Wait, nil
}
