package loopback

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"syscall"
	"testing"
)

func TestFreeAddresses(t *testing.T) {
	all, err := FreeAddresses(20)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	if n := len(slices.Compact(all)); n != 20 {
		t.Errorf("of 20 addresses %d are different", n)
	}
	for _, addr := range all {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = l.Close()
	}
}

// What takes any port must not take a free one before it is used.
func TestFreeAddressesAreNotEphemeral(t *testing.T) {
	content, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if os.IsNotExist(err) {
		return // macOS, whose range begins at 49152
	}
	if err != nil {
		t.Fatal(err)
	}
	var first, last int
	if _, err := fmt.Sscan(string(content), &first, &last); err != nil {
		t.Fatal(err)
	}
	if first <= lastPort && last >= firstPort {
		t.Errorf("the ports %d to %d are ephemeral here: free addresses are %d to %d", first, last, firstPort, lastPort)
	}
}

// What one caller got, another does not get, though nothing listens there yet.
func TestAnAddressIsOneCallers(t *testing.T) {
	all, err := FreeAddresses(1)
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(all[0])
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	if err := reserve(n); !errors.Is(err, syscall.EWOULDBLOCK) {
		t.Errorf("another caller of %s is told %v", all[0], err)
	}
}
