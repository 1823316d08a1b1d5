// Command kubectl-vestibule is the kubectl plug-in of Vestibule:
//
//	kubectl vestibule run -f FILE
//
// runs the gateway of an MCPServer on this machine, without a cluster, and
//
//	kubectl vestibule rotate-keys NAME
//
// renews the keys of one in a cluster, and
//
//	kubectl vestibule backup NAME
//
// prints its keys and its records, to be restored elsewhere. kubectl vestibule version
// says which release it is of.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"vestibule.dev/vestibule/gateway/version"
)

const usage = `Usage: kubectl vestibule run -f FILE
       kubectl vestibule rotate-keys NAME [-n NAMESPACE] [--compromised]
       kubectl vestibule backup NAME [-n NAMESPACE] | -A
       kubectl vestibule version

run runs the gateway of the MCPServer in FILE on this machine, without a cluster.
What a cluster would have to provide is put in its place, and said so.
rotate-keys renews the keys of an MCPServer in a cluster, and backup prints its keys
and records, to be restored elsewhere; with -h each says more.

Flags of run:
`

func main() {
	// A second signal ends the process at once.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	context.AfterFunc(ctx, stop)
	err := command(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "kubectl vestibule:", err)
		os.Exit(1)
	}
}

func command(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) > 0 {
		switch args[0] {
		case "rotate-keys":
			return rotateCommand(ctx, args[1:], stdout, stderr)
		case "backup":
			return backupCommand(ctx, args[1:], stdout, stderr)
		}
	}
	if len(args) == 1 && args[0] == "version" {
		_, err := fmt.Fprintln(stdout, version.Version)
		return err
	}
	o := options{stdout: stdout, stderr: stderr}
	flags := flag.NewFlagSet("run", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		_, _ = io.WriteString(stderr, usage)
		flags.PrintDefaults()
	}
	flags.StringVar(&o.file, "f", "", "`FILE` with one MCPServer, and the Secrets and ConfigMaps that it refers to; - is standard input")
	flags.StringVar(&o.listen, "listen", "127.0.0.1:8788", "loopback `address` of the gateway, unless spec.publicURL is on loopback itself")
	flags.StringVar(&o.idpListen, "idp-listen", "127.0.0.1:8789", "loopback `address` of the development identity provider, if one is needed")
	flags.StringVar(&o.state, "state", "", "`directory` for keys and records between runs (default: vestibule/NAMESPACE-NAME below $XDG_STATE_HOME or ~/.local/state)")
	flags.TextVar(&o.level, "log-level", o.level, "DEBUG, INFO, WARN or ERROR")
	if len(args) == 0 || args[0] != "run" {
		flags.Usage()
		return flag.ErrHelp
	}
	if err := flags.Parse(args[1:]); err != nil {
		return flag.ErrHelp // flags has said why
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if o.file == "" {
		return errors.New("which MCPServer? Name its file with -f")
	}
	return run(ctx, o)
}
