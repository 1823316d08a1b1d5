package kubernetes

import (
	"context"

	"vestibule.dev/vestibule/gateway/internal/store"
)

// appendExpired adds the removal of expired records to a patch that is sent
// anyway: the whole shard is written either way. Each tests for exactly the
// value that expired, so a record that was renewed meanwhile stays.
func (s *shard) appendExpired(batch []*write, taken map[string]bool) []*write {
	for key := range s.records {
		if len(batch) >= patchWrites {
			break
		}
		if value := s.records[key].value; !taken[key] && s.expired(value) {
			batch = append(batch, &write{
				ctx: context.Background(), key: key, old: value, sweep: true, done: make(chan error, 1),
			})
		}
	}
	return batch
}

// sweep sends a patch if something has expired.
func (s *shard) sweep() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.records {
		if s.expired(e.value) {
			s.sweepDue = true
			s.work()
			return
		}
	}
}

// expired is false for what is not ours to delete.
func (s *shard) expired(value []byte) bool {
	expires, ok := store.Expires(value)
	return ok && s.now().After(expires)
}
