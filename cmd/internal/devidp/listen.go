package devidp

import (
	"fmt"
	"net"
)

// Listen listens on a TCP address of this machine's loopback interface, such as
// 127.0.0.1:0, and refuses every other: whoever can reach a development
// provider that is spoken to without TLS can read the passwords.
func Listen(address string) (net.Listener, error) {
	resolved, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listening for the development identity provider: %w", err)
	}
	// What is bound is what was checked: a name is not looked up twice.
	if !resolved.IP.IsLoopback() {
		return nil, fmt.Errorf("listening for the development identity provider: %s is not a loopback address", address)
	}
	listener, err := net.ListenTCP("tcp", resolved)
	if err != nil {
		return nil, fmt.Errorf("listening for the development identity provider: %w", err)
	}
	return listener, nil
}
