package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"vestibule.dev/vestibule/cmd/internal/devidp"
	"vestibule.dev/vestibule/cmd/internal/manifest"
	"vestibule.dev/vestibule/cmd/internal/weather"
	"vestibule.dev/vestibule/controllers"
	"vestibule.dev/vestibule/gateway"
	"vestibule.dev/vestibule/gateway/config"
)

// options are the flags of run.
type options struct {
	file, listen, idpListen, state string
	level                          slog.Level
	stdout, stderr                 io.Writer
}

// timing of the end of a run: nobody has to hear of it first.
var timing = gateway.Timing{Finish: 2 * time.Second}

// run serves the MCPServer in the file until ctx is done.
func run(ctx context.Context, o options) (err error) {
	log := slog.New(slog.NewTextHandler(o.stderr, &slog.HandlerOptions{Level: o.level}))
	slog.SetDefault(log)
	m, err := load(o.file) //nolint:contextcheck // what validates waits for nothing
	if err != nil {
		return err
	}
	p, err := newPlan(m, o)
	if err != nil {
		return err
	}
	d, err := openState(o.state, p.server)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()

	// Everything listens before anything starts: a port that is taken is the
	// likeliest mistake.
	var all listeners
	defer all.close()
	public, err := all.open(ctx, p.listen, "-listen or, on loopback, the port in spec.publicURL")
	if err != nil {
		return err
	}
	for _, service := range p.services {
		backend, err := all.open(ctx, "127.0.0.1:0", "a free port")
		if err != nil {
			return err
		}
		all.serve(backend, weather.Handler(p.useBackend(service, backend.Addr().String())))
	}
	var idp *devidp.Provider
	if p.devIdP {
		if idp, err = serveIdP(ctx, &all, p, o); err != nil {
			return err
		}
	}
	if err := d.writeReferences(p, m, idp); err != nil {
		return err
	}
	return serve(ctx, public, p, d, idp, o, log)
}

func load(file string) (*manifest.Manifest, error) {
	var data []byte
	var err error
	if file == "-" {
		data, err = io.ReadAll(os.Stdin)
	} else {
		data, err = os.ReadFile(file)
	}
	if err != nil {
		return nil, err
	}
	m, err := manifest.Load(data)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be used:\n%w", file, err)
	}
	return m, nil
}

func serveIdP(ctx context.Context, all *listeners, p *plan, o options) (*devidp.Provider, error) {
	l, err := all.open(ctx, o.idpListen, "-idp-listen")
	if err != nil {
		return nil, err
	}
	u := p.server.Spec.Upstreams[0]
	idp, err := devidp.New(u.OIDC.IssuerURL, devidp.Options{
		ClientID: u.OIDC.ClientID, RedirectURIs: []string{p.server.Spec.PublicURL + "/callback/" + u.Name},
		Log: slog.Default(),
	})
	if err != nil {
		return nil, fmt.Errorf("starting the development identity provider: %w", err)
	}
	all.serve(l, idp)
	return idp, nil
}

func serve(ctx context.Context, public net.Listener, p *plan, d *state, idp *devidp.Provider, o options, log *slog.Logger) error {
	cfg := controllers.GatewayConfig(p.server, controllers.GatewayInputs{Directory: d.dir})
	cfg.Store.Memory.File = d.storeFile()
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("the MCPServer makes no configuration that a gateway can use:\n%w", err)
	}
	keySet, err := config.LoadKeySet(cfg.KeysFile)
	if err != nil {
		return err
	}
	g, err := gateway.New(cfg, keySet, gateway.Options{Log: log})
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- g.Serve(ctx, public, nil, timing) }()
	select {
	case <-g.Synced():
		welcome(o, p, d, idp, cfg)
		err = <-served
	case err = <-served:
	}
	return errors.Join(err, g.Close())
}

// listeners are on loopback, and end with the run.
type listeners struct {
	opened  []net.Listener
	servers []*http.Server
	serving sync.WaitGroup
}

// open listens at an address of the loopback interface; setting says what to
// change if that cannot be.
func (ls *listeners) open(ctx context.Context, addr, setting string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil || !config.IsLoopback(host) {
		return nil, fmt.Errorf("%q is no loopback address with a port: change %s", addr, setting)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("%w: change %s", err, setting)
	}
	ls.opened = append(ls.opened, l)
	return l, nil
}

func (ls *listeners) serve(l net.Listener, h http.Handler) {
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	ls.servers = append(ls.servers, s)
	ls.serving.Go(func() { _ = s.Serve(l) }) // it ends with close
}

// close ends all, and waits for it.
func (ls *listeners) close() {
	for _, s := range ls.servers {
		_ = s.Close()
	}
	for _, l := range ls.opened {
		_ = l.Close()
	}
	ls.serving.Wait()
}
