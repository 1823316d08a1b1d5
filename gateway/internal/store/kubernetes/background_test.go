package kubernetes

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"k8s.io/client-go/rest"

	"vestibule.dev/vestibule/gateway/internal/store"
)

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// openWith opens a store that is closed with the test.
func openWith(t *testing.T, o Options) *Store {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() }) // it never fails
	return s
}

// What is under way when the store is closed is given up, and nothing begins after that.
func TestACloseGivesUp(t *testing.T) {
	arrived := make(chan string)
	s := openWith(t, Options{
		REST: &rest.Config{Host: "http://127.0.0.1:1"}, Namespace: "one", Name: "weather", Kind: "Secret",
		ClientShards: 1, GrantShards: 1, Replicas: 1,
		WrapTransport: func(http.RoundTripper) http.RoundTripper {
			return roundTripper(func(r *http.Request) (*http.Response, error) {
				arrived <- r.Method
				<-r.Context().Done()
				return nil, r.Context().Err()
			})
		},
	})
	id := store.NewID(0)
	read := func() error {
		_, err := s.Get(t.Context(), store.Client, id)
		return err
	}
	write := func() error {
		return s.CompareAndSwap(context.WithoutCancel(t.Context()), store.Grant, id, nil, []byte("new"))
	}
	ended := make(chan error, 2)
	go func() { ended <- read() }()
	if method := <-arrived; method != http.MethodGet {
		t.Fatalf("a read is sent as %s", method)
	}
	go func() { ended <- write() }()
	if method := <-arrived; method != http.MethodPatch {
		t.Fatalf("a write is sent as %s", method)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	for _, err := range []error{<-ended, <-ended, read(), write()} {
		if !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("the error is %v", err)
		}
	}
}
