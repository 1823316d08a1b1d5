// Command devidp is the development identity provider as a program of its own, for
// clusters in which Vestibule is tried out: one relying party, a few users, a login
// page, over TLS. It belongs in no production.
//
//	devidp -issuer https://idp.example.test:8443 -make-certificate DIRECTORY
//
// writes what it is to identify itself with, and ends. In a cluster tls.crt and
// tls.key then go into a Secret, ca.crt into the ConfigMap that an MCPServer names
// as caBundleRef:
//
//	devidp -issuer https://idp.example.test:8443 -cert FILE -key FILE \
//		-client-id ID -client-secret-file FILE -redirect-uri https://mcp.example.test/callback/corp
//
// Passwords that it makes up are on standard output, one user a line.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	// A second signal ends the process at once.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	context.AfterFunc(ctx, stop)
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "devidp:", err)
		}
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	issuer, listen       string
	certFile, keyFile    string
	clientID, secretFile string
	usersFile            string
	redirectURIs         []string
	makeCertificate      string
}

func parse(args []string) (*options, error) {
	var o options
	flags := flag.NewFlagSet("devidp", flag.ContinueOnError)
	flags.StringVar(&o.issuer, "issuer", "", "`URL` by which browsers and gateways reach this provider: https and a host, or http and a loopback address")
	flags.StringVar(&o.listen, "listen", ":8443", "`address` to serve at; of loopback if the issuer is http")
	flags.StringVar(&o.certFile, "cert", "", "`file` with the certificate of an https issuer")
	flags.StringVar(&o.keyFile, "key", "", "`file` with the key of the certificate")
	flags.StringVar(&o.clientID, "client-id", "", "`id` of the relying party (default: made up, and printed)")
	flags.StringVar(&o.secretFile, "client-secret-file", "", "`file` with the relying party's secret (default: made up, and printed)")
	flags.StringVar(&o.usersFile, "users", "", "JSON `file` with those who can log in: a list of name, password, fullName, email, emailVerified, groups (default: alice, bob and mallory; passwords that are left out are made up, and printed)")
	flags.Func("redirect-uri", "`URI` where logins may end; can be given again", func(uri string) error {
		o.redirectURIs = append(o.redirectURIs, uri)
		return nil
	})
	flags.StringVar(&o.makeCertificate, "make-certificate", "", "`directory` for ca.crt, tls.crt and tls.key of the issuer's host: they are written, and nothing is served")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	return &o, nil
}

func run(ctx context.Context, args []string, stdout io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	// The library logs refusals here. They hold no password, code or token.
	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stderr, nil)))
	if o.makeCertificate != "" {
		return writeCertificate(o.makeCertificate, o.issuer)
	}
	l, err := listen(ctx, o)
	if err != nil {
		return err
	}
	return serve(ctx, l, o, stdout)
}
