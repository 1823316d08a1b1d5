// Command gateway is one replica of the gateway in front of an MCP server: it
// serves what the configuration file says until it is told to stop.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"

	"vestibule.dev/vestibule/gateway"
	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/version"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "gateway:", err)
		}
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("gateway", flag.ContinueOnError)
	path := flags.String("config", "/etc/vestibule/config/config.json", "`file` with the configuration")
	listen := flags.String("listen", ":8080", "`address` to serve at, without TLS unless the configuration has a certificate")
	admin := flags.String("admin", ":8081", "`address` of /healthz and /readyz, and of /metrics if the configuration has them")
	profiles := flags.String("pprof-addr", "", "loopback `address` of /debug/pprof/ (default: nowhere)")
	kubeconfig := flags.String("kubeconfig", "", "kubeconfig `file` (default: the pod's service account)")
	configName := flags.String("config-name", "", "`name` under which the controller made the configuration, for the report to it")
	podUID := flags.String("pod-uid", "", "`UID` of the pod, for the report to the controller")
	level := slog.LevelInfo
	flags.TextVar(&level, "log-level", level, "DEBUG, INFO, WARN or ERROR")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	log := slog.New(slog.NewJSONHandler(os.Stdout, &slog.HandlerOptions{Level: level}))
	slog.SetDefault(log)

	// A second signal ends the process at once.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	context.AfterFunc(ctx, stop)
	if *profiles != "" {
		serving, end := context.WithCancel(ctx)
		_, wait, err := serveProfiles(serving, *profiles)
		if err != nil {
			end()
			return err
		}
		defer wait()
		defer end()
	}
	return serve(ctx, *path, *listen, *admin, gateway.DefaultTiming, gateway.Options{
		Kubeconfig: *kubeconfig, ConfigName: *configName, PodUID: *podUID, Log: log,
	})
}

func serve(ctx context.Context, path, listen, admin string, timing gateway.Timing, o gateway.Options) error {
	cfg, err := config.Load(path)
	if err != nil {
		return err
	}
	keySet, err := config.LoadKeySet(cfg.KeysFile)
	if err != nil {
		return err
	}
	g, err := gateway.New(cfg, keySet, o)
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	public, err := lc.Listen(ctx, "tcp", listen)
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	probes, err := lc.Listen(ctx, "tcp", admin)
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	o.Log.Info("serving", "version", version.Version, "public_url", cfg.PublicURL, "listen", public.Addr().String(), "admin", probes.Addr().String())
	return errors.Join(g.Serve(ctx, public, probes, timing), g.Close())
}
