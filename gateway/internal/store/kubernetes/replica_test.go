//go:build integration

package kubernetes

import (
	"os"
	"testing"

	"k8s.io/client-go/tools/clientcmd"

	"vestibule.dev/vestibule/gateway/internal/store/conformance"
)

type replicaOptions struct{ Kubeconfig, Namespace, Kind string }

// serveReplica is the main program of a replica: it serves until its parent
// closes the pipe, be it by dying.
func serveReplica(o replicaOptions) (code int, err error) {
	cfg, err := clientcmd.BuildConfigFromFlags("", o.Kubeconfig)
	if err != nil {
		return 1, err
	}
	l := &link{}
	s, err := New(cluster{namespace: o.Namespace, kind: o.Kind, account: cfg}.confirming(l))
	if err != nil {
		return 1, err
	}
	return 0, conformance.Serve(os.Stdin, os.Stdout, s, map[string]func(){
		conformance.PauseWatch:  l.pauseWatch,
		conformance.ResumeWatch: l.resumeWatch,
	})
}

// openProcess starts a replica in a process of its own, with its own kubeconfig,
// connection and watches.
func (c cluster) openProcess(t *testing.T) *conformance.Remote {
	t.Helper()
	kubeconfig, err := env.WriteKubeconfig(c.account)
	if err != nil {
		t.Fatal(err)
	}
	return conformance.OpenProcess(t, replicaOptions{Kubeconfig: kubeconfig, Namespace: c.namespace, Kind: c.kind})
}
