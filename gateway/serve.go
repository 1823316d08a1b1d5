package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Timing of a shutdown: at first nothing changes but the readiness, until those
// who send requests here have heard of it; then streams end, one after the other, and
// no connection is taken any more; then what is under way may finish.
type Timing struct {
	// Announce is how long requests are still taken after the readiness is gone.
	Announce time.Duration
	// Stagger is how long it takes until all streams have ended that no request waits
	// for: their clients, who all come back at once, come back one by one.
	Stagger time.Duration
	// Finish is how long requests under way may last after that.
	Finish time.Duration
}

// DefaultTiming fits into the 30 seconds that a pod has by default.
var DefaultTiming = Timing{Announce: 5 * time.Second, Stagger: 8 * time.Second, Finish: 20 * time.Second}

// Serve serves the public listener, with TLS if the configuration has a certificate,
// and on the other probes (/healthz, /readyz) and
// the metrics (/metrics), if they are on, until ctx is done; then it drains, and
// returns when all has ended: no goroutine of the gateway runs any more, so that the
// caller may Close it. admin may be nil. It closes both listeners.
func (g *Gateway) Serve(ctx context.Context, public, admin net.Listener, timing Timing) error {
	// The store outlives ctx: requests that finish during the drain still write.
	watching, stopWatching := context.WithCancel(context.WithoutCancel(ctx))
	var started sync.WaitGroup
	defer started.Wait()
	defer stopWatching()
	g.tracing.Start(watching)
	failed := make(chan error, 3)
	started.Go(func() { failed <- g.Watch(watching) })
	started.Go(func() { g.keys.run(watching) })
	var security *tls.Config
	if g.certificate != nil {
		started.Go(func() { g.certificate.run(watching) })
		security = g.certificate.settings()
	}
	if g.companion != nil {
		started.Go(func() { g.companion.run(watching) })
	}

	stopping := &atomic.Bool{}
	front := g.newServer(security, lastAnswers(stopping, g.requests.count(g.handler)))
	started.Go(func() { failed <- serve(front, public) })
	servers := []*http.Server{front}
	if admin != nil {
		probes := g.newServer(nil, g.probes(stopping))
		servers = append(servers, probes)
		started.Go(func() { failed <- serve(probes, admin) })
	}
	var err error
	select {
	case <-ctx.Done():
		g.log.Info("draining")
		stopping.Store(true)
		pause(timing.Announce)
	case err = <-failed:
	}
	g.drain.begin(timing.Stagger)
	finishing, cancel := context.WithTimeout(context.WithoutCancel(ctx), timing.Finish)
	defer cancel()
	for _, s := range servers {
		if e := s.Shutdown(finishing); errors.Is(e, context.DeadlineExceeded) {
			g.log.Warn("requests that did not finish in time are cut off")
			_ = s.Close() // nothing is left to be told
		}
	}
	if !g.requests.end(lastRequests) {
		g.log.Error("requests go on though their connections are closed")
	}
	last, done := context.WithTimeout(context.WithoutCancel(ctx), lastTraces)
	defer done()
	g.tracing.Close(last)
	if err != nil {
		return fmt.Errorf("serving: %w", err)
	}
	return nil
}

// lastAnswers has clients leave with the answer to what they ask of a gateway that is
// about to stop, and ask another one next. Whose connection is closed while they send
// cannot tell whether they were heard.
func lastAnswers(stopping *atomic.Bool, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if stopping.Load() {
			//rule:clients-kept-to-the-end
			w.Header().Set("Connection", "close") // over HTTP/2 it is a GOAWAY
		}
		next.ServeHTTP(w, r)
	})
}

func pause(d time.Duration) { <-time.After(d) }

// newServer returns a server, with TLS if security is not nil.
func (g *Gateway) newServer(security *tls.Config, h http.Handler) *http.Server {
	s := &http.Server{
		TLSConfig: security,
		Handler:   h,
		// No write timeout: streams last for hours.
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		// The time in which an answer must be read is of that answer alone.
		ConnState: func(conn net.Conn, state http.ConnState) {
			if state == http.StateIdle {
				_ = conn.SetWriteDeadline(time.Time{}) // a connection that fails says so when it is used
			}
		},
		Protocols: &http.Protocols{},
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: 250, // on one connection; proxies in front open more
			// What a client has sent and nobody has read yet is kept here.
			MaxReceiveBufferPerStream:     64 << 10,
			MaxReceiveBufferPerConnection: 1 << 20,
		},
		ErrorLog: slog.NewLogLogger(g.log.Handler(), slog.LevelDebug),
	}
	// Proxies in front may speak either. With TLS it is negotiated; else HTTP/2 begins at
	// once, without an upgrade.
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetHTTP2(security != nil)
	s.Protocols.SetUnencryptedHTTP2(security == nil)
	return s
}

// serve serves until the server is shut down, or returns why it cannot.
func serve(s *http.Server, l net.Listener) error {
	run := s.Serve
	if s.TLSConfig != nil {
		run = func(l net.Listener) error { return s.ServeTLS(l, "", "") }
	}
	if err := run(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// probes answers the kubelet. Ready is who has read the store once, and is not
// about to stop; a store, upstream or backend that is away later makes no
// replica better than the others, so it takes none out.
func (g *Gateway) probes(stopping *atomic.Bool) http.Handler {
	//rule:profiles-on-the-default-mux
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		for what, done := range map[string]<-chan struct{}{"store": g.Synced(), "policy": g.rules.loaded} {
			select {
			case <-done:
			default:
				http.Error(w, "the "+what+" was not read yet", http.StatusServiceUnavailable)
				return
			}
		}
		if stopping.Load() {
			http.Error(w, "stopping", http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, "ok\n")
	})
	if g.metrics != nil {
		mux.Handle("GET /metrics", g.metrics.Handler())
	}
	return mux
}
