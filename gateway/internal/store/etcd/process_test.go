package etcd

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/internal/store/conformance"
)

// replicaEnv makes the test binary a replica that its parent uses. It has the
// replicaOptions.
const replicaEnv = "VESTIBULE_TEST_REPLICA"

type replicaOptions struct {
	Endpoints []string
	Prefix    string
	MaxBytes  int
}

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
	l := &link{}
	s, err := New(Options{
		Endpoints: o.Endpoints, Prefix: o.Prefix, MaxBytes: o.MaxBytes,
		SweepEvery: 50 * time.Millisecond, DialOptions: l.options(),
	})
	if err != nil {
		return 1, err
	}
	err = conformance.Serve(os.Stdin, os.Stdout, s, map[string]func(){
		pauseWatch:  l.pauseWatch,
		resumeWatch: l.resumeWatch,
	})
	return 0, errors.Join(err, s.Close())
}

// openProcess starts a replica in a process of its own, with its own connection
// and watch.
func openProcess(t *testing.T, o replicaOptions) *conformance.Remote {
	t.Helper()
	arg, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), replicaEnv+"="+string(arg),
		// The race detector would have it sleep for a second at its end.
		"GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	child.Stderr = os.Stderr
	in, inErr := child.StdinPipe()
	out, outErr := child.StdoutPipe()
	must(t, errors.Join(inErr, outErr, child.Start()))
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
