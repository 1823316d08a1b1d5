//go:build integration

package kubernetes

import (
	"testing"

	"vestibule.dev/vestibule/gateway/internal/store"
	"vestibule.dev/vestibule/gateway/internal/store/conformance"
)

func (c cluster) fixture(open func(t *testing.T) store.Store) conformance.Fixture {
	return conformance.Fixture{Open: open, Parts: shards, Bytes: shards * createLimit}
}

func TestConformance(t *testing.T) {
	for kind := range resources {
		t.Run(kind, func(t *testing.T) {
			conformance.Run(t, func(t *testing.T) conformance.Fixture {
				c := newCluster(t, kind)
				return c.fixture(func(t *testing.T) store.Store { return openWith(t, c.confirming(&link{})) })
			})
		})
	}
}

// twoProcesses is a store whose replicas are by turns in this process and in one
// of their own.
func twoProcesses(t *testing.T) conformance.Fixture {
	c := newCluster(t, "Secret")
	opened := 0
	return c.fixture(func(t *testing.T) store.Store {
		if opened++; opened%2 == 0 {
			return c.openProcess(t)
		}
		return openWith(t, c.confirming(&link{}))
	})
}

func TestConformanceOfTwoProcesses(t *testing.T) {
	conformance.Run(t, twoProcesses)
}

// What the watch has not brought yet costs time, but decides nothing.
func TestRacesWithAPausedWatch(t *testing.T) {
	conformance.Races(t, func(t *testing.T) conformance.Fixture {
		f := twoProcesses(t)
		f.Ready = func(t *testing.T, s store.Store) {
			remote, ok := s.(*conformance.Remote)
			if !ok {
				return
			}
			if err := remote.Do(t.Context(), conformance.PauseWatch); err != nil {
				t.Fatal(err)
			}
		}
		return f
	})
}
