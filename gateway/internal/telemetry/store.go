package telemetry

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"vestibule.dev/vestibule/gateway/internal/store"
)

// Store is a store that can be closed and counts its parts.
type Store interface {
	store.Store
	io.Closer
	Counts(kind store.Kind) (parts int, filling bool)
}

// Store counts the operations of a store.
func (m *Metrics) Store(s Store) Store {
	if m == nil {
		return s
	}
	return &countedStore{Store: s, durations: m.store, writing: m.writing}
}

type countedStore struct {
	Store
	durations *prometheus.HistogramVec
	writing   *prometheus.GaugeVec
}

func (s *countedStore) Get(ctx context.Context, kind store.Kind, id store.ID) ([]byte, error) {
	begun := time.Now()
	value, err := s.Store.Get(ctx, kind, id)
	s.observe("get", begun, err)
	return value, err
}

func (s *countedStore) CompareAndSwap(ctx context.Context, kind store.Kind, id store.ID, old, new []byte) error {
	operation := "update"
	switch {
	case old == nil:
		operation = "create"
	case new == nil:
		operation = "delete"
	}
	writing := s.writing.WithLabelValues(kind.String())
	writing.Inc()
	defer writing.Dec()
	begun := time.Now()
	err := s.Store.CompareAndSwap(ctx, kind, id, old, new)
	s.observe(operation, begun, err)
	return err
}

func (s *countedStore) observe(operation string, begun time.Time, err error) {
	s.durations.WithLabelValues(operation, storeOutcome(err)).Observe(time.Since(begun).Seconds())
}

func storeOutcome(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, store.ErrNotFound):
		return "not_found"
	case errors.Is(err, store.ErrConflict):
		return "conflict"
	case errors.Is(err, store.ErrFull):
		return "full"
	case errors.Is(err, store.ErrForbidden):
		return "forbidden"
	case errors.Is(err, store.ErrUnavailable):
		return "unavailable"
	}
	return other
}
