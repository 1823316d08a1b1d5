// Command controller brings a cluster to what the MCPServers in it ask for: it
// runs a gateway for each, and says in its status how that goes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"strings"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/config"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"vestibule.dev/vestibule/controllers"
	gateway "vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/version"
)

func main() {
	o, err := parse(os.Args[1:])
	if err == nil {
		logTo(os.Stdout, o.level)
		err = run(ctrl.SetupSignalHandler(), o)
	}
	if err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "controller:", err)
		}
		os.Exit(1)
	}
}

// options are what the flags say.
type options struct {
	image, namespaces, metrics, probes, profiles, leaseNamespace string

	leaderElect bool
	upgrades    int
	level       slog.Level
}

func parse(args []string) (*options, error) {
	o := &options{level: slog.LevelInfo}
	flags := flag.NewFlagSet("controller", flag.ContinueOnError)
	config.RegisterFlags(flags)
	flags.StringVar(&o.image, "gateway-image", "", "`image` of the gateways; must be set")
	flags.StringVar(&o.namespaces, "namespaces", "", "comma-separated `names` of the namespaces to work in (default: all)")
	flags.IntVar(&o.upgrades, "concurrent-upgrades", controllers.DefaultUpgrades, "how `many` gateways are replaced at a time after an upgrade of this controller")
	flags.BoolVar(&o.leaderElect, "leader-elect", true, "work only while no other controller does, by the Lease vestibule-controller")
	flags.StringVar(&o.leaseNamespace, "leader-election-namespace", "", "`namespace` of the Lease (default: the pod's)")
	flags.StringVar(&o.metrics, "metrics-bind-address", ":8080", "`address` of /metrics, plain HTTP; 0 for none")
	flags.StringVar(&o.probes, "health-probe-bind-address", ":8081", "`address` of /healthz and /readyz; 0 for none")
	flags.StringVar(&o.profiles, "pprof-addr", "", "loopback `address` of /debug/pprof/ (default: nowhere)")
	flags.TextVar(&o.level, "log-level", o.level, "DEBUG, INFO, WARN or ERROR")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if o.image == "" {
		return nil, errors.New("-gateway-image must be set")
	}
	if o.upgrades < 1 {
		return nil, errors.New("-concurrent-upgrades must be at least 1")
	}
	if o.profiles != "" {
		if err := gateway.CheckLoopback("-pprof-addr", o.profiles, "127.0.0.1:6060"); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// logTo lets all that logs, in whatever way, do so in one.
func logTo(w io.Writer, level slog.Level) {
	handler := slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level})
	slog.SetDefault(slog.New(handler))
	ctrl.SetLogger(logr.FromSlogHandler(handler))
	klog.SetSlogLogger(slog.New(handler))
}

func run(ctx context.Context, o *options) error {
	rest, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("finding the API server: %w", err)
	}
	// The API server's own fairness bounds what one client gets.
	rest.QPS = -1
	if os.Getenv("GOGC") == "" {
		// What the cache holds is most of the heap: half as much garbage again is enough.
		debug.SetGCPercent(50)
	}
	// By this an audit log tells its requests from others.
	rest.UserAgent = "vestibule-controller/" + version.Version
	scheme, err := controllers.NewScheme()
	if err != nil {
		return err
	}
	mgr, err := ctrl.NewManager(rest, ctrl.Options{
		Scheme:                        scheme,
		Cache:                         controllers.CacheOptions(split(o.namespaces)),
		Metrics:                       server.Options{BindAddress: o.metrics},
		HealthProbeBindAddress:        o.probes,
		PprofBindAddress:              o.profiles,
		LeaderElection:                o.leaderElect,
		LeaderElectionID:              controllers.LeaseName,
		LeaderElectionNamespace:       o.leaseNamespace,
		LeaderElectionReleaseOnCancel: true, // Nothing runs after Start returns.
	})
	if err != nil {
		return fmt.Errorf("making the manager: %w", err)
	}
	for _, add := range []func(string, healthz.Checker) error{mgr.AddHealthzCheck, mgr.AddReadyzCheck} {
		if err := add("ping", healthz.Ping); err != nil {
			return fmt.Errorf("adding a probe: %w", err)
		}
	}
	if err := controllers.Setup(ctx, mgr, controllers.Options{
		Namespaces: split(o.namespaces), Image: o.image, Identity: o.identity(), Upgrades: o.upgrades,
	}); err != nil {
		return err
	}
	slog.Info("starting", "version", version.Version, "gateway_image", o.image, "namespaces", o.namespaces)
	return mgr.Start(ctx)
}

// identity names this install by its Lease. It is empty without leader election.
func (o *options) identity() string {
	if !o.leaderElect {
		return ""
	}
	namespace := o.leaseNamespace
	if namespace == "" {
		own, err := os.ReadFile(namespaceFile)
		if err != nil {
			return "" // The manager does not start: leader election needs the namespace.
		}
		namespace = string(own)
	}
	return namespace + "/" + controllers.LeaseName
}

// namespaceFile has the name of a pod's own namespace.
const namespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// split reads a list of names, of which none is empty.
func split(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}
