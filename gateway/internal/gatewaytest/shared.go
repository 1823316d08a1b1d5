package gatewaytest

import (
	"context"
	"sync"
	"testing"
	"time"

	"vestibule.dev/vestibule/gateway/internal/store"
	"vestibule.dev/vestibule/gateway/internal/store/memory"
)

// sharedStore lets several gateways run on one store of this process, each
// with an observer of its own.
type sharedStore struct {
	store.Store

	mu        sync.Mutex
	latest    map[recordKey][]byte
	observers []store.Observer
}

type recordKey struct {
	kind store.Kind
	id   store.ID
}

// share opens a store in memory with a file, which ends with the test.
func share(t testing.TB, file string, now func() time.Time) store.Store {
	t.Helper()
	m, err := memory.Open(memory.Options{File: file, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	s := &sharedStore{Store: m, latest: map[recordKey][]byte{}}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx, s.observe) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *sharedStore) observe(kind store.Kind, id store.ID, value []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.latest[recordKey{kind, id}] = value
	for _, observe := range s.observers {
		observe(kind, id, value)
	}
}

// Run adds an observer.
func (s *sharedStore) Run(ctx context.Context, observe store.Observer) error {
	s.mu.Lock()
	for k, value := range s.latest {
		if value != nil {
			observe(k.kind, k.id, value)
		}
	}
	s.observers = append(s.observers, observe)
	s.mu.Unlock()
	<-ctx.Done()
	return nil
}
