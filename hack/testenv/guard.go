package testenv

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// watch waits until its standard input closes, which the kernel does however the
// test process ends. After a clean stop the directory is gone. Otherwise it ends
// every process whose command line names the directory, so that a reused pid hits nobody.
const watch = `
cat >/dev/null
[ -d "$1" ] || exit 0
args() {
	if [ -d /proc/self ]; then tr '\0' ' ' <"/proc/$1/cmdline"; else ps -o args= -p "$1"; fi
} 2>/dev/null
for signal in TERM KILL; do
	while read -r pid; do
		case $(args "$pid") in *"$1"*) kill -s $signal "$pid" ;; esac
	done <"$1/pids"
	[ $signal = KILL ] || sleep 3
done
rm -rf "$1"
`

// wrapper notes its pid and becomes the binary. To be asked for help is not to run.
// Memory is spent to save time: a seventh of an API server's is that of its collector.
const wrapper = `#!/bin/sh
[ "$1" = --help ] || echo $$ >>'%s'
GOGC=400 exec '%s' "$@"
`

// guard ends the control plane when the test process dies without ending it: a
// test that panics or times out runs no deferred calls, and an API server left
// behind holds hundreds of megabytes.
type guard struct {
	dir   string
	watch *exec.Cmd
	alive io.Closer
}

func startGuard(dir string) (*guard, error) {
	cmd := exec.Command("sh", "-c", watch, "testenv-guard", dir)
	// A process group of its own: Ctrl-C is for the tests, and then it has work to do.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	alive, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("starting the control plane's guard: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the control plane's guard: %w", err)
	}
	return &guard{dir: dir, watch: cmd, alive: alive}, nil
}

// wrap returns the path of a script that runs binary under the guard.
func (g *guard) wrap(binary string) (string, error) {
	path := filepath.Join(g.dir, filepath.Base(binary))
	script := fmt.Sprintf(wrapper, filepath.Join(g.dir, "pids"), binary)
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		return "", fmt.Errorf("wrapping %s: %w", filepath.Base(binary), err)
	}
	return path, nil
}

// stop ends the guard, whose directory must be gone.
func (g *guard) stop() error {
	if err := g.alive.Close(); err != nil {
		return fmt.Errorf("stopping the control plane's guard: %w", err)
	}
	if err := g.watch.Wait(); err != nil {
		return fmt.Errorf("stopping the control plane's guard: %w", err)
	}
	return nil
}
