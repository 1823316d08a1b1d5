//go:build integration

package etcd

import (
	"testing"

	"vestibule.dev/vestibule/gateway/internal/store"
	"vestibule.dev/vestibule/gateway/internal/store/conformance"
)

const capacity = 1 << 20

func fixture(open func(t *testing.T) store.Store) conformance.Fixture {
	return conformance.Fixture{Open: open, Parts: parts, Bytes: capacity}
}

func TestConformance(t *testing.T) {
	conformance.Run(t, func(*testing.T) conformance.Fixture {
		o := options(newPrefix(), nil)
		o.MaxBytes = capacity
		return fixture(func(t *testing.T) store.Store { return open(t, o) })
	})
}

// twoProcesses is a store whose replicas are by turns in this process and in one
// of their own.
func twoProcesses(*testing.T) conformance.Fixture {
	o := options(newPrefix(), nil)
	o.MaxBytes = capacity
	opened := 0
	return fixture(func(t *testing.T) store.Store {
		if opened++; opened%2 == 0 {
			return conformance.OpenProcess(t, replicaOptions{o.Endpoints, o.Prefix, o.MaxBytes})
		}
		return open(t, o)
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
			if remote, ok := s.(*conformance.Remote); ok {
				must(t, remote.Do(t.Context(), conformance.PauseWatch))
			}
		}
		return f
	})
}
