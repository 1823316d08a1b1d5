// Package loopback finds addresses on this machine for what is about to listen.
package loopback

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
)

// The ports from firstPort to lastPort are ephemeral on no system that tests run on: a
// listener or connection that takes any port gets none of them. Nor does another caller,
// in this process or another, as long as this process lives. So a free one stays free
// until it is asked for.
const (
	firstPort = 10_240
	lastPort  = 32_767
)

// tries bounds the search for one port.
const tries = 1000

// FreeAddresses returns as many addresses, host and port, all different, at which
// nothing listens, and which nobody else gets from here.
func FreeAddresses(n int) (all []string, err error) {
	for range n {
		address, err := find()
		if err != nil {
			return all, fmt.Errorf("looking for a free port: %w", err)
		}
		all = append(all, address)
	}
	return all, nil
}

func find() (address string, err error) {
	for range tries {
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		if err = reserve(port); errors.Is(err, syscall.EWOULDBLOCK) {
			continue
		} else if err != nil {
			return "", err
		}
		l, listenErr := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if listenErr == nil {
			return l.Addr().String(), l.Close()
		}
		if err = listenErr; !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
	}
	return "", err
}

// reserved are the locks of this process, which the system lets go at its end.
var reserved struct {
	mu    sync.Mutex
	files []*os.File
}

// reserve takes a port for this process, by a lock on a file of its own. The error is
// syscall.EWOULDBLOCK if somebody has it.
func reserve(port int) error {
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("vestibule-ports-%d", os.Getuid()))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(dir, strconv.Itoa(port)), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close() // nothing was written
		return err
	}
	reserved.mu.Lock()
	defer reserved.mu.Unlock()
	reserved.files = append(reserved.files, f)
	return nil
}

// FreeAddress is one of FreeAddresses.
func FreeAddress(t testing.TB) string {
	t.Helper()
	all, err := FreeAddresses(1)
	if err != nil {
		t.Fatal(err)
	}
	return all[0]
}
