// Package child runs programs for tests. None outlives its test, and a failure
// shows what they have said.
package child

import (
	"errors"
	"fmt"
	"net"
	"os/exec"
	"regexp"
	"syscall"
	"testing"
	"time"

	"vestibule.dev/vestibule/hack/testlog"
)

// grace is how long a program may take to end once it is told to.
const grace = 10 * time.Second

// Process is a program that runs, or did.
type Process struct {
	// Stdout and Stderr are what it has written so far.
	Stdout, Stderr testlog.Buffer

	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended, after err is set
	err  error
}

// Start starts cmd, whose output it takes in. At the end of the test it stops
// what still runs.
func Start(t testing.TB, cmd *exec.Cmd) *Process {
	t.Helper()
	p := &Process{cmd: cmd, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.Stdout, &p.Stderr
	// A process group of its own, so that no child of the program is left behind.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// What holds the output open when the program has ended is not waited for.
	cmd.WaitDelay = grace
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting %s: %v", cmd.Path, err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() { _ = p.Stop() }) // a test that wants to know stops it itself
	return p
}

// Stop tells the program to end, and returns how it did. One that has ended is
// not told.
func (p *Process) Stop() error {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		select {
		case <-p.done:
			return p.err
		default:
			_ = syscall.Kill(-p.cmd.Process.Pid, signal) // it may end just now
		}
		select {
		case <-p.done:
		case <-time.After(grace):
		}
	}
	<-p.done
	return errors.Join(errors.New("the program had to be killed"), p.err)
}

// Await waits until the program has written what matches pattern, to either
// output, and returns the match and its groups.
func (p *Process) Await(t testing.TB, pattern *regexp.Regexp, atMost time.Duration) []string {
	t.Helper()
	var match []string
	p.until(t, fmt.Sprintf("writes %s", pattern), atMost, func() bool {
		for _, out := range []*testlog.Buffer{&p.Stdout, &p.Stderr} {
			if match = pattern.FindStringSubmatch(out.String()); match != nil {
				return true
			}
		}
		return false
	})
	return match
}

// AwaitListener waits until somebody listens at a TCP address.
func (p *Process) AwaitListener(t testing.TB, addr string, atMost time.Duration) {
	t.Helper()
	p.until(t, "listens at "+addr, atMost, func() bool {
		conn, err := net.DialTimeout("tcp", addr, atMost)
		if err != nil {
			return false
		}
		_ = conn.Close()
		return true
	})
}

// Wait waits for the program's end, and returns how it ended.
func (p *Process) Wait(t testing.TB, atMost time.Duration) error {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(atMost):
		t.Fatalf("%s still runs after %v%s", p.cmd.Path, atMost, p)
	}
	return p.err
}

// until asks again and again whether what is waited for has happened.
func (p *Process) until(t testing.TB, what string, atMost time.Duration, happened func() bool) {
	t.Helper()
	deadline := time.After(atMost)
	for ask := time.NewTicker(10 * time.Millisecond); ; {
		// Asked once more after the end: the last words count.
		ended := false
		select {
		case <-deadline:
			t.Fatalf("%s never %s in %v%s", p.cmd.Path, what, atMost, p)
		case <-p.done:
			ended = true
		case <-ask.C:
		}
		if happened() {
			ask.Stop()
			return
		}
		if ended {
			t.Fatalf("%s ended (%v) and never %s%s", p.cmd.Path, p.err, what, p)
		}
	}
}

// String is what the program has said, for a failure's message.
func (p *Process) String() string {
	return "\n--- standard output\n" + p.Stdout.String() + "\n--- standard error\n" + p.Stderr.String()
}
