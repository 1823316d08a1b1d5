// Package serving runs the servers of Vestibule's own small programs.
package serving

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// lastRequests is how long requests may take to finish once a server is to stop.
const lastRequests = 2 * time.Second

// UntilDone runs serve, which is s.Serve or s.ServeTLS with its arguments, until ctx is
// done. Requests then have two seconds to finish. After that, connections that are still
// open are cut: clients keep streams open for as long as there is a server. It returns
// when serve has returned. An end that ctx did not ask for is an error.
func UntilDone(ctx context.Context, s *http.Server, serve func() error) error {
	ended := make(chan error, 1)
	go func() { ended <- serve() }()
	select {
	case err := <-ended:
		return fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastRequests)
	defer cancel()
	err := s.Shutdown(stopping)
	if err != nil {
		err = s.Close()
	}
	if e := <-ended; err == nil && !errors.Is(e, http.ErrServerClosed) {
		err = e
	}
	return err
}
