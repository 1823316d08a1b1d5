//go:build integration

package etcd

import (
	"errors"
	"os"
	"time"

	"vestibule.dev/vestibule/gateway/internal/store/conformance"
)

type replicaOptions struct {
	Endpoints []string
	Prefix    string
	MaxBytes  int
}

// serveReplica is the main program of a replica: it serves until its parent
// closes the pipe, be it by dying.
func serveReplica(o replicaOptions) (code int, err error) {
	l := &link{}
	s, err := New(Options{
		Endpoints: o.Endpoints, Prefix: o.Prefix, MaxBytes: o.MaxBytes,
		SweepEvery: 50 * time.Millisecond, DialOptions: l.options(),
	})
	if err != nil {
		return 1, err
	}
	err = conformance.Serve(os.Stdin, os.Stdout, s, map[string]func(){
		conformance.PauseWatch:  l.pauseWatch,
		conformance.ResumeWatch: l.resumeWatch,
	})
	return 0, errors.Join(err, s.Close())
}
