// Package loopback finds addresses on this machine for what is about to listen.
package loopback

import (
	"fmt"
	"net"
	"testing"
)

// FreeAddresses returns as many addresses, host and port, all different, at which
// nobody listened a moment ago.
func FreeAddresses(n int) (all []string, err error) {
	var held []net.Listener // so that no address comes twice
	for range n {
		l, listenErr := net.Listen("tcp", "127.0.0.1:0")
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

// FreeAddress is one of FreeAddresses.
func FreeAddress(t testing.TB) string {
	t.Helper()
	all, err := FreeAddresses(1)
	if err != nil {
		t.Fatal(err)
	}
	return all[0]
}
