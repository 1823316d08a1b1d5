package grants

import (
	"sync"

	"vestibule.dev/vestibule/gateway/internal/store"
)

// changes wakes those who wait for a record to change.
type changes struct {
	mu      sync.Mutex
	waiting map[store.ID]map[chan struct{}]struct{}
}

// of returns a channel that is closed at the next change of the record. Call
// forget when it is not waited for any more.
func (c *changes) of(id store.ID) (changed <-chan struct{}, forget func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting == nil {
		c.waiting = map[store.ID]map[chan struct{}]struct{}{}
	}
	if c.waiting[id] == nil {
		c.waiting[id] = map[chan struct{}]struct{}{}
	}
	ch := make(chan struct{})
	c.waiting[id][ch] = struct{}{}
	return ch, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if delete(c.waiting[id], ch); len(c.waiting[id]) == 0 {
			delete(c.waiting, id)
		}
	}
}

func (c *changes) tell(id store.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for ch := range c.waiting[id] {
		close(ch)
	}
	delete(c.waiting, id)
}
