package clients

import (
	"context"
	"errors"
	"sync"
	"time"

	"vestibule.dev/vestibule/gateway/internal/records"
	"vestibule.dev/vestibule/gateway/internal/store"
)

const (
	// MaxClients bounds how many clients are kept in all.
	MaxClients = 10_000
	// keepUnused is how long an unused client is safe from those who come
	// after it: long enough for its user to log in.
	keepUnused = 30 * time.Minute
	// maxForgotten is how many clients one registration tries to forget. More
	// than one, since another replica may have forgotten the first already.
	maxForgotten = 8
)

// ErrTooMany says that no client can be registered now: all are in use, or too
// young to be forgotten.
var ErrTooMany = errors.New("too many clients are registered")

// room counts those who come and go, so that many at once find no more room
// than there is, and do not all forget the same client.
type room struct {
	limit    int
	mu       sync.Mutex
	arriving int
	leaving  map[store.ID]bool
}

// makeRoom forgets the oldest unused client if one more would be too many. One
// that was ever used is never forgotten, nor one whose user may still be at the
// login. The new client counts until leave is called, so call it once the
// client is written, or is not going to be.
func (s *Service) makeRoom(ctx context.Context) (leave func(), err error) {
	s.room.mu.Lock()
	s.room.arriving++
	s.room.mu.Unlock()
	leave = func() {
		s.room.mu.Lock()
		s.room.arriving--
		s.room.mu.Unlock()
	}
	tried := map[store.ID]bool{}
	for range maxForgotten {
		id, full := s.chooseLeaver(tried)
		if !full {
			return leave, nil
		}
		if id == (store.ID{}) {
			break
		}
		tried[id] = true
		forgotten, err := s.forget(ctx, id)
		if err != nil {
			leave()
			return nil, err
		}
		if forgotten {
			return leave, nil
		}
	}
	leave()
	return nil, ErrTooMany
}

// chooseLeaver says whether there are too many clients, and who may go: the
// zero id if nobody may. Whoever is chosen is to be forgotten at once.
func (s *Service) chooseLeaver(tried map[store.ID]bool) (id store.ID, full bool) {
	s.room.mu.Lock()
	defer s.room.mu.Unlock()
	//rule:clients-without-number
	if s.table.CountIndex(indexUsed)+s.table.CountIndex(indexUnused)+s.room.arriving <= s.room.limit {
		return store.ID{}, false
	}
	//rule:young-client-evicted
	oldest := s.opts.Now().Add(-keepUnused).Unix() + 1
	for candidate, c := range s.table.ByIndex(indexUnused) {
		if c.CreatedAt < oldest && !tried[candidate] && !s.room.leaving[candidate] {
			id, oldest = candidate, c.CreatedAt
		}
	}
	if id != (store.ID{}) {
		s.room.leaving[id] = true
	}
	return id, true
}

// forget says whether the client was there, unused, and is not any more.
func (s *Service) forget(ctx context.Context, id store.ID) (bool, error) {
	defer func() {
		s.room.mu.Lock()
		delete(s.room.leaving, id)
		s.room.mu.Unlock()
	}()
	forgotten := false
	err := s.table.Update(ctx, id, func(c *Client) (records.Verdict, error) {
		forgotten = !c.Used
		//rule:used-client-evicted
		if c.Used {
			return records.Keep, nil
		}
		return records.Remove, nil
	})
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return forgotten, err
}
