package serving

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
)

// A client that keeps a stream open does not keep the server from ending.
func TestUntilDone(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	left := make(chan struct{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(left)
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		<-r.Context().Done()
	}))
	ended := make(chan error, 1)
	go func() {
		ended <- UntilDone(ctx, server.Config, func() error { return server.Config.Serve(server.Listener) })
	}()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+server.Listener.Addr().String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	<-left
}

func TestUntilDoneReportsAnEndThatNobodyAskedFor(t *testing.T) {
	t.Parallel()
	broken := errors.New("the listener is broken")
	if err := UntilDone(t.Context(), &http.Server{}, func() error { return broken }); !errors.Is(err, broken) {
		t.Errorf("got %v, want %v", err, broken)
	}
}
