package testenv

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"vestibule.dev/vestibule/hack/loopback"
)

// EtcdOptions describe a cluster.
type EtcdOptions struct {
	// Members is how many there are; unset, one.
	Members int
	// TLS serves clients over https, which Args must have the files for.
	TLS bool
	// Args are added to each member's command line.
	Args []string
}

// Etcd is a running etcd cluster on loopback.
type Etcd struct {
	dir     string
	binary  string
	guard   *guard
	members []*member
}

type member struct {
	name                  string
	client, peer, metrics string // URLs
	args                  []string
	cmd                   *exec.Cmd // nil while it does not run
	output                bytes.Buffer
}

// StartEtcd runs a cluster until Stop. It finds the binary as Start does, and the
// cluster ends with the test process too.
func StartEtcd(o EtcdOptions) (*Etcd, error) {
	assets, err := assets()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "vestibule-etcd-")
	if err != nil {
		return nil, fmt.Errorf("creating etcd's directory: %w", err)
	}
	e := &Etcd{dir: dir}
	if err := e.start(assets, o); err != nil {
		return nil, errors.Join(err, e.Stop())
	}
	return e, nil
}

func (e *Etcd) start(assets string, o EtcdOptions) (err error) {
	if e.guard, err = startGuard(e.dir); err != nil {
		return err
	}
	if e.binary, err = e.guard.wrap(filepath.Join(assets, "etcd")); err != nil {
		return err
	}
	scheme := map[bool]string{false: "http://", true: "https://"}[o.TLS]
	var peers []string
	for n := range max(o.Members, 1) {
		addresses, err := loopback.FreeAddresses(3)
		if err != nil {
			return err
		}
		m := &member{
			name: fmt.Sprintf("m%d", n), client: scheme + addresses[0], peer: "http://" + addresses[1], metrics: "http://" + addresses[2],
		}
		e.members = append(e.members, m)
		peers = append(peers, m.name+"="+m.peer)
	}
	for n, m := range e.members {
		m.args = append([]string{
			"--name", m.name, "--data-dir", e.DataDir(n), "--log-level", "error", "--unsafe-no-fsync",
			"--listen-client-urls", m.client, "--advertise-client-urls", m.client,
			"--listen-peer-urls", m.peer, "--initial-advertise-peer-urls", m.peer,
			"--listen-metrics-urls", m.metrics, "--initial-cluster", strings.Join(peers, ","),
		}, o.Args...)
		if err := m.run(e.binary); err != nil {
			return err
		}
	}
	for n := range e.members {
		if err := e.Healthy(n); err != nil {
			return err
		}
	}
	return nil
}

func (m *member) run(binary string) error {
	m.cmd = exec.Command(binary, m.args...)
	m.cmd.Stdout, m.cmd.Stderr = &m.output, &m.output
	if err := m.cmd.Start(); err != nil {
		return fmt.Errorf("starting etcd: %w", err)
	}
	return nil
}

// Endpoints are the URLs of all members.
func (e *Etcd) Endpoints() []string {
	var all []string
	for _, m := range e.members {
		all = append(all, m.client)
	}
	return all
}

// DataDir is where a member keeps its data.
func (e *Etcd) DataDir(n int) string { return filepath.Join(e.dir, fmt.Sprintf("data-%d", n)) }

// Healthy waits until a member has a leader, and reads through it.
func (e *Etcd) Healthy(n int) error {
	m := e.members[n]
	for deadline := time.Now().Add(startTimeout); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		resp, err := http.Get(m.metrics + "/health")
		if err != nil {
			continue
		}
		_ = resp.Body.Close() // nothing of it counts but the status
		if resp.StatusCode == http.StatusOK {
			return nil
		}
	}
	return fmt.Errorf("etcd is not healthy: %s", &m.output)
}

// Kill ends a member at once.
func (e *Etcd) Kill(n int) error {
	m := e.members[n]
	if m.cmd == nil {
		return nil
	}
	if err := m.cmd.Process.Kill(); err != nil {
		return fmt.Errorf("ending etcd: %w", err)
	}
	_ = m.cmd.Wait() // it was killed
	m.cmd = nil
	return nil
}

// Restart runs a killed member again, with the data that it has, and waits until
// it is healthy.
func (e *Etcd) Restart(n int) error {
	if err := e.members[n].run(e.binary); err != nil {
		return err
	}
	return e.Healthy(n)
}

// Freeze stops a member where it is: its connections stay, and nothing is answered.
func (e *Etcd) Freeze(n int) error {
	process := e.members[n].cmd.Process
	if err := process.Signal(syscall.SIGSTOP); err != nil {
		return fmt.Errorf("freezing etcd: %w", err)
	}
	// It may go on for a moment.
	if _, err := syscall.Wait4(process.Pid, nil, syscall.WUNTRACED, nil); err != nil {
		return fmt.Errorf("freezing etcd: %w", err)
	}
	return nil
}

// Thaw lets a frozen member go on.
func (e *Etcd) Thaw(n int) error { return e.members[n].cmd.Process.Signal(syscall.SIGCONT) }

// Stop ends all members, and removes their data.
func (e *Etcd) Stop() error {
	var errs []error
	for n := range e.members {
		errs = append(errs, e.Kill(n))
	}
	errs = append(errs, os.RemoveAll(e.dir))
	if e.guard != nil {
		errs = append(errs, e.guard.stop())
	}
	return errors.Join(errs...)
}
