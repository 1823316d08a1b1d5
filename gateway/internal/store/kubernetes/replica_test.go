package kubernetes

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"testing"

	"k8s.io/client-go/tools/clientcmd"

	"vestibule.dev/vestibule/gateway/internal/store/conformance"
)

// replicaEnv makes the test binary a replica that its parent uses. It has the
// replicaOptions.
const replicaEnv = "VESTIBULE_TEST_REPLICA"

type replicaOptions struct{ Kubeconfig, Namespace, Kind string }

const (
	pauseWatch  = "pause watch"
	resumeWatch = "resume watch"
)

// serveReplica is the main program of a replica: it serves until its parent
// closes the pipe, be it by dying.
func serveReplica(*testing.M) (code int, err error) {
	var o replicaOptions
	if err := json.Unmarshal([]byte(os.Getenv(replicaEnv)), &o); err != nil {
		return 1, err
	}
	cfg, err := clientcmd.BuildConfigFromFlags("", o.Kubeconfig)
	if err != nil {
		return 1, err
	}
	l := &link{}
	s, err := New(cluster{namespace: o.Namespace, kind: o.Kind, account: cfg}.options(l))
	if err != nil {
		return 1, err
	}
	return 0, conformance.Serve(os.Stdin, os.Stdout, s, map[string]func(){
		pauseWatch:  l.pauseWatch,
		resumeWatch: l.resumeWatch,
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
	options, err := json.Marshal(replicaOptions{Kubeconfig: kubeconfig, Namespace: c.namespace, Kind: c.kind})
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), replicaEnv+"="+string(options),
		// The race detector would have it sleep for a second at its end.
		"GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	child.Stderr = os.Stderr
	in, inErr := child.StdinPipe()
	out, outErr := child.StdoutPipe()
	if err := errors.Join(inErr, outErr, child.Start()); err != nil {
		t.Fatal(err)
	}
	r := conformance.Connect(out, in)
	t.Cleanup(func() {
		if err := in.Close(); err != nil {
			t.Error(err)
		}
		r.Wait()
		if err := child.Wait(); err != nil {
			t.Errorf("the replica: %v", err)
		}
	})
	return r
}
