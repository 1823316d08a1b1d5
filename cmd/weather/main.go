// Command weather is an MCP server to put a gateway in front of, for clusters in
// which Vestibule is tried out. It serves made-up forecasts at /mcp.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"vestibule.dev/vestibule/cmd/internal/serving"
	"vestibule.dev/vestibule/cmd/internal/weather"
)

func main() {
	// A second signal ends the process at once.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	context.AfterFunc(ctx, stop)
	if err := run(ctx, os.Args[1:]); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "weather:", err)
		}
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("weather", flag.ContinueOnError)
	listen := flags.String("listen", ":8080", "`address` to serve at, plain HTTP")
	var c weather.Callers
	flags.StringVar(&c.KeysURL, "keys-url", "", "`URL` of the gateway's keys, such as http://weather-gateway/.well-known/jwks.json:\nwith -issuer and -audience, only whom the gateway introduces is served")
	flags.StringVar(&c.Issuer, "issuer", "", "the gateway's public `URL`")
	flags.StringVar(&c.Audience, "audience", "", "the `name` of this server in bindings.mcpObject.identity.assertion.audience")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	all := c.KeysURL != "" && c.Issuer != "" && c.Audience != ""
	if !all && (c.KeysURL != "" || c.Issuer != "" || c.Audience != "") {
		return errors.New("-keys-url, -issuer and -audience belong together")
	}
	var callers *weather.Callers
	if all {
		callers = &c
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", *listen)
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	return serve(ctx, l, weather.Handler(callers))
}

// serve serves until ctx is done.
func serve(ctx context.Context, l net.Listener, h http.Handler) error {
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	slog.Info("serving", "listen", l.Addr().String(), "path", weather.Path)
	return serving.UntilDone(ctx, s, func() error { return s.Serve(l) })
}
