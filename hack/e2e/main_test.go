//go:build e2e

// Package e2e tests Vestibule on a real cluster, through its front doors: kubectl
// on one side, an MCP client and a browser on the other.
package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"vestibule.dev/vestibule/hack/mcpclient"
	"vestibule.dev/vestibule/hack/realcluster"
)

const (
	// patience is how long a condition may take to say what is wrong, or that it is
	// right again, where that is what is tested.
	patience = 30 * time.Second
	// recovery is how long a condition is waited for after a change of much else.
	recovery = 2 * time.Minute
)

var (
	cluster *realcluster.Cluster
	login   = &realcluster.Login{Port: 9443, NodePort: 30443}
	one     = &realcluster.Server{Namespace: "one", Port: 9788, NodePort: 30788, Login: login}
	two     = &realcluster.Server{Namespace: "two", Port: 9789, NodePort: 30789, Login: login}
)

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// run brings a cluster up with two MCPServers in two namespaces, and takes it down.
func run(m *testing.M) (code int, err error) {
	ctx := context.Background()
	cluster, err = realcluster.New(realcluster.Options{
		Name: "e2e", APIPort: 18443, Log: os.Stderr,
		Forwards: []realcluster.Forward{
			{Host: login.Port, Node: login.NodePort}, {Host: one.Port, Node: one.NodePort}, {Host: two.Port, Node: two.NodePort},
		},
	})
	if err != nil {
		return 1, err
	}
	// An earlier run may have been killed.
	if err := cluster.Down(ctx); err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, cluster.Down(ctx)) }()
	if err := setUp(ctx); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

func setUp(ctx context.Context) error {
	login.RedirectURIs = []string{one.RedirectURI(), two.RedirectURI()}
	if err := cluster.Up(ctx); err != nil {
		return err
	}
	if err := errors.Join(cluster.Deploy(ctx), cluster.Plugin(ctx)); err != nil {
		return err
	}
	if err := cluster.DeployLogin(ctx, login); err != nil {
		return err
	}
	for _, s := range []*realcluster.Server{one, two} {
		if err := cluster.DeployServer(ctx, s); err != nil {
			return err
		}
	}
	for _, s := range []*realcluster.Server{one, two} {
		if err := cluster.WaitReady(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// kubectl runs kubectl, which must succeed.
func kubectl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := cluster.Kubectl(t.Context(), "", args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// gatewayPods are the pods of a server's gateways, after whatever rolls them is over.
func gatewayPods(t *testing.T, s *realcluster.Server) []string {
	t.Helper()
	kubectl(t, "rollout", "status", "-n", s.Namespace, "deployment/weather-gateway", "--timeout=120s")
	replicas := kubectl(t, "get", "deployment", "weather-gateway", "-n", s.Namespace, "-o", "jsonpath={.spec.replicas}")
	var pods []string
	settled := false
	defer func() {
		if !settled {
			t.Log(kubectl(t, "get", "pods,replicasets", "-n", s.Namespace, "-o", "wide"))
		}
	}()
	eventually(t, "the pods of before are gone", func() bool {
		pods = strings.Fields(kubectl(t, "get", "pods", "-n", s.Namespace, "-l", "app.kubernetes.io/name=vestibule-gateway", "-o", "name"))
		return strconv.Itoa(len(pods)) == replicas
	})
	settled = true
	return pods
}

// connect connects alice's client to a server.
func connect(t *testing.T, s *realcluster.Server) *mcpclient.Client {
	t.Helper()
	c, err := s.Client("alice", nil)
	if err != nil {
		t.Fatal(err)
	}
	must(t, c.Connect(t.Context()))
	t.Cleanup(func() { _ = c.Session.Close() }) // its server may have ended
	return c
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// condition is what a server's condition says: status, reason and message.
func condition(t *testing.T, s *realcluster.Server, conditionType string) (status, reason, message string) {
	t.Helper()
	query := `jsonpath={range .status.conditions[?(@.type=="` + conditionType + `")]}{.status}|{.reason}|{.message}{end}`
	out, err := cluster.Kubectl(t.Context(), "", "get", "mcpserver", "weather", "-n", s.Namespace, "-o", query)
	if err != nil {
		return "", "", err.Error() // the API server may be away
	}
	parts := split3(out)
	return parts[0], parts[1], parts[2]
}

// becomes waits until a condition has a status and, if it is not empty, a reason.
func becomes(t *testing.T, s *realcluster.Server, conditionType, status, reason string) {
	t.Helper()
	becomesWithin(t, s, recovery, conditionType, status, reason)
}

func becomesWithin(t *testing.T, s *realcluster.Server, patience time.Duration, conditionType, status, reason string) {
	t.Helper()
	started := time.Now()
	for {
		gotStatus, gotReason, message := condition(t, s, conditionType)
		if gotStatus == status && (reason == "" || gotReason == reason) {
			t.Logf("%s=%s (%s) after %.1f s: %s", conditionType, gotStatus, gotReason, time.Since(started).Seconds(), message)
			return
		}
		if time.Since(started) > patience {
			t.Fatalf("%s is %s (%s) and not %s (%s) after %v: %s", conditionType, gotStatus, gotReason, status, reason, patience, message)
		}
		time.Sleep(250 * time.Millisecond)
	}
}
