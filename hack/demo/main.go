// Command demo shows Vestibule on a real cluster: it installs it, applies an
// MCPServer, and goes the whole way with a client on this machine.
//
//	go run ./hack/demo         brings everything up, and leaves it there
//	go run ./hack/demo down    leaves nothing behind
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"vestibule.dev/vestibule/hack/realcluster"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	cluster, err := realcluster.New(realcluster.Options{
		Name: "demo", APIPort: 17443, Log: os.Stderr,
		Forwards: []realcluster.Forward{{Host: 8443, Node: 30443}, {Host: 8788, Node: 30788}},
	})
	if err != nil {
		return err
	}
	switch {
	case slices.Equal(args, []string{"down"}):
		return cluster.Down(ctx)
	case len(args) > 0:
		return errors.New("usage: demo [down]")
	}
	return show(ctx, cluster)
}

func show(ctx context.Context, cluster *realcluster.Cluster) error {
	started := time.Now()
	say := func(what string) { fmt.Printf("%6.1f s  %s\n", time.Since(started).Seconds(), what) }

	if err := cluster.Up(ctx); err != nil {
		return err
	}
	say("a cluster is up")
	if err := cluster.Deploy(ctx); err != nil {
		return err
	}
	say("the controller runs")
	// What an earlier demo left has other passwords and another certificate.
	if _, err := cluster.Kubectl(ctx, "", "delete", "namespace", "demo", "login", "--ignore-not-found", "--timeout=120s"); err != nil {
		return err
	}
	login := &realcluster.Login{Port: 8443, NodePort: 30443}
	server := &realcluster.Server{Namespace: "demo", Port: 8788, NodePort: 30788, Login: login}
	login.RedirectURIs = []string{server.RedirectURI()}
	if err := cluster.DeployLogin(ctx, login); err != nil {
		return err
	}
	say("a login runs at " + login.Issuer())
	if err := cluster.DeployServer(ctx, server); err != nil {
		return err
	}
	say("applied an MCP server of two pods, and its MCPServer")
	if err := cluster.WaitReady(ctx, server); err != nil {
		return err
	}
	say("the MCPServer is Ready; now with the Go SDK's client:")
	client, err := server.Client("alice", func(step string) { say("  " + step) })
	if err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{client.Connect, client.Forecast, client.Refresh, client.Forecast, client.Revoke} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	if status, err := client.Status(ctx); err != nil || status != 401 {
		return fmt.Errorf("a revoked token gets %d, not 401: %w", status, err)
	}
	say("  the token is refused from then on")
	table, err := cluster.Kubectl(ctx, "", "get", "mcpserver", "-A")
	if err != nil {
		return err
	}
	fmt.Printf("\n%s\n\nTry it: paste %s into a client. The login's certificate is its own, so the browser asks first. Users:\n", table, server.Endpoint())
	for _, user := range []string{"alice", "bob", "mallory"} {
		fmt.Printf("  %-8s %s\n", user, login.Passwords[user])
	}
	fmt.Printf("(mallory's mail address is not verified, so spec.access refuses her.)\n\nexport KUBECONFIG=%s\nmake demo-down ends it.\n", cluster.Kubeconfig)
	return nil
}
