package caller

import (
	"slices"
	"sync"
	"time"

	"vestibule.dev/vestibule/gateway/internal/identity"
	"vestibule.dev/vestibule/gateway/internal/keys"
	"vestibule.dev/vestibule/gateway/internal/oauth"
	"vestibule.dev/vestibule/gateway/internal/tokens"
)

const (
	// maxHalf bounds each half of the cache, in bytes: some thousand callers.
	maxHalf = 4 << 20
	// besides is what an entry takes besides its headers, about.
	besides = 256
)

// cache keeps what was told of callers, by their access tokens: signing costs more
// than all else that the gateway does for a request. It decides nothing. Who comes to
// it has just been let through, and an entry tells what it does as long as nothing of
// it has changed.
//
// The older half has what was put before the newer one began. When that is full, it
// becomes the older one, and what was there is forgotten.
type cache struct {
	mu           sync.Mutex
	older, newer map[hash]*entry
	size         int // of newer
}

// hash is a token's: tokens are kept nowhere.
type hash [tokens.HashLen]byte

func of(token string) hash { return tokens.Sum(token) }

// entry is what is told of one caller. It is not changed.
type entry struct {
	// What it was made of.
	said   uint32
	scopes oauth.Scopes
	key    uint8

	until   time.Time
	headers []header
	size    int
}

// tells says whether the entry is what would be told of who now.
func (e *entry) tells(who identity.Identity, key *keys.Key, now time.Time) bool {
	//rule:identity-scopes-kept identity-claims-kept
	return now.Before(e.until) && e.said == who.Said && e.key == key.ID && slices.Equal(e.scopes, who.Scopes)
}

func (c *cache) get(at hash) *entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.newer[at]; e != nil {
		return e
	}
	e := c.older[at]
	if e != nil {
		c.add(at, e)
	}
	return e
}

func (c *cache) put(at hash, e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(at, e)
}

// add puts into the newer half; mu is held.
func (c *cache) add(at hash, e *entry) {
	if replaced := c.newer[at]; replaced != nil {
		c.size -= replaced.size + besides
	}
	if c.newer == nil || c.size+e.size+besides > maxHalf {
		c.older, c.newer, c.size = c.newer, map[hash]*entry{}, 0
	}
	c.newer[at] = e
	c.size += e.size + besides
}
