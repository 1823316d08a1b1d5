// Package loopback finds addresses on this machine for what is about to listen.
package loopback

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"syscall"
	"testing"
)

// The ports from firstPort to lastPort are ephemeral on no system that tests run on: a
// listener or connection that takes any port gets none of them, so that a free one
// stays free until it is asked for.
const (
	firstPort = 10_240
	lastPort  = 32_767
)

// tries bounds the search for one port.
const tries = 1000

// FreeAddresses returns as many addresses, host and port, all different, at which
// nothing listens.
func FreeAddresses(n int) (all []string, err error) {
	var held []net.Listener // so that no address comes twice
	for range n {
		l, listenErr := listen()
		if listenErr != nil {
			err = fmt.Errorf("looking for a free port: %w", listenErr)
			break
		}
		held, all = append(held, l), append(all, l.Addr().String())
	}
	for _, l := range held {
		_ = l.Close() // nothing was sent
	}
	return all, err
}

func listen() (l net.Listener, err error) {
	for range tries {
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		l, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil || !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
	}
	return l, err
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
