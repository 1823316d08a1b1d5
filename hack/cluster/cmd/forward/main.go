// Command forward makes addresses inside a cluster's node reachable on ports of
// the host's loopback:
//
//	forward PID PORT=ADDRESS [PORT=ADDRESS...]
//
// PID is that of the node's namespaces on the host. The command returns once it
// listens, and leaves a process behind that forwards until the node ends.
//
// No address or route of the cluster is needed on the host, because a socket
// belongs to the network in which it was made: the ports are opened here, and
// handed to a process in the node, which connects from there. As a process of the
// node it also ends with the node.
package main

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// inside is the first argument of the process in the node.
const inside = "-inside"

func main() {
	log.SetFlags(0)
	log.SetPrefix("forward: ")
	var err error
	switch args := os.Args[1:]; {
	case len(args) >= 2 && args[0] == inside:
		err = serve(args[1:])
	case len(args) >= 2:
		err = listen(args[0], args[1:])
	default:
		err = errors.New("usage: forward PID PORT=ADDRESS [PORT=ADDRESS...]")
	}
	if err != nil {
		log.Fatal(err)
	}
}

// listen opens the ports and starts the process that serves them.
func listen(node string, forwards []string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command("nsenter", "--net=/proc/"+node+"/ns/net", "--pid=/proc/"+node+"/ns/pid_for_children", self, inside)
	for _, forward := range forwards {
		port, address, ok := strings.Cut(forward, "=")
		if !ok {
			return fmt.Errorf("%q is not PORT=ADDRESS", forward)
		}
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
		if err != nil {
			return err
		}
		file, err := l.(*net.TCPListener).File()
		if err != nil {
			return fmt.Errorf("handing over port %s: %w", port, err)
		}
		cmd.Args = append(cmd.Args, address)
		cmd.ExtraFiles = append(cmd.ExtraFiles, file)
	}
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	// Ctrl-C is for the script that started this.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd.Start()
}

// serve forwards connections to the listeners that listen opened, which are the
// files after standard error, to their addresses.
func serve(addresses []string) error {
	failed := make(chan error)
	for i, address := range addresses {
		l, err := net.FileListener(os.NewFile(uintptr(3+i), address))
		if err != nil {
			return fmt.Errorf("taking over the listener for %s: %w", address, err)
		}
		go func() {
			for {
				client, err := l.Accept()
				if err != nil {
					failed <- err
					return
				}
				go forward(client.(*net.TCPConn), address)
			}
		}()
	}
	return <-failed
}

func forward(client *net.TCPConn, address string) {
	defer func() { _ = client.Close() }()
	dialed, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err != nil {
		log.Print(err)
		// A reset, not an end of file: the client must not mistake this for an answer.
		_ = client.SetLinger(0)
		return
	}
	server := dialed.(*net.TCPConn)
	defer func() { _ = server.Close() }()

	answered := make(chan struct{})
	go func() {
		defer close(answered)
		pass(client, server)
	}()
	pass(server, client)
	<-answered
}

// pass copies what from sends until it stops sending, and says so to the other side.
func pass(to, from *net.TCPConn) {
	_, _ = io.Copy(to, from)
	_ = to.CloseWrite()
}
